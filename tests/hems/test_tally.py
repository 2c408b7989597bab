"""Relay counts: each run once, whatever device; over restarts and what a power cut leaves of the file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems import tally
from hems.devices import DeviceState
from hems.drivers.relay import Relay
from hems.tally import COUNTS, Tally

AT = datetime(2026, 11, 20, 17, tzinfo=UTC)


@dataclass
class Switch:
    """An on/off device, or with `relay` None one that shows its power only."""

    resource_id: str = "res-1"
    relay: Relay | None = field(default_factory=Relay)
    power_w: int = 0
    available: bool = True

    def telemetry(self, at: datetime) -> DeviceState:
        return DeviceState(self.resource_id, "immersion_heater", self.power_w)


@dataclass
class Group:
    resource_id: str
    heaters: list[Switch]


@pytest.fixture(autouse=True)
def _always_time_to_look(monkeypatch):
    monkeypatch.setattr(tally, "LOOK_SECONDS", 0.0)


@given(shown=st.lists(st.booleans(), max_size=40))
def test_a_relay_counts_each_time_it_goes_off_after_having_been_on(shown):
    relay = Relay()
    for second, is_on in enumerate(shown):
        relay.hear(is_on, second)
    assert relay.cycles == "".join("1" if each else "0" for each in shown).count("10")


def test_counts_go_on_over_restarts(tmp_path: Path):
    for number in (1, 2):
        held, switch = Tally(tmp_path, at=AT + timedelta(days=number)), Switch()
        for second, is_on in enumerate((True, False, True, False, True)):
            switch.relay.hear(is_on, second)
            held.look([switch], AT)
        held.save(is_last=True)
        assert held.cycles == {"res-1": 2 * number}
    assert held.reported()["since"] == "2026-11-21T17:00:00Z", "the first start"


def test_what_shows_its_power_only_counts_runs_that_end(tmp_path: Path):
    held, car = Tally(tmp_path, at=AT), Switch(relay=None)
    for watts in (0, 7_360, 1_380, 0, 15, 2_000, 19):
        car.power_w = watts
        held.look([car], AT)
    assert held.cycles == {"res-1": 2}


def test_a_group_counts_its_busiest_relay(tmp_path: Path):
    held, heaters = Tally(tmp_path, at=AT), [Switch(), Switch()]
    for second, is_on in enumerate((True, False, True, False)):
        heaters[0].relay.hear(is_on, second)
    heaters[1].relay.hear(True, 0)
    heaters[1].relay.hear(False, 1)
    held.look([Group("res-heat", heaters)], AT)
    held.look([Group("res-heat", heaters)], AT)
    assert held.cycles == {"res-heat": 2}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"cycles": 3, "since": ""}', b'{"cycles": {"a": null}}']
)
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, content, caplog):
    (tmp_path / COUNTS).write_bytes(content)
    held = Tally(tmp_path, at=AT)
    assert held.cycles == {}
    assert "counting begins anew" in caplog.text


def test_a_full_disk_costs_no_count(tmp_path: Path, monkeypatch):
    held, switch = Tally(tmp_path, at=AT), Switch()

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(tally, "write_atomically", full)
        for second, is_on in enumerate((True, False)):
            switch.relay.hear(is_on, second)
        held.look([switch], AT)
    held.save(is_last=True)
    assert json.loads((tmp_path / COUNTS).read_text())["cycles"] == {"res-1": 1}
