"""Every API does what its OpenAPI description says, whatever it is sent: schemathesis against the real site.

The doors are found in the URL map by their descriptions. Requests are made of the description, right ones and
wrong ones, go through the WSGI application to the database, and what each did is rolled back.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

import hypothesis
import pytest
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from werkzeug import Client

from campaigns.models import MarketParty
from campaigns.servicing import signatures
from campaigns.servicing.signatures import Message
from members import tokens as member_tokens
from opendsr.kernel import clock
from opendsr.kernel.problem import METHODS
from tests.campaigns.servicing.operating import make_operator
from tests.web.scene import NOW, Scene
from tests.web.things import things_of
from tests.web.url_map import addresses
from vtn import policy as vtn_policy
from vtn import tokens as vtn_tokens

pytestmark = pytest.mark.django_db
DESCRIPTIONS: Final = {each.name: each.path({}) for each in addresses() if each.name.endswith("schema")}
NOBODYS: Final = "0190a0a0-0000-7000-8000-000000000000"
ORIGIN: Final = "http://localhost"
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
Site = Callable[[dict[str, Any], Any], Any]
_numbers = itertools.count(1)


# ---- who asks


def nobody(scene: Scene, site: Site) -> Site:
    return site


def member(scene: Scene, site: Site) -> Site:
    """A program of Alice's that may act."""
    made = member_tokens.make_token(
        member=scene.alice.member, scope="act", name="x", days=None, at=NOW, wall=clock.wall_now(), by="test"
    )
    return _with_token(made.secret, site)


def application(scene: Scene, site: Site) -> Site:
    """An application that may everything a token can."""
    deeds = [str(each) for each in vtn_policy.GRANTABLE]
    made = vtn_tokens.create_token(name="x", deeds=deeds, days=1, at=NOW, wall=clock.wall_now(), by="user:1")
    return _with_token(made.secret, site)


def operator(scene: Scene, site: Site) -> Site:
    """A network operator that is the buyer of a request as well, and signs each request as it goes out."""
    made = make_operator()
    MarketParty.objects.update(client=made.client)
    return _signing(made.key, made.key_id, site)


CALLERS: Final = {"member_api:schema": member, "vtn_api:schema": application, "servicing:schema": operator}


def _with_token(secret: str, site: Site) -> Site:
    return lambda environ, start: site({**environ, "HTTP_AUTHORIZATION": f"Bearer {secret}"}, start)


def _signing(key: Ed25519PrivateKey, key_id: str, site: Site) -> Site:
    def call(environ: dict[str, Any], start: Any) -> Any:
        body = environ["wsgi.input"].read()
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~")
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        signed = signatures.sign(
            Message(environ["REQUEST_METHOD"], f"{ORIGIN}{path}{query}", headers, body),
            key=key,
            key_id=key_id,
            created_at=clock.wall_now(),
            nonce=f"openapi-{next(_numbers):08d}",
        )
        more = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed.items()}
        return site({**environ, **more, "wsgi.input": io.BytesIO(body)}, start)

    return call


# ---- the door


@dataclass(frozen=True, slots=True)
class Door:
    """An API as one caller meets it; `things` are values that exist, for arguments and fields by name."""

    schema: Any
    base_url: str
    things: dict[str, Any]

    def operations(self) -> list[Any]:
        return [each.ok() for each in self.schema.get_all_operations()]

    def try_out(self, operation: Any, mode: GenerationMode, examples: int) -> None:
        """Send so many made requests, half of their values being things that exist; raises what is wrong."""

        @hypothesis.settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(data=st.data())
        def tried(data: st.DataObject) -> None:
            case = data.draw(operation.as_strategy(mode))
            for values in (case.path_parameters, case.query, case.body):
                if isinstance(values, dict):
                    for name in self.things.keys() & values.keys():
                        if data.draw(st.booleans()):
                            values[name] = self.things[name]
            cache.clear()
            with transaction.atomic():
                try:
                    case.call_and_validate(base_url=self.base_url, checks=CHECKS)
                finally:
                    transaction.set_rollback(True)

        try:
            tried()
        except hypothesis.errors.Unsatisfiable:
            assert mode == WRONG, f"{operation.label}: no right request can be made"


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """The site stays on the connection, and so in the transaction, of the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def door(scene: Scene) -> Callable[..., Door]:
    """Open one, by its description's name, as its own caller or as somebody else."""

    def opened(name: str, caller: Callable[[Scene, Site], Site] | None = None) -> Door:
        things = {each: str(value) for each, value in things_of(scene).items()}
        site = get_wsgi_application()
        own = CALLERS[name](scene, site)
        schema = schemathesis.openapi.from_wsgi(DESCRIPTIONS[name], own)
        schema.app = own if caller is None else caller(scene, site)
        return Door(
            schema,
            urlsplit(schema.get_base_url())._replace(scheme="http", netloc="localhost").geturl().rstrip("/"),
            things
            | {
                "zone": "Calder",
                "reference": "NF-1",
                "ven_ids": [things["ven_id"]],
                "starts_at": (NOW + timedelta(hours=1)).isoformat(),
                "day": "2026-01-14",
                "minutes": 30,
                "size_w": 1_000,
            },
        )

    return opened


def faults_of(door: Door, examples: dict[GenerationMode, int]) -> str:
    """What is wrong of any operation, in schemathesis' own words."""
    told = []
    for operation in door.operations():
        for mode, count in examples.items():
            try:
                door.try_out(operation, mode, count)
            except schemathesis.errors.SchemathesisError as fault:
                told.append(f"{operation.label}: {fault}")
            except BaseExceptionGroup as faults:
                told.append(f"{operation.label}: {faults}")
    return "\n\n".join(told)


def test_every_description_is_known() -> None:
    assert DESCRIPTIONS.keys() == CALLERS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DESCRIPTIONS))
def test_any_request_is_answered_as_described(name: str, door: Callable[..., Door]) -> None:
    assert faults_of(door(name), {RIGHT: 10, WRONG: 8}) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DESCRIPTIONS))
def test_strangers_are_answered_as_described(name: str, door: Callable[..., Door]) -> None:
    assert faults_of(door(name, nobody), {RIGHT: 2, WRONG: 2}) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DESCRIPTIONS))
def test_other_methods_are_refused(name: str, door: Callable[..., Door]) -> None:
    opened = door(name)
    client = Client(opened.schema.app)
    methods: dict[str, set[str]] = {}
    for operation in opened.operations():
        nobodys = {
            each.name: "1" if each.definition["schema"]["type"] == "integer" else NOBODYS
            for each in operation.path_parameters
        }
        path = operation.path.format_map({**nobodys, **opened.things})
        methods.setdefault(f"{opened.base_url}{path}", set()).add(operation.method.lower())
    for url, described in methods.items():
        for method in set(METHODS) - described:
            answer = client.open(url, method=method.upper())
            assert answer.status_code == 405, (method, url, answer.text)
            assert {each.strip().lower() for each in answer.headers["Allow"].split(",")} >= described
            assert answer.json["code"] == "method_not_allowed"
