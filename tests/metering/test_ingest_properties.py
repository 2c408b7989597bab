"""What holds for any readings: order is nothing, again is nothing, the past is kept, consent binds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members import consenting
from metering import ingest, permits, store
from metering.adapters import opendsr_csv
from metering.adapters.formats import Row
from metering.models import HalfHour
from opendsr.kernel.interval import Interval
from opendsr.kernel.periods import civil_date
from tests.factories import JOINED_AT
from tests.metering.meters import START, held, offer, reasons, undone
from tests.metering.samples import AT, AUTUMN, SPRING, half_hours

pytestmark = pytest.mark.django_db
many = settings(
    deadline=None,
    max_examples=30,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

OUR_HEADER = "meter,starts_at,import_wh,export_wh,quality"
rows = st.lists(
    st.one_of(
        st.builds(
            "{},2026-01-05T{:02}:{}:00Z,{},{}".format,
            st.sampled_from(["ASH", "ASH", "BIRCH", "ELSE"]),
            st.integers(0, 4),
            st.sampled_from(["00", "30", "30", "15"]),
            st.integers(-1, 5),
            st.sampled_from(["0,measured", "0,estimated", "7,", "x,"]),
        ),
        st.sampled_from(["", "ASH", "ASH,2027-01-01T00:00:00Z,1,0,"]),
    ),
    max_size=25,
)


@given(rows, st.randoms(use_true_random=False))
@many
def test_any_order_of_rows_gives_the_same_store_and_accounts_for_every_row(ash, birch, lines, shuffler):
    streams = {"ASH": ash, "BIRCH": birch}
    shuffled = list(lines)
    shuffler.shuffle(shuffled)

    with undone():
        report = offer(lines, streams, header=OUR_HEADER)
        in_order = held()
    with undone():
        offer(shuffled, streams, header=OUR_HEADER)
        assert held() == in_order
    assert report.rows_read == report.rows_landed + report.rows_rejected == sum(bool(line) for line in lines)
    assert len(in_order) == report.rows_landed
    assert sum(reject.rows for reject in report.rejects) == report.rows_rejected


@given(rows)
@many
def test_importing_twice_changes_nothing_the_second_time(ash, birch, lines):
    streams = {"ASH": ash, "BIRCH": birch}

    with undone():
        first = offer(lines, streams, header=OUR_HEADER)
        once = held()
        again = offer(lines, streams, header=OUR_HEADER, at=AT + timedelta(hours=1))

        assert held() == once
        assert (again.rows_landed, again.rows_unchanged) == (0, first.rows_landed)
        assert reasons(again) == reasons(first)


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=6), max_size=6))
@many
def test_any_history_of_corrections_can_be_recalled_as_known_at_each_moment(ash, batches):
    starts = half_hours(START, 6)
    believed: dict[datetime, int] = {}
    history: list[tuple[datetime, dict[datetime, int]]] = []

    with undone():
        for number, batch in enumerate(batches):
            values = {starts[slot]: wh for slot, wh in batch}
            at = AT + timedelta(hours=number)
            ingest.store_readings(
                source="supplier",
                name=f"batch {number}",
                at=at,
                stream_ids=[ash] * len(values),
                starts_at=list(values),
                import_wh=list(values.values()),
            )
            believed = believed | values
            history.append((at, believed))

        for at, known in history:
            cube = store.day_cube([ash], [civil_date(START)], known_at=at)
            recalled = {
                start: int(cube.net_wh[0, 0, slot])
                for slot, start in enumerate(starts)
                if cube.present[0, 0, slot]
            }
            assert recalled == known
            assert {
                row.starts_at: row.import_wh for row in store.half_hours(ash, day(), known_at=at)
            } == known


def day() -> Interval:
    """The UTC day of START, which is also a London day."""
    return Interval(START, START + timedelta(days=1))


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
@given(st.data())
@settings(many, max_examples=8)
def test_what_is_written_out_comes_back_through_the_store_on_clock_change_days(ash, change, data):
    starts = half_hours(change - timedelta(hours=2), 56)
    values = data.draw(st.lists(st.integers(0, 40_000), min_size=56, max_size=56))
    text = opendsr_csv.format_rows(Row(0, "ASH", at, wh) for at, wh in zip(starts, values, strict=True))
    _, *lines = text

    early = JOINED_AT.replace(year=2024)
    with undone(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(permits, "consent_windows", lambda stream_ids, **_: {ash: [(early, None)]})
        offer(lines, {"ASH": ash}, header=OUR_HEADER)
        stored = HalfHour.objects.order_by("starts_at").values_list("starts_at", "import_wh")

        assert list(stored) == list(zip(starts, values, strict=True))


@given(st.lists(st.integers(0, 600), min_size=1, max_size=6, unique=True))
@many
def test_no_row_is_ever_stored_outside_a_consent(ash, alice, minutes):
    """Consent is withdrawn and given again at any minutes; only whole half-hours within it are kept."""
    moments = [START + timedelta(minutes=minute) for minute in sorted(minutes)]
    windows: list[tuple[datetime, datetime]] = []
    opened: datetime | None = JOINED_AT

    with undone():
        for moment in moments:
            if opened is None:
                give(alice, moment)
                opened = moment
            else:
                live = alice.occupancy.consents.get(purpose="settlement", ends_at__isnull=True)
                consenting.withdraw_consent(consent_id=live.pk, member=alice.member, at=moment)
                windows.append((opened, moment))
                opened = None
        if opened is not None:
            windows.append((opened, AT))
        starts = half_hours(START, 24)
        report = ingest.store_readings(
            source="cad", name="day", at=AT, stream_ids=[ash], starts_at=starts, import_wh=[[1] * 24]
        )

        allowed = [
            start
            for start in starts
            if any(a <= start and start + timedelta(minutes=30) <= b for a, b in windows)
        ]
        assert list(HalfHour.objects.order_by("starts_at").values_list("starts_at", flat=True)) == allowed
        assert report.rows_rejected == 24 - len(allowed)


def give(alice, at):
    """Alice consents to settlement again."""
    return consenting.give_consent(
        member=alice.member,
        occupancy=alice.occupancy,
        purpose="settlement",
        granularity="half_hourly",
        channel="web",
        at=at,
    )
