"""What partners are told: month by month, once, of many willing homes, and the same for ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction

from members import consenting, partnering
from members.models import Granularity, Purpose
from members.partner_models import Partner
from metering import partner_totals, tasks
from metering.ingest import store_readings
from metering.models import PartnerDay, PartnerMonth
from metering.partner_totals import ONE_DAY, periods, tell_due
from opendsr.kernel import clock
from opendsr.kernel.periods import period_starts
from tests.factories import JOINED_AT, Resident, make_consent_texts, make_resident

pytestmark = pytest.mark.django_db
MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
DUE = datetime(2026, 4, 6, 12, tzinfo=UTC)
CLOCK_CHANGE = date(2026, 3, 29)


def resident(name: str, purpose_granularity: str = Granularity.DAILY, **extra: object) -> Resident:
    """A household that agrees to be counted."""
    made = make_resident(name, **extra)  # type: ignore[arg-type]
    make_consent_texts()
    consenting.give_consent(
        member=made.member, occupancy=made.occupancy, purpose=Purpose.PARTNER_TOTALS,
        granularity=purpose_granularity, channel="web", at=JOINED_AT,
    )  # fmt: skip
    return made


def link(partner: Partner, homes: Sequence[Resident], since: str = "2026-03-01") -> None:
    rows = "".join(f"{each.home.mpan},{since}\n" for each in homes)
    done = partnering.link_homes(partner=partner, text="home,starts_on\n" + rows, by="staff:1", at=DUE)
    assert not done.rejects


def read(homes: Sequence[Resident], days: Sequence[date], wh: int = 100) -> None:
    """So many Wh, and one more a home, in every half-hour of the days."""
    starts = [start for day in days for start in period_starts(day)]
    store_readings(
        source="supplier", name=f"{days[0]} {wh} {len(homes)}", at=DUE,
        stream_ids=[each.stream_id for each in homes], starts_at=starts,
        import_wh=np.array([[wh + place] * len(starts) for place in range(len(homes))]),
    )  # fmt: skip


@pytest.fixture
def partner(db: None) -> Partner:
    return partnering.make_partner(name="Calder Homes", by="staff:1", at=DUE)


@pytest.fixture
def homes(partner: Partner) -> list[Resident]:
    """Sixteen homes of the partner."""
    made = [resident(f"Home {number}") for number in range(16)]
    link(partner, made)
    return made


def told(partner: Partner, *days: date) -> list[tuple[int, int | None]]:
    found = periods(partner.pk, [(day, day + ONE_DAY) for day in days])
    return [(each.homes[0], each.import_wh) for each in found]


def test_a_month_is_told_five_days_after_its_end_and_once(partner, homes):
    days = [MARCH, CLOCK_CHANGE]
    read(homes, days)

    assert tell_due(at=datetime(2026, 4, 5, 12, tzinfo=UTC)) == 0
    assert (tell_due(at=DUE), tell_due(at=DUE)) == (1, 0)

    a_half_hour = sum(100 + place for place in range(16))
    expected = [round(a_half_hour * count / 100) * 100 for count in (48, 46)]
    assert told(partner, *days) == [(16, expected[0]), (16, expected[1])]
    assert PartnerDay.objects.count() == 31
    with connection.cursor() as cursor:
        cursor.execute("SELECT purpose, streams FROM audited.metering_read")
        assert cursor.fetchall() == [("partner_totals", 16)]


def test_what_was_told_does_not_change(partner, homes):
    read(homes, [MARCH])
    tell_due(at=DUE)
    before = told(partner, MARCH)
    read(homes, [MARCH], wh=500)

    tell_due(at=DUE + timedelta(days=1))

    assert told(partner, MARCH) == before
    with pytest.raises(DatabaseError), transaction.atomic():
        PartnerDay.objects.update(homes=17)


def test_a_home_without_every_half_hour_is_not_in_the_day(partner, homes):
    other = MARCH + ONE_DAY
    read(homes, [MARCH])
    read(homes[:15], [other])
    third = other + ONE_DAY
    read(homes[:14], [third])
    tell_due(at=DUE)

    assert [homes for homes, _ in told(partner, MARCH, other, third)] == [16, 15, 0]
    week = periods(partner.pk, [(date(2026, 3, 1), date(2026, 3, 8))])[0]
    assert (week.days_told, week.days, week.homes, week.withheld) == (2, 7, (15, 16), ("too_few",))
    assert week.import_wh == sum(wh or 0 for _, wh in told(partner, MARCH, other))


def test_homes_whose_days_alone_are_kept_are_counted(partner, homes):
    coarse = resident("Coarse", consents=())
    link(partner, [coarse])
    read([*homes, coarse], [MARCH])
    tell_due(at=DUE)

    total = sum(100 + place for place in range(17)) * 48
    assert told(partner, MARCH) == [(17, round(total / 100) * 100)]


def test_a_home_that_joins_waits_for_the_next_month_and_for_others(partner, homes):
    late = resident("Late")
    link(partner, [late], since="2026-03-02")
    days = [MARCH, APRIL]
    read([*homes, late], days)
    tell_due(at=DUE)
    tell_due(at=datetime(2026, 5, 6, 12, tzinfo=UTC))

    assert [homes for homes, _ in told(partner, *days)] == [16, 16]
    more = [resident(f"More {number}") for number in range(14)]
    link(partner, more, since="2026-05-01")
    tell_due(at=datetime(2026, 6, 6, 12, tzinfo=UTC))
    assert list(PartnerMonth.objects.order_by("starts_on").values_list("homes", flat=True)) == [16, 16, 31]


def test_one_of_few_homes_that_leaves_takes_the_months_with_it(partner, homes):
    read(homes, [MARCH, APRIL])
    tell_due(at=DUE)
    consent = homes[0].occupancy.consents.get(purpose=Purpose.PARTNER_TOTALS)
    consenting.withdraw_consent(
        consent_id=consent.pk, member=homes[0].member, at=datetime(2026, 4, 10, tzinfo=UTC)
    )
    tell_due(at=datetime(2026, 5, 6, 12, tzinfo=UTC))

    assert told(partner, APRIL) == [(0, None)]
    assert told(partner, MARCH)[0][0] == 16


def test_the_same_homes_but_one_under_another_partner_are_not_told_beside_it(partner, homes):
    before = "home,starts_on,ends_on\n" + "".join(f"{each.home.mpan},2026-03-01,{APRIL}\n" for each in homes)
    read(homes, [APRIL])
    tell_due(at=datetime(2026, 5, 6, 12, tzinfo=UTC))
    assert told(partner, APRIL)[0][0] == 16
    assert partnering.link_homes(partner=partner, text=before, by="staff:1", at=DUE).ended == 16
    other = partnering.make_partner(name="Calder Homes 2", by="staff:1", at=DUE)
    link(other, homes[1:], since=str(APRIL))

    tell_due(at=datetime(2026, 5, 7, 12, tzinfo=UTC))

    assert told(other, APRIL) == [(0, None)]


def test_months_of_long_ago_are_not_told_and_whom_they_counted_is_forgotten(partner, homes):
    link(partner, [resident("Old")], since="2020-01-01")
    tell_due(at=DUE)
    assert PartnerMonth.objects.count() == partner_totals.MOST_MONTHS_BACK

    partner_totals.forget(at=DUE)
    assert PartnerMonth.objects.exclude(stream_ids=[]).count() == 1
    partner_totals.forget(at=DUE + timedelta(days=366 * 3))
    assert not PartnerMonth.objects.exclude(stream_ids=[]).exists()
    assert PartnerMonth.objects.get(starts_on=MARCH).homes == 17


def test_the_hourly_job_tells_what_is_due(partner, homes):
    read(homes, [MARCH])
    clock.configure(DUE, speed=0)

    tasks.tend_store()

    assert told(partner, MARCH)[0][0] == 16
