"""Statements: every number can be worked out again from what is on them, and nothing on them runs."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest

from opendsr.kernel.money import rate_mp
from settlement import statement_csv, statements
from settlement.models import Statement
from settlement.settling import settle_campaign
from settlement.statement_csv import plain_cell
from tests.settlement.staging import (
    AFTER,
    EVENT,
    HISTORY,
    State,
    make_measured,
    make_stage,
    make_terms,
    store,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db
GOLDEN = Path(__file__).parent / "golden" / "statement.csv"


def settled_view(stage, resident, at=AFTER):
    run = settle_campaign(campaign_id=stage.campaign.pk, at=at, is_forced=True).run
    return statements.statement_view(Statement.objects.get(round=run.round, member=resident.member))


def rows_of(view):
    return list(csv.DictReader(io.StringIO(statement_csv.render(view), newline="")))


def anonymous(view):
    """The view with what differs from run to run made the same."""
    event = replace(
        view.events[0],
        campaign_id=UUID(int=2),
        run_id=UUID(int=3),
        input_sha256="0" * 64,
        result_sha256="1" * 64,
        terms="Winter evenings v1",
    )
    return replace(view, statement_id=UUID(int=1), member_number="M-00001", events=(event,))


def golden_view():
    stage = make_stage(State.OPTED_IN, State.OVERRIDDEN)
    golden, other = stage.residents
    for resident in stage.residents:
        store_history(resident)
    store(golden, {EVENT[0] - timedelta(days=1): 1_105, EVENT[1] - timedelta(days=4): -333}, at=AFTER)
    store_event(golden, 400, 1_200, event=EVENT[:2])
    store_event(golden, 777, event=EVENT[3:])
    store_event(other, 0, 0, 1_000, 1_000)
    return anonymous(settled_view(stage, golden))


def test_the_golden_file():
    text = statement_csv.render(golden_view())

    assert text.encode() == GOLDEN.read_bytes()


def test_the_file_alone_gives_the_money_again():
    rows = rows_of(golden_view())
    value = {(row["section"], row["item"]): row["value"] for row in rows}
    history = defaultdict(list)
    for row in rows:
        if row["item"] == "day used" and row["value"]:
            history[row["starts_at"]].append(int(row["value"]))
    metered = {row["starts_at"]: row["value"] for row in rows if row["item"] == "metered"}
    delivered = {
        start: round(Fraction(sum(history[start]), len(history[start]))) - int(wh)
        for start, wh in metered.items()
        if wh
    }

    assert delivered == {
        row["starts_at"]: int(row["value"])
        for row in rows
        if (row["section"], row["item"]) == ("half-hour", "delivered") and row["value"]
    }
    assert max(sum(delivered.values()), 0) == int(value["event", "paid"])
    total_wh = int(value["money", "sold energy of all homes"])
    revenue_mp = rate_mp(total_wh, Decimal(value["money", "rate"]))
    assert revenue_mp == int(value["money", "revenue"])
    coop_mp = int(revenue_mp * Fraction(value["money", "co-op's share"]) / 100)
    assert coop_mp == int(value["money", "co-op"])
    exact = Fraction((revenue_mp - coop_mp) * int(value["event", "paid"]), total_wh)
    assert exact == Fraction(value["share wh", "your exact share"])
    assert abs(exact - int(value["money", "earned"])) < 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_text_never_runs_in_a_spreadsheet(text):
    assert plain_cell(text) == f"'{text}"


def test_a_campaign_named_like_a_formula_is_harmless():
    stage = make_measured(500)
    stage.campaign.name = '=HYPERLINK("http://evil.example","click")'
    stage.campaign.save()

    rows = rows_of(settled_view(stage, stage.residents[0]))

    assert [row["value"] for row in rows if (row["section"], row["item"]) == ("event", "name")] == [
        '\'=HYPERLINK("http://evil.example","click")'
    ]


def test_negative_numbers_stay_numbers():
    stage = make_measured(-500)

    rows = rows_of(settled_view(stage, stage.residents[0]))

    assert [row["value"] for row in rows if row["item"] == "delivered"] == ["-500", "0", "0", "0", "-500"]


def test_days_left_out_say_why():
    view = golden_view()

    out = {(day.day, day.reason.value) for day in view.events[0].explanation.left_out}
    assert out == set()
    assert view.events[0].explanation.days_used[:2] == [date(2026, 11, 23), date(2026, 11, 20)]


def test_a_day_without_a_reading_is_named():
    stage = make_stage(State.OPTED_IN)
    resident = stage.residents[0]
    store_history(resident, days=[day for day in HISTORY if day != date(2026, 11, 20)])
    store_event(resident, 0, 0, 0, 0)

    rows = rows_of(settled_view(stage, resident))

    assert [(row["day"], row["note"]) for row in rows if row["item"] == "day left out"] == [
        ("2026-11-20", "no meter reading")
    ]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.OPTED_OUT, "opted out, so it is measured but not paid"),
        (State.SENT, "never fetched the event, so your home was not asked"),
        (State.DELIVERED_TO_HUB, "the meter decides"),
        (State.OVERRIDDEN, "nothing is taken from earlier earnings"),
    ],
)
def test_the_statement_says_why_a_home_is_paid_or_not(state, words):
    stage = make_stage(state)
    store_history(stage.residents[0])
    store_event(stage.residents[0], 0, 0, 0, 0)

    assert words in settled_view(stage, stage.residents[0]).events[0].standing_words


def test_the_adjustment_is_on_the_statement():
    stage = make_stage(State.OPTED_IN, published=make_terms(baseline_rule="dfs_2022"))
    resident = stage.residents[0]
    store_history(resident)
    window = [EVENT[0] - timedelta(minutes=30) * n for n in range(8, 2, -1)]
    store(resident, dict.fromkeys(window, 1_100))
    store_event(resident, 0, 0, 0, 0)

    view = settled_view(stage, resident)

    assert view.events[0].explanation.adjustment_wh == 100
    assert [half_hour.baseline_wh for half_hour in view.events[0].half_hours] == [1_100] * 4
    rows = rows_of(view)
    assert [row["value"] for row in rows if row["item"] == "in-day adjustment"] == ["100"]
    assert sum(row["item"] == "metered before the event" for row in rows) == 6
    assert sum(row["item"] == "day used, before the event" for row in rows) == 60


def test_a_correction_is_marked():
    stage = make_measured(700)
    settled_view(stage, stage.residents[0])
    store_event(stage.residents[0], 500, 1_000, 1_000, 1_000, at=AFTER + timedelta(days=1))

    view = settled_view(stage, stage.residents[0], at=AFTER + timedelta(days=1))

    assert (view.events[0].run_number, view.round_number, view.is_correction) == (2, 2, True)
    assert (view.earned_mp, view.previous_mp, view.posted_mp) == (97_500, 136_500, -39_000)


def test_a_page_of_statements_takes_the_same_few_queries(django_assert_max_num_queries):
    stage = make_measured(700, 300, 200)
    settle_campaign(campaign_id=stage.campaign.pk, at=AFTER)
    found = list(Statement.objects.select_related("round__programme", "member"))

    with django_assert_max_num_queries(4):
        views = statements.statement_views(found)

    assert sum(view.earned_mp for view in views) == views[0].events[0].members_mp


def test_render_csv_is_the_view_rendered():
    stage = make_measured(700)
    settle_campaign(campaign_id=stage.campaign.pk, at=AFTER)
    statement = Statement.objects.get()

    assert statements.render_csv(statement) == statement_csv.render(statements.statement_view(statement))
