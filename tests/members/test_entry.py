"""What people type is mended where it can be and refused by field where it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from members import entry


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("m15 5rf", "M15 5RF"), ("M155RF", "M15 5RF"), (" sw1a  2aa ", "SW1A 2AA"), ("b3 1jj", "B3 1JJ")],
)
def test_a_postcode_is_written_one_way(typed, stored):
    assert entry.postcode(typed) == stored


@pytest.mark.parametrize("typed", ["", "M15", "12345", "M15 5RFX", "M15-5RF", "Ｍ15 5RF", "M15 5R\x00"])
def test_what_is_no_postcode_is_refused(typed):
    with pytest.raises(entry.InvalidField) as refused:
        entry.postcode(typed)

    assert refused.value.data == {"field": "postcode", "problem": "not_a_postcode"}


@pytest.mark.parametrize(("typed", "stored"), [("_G", "G"), ("g", "G"), (" P ", "P")])
def test_a_gsp_group_may_come_with_its_underscore(typed, stored):
    assert entry.gsp_group(typed) == stored


@pytest.mark.parametrize("typed", ["", "I", "O", "Q", "GG", "_", "1"])
def test_no_other_letter_is_a_gsp_group(typed):
    with pytest.raises(entry.InvalidField):
        entry.gsp_group(typed)


def test_an_mpan_may_be_spaced_as_on_the_bill():
    assert entry.mpan("12 0002 3305 967") == "1200023305967"


@pytest.mark.parametrize("typed", ["", "120002330596", "12000233059670", "12000233O5967", "١٢٠٠٠٢٣٣٠٥٩٦٧"])
def test_anything_but_13_digits_is_no_mpan(typed):
    with pytest.raises(entry.InvalidField):
        entry.mpan(typed)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("7", "M-00007"), ("m-7", "M-00007"), ("M-00007", "M-00007"), ("123456", "M-123456")],
)
def test_a_membership_number_has_one_form(typed, stored):
    assert entry.member_number(typed) == stored


@pytest.mark.parametrize("hostile", ["a\x00b", "a\x1bb", "evil\u202etxt.exe", "\ud800"])
def test_control_and_direction_characters_are_refused(hostile):
    with pytest.raises(entry.InvalidField) as refused:
        entry.one_line(hostile, field="full_name", longest=120)

    assert refused.value.data == {"field": "full_name", "problem": "control_character"}


@given(st.text(max_size=60))
def test_a_line_comes_out_clean_or_not_at_all(text):
    try:
        line = entry.one_line(text, field="x", longest=60)
    except entry.InvalidField:
        return

    assert line == entry.one_line(line, field="x", longest=60)
    assert line == line.strip()
    assert len(line.encode()) > 0
    assert not set(line) & {"\x00", "\n", "\t"}
