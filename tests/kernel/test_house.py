"""What the co-op sets for itself: bounds, history, the way back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel import house, installation
from opendsr.kernel.models import AuditEntry, HouseSetting

AT = datetime(2026, 1, 15, 13, tzinfo=UTC)


@pytest.fixture
def coop(db):
    return installation.found(coop_name="Calder Bank", is_demo=False, at=AT)


def put(key, text, why="The members voted it."):
    return house.put(key=key, text=text, why=why, at=AT, by="user:7")


@given(st.integers(-5, 10**7))
def test_a_whole_number_is_read_within_its_bounds_and_nowhere_else(number):
    read = house.whole(5, 11)

    if 5 <= number <= 11:
        assert read(f" {number} ") == number
    else:
        with pytest.raises(ValueError, match="from 5 to 11"):
            read(str(number))


@given(st.integers(0, 0xFFFFFF))
def test_white_letters_can_be_read_on_every_colour_taken(number):
    text = f"#{number:06X}"
    try:
        taken = house.colour(text)
    except ValueError:
        assert house.contrast_to_white(text.lower()) < house.LEAST_CONTRAST
    else:
        assert taken == text.lower()
        assert house.contrast_to_white(taken) >= house.LEAST_CONTRAST


@given(st.text(max_size=40))
def test_a_line_is_printable_and_no_longer_than_it_may_be(text):
    try:
        line = house.line(20)(text)
    except ValueError:
        words = " ".join(text.split())
        assert not words or len(words) > 20 or not words.isprintable()
    else:
        assert line.isprintable()
        assert 0 < len(line) <= 20


def test_the_newest_is_in_force_and_can_be_taken_back(coop):
    assert house.number("quiet_from_hour") == 21
    put("quiet_from_hour", "22")
    put("quiet_from_hour", "20")
    assert house.number("quiet_from_hour") == 20
    assert put("quiet_from_hour", "20") is None, "nothing changes, nothing is written"
    put("quiet_from_hour", "22", why="Taken back")
    put("quiet_from_hour", None, why="As it was")

    assert house.number("quiet_from_hour") == 21
    values = HouseSetting.objects.order_by("pk").values_list("value", "why", "set_by")
    assert [value for value, _, _ in values] == [22, 20, 22, None]
    assert AuditEntry.objects.filter(verb="house.set", target="setting:quiet_from_hour").count() == 4


def test_the_name_is_the_installation_s_and_its_first_one_is_history(coop):
    put("coop_name", "  Calder   Bank Energy ")
    put("colour", "#0B6B4F")

    now = installation.current()
    assert (now.coop_name, now.colour) == ("Calder Bank Energy", "#0b6b4f")
    assert list(
        HouseSetting.objects.filter(key="coop_name").order_by("pk").values_list("value", flat=True)
    ) == [
        "Calder Bank",
        "Calder Bank Energy",
    ]


@pytest.mark.parametrize(
    ("key", "text", "why", "field"),
    [
        ("quiet_from_hour", "17", "because", "quiet_from_hour"),
        ("colour", "#ffff00", "because", "colour"),
        ("coop_name", None, "because", "coop_name"),
        ("coop_name", "a\x07b", "because", "coop_name"),
        ("notices_a_day", "6", " ", "why"),
        ("secret_key", "x", "because", "secret_key"),
    ],
)
def test_what_cannot_be_is_refused_by_name(coop, key, text, why, field):
    with pytest.raises(house.SettingInvalid) as refused:
        put(key, text, why)

    assert refused.value.field == field
    assert not HouseSetting.objects.exists()


def test_history_cannot_be_edited(coop):
    made = put("notices_a_day", "4")

    with pytest.raises(DatabaseError), transaction.atomic():
        HouseSetting.objects.filter(pk=made.pk).update(value=40)
