"""The cast: well-formed, and every story told however few homes there are."""

from __future__ import annotations

import pytest

from members.mpan import has_valid_check_digit
from opendsr.demo import cast
from opendsr.demo.cast import Story


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
