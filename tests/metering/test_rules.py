"""Rules over messages: each kind of match and action, and every bad rule named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.rules import OPS, THENS, RuleInvalid, rule_book


def one(then: str = "drop", **match: Any) -> Any:
    return rule_book([{"id": "r", "match": match, "then": then}])


BODY = {"a": {"b": 5, "s": "x", "n": None}, "list": [1]}


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({}, True),
        ({"source": "glow"}, True),
        ({"source": "emoncms"}, False),
        ({"type": "glow/*/STATE"}, False),
        ({"type": "glow/*"}, True),
        ({"field": "a.b", "op": ">", "value": 4}, True),
        ({"field": "a.b", "op": ">", "value": 5}, False),
        ({"field": "a.b", "op": ">=", "value": "5"}, True),
        ({"field": "a.b", "op": "<", "value": 5.1}, True),
        ({"field": "a.b", "op": "<=", "value": 4}, False),
        ({"field": "a.b", "op": "=", "value": "5.0"}, True),
        ({"field": "a.s", "op": "=", "value": "x"}, True),
        ({"field": "a.s", "op": "!=", "value": "x"}, False),
        ({"field": "a.s", "op": ">", "value": 1}, False),
        ({"field": "a.n"}, False),
        ({"field": "a.n", "op": "missing"}, True),
        ({"field": "a.b.c", "op": "missing"}, True),
        ({"field": "list.0"}, False),
    ],
)
def test_what_a_rule_matches(match, hits):
    assert (one(**match).apply("glow", "glow/AB/SENSOR", BODY).body is None) is hits


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"set": 9}, {"a": 9}),
        ({"scale": 0.001}, {"a": 0.005}),
        ({"offset": -1}, {"a": 4.0}),
        ({"rename": "b.c"}, {"a": None, "b": {"c": 5}}),
    ],
)
def test_a_message_is_reshaped_and_the_one_given_stays(change, wanted):
    body = {"a": 5}
    book = rule_book([{"id": "r", "match": {"field": "a"}, "then": "reshape", **change}])

    assert book.apply("glow", "t", body).body == wanted
    assert body == {"a": 5}


def test_rules_run_in_order_until_one_ends_them():
    book = rule_book(
        [
            {"id": "kilo", "match": {"field": "w"}, "then": "reshape", "scale": 1000},
            {"id": "tell", "match": {"field": "w", "op": ">", "value": 100}, "then": "alarm", "text": "much"},
            {"id": "look", "then": "keep"},
            {"id": "good", "match": {"type": "t"}, "then": "store"},
            {"id": "never", "then": "drop"},
        ]
    )

    done = book.apply("glow", "t", {"w": 1})

    assert (done.body, done.hits) == ({"w": 1000.0}, ("kilo", "tell", "look", "good"))
    assert (done.alarms, done.kept) == ((("tell", "much"),), ("look",))
    assert book.apply("glow", "u", {}).body is None


@pytest.mark.parametrize(
    ("rules", "rule", "field"),
    [
        ({}, "", "rules"),
        (["x"], "rule 1", "rule"),
        ([{}], "rule 1", "id"),
        ([{"id": " "}], "rule 1", "id"),
        ([{"id": "a", "then": "drop"}, {"id": "a", "then": "drop"}], "a", "id"),
        ([{"id": "a", "then": "delete"}], "a", "then"),
        ([{"id": "a", "then": "drop", "when": 1}], "a", "when"),
        ([{"id": "a", "then": "drop", "match": {"colour": 1}}], "a", "match"),
        ([{"id": "a", "then": "drop", "match": {"source": 1}}], "a", "source"),
        ([{"id": "a", "then": "drop", "match": {"field": "a..b"}}], "a", "field"),
        ([{"id": "a", "then": "drop", "match": {"field": "a", "op": "~"}}], "a", "op"),
        ([{"id": "a", "then": "drop", "match": {"field": "a", "op": ">", "value": "much"}}], "a", "value"),
        ([{"id": "a", "then": "drop", "match": {"field": "a", "op": "="}}], "a", "value"),
        ([{"id": "a", "then": "reshape", "match": {"field": "a"}}], "a", "then"),
        ([{"id": "a", "then": "reshape", "scale": 2}], "a", "field"),
        ([{"id": "a", "then": "reshape", "field": "x", "scale": "big"}], "a", "scale"),
        ([{"id": "a", "then": "reshape", "field": "x", "rename": ""}], "a", "field"),
    ],
)
def test_a_bad_rule_is_named_with_its_part(rules, rule, field):
    with pytest.raises(RuleInvalid) as invalid:
        rule_book(rules)

    assert (invalid.value.rule, invalid.value.field) == (rule, field)
    assert invalid.value.expected


scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abw"), inner, max_size=3),
    max_leaves=5,
)
rule_parts = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=5), "then": st.sampled_from(THENS)},
    optional={
        "match": st.fixed_dictionaries(
            {},
            optional={
                "field": st.sampled_from(["a", "a.b", "w"]),
                "op": st.sampled_from(OPS),
                "value": json_values,
            },
        ),
        "field": st.sampled_from(["a", "a.b"]),
        "set": json_values,
        "scale": json_values,
        "rename": st.sampled_from(["b", "a.w", ""]),
    },
)


@given(
    st.lists(rule_parts | json_values, max_size=4),
    st.dictionaries(st.sampled_from("abw"), json_values, max_size=3),
)
def test_any_rules_are_refused_by_name_or_run_on_any_message(rules, body):
    try:
        book = rule_book(rules)
    except RuleInvalid:
        return
    done = book.apply("glow", "t", body)

    assert set(done.hits) <= {rule["id"] for rule in rules}
