"""The hub's two documents: it follows what it is told, reports what it cannot, and forgets neither."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems import shadow as shadows
from hems.devices import Order
from hems.errors import BadHome
from hems.shadow import BadAnswer, Shadow, Wanted, differences, read_desired, restored_config, within_limits
from tests.hems.conftest import FIVE

MINUTE = timedelta(minutes=1)


def answer(version: int, desired: dict | None = None) -> bytes:
    return json.dumps({"version": version} | ({} if desired is None else {"desired": desired})).encode()


def order(minutes: int = 120, *, since: int = 0, resource_id: str = "r1", event_id: str = "E1") -> Order:
    starts_at, ends_at = FIVE + since * MINUTE, FIVE + (since + minutes) * MINUTE
    return Order(event_id, resource_id, starts_at, ends_at, ends_at, "down", 0)


class TestTelling:
    def test_what_is_desired_outlives_the_hub(self, tmp_path):
        mine = Shadow(tmp_path)
        assert mine.is_due({})
        assert mine.told({"a": 1}, answer(3, {"assets": [{"resource_id": "r1", "state": "faulty"}]}))
        again = Shadow(tmp_path)
        assert (again.version, again.desired.of("r1").is_in_service) == (3, False)
        assert json.loads(again.message({"a": 1})) == {"version": 3, "reported": {"a": 1}}

    def test_news_is_told_and_nothing_new_is_not(self, tmp_path, monkeypatch):
        at = [1000.0]
        monkeypatch.setattr(shadows.time, "monotonic", lambda: at[0])
        mine = Shadow(tmp_path)
        assert not mine.told({"a": 1}, answer(0))
        assert not mine.is_due({"a": 1})
        at[0] += 30
        assert not mine.is_due({"a": 2})
        at[0] += 31
        assert mine.is_due({"a": 2})
        assert not mine.is_due({"a": 1})
        at[0] += 1000
        assert mine.is_due({"a": 1})

    def test_that_it_took_something_in_is_told_at_once(self, tmp_path):
        mine = Shadow(tmp_path)
        mine.told({}, answer(1, {}))
        assert mine.is_due({})

    @pytest.mark.parametrize(
        "wrong",
        [b"", b"[]", b"{}", b'{"version":"1"}', b'{"version":1,"desired":3}', b"\xff", b'{"version":true}'],
    )
    def test_an_answer_that_is_none_changes_nothing(self, tmp_path, wrong):
        mine = Shadow(tmp_path)
        mine.told({}, answer(1, {"assets": []}))
        with pytest.raises(BadAnswer):
            mine.told({}, wrong)
        assert (mine.version, Shadow(tmp_path).version) == (1, 1)

    @pytest.mark.parametrize("content", ["", "{", '{"version": "x"}', '{"version": 1, "desired": 3}'])
    def test_a_file_that_cannot_be_read_is_asked_anew(self, tmp_path, content):
        (tmp_path / "shadow.json").write_text(content)
        assert Shadow(tmp_path).version == 0


class TestDesired:
    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            (3, "names no resource_id"),
            ({"resource_id": 3}, "names no resource_id"),
            ({"resource_id": "r1", "longest_minutes": 241}, "longest_minutes"),
            ({"resource_id": "r1", "longest_minutes": True}, "longest_minutes"),
            ({"resource_id": "r1", "needs": []}, "needs"),
        ],
    )
    def test_one_fault_costs_no_other_asset(self, entry, said):
        found = read_desired({"assets": [entry, {"resource_id": "r2", "state": "retired"}]})
        assert said in found.faults[0]
        assert not found.of("r2").is_in_service

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                        lambda inner: st.lists(inner, max_size=3)
                        | st.dictionaries(st.sampled_from(["assets", "updates", "resource_id", "needs", "x"]),
                                          inner, max_size=3), max_leaves=10))  # fmt: skip
    def test_any_document_is_read(self, document):
        found = read_desired(document if isinstance(document, dict) else {"assets": document})
        assert isinstance(found.faults, tuple)

    def test_what_the_registry_and_the_home_disagree_about(self):
        wanted = [Wanted("r1", "ev_charger"), Wanted("r2", "battery")]
        kinds = {each.resource_id: each.kind for each in wanted}
        assert differences(wanted, {"r1": "heat_pump", "r3": "battery"}, kinds) == (
            "r2 is in the registry and not in this home",
            "r3 is in this home and not in the registry",
            "r1 is a ev_charger in the registry and a heat_pump here",
        )


class TestLimits:
    def test_what_is_out_of_service_is_given_no_order(self):
        found = read_desired({"assets": [{"resource_id": "r1", "state": "faulty"}]})
        assert within_limits([order(), order(resource_id="r2")], found) == (order(resource_id="r2"),)

    def test_the_slices_of_an_event_share_its_longest_hold(self):
        found = read_desired({"assets": [{"resource_id": "r1", "longest_minutes": 60}]})
        first, second, third = order(45), order(30, since=45), order(30, since=75)
        kept = within_limits([third, second, first], found)
        assert kept == (
            first,
            replace(second, ends_at=FIVE + 60 * MINUTE, planned_ends_at=FIVE + 60 * MINUTE),
        )
        assert within_limits([order(45, event_id="E2", since=75)], found) == (
            order(45, event_id="E2", since=75),
        )

    def test_a_plan_of_hours_is_held_to_a_limit_of_the_households_own_alone(self):
        night = [replace(order(400), direction="at"), replace(order(60, since=400), direction="at")]
        assert within_limits(night, read_desired({"assets": [{"resource_id": "r1"}]})) == tuple(night)
        own = read_desired({"assets": [{"resource_id": "r1", "longest_minutes": 60}]})
        stretches = [replace(each, direction="down", is_plan=True) for each in night]
        assert within_limits(stretches, own) == tuple(stretches)
        assert [each.ends_at for each in within_limits(night, own)] == [FIVE + 60 * MINUTE]

    @given(
        st.lists(st.tuples(st.integers(0, 300), st.integers(1, 240)), max_size=6),
        st.integers(0, 240),
    )
    def test_no_asset_is_held_longer_by_one_event(self, spans, longest):
        found = read_desired({"assets": [{"resource_id": "r1", "longest_minutes": longest}]})
        given_orders = [order(minutes, since=since) for since, minutes in spans]
        kept = within_limits(given_orders, found)
        if kept:
            first = min(each.starts_at for each in given_orders)
            assert max(each.ends_at for each in kept) <= first + longest * MINUTE
        assert all(each.starts_at < each.ends_at <= each.planned_ends_at for each in kept)


def test_a_config_is_restored_where_there_is_none(tmp_path: Path):
    restored_config(tmp_path, "[broker]\n")
    assert (tmp_path / "hub.toml").read_text() == "[broker]\n"
    with pytest.raises(BadHome, match="there already"):
        restored_config(tmp_path, "[broker]\n")
    (tmp_path / "hub.toml").unlink()
    with pytest.raises(BadHome, match="keeps no"):
        restored_config(tmp_path, "")
