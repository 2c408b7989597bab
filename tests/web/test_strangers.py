"""Strangers at every address there is, from the URL map itself, with Alice's things as arguments.

A stranger is sent to sign in, or refused, or finds nothing; whatever the method, nobody is shown anything of
Alice's, and nothing breaks. An address of a new kind has to be given its rule here, or fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client

from members import partnering
from members.models import Role, User
from members.partnering import make_partner
from opendsr.web.purposes import NOBODYS, OWN, OWN_PREFIXES, PURPOSES
from tests.factories import make_staff
from tests.web.scene import NOW, Scene
from tests.web.things import VERBS, things_of
from tests.web.url_map import Address, addresses

PUBLIC_PREFIXES = ("est_", "revocation_list")
MACHINES = ("vtn_api:", "servicing:", "uftp:", "api_", "emoncms_", "opendsr.web.emoncms.", "vtn.api_site.")
VTN = "vtn:"
RECORDS = "admin:"
METHODS = ("GET", "POST", "BREW")
REFUSED = {401, 403, 404, 405, 429}
OWN_OF = {
    "landlord": {"partner_home", "partner_csv", "partner_properties", "partner_brand"},
    "installer": {"visit_list"},
    "robot": {"api_campaigns", "api_campaign_report"},
}
"""Pages that are the work of people of other trades, and show them nothing of Alice's."""
Visit = Callable[[User | None], Client]


def rule_of(address: Address) -> str:
    """Which rule holds at an address: `public`, `own`, `work`, `machines` or `records`; else a KeyError."""
    name = address.name
    if name.startswith(RECORDS) and name != "admin:logout":
        return "records"
    if name in NOBODYS or name.startswith(PUBLIC_PREFIXES):
        return "public"
    if name.startswith(MACHINES):
        return "machines"
    if name in OWN or name.startswith(OWN_PREFIXES) or name == "admin:logout":
        return "own"
    if name in PURPOSES or name.startswith(VTN):
        return "work"
    raise KeyError(name)


def test_every_address_has_a_rule() -> None:
    assert len(addresses()) > 400
    assert {rule_of(each) for each in addresses()} == {"public", "own", "work", "machines", "records"}


@pytest.fixture
def things(scene: Scene) -> dict[str, Any]:
    """Something of Alice's for every argument that can be somebody's."""
    return things_of(scene)


@pytest.fixture
def secrets(scene: Scene) -> tuple[str, ...]:
    """What names Alice or her home."""
    alice = scene.alice
    return (alice.member.full_name, alice.user.email, alice.home.name, alice.home.mpan, "Alice's words")


@pytest.fixture
def strangers(scene: Scene) -> dict[str, User | None]:
    """Who has nothing to do with Alice: nobody, a neighbour, an account without a role, other trades."""
    robot = make_staff("robot@example.org", Role.API_APPLICATION)
    User.objects.filter(pk=robot.pk).update(is_staff=False)
    partner = make_partner(name="Other Homes", by="test", at=NOW)
    return {
        "anonymous": None,
        "neighbour": scene.carol.user,
        "nobody": User.objects.create_user("nobody@example.org", "correct horse battery"),
        "landlord": partnering.open_account(partner=partner, email="pat@other.example", by="test", at=NOW),
        "installer": make_staff("ivan@example.org", Role.INSTALLER),
        "robot": User.objects.get(pk=robot.pk),
    }


def knocks(client: Client, path: str) -> Iterator[tuple[str, HttpResponseBase]]:
    """The answers to each method; whatever was changed is taken back."""
    for method in METHODS:
        with transaction.atomic():
            yield method, client.generic(method, path)
            transaction.set_rollback(True)


def text_of(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(body.decode("utf-8", "replace"))


def is_to_sign_in(answer: Any) -> bool:
    return answer.status_code == 302 and "/login/" in answer["Location"]


def is_as_it_should(rule: str, who: str, name: str, method: str, answer: Any) -> bool:
    """Whether the answer is one that the rule allows a stranger."""
    status = answer.status_code
    if status >= 500:
        return False
    if rule == "public" or (rule == "own" and who != "anonymous") or name in OWN_OF.get(who, ()):
        return True
    if rule == "own":
        return method != "GET" or status != 200 or name.startswith(("join", "account_", "member_api:schema"))
    if rule == "machines" and name.endswith(("schema", "docs")):
        return True
    return status in REFUSED or is_to_sign_in(answer) or (rule == "machines" and status in (400, 411))


@pytest.mark.slow
@pytest.mark.parametrize("who", ["anonymous", "neighbour", "nobody", "landlord", "installer", "robot"])
def test_a_stranger_is_shown_nothing_at_any_address(
    who: str,
    strangers: dict[str, User | None],
    things: dict[str, Any],
    secrets: tuple[str, ...],
    visit: Visit,
) -> None:
    client = visit(strangers[who])
    wrong = []
    for address in addresses():
        if address.is_of_records and who not in ("anonymous", "neighbour"):
            continue
        rule = rule_of(address)
        for method, answer in knocks(client, address.path(things)):
            shown = [each for each in secrets if each in text_of(answer)]
            if shown or not is_as_it_should(rule, who, address.name, method, answer):
                wrong.append((method, address.name, answer.status_code, shown))

    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "role",
    [
        Role.ADMINISTRATOR,
        Role.DISPATCHER,
        Role.DEVICE_MANAGER,
        Role.MEMBER_SERVICES,
        Role.FINANCE,
        Role.AUDITOR,
    ],
)
def test_nothing_breaks_for_any_role_at_any_address(role: Role, things: dict[str, Any], visit: Visit) -> None:
    """What a role may do differs (`test_doors`); that an empty or odd request is answered does not."""
    client = visit(make_staff(f"{role.value}@example.org", role))
    client.raise_request_exception = False
    wrong = []
    for address in addresses():
        for method, answer in knocks(client, address.path(things)):
            if answer.status_code >= 500:
                wrong.append((method, address.name, answer.status_code))
            else:
                text_of(answer)  # what streams is written as it is read

    assert wrong == []


def test_the_walk_sees_what_an_owner_is_shown(
    scene: Scene, things: dict[str, Any], secrets: tuple[str, ...], visit: Visit
) -> None:
    """A control: with the same arguments Alice herself is let in, and her own things are on the page."""
    client = visit(scene.alice.user)
    by_name = {each.name: each for each in addresses()}
    for name in ("statement", "household_page", "my_rights"):
        answer = client.get(by_name[name].path(things))
        assert answer.status_code == 200, name
        assert any(each in text_of(answer) for each in secrets), name


def test_the_walk_fills_each_kind_of_address() -> None:
    by_name = {each.name: each for each in addresses()}
    home = uuid4()

    assert by_name["home_page"].path({"home_id": home}) == f"/registry/homes/{home}/"
    assert by_name["vtn_api:ven"].path({"ven_id": "VEN-1"}) == "/api/vtn/v1/vens/VEN-1/"
    assert by_name["visit_action"].path({"job_id": home, **VERBS}) == f"/visits/{home}/cancel/"
    assert (
        by_name["admin:members_member_change"].path({"object_id": 7}) == "/records/members/member/7/change/"
    )
