"""The poll interval: short near an event, long when idle, a VEN's own, said when it registers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vtn import hubs
from tests.vtn.hubs import AT, STARTS_AT, notice_to, only_event
from vtn import pacing
from vtn.models import QueuedMessage, Ven
from vtn.port import Vtn

pytestmark = pytest.mark.django_db

NEAR_AT = STARTS_AT - timedelta(minutes=20)


@pytest.fixture(autouse=True)
def _idle_is_slower(settings: Any) -> None:
    settings.VTN_POLL_SECONDS = 8
    settings.VTN_IDLE_POLL_SECONDS = 60


def asked_for(hub: hubs.TestHub, at: Any) -> int:
    reply = hub.registers(at=at)
    assert reply.poll_seconds is not None
    return reply.poll_seconds


def test_idle_is_long_and_near_an_event_is_short(hub: hubs.TestHub, vtn: Vtn) -> None:
    assert 48 <= asked_for(hub, AT) <= 60
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    assert asked_for(hub, AT) > 40, "not near yet"
    assert asked_for(hub, NEAR_AT) <= 8
    assert asked_for(hub, STARTS_AT + timedelta(hours=1)) <= 8
    assert asked_for(hub, STARTS_AT + timedelta(hours=3)) > 40


def test_staffs_own_figure_stands(hub: hubs.TestHub) -> None:
    Ven.objects.filter(pk=hub.ven.pk).update(poll_seconds=300)

    assert asked_for(hub, AT) == 300


def test_a_ven_is_asked_to_register_again_once_when_an_event_nears_and_again_after(
    hub: hubs.TestHub, stranger: hubs.TestHub, vtn: Vtn
) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    hub.answers(only_event(hub.polls()))
    assert pacing.repace(at=AT) == 0

    assert pacing.repace(at=NEAR_AT) == 1
    assert pacing.repace(at=NEAR_AT) == 1, "the same message"
    assert QueuedMessage.objects.filter(kind="request_reregistration").count() == 1
    assert asked_for(hub, NEAR_AT) <= 8
    assert pacing.repace(at=NEAR_AT) == 0
    after = STARTS_AT + timedelta(hours=3)
    assert pacing.repace(at=after) == 1


def test_without_an_idle_interval_nobody_is_asked(hub: hubs.TestHub, vtn: Vtn, settings: Any) -> None:
    settings.VTN_IDLE_POLL_SECONDS = 0
    assert asked_for(hub, AT) <= 8
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    assert pacing.repace(at=NEAR_AT) == 0


@given(ven_id=st.text(min_size=1, max_size=64), is_near=st.booleans())
def test_the_interval_is_the_vens_own_and_never_longer_than_the_sites(ven_id: str, is_near: bool) -> None:
    ven = Ven(ven_id=ven_id)
    seconds = pacing.poll_seconds(ven, is_near=is_near)

    assert seconds == pacing.poll_seconds(ven, is_near=is_near)
    assert 1 <= seconds <= (8 if is_near else 60)
    assert 0 <= pacing.share_of(ven_id) < 1
