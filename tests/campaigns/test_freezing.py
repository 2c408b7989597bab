"""The freeze switch: nothing new leaves, nothing half, a no always comes through, release lets go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from campaigns import approving, cancelling, dispatching, freezing, opting, releasing
from campaigns.models import Campaign, Freeze, OptRecord, Participation
from opendsr.kernel import outbox
from opendsr.kernel.models import AuditEntry
from tests.campaigns.staging import (
    NOON,
    STARTS_AT,
    PaperVtn,
    make_approved,
    make_dispatched,
    make_planned,
    make_ready_home,
    part_of,
)

pytestmark = pytest.mark.django_db


def test_nothing_new_leaves_while_frozen_and_what_waited_goes_after(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None]
) -> None:
    it_is(NOON)
    _, kit = make_ready_home()
    campaign = make_planned(kit.assets)
    freezing.freeze(at=NOON, by=None, reason="odd readings")

    approving.approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    with pytest.raises(freezing.Frozen):
        dispatching.dispatch_campaign(campaign_id=campaign.pk, at=NOON)
    assert not paper_vtn.events
    assert part_of(campaign, kit.assets[0]).state == Participation.State.PLANNED

    assert freezing.thaw(at=NOON, by=None)
    outbox.drain()
    assert len(paper_vtn.events) == 1


def test_a_send_under_way_when_the_switch_is_thrown_is_undone_whole(
    paper_vtn: PaperVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, kit = make_ready_home()
    campaign = make_approved(kit.assets)
    real = paper_vtn.publish_many

    def publish_and_freeze(*args: object, **kwargs: object) -> object:
        Freeze.objects.get_or_create(thawed_at=None, defaults={"frozen_at": NOON})
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(paper_vtn, "publish_many", publish_and_freeze)

    with pytest.raises(freezing.Frozen):
        dispatching.dispatch_campaign(campaign_id=campaign.pk, at=NOON)

    campaign.refresh_from_db()
    assert campaign.state == Campaign.State.APPROVED
    assert part_of(campaign, kit.assets[0]).vtn_event_id == ""


def test_a_member_can_say_no_while_frozen_and_is_not_asked_again_until_thawed(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    freezing.freeze(at=NOON, by=None, reason="")
    part, later = part_of(campaign, kit.assets[0]), STARTS_AT - timedelta(hours=1)

    opting.record_opt(participation=part, opt="out", source=OptRecord.Source.PORTAL, at=later)

    assert part_of(campaign, kit.assets[0]).state == Participation.State.OPTED_OUT
    assert next(iter(paper_vtn.events.values())).is_cancelled
    with pytest.raises(freezing.Frozen):
        opting.opt_home_back_in(
            campaign_id=campaign.pk, occupancy_id=part.occupancy_id, at=later + timedelta(minutes=1), by=None
        )


def test_release_calls_everything_off_once_from_the_command_line(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None]
) -> None:
    it_is(STARTS_AT - timedelta(hours=1))
    _, kit = make_ready_home()
    _, other = make_ready_home()
    sent, waiting = make_dispatched(kit.assets), make_approved(other.assets)
    told = StringIO()

    call_command("sending", "release", reason="the grid asked", stdout=told)

    assert "Called off: 2 campaigns" in told.getvalue()
    assert "Frozen since 2026-01-14" in told.getvalue()
    assert all(event.is_cancelled for event in paper_vtn.events.values())
    for campaign in (sent, waiting):
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.CANCELLED
    assert releasing.release(at=NOON, by=None, reason="").campaigns == 0
    call_command("sending", "thaw", stdout=told)
    assert told.getvalue().endswith("Not frozen.\n")
    verbs = (
        AuditEntry.objects.filter(target="campaigns:sending").order_by("pk").values_list("verb", flat=True)
    )
    assert list(verbs) == ["freeze.on", "freeze.release", "freeze.release", "freeze.off"]


def test_release_goes_on_where_a_campaign_ends_by_itself_meanwhile(
    paper_vtn: PaperVtn, it_is: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    it_is(STARTS_AT - timedelta(hours=1))
    _, kit = make_ready_home()
    _, other = make_ready_home()
    campaigns = sorted((make_dispatched(kit.assets), make_dispatched(other.assets)), key=lambda each: each.pk)
    cancel = cancelling.cancel_campaign

    def late(**fields: Any) -> object:
        """The first is over in the moment before it is reached."""
        Campaign.objects.filter(pk=campaigns[0].pk).update(state=Campaign.State.COMPLETED)
        return cancel(**fields)

    monkeypatch.setattr(cancelling, "cancel_campaign", late)

    assert releasing.release(at=STARTS_AT - timedelta(hours=1), by=None, reason="").campaigns == 1
    campaigns[1].refresh_from_db()
    assert campaigns[1].state == Campaign.State.CANCELLED


def test_frozen_twice_is_frozen_once(paper_vtn: PaperVtn) -> None:
    first, second = (freezing.freeze(at=NOON, by=None, reason=each) for each in ("one", "two"))

    assert first == second
    assert first.reason == "one"
    assert not (freezing.thaw(at=NOON, by=None) and freezing.thaw(at=NOON, by=None))
