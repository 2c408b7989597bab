"""A household's no and yes, before and after sending, during the event, and what the hub is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from campaigns.completing import complete_campaign
from campaigns.dispatching import dispatch_campaign
from campaigns.life import CampaignEnded
from campaigns.models import Campaign, OptRecord
from campaigns.opting import (
    CannotOptBackIn,
    ParticipationClosed,
    leave_out_household,
    opt_back_in,
    opt_home_back_in,
    record_opt,
    skip,
    skip_home,
    skip_standing,
)
from members import opting_out
from tests.campaigns.staging import (
    DURING,
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    answer,
    make_approved,
    make_dispatched,
    make_ready_home,
    opts_of,
    part_of,
)
from tests.cast import sam

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def test_skipping_before_sending_holds_the_event_back(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home(email="ann@example.org")
    campaign = make_approved(kit.assets)

    part = skip(participation=part_of(campaign, kit.assets[0]), at=NOON, by=resident.user, reason="visitors")

    part.refresh_from_db()
    assert part.state == "opted_out"
    record = OptRecord.objects.get()
    assert (record.opt, record.source, record.by, record.reason) == (
        "out",
        "portal",
        resident.user,
        "visitors",
    )
    assert dispatch_campaign(campaign_id=campaign.pk, at=NOON).events == 0
    assert not paper_vtn.events


def test_skipping_and_coming_back_before_sending_is_sent(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_approved(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON, by=None)

    part = opt_back_in(participation=part_of(campaign, kit.assets[0]), at=NOON + MINUTE, by=None)

    assert part.state == "planned"
    assert dispatch_campaign(campaign_id=campaign.pk, at=NOON + MINUTE).sent == 1


def test_a_no_and_a_yes_pressed_at_once_leave_state_and_event_agreeing(paper_vtn: PaperVtn) -> None:
    """Each page reads its clock before it has the lock, so the later to act may carry the earlier time."""
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON + 2 * MINUTE, by=None)

    back = opt_back_in(participation=part_of(campaign, kit.assets[0]), at=NOON + MINUTE, by=None)

    assert back.state == "sent"
    assert len(paper_vtn.live()) == 1

    out = skip(participation=part_of(campaign, kit.assets[0]), at=NOON + MINUTE, by=None)

    assert out.state == "opted_out"
    assert paper_vtn.live() == []
    assert opts_of(out) == [("out", "portal"), ("in", "portal"), ("out", "portal")]


def test_skipping_after_sending_calls_the_hubs_event_off(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    answer(part_of(campaign, kit.assets[0]), "in", at=NOON + MINUTE)

    part = skip(participation=part_of(campaign, kit.assets[0]), at=NOON + 2 * MINUTE, by=None)

    part.refresh_from_db()
    assert (part.state, part.dropped_at) == ("opted_out", NOON + 2 * MINUTE)
    assert paper_vtn.live() == []


def test_other_assets_of_the_hub_keep_running(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    campaign = make_dispatched(kit.assets)
    answer(part_of(campaign, charger), "in", at=NOON + MINUTE)

    skip(participation=part_of(campaign, charger), at=NOON + 2 * MINUTE, by=None)

    (event,) = paper_vtn.live()
    assert (event.notice.resource_ids, event.modification_number) == ((heater.resource_id,), 1)
    assert part_of(campaign, charger).state == "opted_out"
    assert (part_of(campaign, heater).state, part_of(campaign, heater).dropped_at) == ("opted_in", None)

    skip(participation=part_of(campaign, heater), at=NOON + 3 * MINUTE, by=None)

    assert paper_vtn.live() == []


def test_skipping_twice_is_skipping_once(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)

    for minutes in (1, 2):
        skip(participation=part_of(campaign, kit.assets[0]), at=NOON + minutes * MINUTE, by=None)

    assert OptRecord.objects.count() == 1
    assert next(iter(paper_vtn.events.values())).modification_number == 1
    assert part_of(campaign, kit.assets[0]).dropped_at == NOON + MINUTE


def test_skipping_while_it_runs_is_an_override(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    answer(part_of(campaign, kit.assets[0]), "in", at=NOON + MINUTE)

    part = skip(participation=part_of(campaign, kit.assets[0]), at=DURING, by=None)

    assert part.state == "overridden"
    assert paper_vtn.live() == []


def test_coming_back_asks_the_hub_anew(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    old = part_of(campaign, kit.assets[0])
    skip(participation=old, at=NOON + MINUTE, by=None)

    part = opt_back_in(participation=old, at=NOON + 2 * MINUTE, by=None)

    part.refresh_from_db()
    assert (part.state, part.dropped_at, part.sent_at) == ("sent", None, NOON + 2 * MINUTE)
    assert part.vtn_event_id != old.vtn_event_id
    assert [event.notice.ven_id for event in paper_vtn.live()] == [kit.ven_id]
    assert answer(part, "in", at=NOON + 3 * MINUTE).state == "opted_in"
    assert opts_of(part) == [("out", "portal"), ("in", "portal"), ("in", "hub")]


def test_coming_back_beside_a_running_asset_amends_its_event(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, charger), at=NOON + MINUTE, by=None)

    opt_back_in(participation=part_of(campaign, charger), at=NOON + 2 * MINUTE, by=None)

    (event,) = paper_vtn.live()
    assert (event.notice.resource_ids, event.modification_number) == ((), 2)
    assert part_of(campaign, charger).vtn_event_id == part_of(campaign, heater).vtn_event_id


def test_coming_back_after_the_hub_said_no_puts_the_question_again(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    asked = part_of(campaign, kit.assets[0])
    assert answer(asked, "out", at=NOON + MINUTE).state == "opted_out"

    part = opt_back_in(participation=asked, at=NOON + 2 * MINUTE, by=None)

    assert part.state == "sent"
    assert len(paper_vtn.events) == 2
    (event,) = paper_vtn.live()
    assert event.key.startswith(f"campaign:{campaign.pk}:{kit.ven_id}:")


def test_coming_back_without_having_left_changes_nothing(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)

    part = opt_back_in(participation=part_of(campaign, kit.assets[0]), at=NOON + MINUTE, by=None)

    assert part.state == "sent"
    assert not OptRecord.objects.exists()


def test_coming_back_is_checked_like_sending(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON + MINUTE, by=None)
    opting_out.start_standing_opt_out(occupancy=resident.occupancy, at=NOON, starts_at=NOON)

    with pytest.raises(CannotOptBackIn) as refusal:
        opt_back_in(participation=part_of(campaign, kit.assets[0]), at=NOON + 2 * MINUTE, by=None)

    assert refusal.value.data["reason"] == "standing_opt_out"
    assert part_of(campaign, kit.assets[0]).state == "opted_out"
    assert OptRecord.objects.count() == 1


def test_coming_back_to_a_hub_the_vtn_no_longer_knows(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON + MINUTE, by=None)
    paper_vtn.unknown.add(kit.ven_id)

    with pytest.raises(CannotOptBackIn) as refusal:
        opt_back_in(participation=part_of(campaign, kit.assets[0]), at=NOON + 2 * MINUTE, by=None)

    assert refusal.value.data["reason"] == "certificate"


@pytest.mark.parametrize("service", [skip, opt_back_in])
def test_nothing_is_said_once_it_is_over(paper_vtn: PaperVtn, service: Callable[..., object]) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)

    with pytest.raises(CampaignEnded):
        service(participation=part_of(campaign, kit.assets[0]), at=ENDS_AT, by=None)

    Campaign.objects.filter(pk=campaign.pk).update(state="completed")
    with pytest.raises(CampaignEnded):
        service(participation=part_of(campaign, kit.assets[0]), at=NOON, by=None)


def test_a_cancelled_participation_is_closed(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    leave_out_household(occupancy_id=resident.occupancy.pk, left_out="no_consent", at=NOON + MINUTE)

    with pytest.raises(ParticipationClosed):
        skip(participation=part_of(campaign, kit.assets[0]), at=NOON + 2 * MINUTE, by=None)

    assert paper_vtn.live() == []


def test_a_hub_says_no_before_the_start_and_yes_again(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    part = part_of(campaign, kit.assets[0])

    assert answer(part, "out", at=NOON + MINUTE, reason="economic").state == "opted_out"
    assert answer(part, "in", at=NOON + 2 * MINUTE).state == "opted_in"
    assert part.responded_at == NOON + MINUTE
    assert len(paper_vtn.live()) == 1


def test_the_button_on_the_device_during_the_event_is_an_override(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    part = answer(part_of(campaign, kit.assets[0]), "in", at=NOON + MINUTE)

    part = answer(part, "out", at=DURING, reason="overrideStatus")

    assert part.state == "overridden"
    assert opts_of(part)[-1] == ("out", "member_button")


def test_answers_may_come_late_twice_and_out_of_order(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    part = part_of(campaign, kit.assets[0])

    answer(part, "out", at=DURING, reason="overrideStatus", sequence=12)
    assert answer(part, "in", at=NOON + MINUTE, sequence=11).state == "overridden"
    for _ in range(2):
        assert answer(part, "out", at=DURING, reason="overrideStatus", sequence=12).state == "overridden"

    assert OptRecord.objects.count() == 2
    assert part.responded_at == NOON + MINUTE


def test_a_hubs_yes_to_the_message_that_carries_the_no_counts_for_nothing(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, charger), at=NOON + MINUTE, by=None)

    answer(part_of(campaign, charger), "in", at=NOON + 2 * MINUTE)

    assert part_of(campaign, charger).state == "opted_out"
    assert part_of(campaign, heater).state == "opted_in"


def test_a_hubs_answer_covers_all_assets_of_its_event(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_dispatched(kit.assets)

    answer(part_of(campaign, kit.assets[0]), "out", at=DURING, reason="overrideStatus")

    assert {part_of(campaign, asset).state for asset in kit.assets} == {"overridden"}


def test_the_last_running_asset_takes_declined_ones_with_it(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    campaign = make_dispatched(kit.assets)
    record_opt(participation=part_of(campaign, heater), opt="out", source="hub", at=NOON + MINUTE)

    skip(participation=part_of(campaign, charger), at=NOON + 2 * MINUTE, by=None)

    assert paper_vtn.live() == []
    record_opt(participation=part_of(campaign, heater), opt="in", source="hub", at=NOON + 3 * MINUTE)
    assert part_of(campaign, heater).state == "opted_out"


def test_an_event_that_nobody_here_knows_concerns_nobody(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    part = part_of(make_dispatched(kit.assets), kit.assets[0])
    part.vtn_event_id = "somebody-elses"

    answer(part, "out", at=NOON)

    assert not OptRecord.objects.exists()


def test_staff_may_say_it_for_the_household(paper_vtn: PaperVtn) -> None:
    _, kit = make_ready_home()
    dispatcher = sam()
    campaign = make_dispatched(kit.assets)

    record_opt(
        participation=part_of(campaign, kit.assets[0]), opt="out", source="staff", at=NOON, by=dispatcher
    )

    record = OptRecord.objects.get()
    assert (record.source, record.by) == ("staff", dispatcher)
    assert paper_vtn.live() == []


def test_a_whole_home_skips_and_comes_back(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    _, neighbour = make_ready_home()
    campaign = make_dispatched([*kit.assets, *neighbour.assets])
    home = {"campaign_id": campaign.pk, "occupancy_id": resident.occupancy.pk, "by": None}

    skip_home(**home, at=NOON + MINUTE)  # type: ignore[arg-type]

    assert {part_of(campaign, asset).state for asset in kit.assets} == {"opted_out"}
    assert [event.notice.ven_id for event in paper_vtn.live()] == [neighbour.ven_id]

    opt_home_back_in(**home, at=NOON + 2 * MINUTE)  # type: ignore[arg-type]

    assert {part_of(campaign, asset).state for asset in kit.assets} == {"sent"}
    assert {event.notice.ven_id for event in paper_vtn.live()} == {kit.ven_id, neighbour.ven_id}
    assert len({part_of(campaign, asset).vtn_event_id for asset in kit.assets}) == 1


def test_lost_consent_leaves_future_campaigns_and_lets_past_ones_stand(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    past = make_dispatched(kit.assets)
    future = make_dispatched(kit.assets, starts_at=ENDS_AT, ends_at=ENDS_AT + timedelta(hours=1))

    leave_out_household(occupancy_id=resident.occupancy.pk, left_out="no_consent", at=ENDS_AT)

    assert part_of(past, kit.assets[0]).state == "sent"
    part = part_of(future, kit.assets[0])
    assert (part.state, part.left_out, part.outcome) == ("cancelled", "no_consent", "cancelled")


def test_a_standing_opt_out_touches_only_campaigns_in_its_time(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    now = make_dispatched(kit.assets)
    later = make_dispatched(kit.assets, starts_at=ENDS_AT, ends_at=ENDS_AT + timedelta(hours=1))

    skip_standing(occupancy_id=resident.occupancy.pk, starts_at=STARTS_AT, ends_at=ENDS_AT, at=NOON + MINUTE)

    assert part_of(now, kit.assets[0]).state == "opted_out"
    assert part_of(later, kit.assets[0]).state == "sent"


@pytest.mark.parametrize("opt", ["in", "out"])
def test_what_a_hub_says_of_a_past_event_is_kept_and_changes_nothing(paper_vtn: PaperVtn, opt: str) -> None:
    kits = [make_ready_home()[1] for _ in range(2)]
    campaign = make_dispatched([kit.assets[0] for kit in kits])
    willing, silent = (part_of(campaign, kit.assets[0]) for kit in kits)
    answer(willing, "in", at=NOON)
    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)

    for part in (willing, silent):
        answer(part, opt, at=ENDS_AT + timedelta(days=1))

    assert [opts_of(part)[-1] for part in (willing, silent)] == [(opt, "hub")] * 2
    assert [(part.state, part.outcome) for part in (willing, silent)] == [
        ("opted_in", ""),
        ("sent", "unresponsive"),
    ]
    assert silent.responded_at is None
