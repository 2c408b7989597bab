"""Live power: exactly once, within consent, and made half-hours of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members import consenting
from members.models import Purpose
from metering import closing, live, partitions, store, ticking
from metering.models import LivePower, OpenHalfHour, Quality, Refusal
from opendsr.kernel.interval import Interval
from tests.factories import JOINED_AT, Resident, make_resident
from tests.metering.meters import undone

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
TEN = timedelta(seconds=10)


def consent(resident: Resident, granularity: str, *, at: datetime = JOINED_AT) -> None:
    """Consent to advice; given before the settlement consent's fineness matters."""
    consenting.give_consent(
        member=resident.member,
        occupancy=resident.occupancy,
        purpose=Purpose.ADVICE,
        granularity=granularity,
        channel="web",
        at=at,
    )


@pytest.fixture
def open_home(db: None, alice: Resident) -> UUID:
    """A stream whose household lets live power be kept."""
    consenting.publish_text(purpose=Purpose.ADVICE, body="Advise me.", at=JOINED_AT)
    consent(alice, "live")
    return alice.stream_id


def put(
    stream_id: UUID, samples: Sequence[tuple[datetime, int]], *, at: datetime, source: str = "cad"
) -> live.LiveReport:
    return live.store_power(
        source=source,
        at=at,
        stream_ids=[stream_id] * len(samples),
        measured_at=[moment for moment, _ in samples],
        power_w=[watts for _, watts in samples],
    )


def steady(start: datetime, watts: int, *, seconds: int = 1_800) -> list[tuple[datetime, int]]:
    return [(start + timedelta(seconds=second), watts) for second in range(0, seconds, 10)]


def test_raw_samples_land_once_and_come_back_in_order(open_home):
    rows = [(NOON + TEN, 900), (NOON, 1_000)]

    first = put(open_home, rows, at=NOON + TEN)
    again = put(open_home, [*rows, (NOON + 2 * TEN, -400)], at=NOON + 2 * TEN)

    assert (first.rows_stored, first.rows_known, first.rows_refused) == (2, 0, 0)
    assert (again.rows_stored, again.rows_known) == (1, 2)
    instants, watts = live.power_of(open_home, Interval(NOON, NOON + HALF_HOUR))
    assert watts.tolist() == [1_000, 900, -400]
    assert instants.tolist() == [(NOON + number * TEN).replace(tzinfo=None) for number in range(3)]


def test_of_samples_that_differ_at_one_instant_the_greatest_counts_in_any_order(open_home):
    for watts in (500, 700, 600):
        put(open_home, [(NOON, watts)], at=NOON)
    assert live.power_of(open_home, Interval(NOON, NOON + TEN))[1].tolist() == [700]

    put(open_home, [(NOON + TEN, 500), (NOON + TEN, 700)], at=NOON + TEN)
    assert live.power_of(open_home, Interval(NOON + TEN, NOON + 2 * TEN))[1].tolist() == [700]


def test_what_cannot_be_is_refused_by_reason_and_counted_and_the_rest_lands(open_home):
    rows = [
        (NOON, 1_000),
        (NOON + timedelta(hours=1), 1_000),
        (NOON - timedelta(days=31), 1_000),
        (NOON - TEN, 8_388_608),
    ]

    report = put(open_home, rows, at=NOON)

    assert report.refused == {"future": 1, "too_old": 1, "implausible": 1}
    assert report.rows_stored == 1
    assert report.rows_read == report.rows_stored + report.rows_refused
    assert {(row.code, row.rows) for row in Refusal.objects.all()} == {
        ("future", 1),
        ("too_old", 1),
        ("implausible", 1),
    }
    put(open_home, [(NOON + timedelta(hours=2), 1)], at=NOON)
    assert Refusal.objects.get(code="future").rows == 2


def test_a_stream_nobody_knows_is_kept_in_no_form():
    report = put(uuid4(), [(NOON, 1)], at=NOON)

    assert report.refused == {"no_consent": 1}
    assert not LivePower.objects.exists()
    assert not OpenHalfHour.objects.exists()


