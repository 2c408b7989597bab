"""Valid messages of the right VEN with any content at all: answered, and never with an error of ours."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oadr import codec, simple
from oadr import messages as m
from tests.oadr import samples
from tests.vtn import hubs, test_wsgi
from tests.vtn.hubs import AT, notice_to
from tests.vtn.test_reports import STATUS, USAGE, register
from vtn import wsgi
from vtn.models import Event, ReportRequest
from vtn.port import Vtn
from vtn.services import answering

pytestmark = pytest.mark.django_db

ONE_HUB = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
LONG = "x" * 400


@pytest.fixture(autouse=True)
def _keep_the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)


@pytest.fixture
def known(vtn: Vtn, hub: hubs.TestHub) -> dict[str, list[Any]]:
    """Ids that mean something to this VTN, by the name of the field they stand in."""
    for key in "ab":
        vtn.publish(notice_to(hub.ven_id), key=key, at=AT)
    hub.polls()
    register(hub, USAGE, STATUS)
    return {
        "ven_id": [hub.ven_id, ""],
        "event_id": list(Event.objects.values_list("event_id", flat=True)),
        "report_request_id": list(ReportRequest.objects.values_list("report_request_id", flat=True)),
        "registration_id": [hub.ven.registration_id, ""],
        "r_id": ["house", "charger", LONG],
        "report_specifier_id": ["usage-1", "METADATA", LONG],
        "opt_id": ["O1", LONG],
        "opt_reason": ["economic", "x-" + LONG],
        "description": ["", LONG],
        "transport_address": ["", "https://" + LONG],
        "modification_number": [0, 1],
    }


def aimed(value: Any, known: dict[str, list[Any]], choose: Any) -> Any:
    """Return the message with some of its fields, at any depth, put to something known or extreme."""
    if isinstance(value, tuple):
        return tuple(aimed(item, known, choose) for item in value)
    if not is_dataclass(value) or isinstance(value, type | m.Unit):
        return value
    changes: dict[str, Any] = {}
    for field in fields(value):
        held = getattr(value, field.name)
        if field.name in known and choose(st.integers(0, 3)):
            changes[field.name] = choose(st.sampled_from(known[field.name]))
        else:
            changes[field.name] = aimed(held, known, choose)
    return replace(value, **changes)


@settings(max_examples=60, deadline=None, suppress_health_check=ONE_HUB)
@given(message=samples.messages, data=st.data())
def test_any_content_gets_a_valid_reply(
    hub: hubs.TestHub, known: dict[str, list[Any]], message: m.Message, data: st.DataObject
) -> None:
    service = data.draw(
        st.sampled_from(
            [name for name, handlers in answering.SERVICES.items() if type(message) in handlers]
            or ["EiEvent"]
        )
    )
    body = codec.serialise(aimed(message, known, data.draw))

    replied = test_wsgi.post(hub, body, path=f"/OpenADR2/Simple/2.0b/{service}")

    assert replied.status == 200, (service, message)
    assert replied.message


@settings(max_examples=15, deadline=None, suppress_health_check=ONE_HUB)
@given(message=samples.messages, data=st.data(), place=st.floats(0, 1), dropped=st.integers(0, 4))
def test_any_content_and_any_damage_in_2_0a(
    hub: hubs.TestHub,
    known: dict[str, list[Any]],
    message: m.Message,
    data: st.DataObject,
    place: float,
    dropped: int,
) -> None:
    aim = aimed(message, known, data.draw)
    body = simple.serialise(aim) if isinstance(aim, simple.MESSAGES) else codec.serialise(aim)
    at = int(place * len(body))

    replied = test_wsgi.post(hub, body[:at] + body[at + dropped :], path=wsgi.SIMPLE_PATH)

    assert replied.status in test_wsgi.ACCEPTABLE
