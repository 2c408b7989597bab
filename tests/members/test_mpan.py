"""The MPAN check digit: a published example fits, and no other last digit does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from members.mpan import check_digit, has_valid_check_digit


def test_a_published_example_fits():
    assert has_valid_check_digit("1200023305967")


@given(st.from_regex(r"[0-9]{12}", fullmatch=True))
def test_the_made_digit_fits_and_no_other_does(twelve):
    right = check_digit(twelve)

    assert [digit for digit in "0123456789" if has_valid_check_digit(twelve + digit)] == [right]
