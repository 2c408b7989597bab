"""Polls and answers served together: each VEN its own, once, and the odd one left to the application."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from oadr import codec
from oadr import messages as m
from tests.vtn import hubs
from tests.vtn.hubs import notice_to, only_event
from vtn import enrolling
from vtn.models import Event, EventOpt, MessageLog, VenCertificate
from vtn.port import Vtn
from vtn.transports import groups

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's transaction outlives the group."""
    monkeypatch.setattr(groups, "close_old_connections", lambda: None)


@pytest.fixture
def pair(hub: hubs.TestHub, stranger: hubs.TestHub) -> tuple[hubs.TestHub, hubs.TestHub]:
    """Two hubs that have spoken before and been told all."""
    for each in (hub, stranger):
        each.says("EiEvent", m.RequestEvent("R", each.ven_id))
    VenCertificate.objects.update(first_used_wall_at=datetime.now(UTC))
    return hub, stranger


def poll(hub: hubs.TestHub, **changes: Any) -> groups.Poll:
    settings = {
        "fingerprint": hub.fingerprint,
        "ven_id": hub.ven_id,
        "is_enveloped": True,
        "software": "test/1",
        "body": b"",
    }
    return groups.Poll(**(settings | changes))


def said(hub: hubs.TestHub, message: m.Message) -> groups.Said:
    return groups.Said(hub.fingerprint, "test/1", codec.serialise(message))


def a_year_from(hub: hubs.TestHub) -> Any:
    from opendsr.kernel import clock
    from opendsr.kernel.interval import Interval

    starts_at = clock.now().replace(microsecond=0) + hubs.timedelta(hours=2)
    return notice_to(hub.ven_id, interval=Interval(starts_at, starts_at + hubs.timedelta(hours=2)))


def test_each_gets_its_own_and_the_others_hear_nothing(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)

    served = groups.serve_polls([poll(hub), poll(stranger)])

    assert set(served.quiet) == {stranger.fingerprint}
    event = only_event(codec.parse(served.sets[hub.fingerprint]))
    assert event.target.ven_ids == (hub.ven_id,)
    assert Event.objects.get().delivered_modification == 0
    assert MessageLog.objects.filter(ven=hub.ven, reply="oadrDistributeEvent").count() == 1


def test_who_claims_to_be_another_or_asks_bare_is_left_to_the_application(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)

    served = groups.serve_polls([poll(hub, ven_id=stranger.ven_id), poll(stranger, fingerprint="0" * 64)])
    assert served == groups.Served({}, {})
    assert groups.serve_polls([poll(hub, is_enveloped=False)]) == groups.Served({}, {})
    assert Event.objects.get().delivered_modification is None


def test_answers_of_many_are_taken_and_the_odd_ones_left(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)
    event = only_event(codec.parse(groups.serve_polls([poll(hub)]).sets[hub.fingerprint]))
    good = hub.answer_to(event)

    replies = groups.take_answers(
        [
            said(stranger, good),  # claims to be the hub
            groups.Said(hub.fingerprint, "", b"<x/>"),
            said(hub, m.RequestEvent("R", hub.ven_id)),
            said(hub, good),
            groups.Said("0" * 64, "", codec.serialise(good)),
            said(stranger, m.CreatedEvent(m.EiResponse(), stranger.ven_id, good.event_responses)),
        ]
    )

    assert [reply is not None for reply in replies] == [False, False, True, True, False, False]
    assert replies[3] == codec.serialise(m.Response(m.EiResponse(200, "OK", "R2"), hub.ven_id))
    assert EventOpt.objects.count() == 1


def test_sets_asked_for_together_are_each_ones_own_in_the_shape_it_speaks(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, stranger = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)
    bare = codec.serialise(m.RequestEvent("R-bare", stranger.ven_id), is_enveloped=False)

    replies = groups.take_answers(
        [
            said(hub, m.RequestEvent("R-1", hub.ven_id)),
            groups.Said(stranger.fingerprint, "test/1", bare),
            said(hub, m.RequestEvent("R-2", hub.ven_id)),
            said(stranger, m.RequestEvent("R-3", hub.ven_id)),  # claims to be the hub
        ]
    )

    assert replies[3] is None
    first, empty, again = (codec.parse_body(reply) for reply in replies[:3] if reply is not None)
    for parsed, request_id in ((first, "R-1"), (empty, "R-bare"), (again, "R-2")):
        assert isinstance(parsed.message, m.DistributeEvent)
        assert parsed.message.response is not None
        assert parsed.message.response.request_id == request_id
    assert only_event(first.message).target.ven_ids == (hub.ven_id,)
    assert isinstance(empty.message, m.DistributeEvent)
    assert (empty.message.events, empty.is_enveloped, first.is_enveloped) == ((), False, True)
    assert Event.objects.get().delivery_count == 1
    assert MessageLog.objects.filter(message="oadrRequestEvent", reply="oadrDistributeEvent").count() >= 3


def test_a_revoked_certificate_is_left_to_the_application(
    pair: tuple[hubs.TestHub, hubs.TestHub], vtn: Vtn
) -> None:
    hub, _ = pair
    vtn.publish(a_year_from(hub), key="k", at=hubs.AT)
    enrolling.revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT)

    assert groups.serve_polls([poll(hub)]) == groups.Served({}, {})
    assert groups.take_answers([said(hub, m.CreatedEvent(m.EiResponse(), hub.ven_id))]) == [None]


@pytest.mark.parametrize("request_id", ["R-1", "", "a&b<c>", "-ven-", "-request-"])
def test_a_response_is_the_codecs_byte_for_byte(request_id: str) -> None:
    message = m.Response(m.EiResponse(200, "OK", request_id), "VEN-1")

    assert groups.response_bytes(message) == codec.serialise(message)