def test_without_live_consent_samples_are_counted_and_no_raw_one_is_kept(ash):
    report = put(ash, steady(NOON, 1_000), at=NOON + HALF_HOUR)

    assert (report.rows_stored, report.rows_counted) == (0, 180)
    assert not LivePower.objects.exists()
    closing.close_half_hours(at=NOON + HALF_HOUR + ticking.GRACE)

    (row,) = store.half_hours(ash, Interval(NOON, NOON + HALF_HOUR))
    assert (row.import_wh, row.export_wh, row.quality, row.source) == (500, 0, Quality.MEASURED, "cad")


def test_counted_samples_count_once_however_often_they_come(ash):
    rows = steady(NOON, 1_200)
    put(ash, rows[::2], at=NOON + HALF_HOUR)
    again = put(ash, rows, at=NOON + HALF_HOUR)
    once_more = put(ash, rows, at=NOON + HALF_HOUR)

    assert (again.rows_counted, again.rows_known) == (90, 90)
    assert (once_more.rows_counted, once_more.rows_known) == (0, 180)
    closing.close_half_hours(at=NOON + HALF_HOUR + ticking.GRACE)
    assert [row.import_wh for row in store.half_hours(ash, Interval(NOON, NOON + HALF_HOUR))] == [600]


def test_half_hours_are_made_when_they_are_over_and_revised_when_more_comes(open_home):
    rows = steady(NOON, 2_000)
    put(open_home, rows[:120], at=NOON + timedelta(minutes=20))
    assert closing.close_half_hours(at=NOON + HALF_HOUR) == []

    (report,) = closing.close_half_hours(at=NOON + HALF_HOUR + ticking.GRACE)
    assert (report.rows_landed, report.source) == (1, "cad")
    (row,) = store.half_hours(open_home, Interval(NOON, NOON + HALF_HOUR))
    assert (row.import_wh, row.quality) == (1_000, Quality.ESTIMATED)
    assert closing.close_half_hours(at=NOON + timedelta(hours=1)) == []

    put(open_home, rows[120:], at=NOON + timedelta(hours=2))
    (report,) = closing.close_half_hours(at=NOON + timedelta(hours=2))
    (row,) = store.half_hours(open_home, Interval(NOON, NOON + HALF_HOUR))
    assert (row.import_wh, row.quality, row.revision) == (1_000, Quality.MEASURED, 1)


def test_too_little_seen_stays_a_gap(open_home):
    put(open_home, steady(NOON, 2_000, seconds=600), at=NOON + HALF_HOUR)

    closing.close_half_hours(at=NOON + timedelta(hours=1))

    assert store.half_hours(open_home, Interval(NOON, NOON + HALF_HOUR)) == []
    assert not OpenHalfHour.objects.filter(is_due=True).exists()


def test_import_and_export_of_one_half_hour_are_apart(open_home):
    rows = [*steady(NOON, 3_000, seconds=900), *steady(NOON + HALF_HOUR / 2, -1_000, seconds=900)]
    put(open_home, rows, at=NOON + HALF_HOUR)

    closing.close_half_hours(at=NOON + timedelta(hours=1))

    (row,) = store.half_hours(open_home, Interval(NOON, NOON + HALF_HOUR))
    assert (row.import_wh, row.export_wh) == (750, 250)


def test_a_withdrawn_live_consent_binds_from_its_instant(open_home, alice):
    live_consent = alice.occupancy.consents.get(purpose="advice")
    consenting.withdraw_consent(consent_id=live_consent.pk, member=alice.member, at=NOON + TEN)

    report = put(open_home, [(NOON, 1), (NOON + TEN, 2)], at=NOON + TEN)

    assert (report.rows_stored, report.rows_counted) == (1, 1)
    assert [row.power_w for row in LivePower.objects.all()] == [1]


def test_whole_watts_only(open_home):
    with pytest.raises(TypeError, match="whole watts"):
        live.store_power(source="cad", at=NOON, stream_ids=[open_home], measured_at=[NOON], power_w=[1.5])
    with pytest.raises(ValueError, match="length"):
        live.store_power(source="cad", at=NOON, stream_ids=[open_home], measured_at=[], power_w=[1])


