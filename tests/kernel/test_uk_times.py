"""Local times in forms: each instant of both changes' nights can be written, and none is taken by chance."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django import forms

from opendsr.kernel.periods import LONDON, comes_twice, is_left_out, period_starts
from opendsr.kernel.uk_times import UkTimeField, UkTimesForm, WhichOfTwo

DAYS = (date(2026, 3, 29), date(2026, 10, 25), date(2027, 3, 28), date(2027, 10, 31), date(2026, 6, 1))


class TimesForm(UkTimesForm):
    """Two times, each with its question."""

    starts_at = UkTimeField()
    starts_in = WhichOfTwo(of="starts_at", label="From which of the two")
    ends_at = UkTimeField(required=False)
    ends_in = WhichOfTwo(of="ends_at", label="Until which of the two")


@pytest.mark.parametrize("day", DAYS)
def test_every_half_hour_of_a_day_can_be_written_and_comes_back_filled_in(day: date) -> None:
    for at in period_starts(day):
        local = at.astimezone(LONDON)
        sent = {"starts_at": f"{local:%Y-%m-%dT%H:%M}", "starts_in": local.tzname()}

        form = TimesForm(sent)
        known = TimesForm(initial={"starts_at": at})

        assert form.is_valid(), form.errors
        assert form.instant("starts_at") == at
        assert ("starts_in" in form.fields) == ("starts_in" in known.fields) == comes_twice(local)
        assert f"{known['starts_at'].value():%H:%M}" == f"{local:%H:%M}"
        if comes_twice(local):
            assert known["starts_in"].value() == local.tzname()


@pytest.mark.parametrize("answer", [{}, {"starts_in": ""}, {"starts_in": "CET"}])
def test_a_time_that_comes_twice_is_never_taken_without_an_answer(answer: dict[str, str]) -> None:
    form = TimesForm({"starts_at": "2026-10-25T01:30", "ends_at": "2026-10-25T02:00"} | answer)

    assert list(form.fields) == ["starts_at", "starts_in", "ends_at"]
    assert list(form.errors) == ["starts_in"]
    assert form.instant("starts_at") is None
    assert form.instant("ends_at") == datetime(2026, 10, 25, 2, tzinfo=UTC)
    assert form["starts_in"].value() in (None, "", "CET")


def test_two_times_of_the_hour_have_an_answer_each() -> None:
    form = TimesForm({"starts_at": "2026-10-25T01:30", "ends_at": "2026-10-25T01:00"} | {
        "starts_in": "BST", "ends_in": "GMT",
    })  # fmt: skip

    assert form.is_valid()
    assert form.instant("ends_at") == form.instant("starts_at") + timedelta(minutes=30)


@pytest.mark.parametrize("day", ["2026-03-29", "2027-03-28"])
@pytest.mark.parametrize("clock", ["01:00", "01:30", "01:59"])
def test_a_time_that_the_clocks_leave_out_is_refused_at_its_field(day: str, clock: str) -> None:
    form = TimesForm({"starts_at": f"{day}T{clock}", "starts_in": "BST"})

    assert dict(form.errors) == {"starts_at": [f"The clocks go forward: {clock} does not exist that day."]}
    assert list(form.fields) == ["starts_at", "ends_at"]


def test_a_time_of_several_fields_that_is_left_out_is_refused_at_the_one_named() -> None:
    class PartsForm(UkTimesForm):
        hour = forms.IntegerField()

        def local_time(self, name: str) -> datetime | None:
            hour = self.value_of(name)
            return None if hour is None else datetime(2026, 3, 29, hour)

    form = PartsForm({"hour": "1"})
    assert form.is_valid()
    assert form.instant("hour") is None
    assert list(form.errors) == ["hour"]


@pytest.mark.parametrize("day", DAYS)
def test_local_times_come_once_twice_or_not_at_all(day: date) -> None:
    shown = [at.astimezone(LONDON).replace(tzinfo=None) for at in period_starts(day)]
    for place in range(48):
        local = datetime.combine(day, datetime.min.time()) + place * timedelta(minutes=30)
        assert shown.count(local) == 1 + comes_twice(local) - is_left_out(local)
