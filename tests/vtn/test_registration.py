"""EiRegisterParty."""

from __future__ import annotations

import pytest

from oadr import messages as m
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from vtn.models import Ven

pytestmark = pytest.mark.django_db


def register(hub: hubs.TestHub, **parts: object) -> m.CreatedPartyRegistration:
    message = m.CreatePartyRegistration("R1", **parts)  # type: ignore[arg-type]
    reply = hub.says("EiRegisterParty", message)
    assert isinstance(reply, m.CreatedPartyRegistration)
    return reply


def test_a_query_before_registration_tells_no_ids() -> None:
    reply = hubs.new_hub().says("EiRegisterParty", m.QueryRegistration("Q1"))

    assert isinstance(reply, m.CreatedPartyRegistration)
    assert reply.response == m.EiResponse(200, "OK", "Q1")
    assert (reply.ven_id, reply.registration_id) == ("", "")
    assert reply.profiles == (m.Profile("2.0b", ("simpleHttp",)),)
    assert reply.poll_seconds


def test_a_query_after_registration_tells_them(hub: hubs.TestHub) -> None:
    reply = hub.says("EiRegisterParty", m.QueryRegistration("Q1"))

    assert isinstance(reply, m.CreatedPartyRegistration)
    assert (reply.ven_id, reply.registration_id) == (hub.ven_id, hub.ven.registration_id)


def test_the_vtn_id_has_an_upper_case_letter(hub: hubs.TestHub) -> None:
    assert any(letter.isupper() for letter in hub.registers().vtn_id)


def test_the_first_registration_gives_ids_and_is_told_upward() -> None:
    hub = hubs.new_hub()

    reply = register(hub, ven_name="kitchen")

    assert reply.ven_id == hub.ven_id
    assert reply.registration_id
    assert OutboxFact.objects.get(topic="vtn.ven.registered").payload["ven_id"] == hub.ven_id


def test_registering_again_keeps_the_id_and_tells_nothing_new(hub: hubs.TestHub) -> None:
    reply = register(hub, registration_id=hub.ven.registration_id, ven_id=hub.ven_id)

    assert reply.registration_id == hub.ven.registration_id
    assert OutboxFact.objects.filter(topic="vtn.ven.registered").count() == 1


def test_a_lost_registration_id_is_given_back(hub: hubs.TestHub) -> None:
    assert register(hub).registration_id == hub.ven.registration_id


def test_a_wrong_registration_id_is_452_and_changes_nothing(hub: hubs.TestHub) -> None:
    reply = register(hub, registration_id="REG-made-up")

    assert reply.response.code == m.INVALID_ID
    assert reply.registration_id == ""
    assert Ven.objects.get(pk=hub.ven.pk).registration_id == hub.ven.registration_id


@pytest.mark.parametrize(
    "parts", [{"transport_name": "xmpp"}, {"is_http_pull": False}, {"profile_name": "2.0a"}]
)
def test_what_is_not_offered_is_refused_in_words(parts: dict[str, object]) -> None:
    hub = hubs.new_hub()

    reply = register(hub, **parts)

    assert reply.response.code == m.NOT_ALLOWED
    assert "only" in reply.response.description
    assert not Ven.objects.get(pk=hub.ven.pk).is_registered


def test_cancelling_ends_the_registration_and_not_the_identity(hub: hubs.TestHub) -> None:
    held = hub.ven.registration_id
    reply = hub.says("EiRegisterParty", m.CancelPartyRegistration("C1", held, hub.ven_id))

    assert isinstance(reply, m.CanceledPartyRegistration)
    assert reply.response.code == m.OK
    poll = hub.polls()
    assert isinstance(poll, m.Response)
    assert poll.response.code == m.NOT_REGISTERED
    assert register(hub, registration_id=held).registration_id not in ("", held)


def test_cancelling_with_a_wrong_id_is_452(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    for registration_id in ("", "REG-made-up", stranger.ven.registration_id):
        reply = hub.says("EiRegisterParty", m.CancelPartyRegistration("C1", registration_id))
        assert isinstance(reply, m.CanceledPartyRegistration)
        assert reply.response.code == m.INVALID_ID
    assert Ven.objects.get(pk=hub.ven.pk).is_registered
    assert Ven.objects.get(pk=stranger.ven.pk).is_registered
