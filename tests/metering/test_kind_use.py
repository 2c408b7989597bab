"""Expected against measured: the middle asset's mean day, of those whose meters can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering import kind_use
from metering.intake_models import AssetState
from tests.factories import make_asset, make_home, make_hub

pytestmark = pytest.mark.django_db
AT = datetime(2026, 4, 6, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def tell(asset, *readings: tuple[float, int | None]) -> None:
    """Readings as (days ago, Wh)."""
    AssetState.objects.bulk_create(
        AssetState(asset=asset, at=AT - days * DAY, received_at=AT, energy_wh=wh, kind="openevse")
        for days, wh in readings
    )


def of(kind: str) -> kind_use.KindUse:
    return next(each for each in kind_use.kinds(at=AT) if each.kind.pk == kind)


@pytest.fixture
def hub(db):
    return make_hub(make_home(), at=AT - 60 * DAY, through_vtn=False, kinds=()).hub


def test_the_middle_assets_mean_day(hub):
    for daily in (8_000, 9_000, 30_000):
        tell(make_asset(hub), (10, 500_000), (5, 500_000 + 5 * daily), (0.5, 500_000 + int(9.5 * daily)))
    found = of("ev_charger")
    assert (found.in_use, found.measured, found.daily_wh, found.share_pct) == (3, 3, 9_000, 90)
    other = of("battery")
    assert (other.in_use, other.measured, other.daily_wh, other.share_pct) == (0, 0, None, None)


def test_what_cannot_be_read_does_not_count(hub):
    tell(make_asset(hub), (2, 1_000), (0.5, 9_000))  # too short
    tell(make_asset(hub), (10, 9_000), (1, 100))  # began anew
    tell(make_asset(hub), (10, None), (1, None))  # tells no energy
    tell(make_asset(hub), (60, 0), (40, 9_000))  # too long ago
    found = of("ev_charger")
    assert (found.in_use, found.measured) == (4, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(daily=st.lists(st.integers(0, 50_000), min_size=1, max_size=4))
def test_it_is_the_median_of_all_that_count(hub, daily):
    AssetState.objects.all().delete()
    hub.assets.all().delete()
    for each in daily:
        tell(make_asset(hub), (11, 0), (1, 10 * each))
    assert of("ev_charger").daily_wh == round(median(daily))


def test_a_page_for_any_fleet_is_a_few_statements(hub, django_assert_num_queries):
    make_asset(hub)
    with django_assert_num_queries(3):
        kind_use.kinds(at=AT)
