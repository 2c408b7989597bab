"""From facts of campaigns, settlement, consents and hubs to the notices of exactly the homes concerned."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import cancelling, opting
from campaigns.models import Campaign
from members import renewing
from members.models import Consent
from notices import delivering, facts
from notices.models import Notice
from opendsr.kernel import clock, outbox
from opendsr.web import telling_yearly
from tests import cast
from tests.campaigns.staging import ENDS_AT, NOON, STARTS_AT, make_approved, make_programme, make_ready_home
from tests.factories import HubKit, Resident, make_coop
from vtn.models import Ven

pytestmark = pytest.mark.django_db
MORNING = datetime(2026, 1, 15, 8, tzinfo=UTC)
NIGHT = datetime(2026, 1, 14, 22, tzinfo=UTC)
EARLY = datetime(2026, 1, 15, 6, tzinfo=UTC)


@pytest.fixture
def home() -> tuple[Resident, HubKit]:
    make_coop()
    clock.configure(NOON, speed=0)
    return make_ready_home(through_vtn=True, email="alice@example.org", full_name="Alice Ash")


def approved(*kits: HubKit, at: datetime = NOON, **fields: object) -> Campaign:
    clock.configure(at, speed=0)
    campaign = make_approved([asset for kit in kits for asset in kit.assets], at=at, **fields)
    outbox.drain()
    campaign.refresh_from_db()
    return campaign


def told(**wanted: object) -> list[tuple[str, str, str]]:
    rows = Notice.objects.filter(**wanted).order_by("queued_at", "kind", "id")
    return [(row.kind, row.state, row.reason) for row in rows]


def pass_to(at: datetime) -> None:
    clock.configure(at, speed=0)
    outbox.drain()


def test_a_household_is_told_of_its_event_from_plan_to_end(home):
    resident, kit = home
    bob = cast.bob(resident)
    _other, other_kit = make_ready_home(through_vtn=True, email="carol@example.org")
    campaign = approved(kit)

    assert {notice.member_id for notice in Notice.objects.all()} == {resident.member.pk, bob.pk}
    assert told(member=bob) == [("event_scheduled", "queued", "")]
    assert facts.of(Notice.objects.filter(member=bob).get())["occupancy_id"] == str(resident.occupancy.pk)
    pass_to(STARTS_AT)
    pass_to(ENDS_AT)
    assert [kind for kind, _, _ in told(member=bob)] == ["event_scheduled", "event_start", "event_end"]
    assert other_kit.hub
    assert campaign.state == "dispatched"


def test_the_day_before_is_reminded_of_at_four_in_the_afternoon(home):
    resident, kit = home
    approved(kit, at=NOON - timedelta(days=3), starts_at=STARTS_AT, ends_at=ENDS_AT)
    four = datetime(2026, 1, 13, 16, tzinfo=UTC)

    pass_to(four - timedelta(minutes=1))
    assert told(kind="event_reminder") == []
    pass_to(four)
    assert told(kind="event_reminder") == [("event_reminder", "queued", "")]
    assert Notice.objects.get(kind="event_reminder").member == resident.member


def test_who_said_no_is_neither_reminded_nor_told_of_the_start(home):
    resident, kit = home
    campaign = approved(kit)
    opting.skip_home(campaign_id=campaign.pk, occupancy_id=resident.occupancy.pk, at=NOON, by=None)

    pass_to(STARTS_AT)
    pass_to(ENDS_AT)
    assert [kind for kind, _, _ in told()] == ["event_scheduled"]


def test_a_cancellation_is_told_to_who_was_in(home):
    resident, kit = home
    other, other_kit = make_ready_home(through_vtn=True, email="carol@example.org")
    campaign = approved(kit, other_kit)
    opting.skip_home(campaign_id=campaign.pk, occupancy_id=other.occupancy.pk, at=NOON, by=None)
    cancelling.cancel_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    outbox.drain()

    assert [notice.member for notice in Notice.objects.filter(kind="event_cancelled")] == [resident.member]


class TestPriorNotice:
    def test_a_home_that_cannot_be_told_before_the_start_is_not_asked_nor_counted(self, home):
        _, kit = home
        campaign = approved(
            kit, at=NIGHT, starts_at=EARLY, ends_at=EARLY + timedelta(hours=1),
            programme=make_programme(requires_prior_notice=True),
        )  # fmt: skip

        part = campaign.participations.get()
        assert (part.state, part.left_out) == ("cancelled", "not_told")
        assert part.dropped_at is not None, "the hub's event is taken back"
        assert told() == [("event_scheduled", "dropped", "held_past_start")]
        assert settlement_homes(campaign) == 0

    def test_without_that_rule_it_is(self, home):
        _, kit = home
        campaign = approved(kit, at=NIGHT, starts_at=EARLY, ends_at=EARLY + timedelta(hours=1))

        assert campaign.participations.get().state == "sent"
        assert settlement_homes(campaign) == 1

    def test_told_in_the_morning_in_time_it_counts(self, home):
        _, kit = home
        campaign = approved(
            kit, at=NIGHT, starts_at=MORNING + timedelta(hours=1), ends_at=MORNING + timedelta(hours=2),
            programme=make_programme(requires_prior_notice=True),
        )  # fmt: skip

        assert campaign.participations.get().state == "sent"
        assert dict(delivering.send_due(at=NIGHT)) == {}
        assert dict(delivering.send_due(at=MORNING)) == {"sent": 1}

    def test_a_home_that_wants_no_notices_is_asked_all_the_same(self, home):
        from notices import choosing
        from notices.kinds import Channel, NoticeClass

        resident, kit = home
        no = {(NoticeClass.EVENT, channel): False for channel in Channel}
        choosing.choose(member=resident.member, wanted=no, at=NOON, how="web")
        campaign = approved(
            kit, at=NIGHT, starts_at=EARLY, ends_at=EARLY + timedelta(hours=1),
            programme=make_programme(requires_prior_notice=True),
        )  # fmt: skip

        assert campaign.participations.get().state == "sent"


def settlement_homes(campaign: Campaign) -> int:
    from settlement.gathering import households_of

    return len(households_of(campaign))


class TestByTheCalendar:
    def test_a_consent_is_told_of_each_year_it_goes_on(self, home):
        resident, _ = home
        count = Consent.objects.filter(member=resident.member).count()
        since = Consent.objects.filter(member=resident.member).first().starts_at

        assert telling_yearly.remind_of_consents(at=since + timedelta(days=364)) == 0
        assert telling_yearly.remind_of_consents(at=since + timedelta(days=366)) == count
        assert telling_yearly.remind_of_consents(at=since + timedelta(days=400)) == 0
        assert telling_yearly.remind_of_consents(at=since + timedelta(days=366 + 365)) == count
        Consent.objects.update(ends_at=since + timedelta(days=3 * 365))
        assert telling_yearly.remind_of_consents(at=since + timedelta(days=3 * 366)) == 0

    @given(first=st.dates(date(2020, 1, 1), date(2030, 12, 31)), days=st.integers(0, 4_000))
    def test_whole_years_go_up_on_anniversaries_only(self, first, days):
        day = first + timedelta(days=days)
        years = renewing.whole_years(first, day)

        assert years == pytest.approx(days / 365.2425, abs=1.01)
        assert 0 <= renewing.whole_years(first, day + timedelta(days=1)) - years <= 1

    def test_a_silence_of_a_day_is_told_once(self, home):
        resident, kit = home
        wall = clock.wall_now()
        seen = wall - timedelta(hours=23)
        Ven.objects.filter(ven_id=kit.ven_id).update(last_seen_wall_at=seen)
        assert telling_yearly.tell_of_silent_hubs(at=NOON) == 0

        Ven.objects.filter(ven_id=kit.ven_id).update(last_seen_wall_at=wall - timedelta(hours=30))
        assert telling_yearly.tell_of_silent_hubs(at=NOON) == 1
        assert telling_yearly.tell_of_silent_hubs(at=NOON + timedelta(hours=5)) == 0
        assert facts.of(Notice.objects.get()) == {"hours": 30}
        assert Notice.objects.get().member == resident.member

        Ven.objects.filter(ven_id=kit.ven_id).update(last_seen_wall_at=wall - timedelta(days=20))
        assert telling_yearly.tell_of_silent_hubs(at=NOON) == 0, "staff's by then"


def test_ten_thousand_consents_take_a_handful_of_statements(home, django_assert_max_num_queries):
    resident, _ = home
    since = Consent.objects.filter(member=resident.member).first().starts_at
    with django_assert_max_num_queries(16):
        telling_yearly.remind_of_consents(at=since + timedelta(days=366))
