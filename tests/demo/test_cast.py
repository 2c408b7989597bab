"""The cast: well-formed, and every story told however few homes there are."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from members import supplying
from members.mpan import has_valid_check_digit
from members.supply_models import PaymentMethod
from opendsr.demo import cast, people
from opendsr.demo.cast import Story
from tests.factories import make_consent_texts


def test_twenty_homes_tell_every_story() -> None:
    specs = cast.homes()

    assert len(specs) == 20
    assert {spec.story for spec in specs} == set(Story)
    assert len({spec.mpan for spec in specs}) == 20


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 19, 20, 60])
def test_any_number_of_homes_has_somebody_who_takes_part(count: int) -> None:
    specs = cast.homes(count)

    assert len(specs) == len({spec.serial for spec in specs}) == count
    assert specs[0].story is Story.WILLING
    if count >= 4:
        assert {Story.SKIPS, Story.OVERRIDES, Story.OFFLINE} <= {spec.story for spec in specs}


def test_supply_numbers_are_well_formed() -> None:
    assert all(has_valid_check_digit(spec.mpan) for spec in cast.homes())


def test_homes_pay_in_every_way_and_some_never_said() -> None:
    paid = Counter(spec.payment_method for spec in cast.homes(700))

    assert {method for method in paid if method} == set(PaymentMethod.values) - {"not_said"}
    assert 0.1 < paid["prepayment"] / 700 < 0.16
    assert 0 < paid[""] < paid["direct_debit"]


@pytest.mark.django_db
def test_how_a_home_of_the_demo_pays_is_on_record_from_the_day_it_joins() -> None:
    at = datetime(2026, 8, 1, 23, 30, tzinfo=UTC)
    make_consent_texts(at=at)
    specs = cast.homes(10)

    joined = list(people.join_everybody(specs, at=at))

    kept = supplying.payment_methods(date(2026, 8, 2))
    assert [kept.get(each.occupancy.pk, "") for each in joined] == [spec.payment_method for spec in specs]
    assert set(kept.values()) == {"prepayment", "standard_credit", "direct_debit"}
    assert supplying.payment_methods(date(2026, 8, 1)) == {}
