"""What is stored and what is read follow the household's consent: how finely, and for what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from members import consenting
from members.models import Purpose
from metering import live, packing, purposes, retention, store
from metering.ingest import store_readings
from metering.intake_models import Message
from metering.models import HalfHour, LivePower, PackedWeek, PeriodTotal, RetentionRule
from opendsr.kernel.models import AuditEntry
from opendsr.kernel.periods import day_interval, period_starts
from tests.factories import JOINED_AT, Resident, make_resident
from tests.metering.samples import AT

pytestmark = pytest.mark.django_db

DAY, SHORT, LONG = date(2026, 1, 6), date(2026, 3, 29), date(2025, 10, 26)
LATER = datetime(2026, 4, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _words(alice: Resident) -> None:
    consenting.publish_text(purpose=Purpose.ADVICE, body="Advise me.", at=JOINED_AT)


def resident_with(granularity: str, *, at: datetime = JOINED_AT) -> Resident:
    """Somebody who lets the co-op keep readings this finely and no finer, for advice."""
    someone = make_resident("Robin Reed", consents=())
    consenting.give_consent(
        member=someone.member,
        occupancy=someone.occupancy,
        purpose=Purpose.ADVICE,
        granularity=granularity,
        channel="web",
        at=at,
    )
    return someone


def put(resident: Resident, starts, values, *, at: datetime = LATER, name: str = "x"):
    return store_readings(
        source="supplier",
        name=name,
        at=at,
        stream_ids=[resident.stream_id] * len(starts),
        starts_at=starts,
        import_wh=values,
    )


@pytest.mark.parametrize(("day", "periods"), [(DAY, 48), (SHORT, 46), (LONG, 50)])
def test_half_hours_of_a_household_that_consents_to_days_become_a_day(day, periods):
    someone = resident_with("daily")
    starts = period_starts(day)

    first = put(someone, starts[:20], [10] * 20)
    again = put(someone, starts, [10] * periods, name="y")

    assert (first.rows_summed, first.rows_landed, first.rows_rejected) == (20, 0, 0)
    assert (again.rows_summed, again.rows_unchanged) == (periods - 20, 20)
    assert not HalfHour.objects.exists()
    (total,) = PeriodTotal.objects.all()
    assert (total.starts_on, total.granularity, total.import_wh, total.half_hours) == (
        day,
        "daily",
        10 * periods,
        periods,
    )


def test_and_one_that_consents_to_months_a_month_in_any_order():
    someone = resident_with("monthly")
    starts = [*period_starts(DAY), *period_starts(date(2026, 2, 1))]

    put(someone, starts[::-1], [1] * len(starts))

    assert set(PeriodTotal.objects.values_list("starts_on", "ends_on", "import_wh")) == {
        (date(2026, 1, 1), date(2026, 2, 1), 48),
        (date(2026, 2, 1), date(2026, 3, 1), 48),
    }
    assert not HalfHour.objects.exists()


def test_a_day_that_is_only_partly_consented_to_is_kept_in_no_form():
    noon = day_interval(DAY).starts_at + timedelta(hours=12)
    someone = resident_with("daily", at=noon)

    report = put(someone, period_starts(DAY), [1] * 48)

    assert (report.rows_summed, report.rows_rejected) == (0, 48)
    assert [reject.code for reject in report.rejects] == ["no_consent"]
    assert not PeriodTotal.objects.exists()


def test_what_is_stored_for_advice_is_missing_to_settlement():
    someone = resident_with("half_hourly")
    put(someone, period_starts(DAY), [1] * 48)

    assert store.day_cube([someone.stream_id], [DAY]).present.sum() == 48
    cube = purposes.day_cube(Purpose.SETTLEMENT, [someone.stream_id], [DAY], reader="settlement")
    assert not cube.present.any()
    assert not cube.wh.any()
    cube = purposes.day_cube(Purpose.ADVICE, [someone.stream_id], [DAY], reader="advice")
    assert cube.present.sum() == 48


def test_settlement_sees_the_half_hours_before_its_consent_ended(alice):
    put(alice, period_starts(DAY), [1] * 48)
    ends = day_interval(DAY).starts_at + timedelta(hours=10)
    given = alice.occupancy.consents.get(purpose="settlement")
    consenting.withdraw_consent(consent_id=given.pk, member=alice.member, at=ends)

    cube = purposes.day_cube(Purpose.SETTLEMENT, [alice.stream_id], [DAY], reader="settlement")

    assert cube.present[0, 0].tolist() == [True] * 20 + [False] * 30


def test_retention_tells_first_and_then_does_what_it_told(alice):
    put(alice, period_starts(DAY), [1] * 48)
    packing.pack_closed(at=AT)
    someone = resident_with("live")
    live.store_power(source="cad", at=AT, stream_ids=[someone.stream_id], measured_at=[AT], power_w=[500])
    given = someone.occupancy.consents.get(purpose="advice")
    consenting.withdraw_consent(consent_id=given.pk, member=someone.member, at=AT + timedelta(hours=1))

    def told(lines) -> dict[str, dict[str, int]]:
        return {line.kind: {table: count for table, count in line.rows if count} for line in lines}

    soon = AT + timedelta(days=3)
    assert told(retention.due(at=soon)) == {
        "half_hourly": {},
        "live": {},
        "live_withdrawn": {"metering_live": 1, "metering_open_half_hour": 1},
        "messages": {},
        "withdrawn": {},
    }
    assert LivePower.objects.count() == 1
    assert told(retention.apply(at=soon))["live_withdrawn"]["metering_live"] == 1
    assert not LivePower.objects.exists()
    assert AuditEntry.objects.filter(verb="metering.retention.applied").count() == 1

    RetentionRule.objects.filter(kind="half_hourly").update(keep_days=10)
    assert PackedWeek.objects.count() == 1
    assert told(retention.apply(at=soon + timedelta(days=30)))["half_hourly"] == {"metering_packed": 1}
    assert not PackedWeek.objects.exists()


def test_messages_not_stored_are_kept_for_a_while_after_the_latest_of_their_kind(coop):
    for code, days in (("not_json", 91), ("fault", 89)):
        Message.objects.create(
            outcome="dead",
            source="glow",
            topic="t",
            body="x",
            code=code,
            received_at=AT - timedelta(days=days),
        )

    def of_messages(lines) -> list[tuple[str, int]]:
        return [row for line in lines if line.kind == "messages" for row in line.rows]

    assert of_messages(retention.due(at=AT)) == [("metering_message", 1)]
    assert of_messages(retention.apply(at=AT)) == [("metering_message", 1)]
    assert [message.code for message in Message.objects.all()] == ["fault"]


def test_a_household_that_left_is_forgotten_after_its_time(alice, carol):
    put(alice, period_starts(DAY), [1] * 48)
    put(carol, period_starts(DAY), [1] * 48)
    packing.pack_closed(at=AT)
    given = alice.occupancy.consents.get(purpose="settlement")
    consenting.withdraw_consent(consent_id=given.pk, member=alice.member, at=AT)

    retention.apply(at=AT + timedelta(days=395))
    assert PackedWeek.objects.filter(stream_id=alice.stream_id).exists()
    retention.apply(at=AT + timedelta(days=397))
    assert set(PackedWeek.objects.values_list("stream_id", flat=True)) == {carol.stream_id}
