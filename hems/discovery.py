"""The hub in Home Assistant, by its MQTT discovery: the event, the next one, and the household's word.

    binary_sensor  event in progress        sensor  next event, what is asked
    switch         taking part: off is the member's override, on takes part again
    button         boost: as usual now, which is the same override

Automations of the household can act on any of them. The device's page links to the earnings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hems.drivers.bus import Bus, LocalBroker

ONLINE, OFFLINE = "online", "offline"
ASKS: Final = {"down": "use less", "up": "use more", "": "as usual"}


class Discovery:
    """One device in Home Assistant: `show` it the hub's status, ask it for the household's `words`."""

    def __init__(self, broker: LocalBroker, *, hub: str, prefix: str, earnings_url: str) -> None:
        self._hub, self._prefix, self._earnings_url = hub, prefix, earnings_url
        self._root = f"opendsr/{hub}"
        self.bus = Bus(
            broker, name=f"{hub}-household"[:60], will=(f"{self._root}/available", OFFLINE), is_will_kept=True
        )
        self.bus.listen(f"{self._root}/part/set", self._part)
        self.bus.listen(f"{self._root}/boost", self._boost)
        self.bus.listen(f"{prefix}/status", self._born)
        self.bus.greet(self._introduce)
        self._words: list[str] = []
        self._shown = ""

    def show(self, status: Mapping[str, Any]) -> None:
        """Publish what changed."""
        shown = json.dumps(state_of(status))
        if shown != self._shown and self.bus.say(f"{self._root}/state", shown, is_retained=True):
            self._shown = shown

    def words(self) -> list[str]:
        words, self._words = self._words, []
        return words

    def close(self) -> None:
        self.bus.say(f"{self._root}/available", OFFLINE, is_retained=True)
        self.bus.close()

    def _introduce(self) -> None:
        for topic, config in entities(
            self._hub, root=self._root, prefix=self._prefix, earnings_url=self._earnings_url
        ).items():
            self.bus.say(topic, json.dumps(config), is_retained=True)
        self.bus.say(f"{self._root}/available", ONLINE, is_retained=True)
        self._shown = ""

    def _born(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        if payload == ONLINE.encode():
            self._introduce()

    def _part(self, _topic: str, payload: bytes, is_retained: bool) -> None:
        word = {b"ON": "resume", b"OFF": "override"}.get(payload)
        if word and not is_retained:
            self._words.append(word)

    def _boost(self, _topic: str, _payload: bytes, is_retained: bool) -> None:
        if not is_retained:
            self._words.append("override")


def state_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Home Assistant is shown of the hub's status."""
    live = [event for event in status["events"] if event["phase"] in ("pending", "active", "opted_out")]
    running = [event for event in live if event["phase"] == "active"]
    coming = sorted(event["starts_at"] for event in live if event["phase"] == "pending")
    return {
        "event_in_progress": bool(running),
        "next_event": coming[0] if coming else None,
        "asks": ASKS[status["asks"]],
        "taking_part": not any(event["phase"] == "opted_out" for event in live),
        "contact": status["state"],
    }


def entities(hub: str, *, root: str, prefix: str, earnings_url: str) -> dict[str, dict[str, Any]]:
    """Return the discovery messages by topic."""
    device: dict[str, Any] = {
        "identifiers": [f"opendsr-{hub}"],
        "name": "Energy co-op hub",
        "manufacturer": "OpenDSR",
        "model": "HEMS",
        "serial_number": hub,
    }
    if earnings_url:
        device["configuration_url"] = earnings_url
    common: dict[str, Any] = {
        "availability_topic": f"{root}/available",
        "device": device,
        "origin": {"name": "OpenDSR"},
    }
    state = {"state_topic": f"{root}/state"}
    parts: dict[tuple[str, str], dict[str, Any]] = {
        ("binary_sensor", "event"): {
            **state,
            "name": "Event in progress",
            "device_class": "running",
            "value_template": "{{ 'ON' if value_json.event_in_progress else 'OFF' }}",
        },
        ("sensor", "next_event"): {
            **state,
            "name": "Next event",
            "device_class": "timestamp",
            "value_template": "{{ value_json.next_event }}",
        },
        ("sensor", "asks"): {
            **state,
            "name": "What is asked",
            "device_class": "enum",
            "options": list(ASKS.values()),
            "value_template": "{{ value_json.asks }}",
        },
        ("switch", "part"): {
            **state,
            "name": "Taking part",
            "command_topic": f"{root}/part/set",
            "value_template": "{{ 'ON' if value_json.taking_part else 'OFF' }}",
        },
        ("button", "boost"): {"name": "Boost: as usual now", "command_topic": f"{root}/boost"},
    }
    return {
        f"{prefix}/{component}/{hub}/{name}/config": {**common, **part, "unique_id": f"opendsr-{hub}-{name}"}
        for (component, name), part in parts.items()
    }