def test_running_sums_are_forgotten_when_closed_and_old(ash):
    put(ash, steady(NOON, 1), at=NOON + HALF_HOUR)
    closing.close_half_hours(at=NOON + timedelta(hours=1))

    assert closing.forget_closed(before=NOON) == 0
    assert closing.forget_closed(before=NOON + timedelta(days=3)) == 1


def test_weeks_are_made_ahead_take_what_waited_and_are_dropped_when_old(open_home):
    put(open_home, [(NOON, 5)], at=NOON)

    made = partitions.make_partitions(at=NOON)
    assert made == ["metering_live_20260112", "metering_live_20260119", "metering_live_20260126"]
    assert partitions.make_partitions(at=NOON) == []
    assert [row.power_w for row in LivePower.objects.all()] == [5]
    put(open_home, [(NOON + TEN, 6)], at=NOON + TEN)

    monday = datetime(2026, 1, 19, tzinfo=UTC)
    assert partitions.drop_old_partitions(before=monday - TEN) == []
    assert partitions.drop_old_partitions(before=monday) == ["metering_live_20260112"]
    assert not LivePower.objects.exists()


arrivals = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.integers(-300, 3_000)), max_size=12), max_size=5
)


@given(arrivals, st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_samples_in_any_order_batching_and_repetition_leave_the_same_store(
    open_home, batches, with_partitions, shuffler
):
    """Against a dict: by instant, the greatest."""
    model: dict[datetime, int] = {}
    for second, watts in (sample for batch in batches for sample in batch):
        moment = NOON + timedelta(seconds=second)
        model[moment] = max(watts, model.get(moment, watts))
    flat = [sample for batch in batches for sample in batch]
    shuffler.shuffle(flat)

    for offered in (batches, [flat[:7], flat[5:], flat]):
        with undone():
            for turn, batch in enumerate(offered):
                if with_partitions and turn == 1:
                    partitions.make_partitions(at=NOON)
                rows = [(NOON + timedelta(seconds=second), watts) for second, watts in batch]
                put(open_home, rows, at=NOON + timedelta(minutes=1))
            assert dict(LivePower.objects.values_list("at", "power_w")) == model


@given(st.lists(st.tuples(st.integers(0, 3_599), st.booleans()), max_size=5))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_stored_finer_than_consented_at_that_instant(open_home, changes):
    """Live consent comes and goes at any second; every raw row lies inside one."""
    with undone():
        resident = make_resident("Random Rowan")
        windows: list[tuple[datetime, datetime]] = []
        opened: datetime | None = None
        for second in sorted({second for second, _ in changes}):
            moment = NOON + timedelta(seconds=second)
            if opened is None:
                consent(resident, "live", at=moment)
                opened = moment
            else:
                given_consent = resident.occupancy.consents.get(purpose="advice", ends_at__isnull=True)
                consenting.withdraw_consent(consent_id=given_consent.pk, member=resident.member, at=moment)
                windows.append((opened, moment))
                opened = None
        if opened is not None:
            windows.append((opened, NOON + timedelta(hours=2)))

        put(resident.stream_id, steady(NOON, 100, seconds=3_600), at=NOON + timedelta(hours=1))

        kept = set(LivePower.objects.filter(stream_id=resident.stream_id).values_list("at", flat=True))
        assert kept == {
            moment
            for moment, _ in steady(NOON, 100, seconds=3_600)
            if any(a <= moment < b for a, b in windows)
        }


def test_ten_thousand_streams_take_a_handful_of_statements(open_home, django_assert_max_num_queries):
    strangers = [uuid4() for _ in range(2_000)]
    with django_assert_max_num_queries(16):
        live.store_power(
            source="cad",
            at=NOON,
            stream_ids=[*strangers, open_home],
            measured_at=[NOON] * 2_001,
            power_w=[1] * 2_001,
        )
