"""A statement's file is enough to work it out again, and any edit of it is found."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from settlement import policies, statement_json, statements, verifying
from settlement.models import Statement
from settlement.overriding import OverrideCost, OverridePolicy
from settlement.revenue import Basis
from settlement.sharing import By, SharePolicy
from settlement.verifying import NotAStatement, content_sha256, verify
from tests.settlement.staging import (
    AFTER,
    EVENT,
    State,
    make_measured,
    make_stage,
    make_terms,
    settle,
    store,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def data():
    """A statement with everything on it: window, override, curve, policy, gift."""
    at = AFTER - timedelta(days=60)
    policies.publish_policy(
        name="All",
        policy=SharePolicy(
            coop_pct=Decimal("33.3"),
            fund_pct=Decimal(5),
            split={By.WH: Decimal(60), By.AVAILABILITY: Decimal(25), By.EQUAL: Decimal(15)},
            floor_mp=1_234,
            hardship_weight=Decimal("1.5"),
        ),
        effective_from=at,
        at=at,
    )
    published = make_terms(
        baseline_rule="dfs_2022",
        share_policy="All",
        revenue_basis=Basis.PORTFOLIO,
        pay_curve="flexible_power_2018",
        availability_pence_per_kw_hour=Decimal("0.7"),
        override_policy=OverridePolicy(OverrideCost.REDUCED, Decimal(25)),
    )
    stage = make_stage(
        State.OVERRIDDEN, State.OPTED_IN, State.OPTED_IN, published=published, expected_w=1_400
    )
    first = stage.residents[0]
    policies.choose_gift(household=first.household, pct=Decimal("7.5"), at=at, by=None)
    for number, resident in enumerate(stage.residents):
        store_history(resident)
        store(resident, {EVENT[0] - timedelta(minutes=30 * back): 1_040 + number for back in range(3, 9)})
        store_event(resident, 400, 350 - number, 280, 333)
    settle(stage)
    return statement_json.as_data(statements.statement_view(Statement.objects.get(member=first.member)))


def test_everything_fits(data):
    assert verify(data) == []
    assert data["events"][0]["revenue"]["utilisation_mp"] > 0


def test_the_floor_of_an_older_statement_counts_heads(data):
    event = data["events"][0]
    assert verifying._whole_home(event) == 4, "three quarters are kept"
    assert verifying._whole_home(event | {"method": "settlement-2"}) == 1


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def changed(data, path, value):
    edited = copy.deepcopy(data)
    place = edited
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return edited


def other(value):
    if isinstance(value, bool) or value is None:
        return 7
    return value + 1 if isinstance(value, int) else f"{value}1"


def test_any_edit_is_found_by_the_hash(data):
    for path, value in leaves(data):
        if path == ("format",):
            continue
        assert verify(changed(data, path, other(value))), path


AMOUNTS = {
    "baseline_wh", "metered_wh", "delivered_wh", "sold_wh", "paid_wh", "utilisation_mp", "availability_mp",
    "total_mp", "coop_mp", "fund_mp", "members_mp", "pool_mp", "earned_mp", "gift_mp", "previous_mp",
    "posted_mp", "pence_per_kwh", "coop_pct", "donates_pct", "override_reduced_by_pct", "adjustment_wh",
    "fund_pct",
    "declared_w",
}  # fmt: skip


def test_an_edited_amount_is_found_even_when_the_hash_was_made_anew(data):
    tried = 0
    for path, value in leaves(data):
        if path[-1] not in AMOUNTS or value is None or "other_rules" in path:
            continue
        edited = changed(data, path, other(value) if isinstance(value, int) else str(Decimal(value) + 1))
        edited["sha256"] = content_sha256(edited)
        assert verify(edited), path
        tried += 1
    assert tried > 30


def test_a_reading_of_a_day_used_cannot_be_changed_unseen(data):
    used = data["events"][0]["baseline"]["parts"][0]["used"]
    edited = changed(data, ("events", 0, "baseline", "parts", 0, "used", 0, 1, 0), used[0][1][0] + 500)
    edited["sha256"] = content_sha256(edited)

    assert any("baseline" in problem for problem in verify(edited))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', "\x00"])
def test_something_else_is_named(tmp_path, text):
    path = tmp_path / "statement.json"
    path.write_text(text)

    with pytest.raises(NotAStatement):
        verifying.verify_file(path)


def test_a_file_cut_short_inside_is_damaged(data):
    del data["events"][0]["shares"]
    data["sha256"] = content_sha256(data)

    assert verify(data) == ["the file is damaged: KeyError 'shares'"]


def test_the_commands_say_so_with_and_without_django(tmp_path):
    stage = make_measured(700, 300)
    settle(stage)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    statement = Statement.objects.get(member=stage.residents[0].member)
    good.write_text(statements.render_json(statement), encoding="utf-8")
    bad.write_text(good.read_text().replace("136500", "136501"), encoding="utf-8")
    out = StringIO()

    call_command("verify_statement", good, stdout=out)
    with pytest.raises(CommandError, match="1 of 2"):
        call_command("verify_statement", good, bad, stdout=out)
    script = [sys.executable, "-I", verifying.__file__]
    plain = subprocess.run([*script, str(good)], capture_output=True, text=True, check=False)
    refused = subprocess.run([*script, str(bad)], capture_output=True, text=True, check=False)

    assert "everything fits" in out.getvalue()
    assert (plain.returncode, refused.returncode) == (0, 1)
    assert "does NOT fit" in refused.stdout


def test_the_same_statement_is_the_same_file():
    settle(make_measured(700))
    statement = Statement.objects.get()

    assert statements.render_json(statement) == statements.render_json(statement)
    assert json.loads(statements.render_json(statement))["sha256"]
    assert Path(verifying.__file__).read_text().count("import django") == 0
