"""Terms are versions that are never edited, and say no before they are published."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError

from settlement import rules, terms
from settlement.baselines.presets import PRESETS
from settlement.models import SettlementTerms
from tests.racing import at_once
from tests.settlement.staging import AFTER, make_terms

pytestmark = pytest.mark.django_db


def publish(**fields):
    given = {
        "name": "Winter",
        "baseline_rule": "dfs_2023_domestic",
        "utilisation_pence_per_kwh": Decimal(300),
        "coop_share_pct": Decimal(35),
        "at": AFTER,
    }
    return terms.publish_terms(**{**given, **fields})


def test_each_publication_is_the_next_version():
    assert [publish().version, publish().version, publish(name="Summer").version] == [1, 2, 1]


def test_a_version_is_never_edited():
    published = publish()
    published.coop_share_pct = 99

    with pytest.raises(IntegrityError, match="append-only"):
        published.save()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("coop_share_pct", Decimal(101)),
        ("coop_share_pct", Decimal("-0.001")),
        ("coop_share_pct", Decimal("35.00001")),
        ("utilisation_pence_per_kwh", Decimal(-1)),
        ("utilisation_pence_per_kwh", Decimal("NaN")),
        ("name", ""),
    ],
)
def test_senseless_terms_are_refused_by_field(field, value):
    with pytest.raises(terms.TermsInvalid):
        publish(**{field: value})

    assert not SettlementTerms.objects.exists()


def test_a_preset_can_be_changed_by_parameters():
    published = publish(baseline_parameters={"look_back_days": 45})

    assert terms.baseline_rule(published).look_back_days == 45


@pytest.mark.parametrize(
    "parameters",
    [
        {"look_back": 45},
        {"look_back_days": 0},
        {"look_back_days": "45"},
        {"look_back_days": True},
        {"calendar": "mars"},
        {"adjustment": "additive"},
        {"name": "mine"},
        {"day_types": []},
        {
            "day_types": [
                {"name": "all", "weekdays": [0], "has_holidays": True, "candidates": 1, "minimum": 1}
            ]
        },
        {"day_types": [{"name": "all"}]},
        {"day_types": [{"nope": 1}]},
        {"day_types": 7},
    ],
)
def test_parameters_that_make_no_rule_are_refused(parameters):
    with pytest.raises(rules.RuleInvalid):
        publish(baseline_parameters=parameters)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(rules.UnknownRule) as refused:
        publish(baseline_rule="dfs_2032")

    assert "dfs_2023_domestic" in refused.value.data["known"]


def test_a_rule_survives_its_own_data():
    rule = PRESETS["ena_mid_8_of_10"]
    data = rule.as_data()

    assert rule.with_parameters({"day_types": data["day_types"]}) == rule


def test_unknown_terms_are_named():
    with pytest.raises(terms.TermsUnknown):
        terms.terms_by_id(uuid4())


@pytest.mark.django_db(transaction=True)
def test_publishing_at_the_same_moment_makes_two_versions():
    published = at_once(make_terms, make_terms)

    assert sorted(each.version for each in published) == [1, 2]
