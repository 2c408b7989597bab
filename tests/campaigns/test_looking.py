"""Reports, queries and the doors to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser

from campaigns import policy, queries
from campaigns.cancelling import cancel_campaign
from campaigns.completing import complete_campaign
from campaigns.dispatching import dispatch_campaign
from campaigns.life import CampaignNotFound
from campaigns.models import Campaign, Participation, PlanLine
from campaigns.opting import ParticipationNotFound, skip
from campaigns.outcomes import record_outcomes
from campaigns.reporting import event_report
from members.models import Role
from members.policy import Forbidden, Viewer
from opendsr.kernel.periods import civil_date
from tests import cast
from tests.campaigns.staging import (
    AFTER,
    DURING,
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    answer,
    make_approved,
    make_campaign,
    make_dispatched,
    make_ready_home,
    part_of,
)
from tests.factories import make_hub, make_staff

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def test_the_event_report_counts_what_happened(
    paper_vtn: PaperVtn, django_assert_num_queries: Callable[[int], object]
) -> None:
    one, two, three = (make_ready_home("ev_charger", "immersion_heater") for _ in range(3))
    spare = make_ready_home()[1].assets[0]
    assets = {
        asset: power_w
        for _, kit in (one, two, three)
        for asset, power_w in zip(kit.assets, (2_000, 500), strict=True)
    }
    campaign = make_approved(assets)
    PlanLine.objects.create(campaign=campaign, asset=spare, left_out="no_consent")
    skip(participation=part_of(campaign, three[1].assets[0]), at=NOON, by=None)
    dispatch_campaign(campaign_id=campaign.pk, at=NOON)
    answer(part_of(campaign, one[1].assets[0]), "in", at=NOON + MINUTE)
    answer(part_of(campaign, two[1].assets[0]), "in", at=NOON + MINUTE)
    skip(participation=part_of(campaign, two[1].assets[1]), at=DURING, by=None)
    complete_campaign(campaign_id=campaign.pk, at=ENDS_AT)
    record_outcomes(campaign_id=campaign.pk, measured={one[0].occupancy.pk: (5_000, 4_000)}, at=AFTER)

    with django_assert_num_queries(6):  # the sixth for the keys of the homes' names  # type: ignore[attr-defined]
        report = event_report(campaign.pk)

    assert (report.participants, report.homes, report.assets, report.sent) == (3, 3, 6, 5)
    assert (report.answered, report.responding, report.responding_share) == (4, 3, 0.5)
    assert (report.planned_w, report.estimated_w, report.estimated_wh) == (7_500, 4_500, 9_000)
    assert report.shortfall_w == 500
    assert report.outcomes == {"delivered": 2, "opted_out": 1, "overridden": 1, "unresponsive": 1}
    assert (report.opt_outs, report.overrides) == (1, 1)
    assert report.left_out == {"no_consent": 1, "opted_out": 1}
    assert report.left_out_reasons == [
        ("No consent for flexibility", 1),
        ("Household said no to this one", 1),
    ]
    lines = {line.occupancy_id: line for line in report.lines}
    line = lines[one[0].occupancy.pk]
    assert (line.home_name, line.expected_w, line.expected_wh, line.is_responding) == (
        one[0].home.name,
        2_500,
        5_000,
        True,
    )
    assert [asset.outcome for asset in line.assets] == ["delivered", "delivered"]
    assert not lines[three[0].occupancy.pk].is_responding


def test_a_draft_has_a_report_with_nobody_in_it() -> None:
    report = event_report(make_campaign().pk)

    assert (report.assets, report.responding_share, report.shortfall_w, report.lines) == (0, 0.0, 5_000, ())
    with pytest.raises(CampaignNotFound):
        event_report(uuid4())


def test_staff_see_every_campaign_with_its_counts(
    paper_vtn: PaperVtn, django_assert_num_queries: Callable[[int], object]
) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    _, other = make_ready_home()
    draft = make_campaign(starts_at=STARTS_AT + timedelta(days=1), ends_at=ENDS_AT + timedelta(days=1))
    campaign = make_dispatched([*kit.assets, *other.assets])
    answer(part_of(campaign, other.assets[0]), "in", at=NOON)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON, by=None)

    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        held = queries.held_by([draft, campaign], at=NOON)
    assert held == {
        draft.pk: queries.NOTHING_HELD,
        campaign.pk: queries.Held(assets=3, homes=2, expected_w=3_000, opted_in=1, opted_out=1),
    }


def test_what_is_over_is_counted_once(
    paper_vtn: PaperVtn, django_assert_num_queries: Callable[[int], object]
) -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    _, other = make_ready_home()
    draft = make_campaign(starts_at=STARTS_AT + timedelta(days=1), ends_at=ENDS_AT + timedelta(days=1))
    campaign = make_dispatched([*kit.assets, *other.assets])

    def homes(*asked: Campaign) -> list[int]:
        return [held.homes for held in queries.held_by(asked, at=NOON).values()]

    assert homes(draft, campaign) == [0, 2]
    Participation.objects.filter(asset=other.assets[0]).update(state=Participation.State.CANCELLED)
    assert homes(draft, campaign) == [0, 1]

    campaign.state = Campaign.State.COMPLETED
    assert homes(campaign) == [1]
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        assert homes(campaign) == [1]


def test_a_household_sees_what_comes_and_what_was(paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home()
    occupancy_id = resident.occupancy.pk
    soon = make_dispatched(kit.assets)
    later = make_approved(kit.assets, starts_at=ENDS_AT, ends_at=ENDS_AT + timedelta(hours=1))
    called_off = make_dispatched(
        kit.assets, starts_at=ENDS_AT + timedelta(hours=2), ends_at=ENDS_AT + timedelta(hours=3)
    )
    cancel_campaign(campaign_id=called_off.pk, at=NOON, by=None)
    make_dispatched(make_ready_home()[1].assets)

    def upcoming(at: object) -> list[object]:
        return [part.campaign_id for part in queries.upcoming_participations([occupancy_id], at)]  # type: ignore[arg-type]

    def past(at: object) -> list[object]:
        return [part.campaign_id for part in queries.past_participations([occupancy_id], at)]  # type: ignore[arg-type]

    assert (upcoming(NOON), past(NOON)) == ([soon.pk, later.pk], [called_off.pk])
    assert upcoming(DURING) == [soon.pk, later.pk]
    assert (upcoming(ENDS_AT), past(ENDS_AT)) == ([later.pk], [called_off.pk, soon.pk])


def test_event_days_are_those_on_which_use_was_changed(paper_vtn: PaperVtn) -> None:
    def home_on(day: int, direction: str = "turn_down") -> tuple[object, object]:
        shift = timedelta(days=day)
        hours = 2 if direction == "turn_down" else 1  # a charger cannot be turned up for longer
        campaign = make_dispatched(
            kit.assets,
            starts_at=STARTS_AT + shift,
            ends_at=STARTS_AT + shift + timedelta(hours=hours),
            direction=direction,
        )
        return campaign, part_of(campaign, kit.assets[0])

    resident, kit = make_ready_home()
    occupancy_id = resident.occupancy.pk
    home_on(0)
    _, skipped = home_on(1)
    skip(participation=skipped, at=NOON, by=None)  # type: ignore[arg-type]
    off_before, _ = home_on(2)
    cancel_campaign(campaign_id=off_before.pk, at=NOON, by=None)  # type: ignore[attr-defined]
    off_during, _ = home_on(3)
    cancel_campaign(campaign_id=off_during.pk, at=DURING + timedelta(days=3), by=None)  # type: ignore[attr-defined]
    _, overridden = home_on(4, "turn_up")
    skip(participation=overridden, at=DURING + timedelta(days=4), by=None)  # type: ignore[arg-type]
    shift = timedelta(days=5)
    make_approved(kit.assets, starts_at=STARTS_AT + shift, ends_at=ENDS_AT + shift)

    def day(shift: int) -> object:
        return civil_date(STARTS_AT + timedelta(days=shift))

    assert queries.event_days([occupancy_id, uuid4()]) == {occupancy_id: {day(0), day(3), day(4)}}
    assert queries.event_days([occupancy_id], "turn_down") == {occupancy_id: {day(0), day(3)}}


def test_only_the_household_and_staff_get_a_participation(paper_vtn: PaperVtn) -> None:
    alice, carol = cast.alice(), cast.carol()
    bob = cast.bob(alice)
    campaign = make_dispatched(make_hub(alice.home, through_vtn=False).assets)
    part = campaign.participations.get()

    household: list[Viewer] = [alice.user, bob.user or AnonymousUser()]
    for user in (*household, cast.sam(), make_staff("aud@example.org", Role.AUDITOR)):
        assert policy.access_participation(user, part.pk, NOON) == part
    strangers: list[Viewer] = [
        carol.user,
        AnonymousUser(),
        make_staff("fitter@example.org", Role.INSTALLER),
        make_staff("nobody@example.org"),
    ]
    for user in strangers:
        with pytest.raises(ParticipationNotFound):
            policy.access_participation(user, part.pk, NOON)
    with pytest.raises(ParticipationNotFound):
        policy.access_participation(alice.user, uuid4(), NOON)


def test_only_the_household_and_those_who_answer_for_it_may_opt(paper_vtn: PaperVtn) -> None:
    alice, carol = cast.alice(), cast.carol()
    campaign = make_dispatched(make_hub(alice.home, through_vtn=False).assets)
    part = campaign.participations.get()

    for user in (alice.user, cast.sam(), make_staff("help@example.org", Role.MEMBER_SERVICES)):
        assert policy.access_participation_to_answer(user, part.pk, NOON) == part
    with pytest.raises(Forbidden):
        policy.access_participation_to_answer(make_staff("a@example.org", Role.AUDITOR), part.pk, NOON)
    with pytest.raises(ParticipationNotFound):
        policy.access_participation_to_answer(carol.user, part.pk, NOON)


def test_campaigns_are_for_staff() -> None:
    alice = cast.alice()
    campaign = make_campaign()
    auditor = make_staff("aud@example.org", Role.AUDITOR)

    for user in (cast.sam(), auditor):
        assert policy.access_campaign(user, campaign.pk) == campaign
    outsiders: list[Viewer] = [alice.user, AnonymousUser(), make_staff("fitter@example.org", Role.INSTALLER)]
    for outsider in outsiders:
        with pytest.raises(CampaignNotFound):
            policy.access_campaign(outsider, campaign.pk)
        with pytest.raises(CampaignNotFound):
            policy.access_campaign_to_run(outsider, campaign.pk)
    with pytest.raises(CampaignNotFound):
        policy.access_campaign(auditor, uuid4())
    with pytest.raises(Forbidden):
        policy.access_campaign_to_run(auditor, campaign.pk)
    with pytest.raises(Forbidden):
        policy.require_runs_campaigns(auditor)
    assert policy.may_run_campaigns(make_staff("adm@example.org", Role.ADMINISTRATOR))
