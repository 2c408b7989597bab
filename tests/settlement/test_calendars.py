"""Bank holidays of three nations against the published lists (gov.uk/bank-holidays), typed in by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from opendsr.kernel.periods import bank_holidays_england_wales
from settlement.baselines import presets
from settlement.baselines.calendars import Calendar, bank_holidays
from settlement.baselines.clock import period_count
from settlement.baselines.errors import RuleInvalid
from settlement.baselines.rules import BaselineRule

PUBLISHED = {
    (Calendar.ENGLAND_WALES, 2022): "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27",
    (Calendar.ENGLAND_WALES, 2023): "01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26",
    (Calendar.ENGLAND_WALES, 2026): "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    (Calendar.SCOTLAND, 2009): "01-01 01-02 04-10 05-04 05-25 08-03 11-30 12-25 12-28",
    (Calendar.SCOTLAND, 2022): "01-03 01-04 04-15 05-02 06-02 06-03 08-01 09-19 11-30 12-26 12-27",
    (Calendar.SCOTLAND, 2023): "01-02 01-03 04-07 05-01 05-08 05-29 08-07 11-30 12-25 12-26",
    (Calendar.SCOTLAND, 2024): "01-01 01-02 03-29 05-06 05-27 08-05 12-02 12-25 12-26",
    (Calendar.SCOTLAND, 2026): "01-01 01-02 04-03 05-04 05-25 06-15 08-03 11-30 12-25 12-28",
    (Calendar.NORTHERN_IRELAND, 2024): "01-01 03-18 03-29 04-01 05-06 05-27 07-12 08-26 12-25 12-26",
    (Calendar.NORTHERN_IRELAND, 2026): "01-01 03-17 04-03 04-06 05-04 05-25 07-13 08-31 12-25 12-28",
}


@pytest.mark.parametrize(("calendar", "year"), PUBLISHED)
def test_bank_holidays_are_those_published(calendar, year):
    found = sorted(f"{day:%m-%d}" for day in bank_holidays(calendar, year))

    assert found == PUBLISHED[calendar, year].split()


@pytest.mark.parametrize("year", range(2003, 2040))
def test_the_package_and_the_kernel_agree(year):
    assert bank_holidays(Calendar.ENGLAND_WALES, year) == bank_holidays_england_wales(year)


@pytest.mark.parametrize("calendar", [Calendar.ENGLAND_WALES, Calendar.SCOTLAND, Calendar.NORTHERN_IRELAND])
@pytest.mark.parametrize("year", range(2003, 2040))
def test_no_bank_holiday_falls_on_a_weekend(calendar, year):
    assert all(day.weekday() < 5 for day in bank_holidays(calendar, year))


def test_years_nobody_listed_are_refused():
    with pytest.raises(ValueError, match="known from 2003"):
        bank_holidays(Calendar.SCOTLAND, 2002)
    assert bank_holidays(Calendar.NONE, 1990) == frozenset()


def test_a_rule_can_add_and_take_holidays():
    rule = presets.DFS_2023_DOMESTIC.with_parameters(
        {"calendar": "scotland", "extra_holidays": ["2026-11-24"], "not_holidays": ["2026-11-30"]}
    )

    assert rule.day_type(date(2026, 11, 24)).name == "non-working day"
    assert rule.day_type(date(2026, 11, 30)).name == "working day"
    assert presets.DFS_2023_DOMESTIC.day_type(date(2026, 11, 24)).name == "working day"


@pytest.mark.parametrize("rule", presets.PRESETS.values(), ids=lambda rule: rule.name)
def test_every_preset_survives_its_own_data(rule):
    assert BaselineRule.from_data(rule.as_data()) == rule
    assert rule.source
    assert rule.title
    for name in rule.unsure:
        assert hasattr(rule, name.partition(".")[0]), name


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"profile_w": {"any day": [1] * 47}}, "profile_w"),
        ({"profile_w": {"some day": [1] * 48}}, "profile_w"),
        ({"look_back_days": 0}, "look_back_days"),
        ({"cap_pct": 120}, "cap_pct"),
        ({"low_use_pct": 100}, "low_use_pct"),
        ({"window_half_hours": 2}, "window_half_hours"),
        ({"adjustment": "sideways"}, "adjustment"),
        ({"extra_holidays": ["25 December"]}, "extra_holidays"),
        ({"day_types": []}, "day_types"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, parameter):
    with pytest.raises(RuleInvalid) as refused:
        presets.preset("fixed_reference", parameters)

    assert refused.value.data["parameter"] == parameter
    assert refused.value.data["reason"]


def test_days_count_their_half_hours():
    counts = {period_count(date(2026, 1, 1) + timedelta(days=n)) for n in range(365)}

    assert counts == {46, 48, 50}
    assert period_count(date(2026, 3, 29)) == 46
    assert period_count(date(2026, 10, 25)) == 50
