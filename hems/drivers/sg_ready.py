"""A heat pump by its two SG Ready contacts, switched by a two-channel Tasmota relay.

    contacts (1:2)   what the pump does
    1:0              blocked by the utility, two hours at most (the order ends sooner: LONGEST_BLOCK_SECONDS)
    0:0              as usual
    0:1              encouraged to take more

A compressor wants to run and to rest for some minutes: give `least_on_seconds` and `least_off_seconds`. Rule
timer 8 opens both contacts should the hub die.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from hems.devices import DeviceState
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.manners import Seen, Wish
from hems.drivers.real_device import AssetSettings, RealDevice, object_of
from hems.drivers.relay import DEAD_MAN_SECONDS, REFRESH_SECONDS, RESEND_SECONDS
from hems.drivers.tasmota import full_topic
from hems.instants import second_of

Contacts = tuple[bool, bool]
BLOCKED: Final[Contacts] = (True, False)
AS_USUAL: Final[Contacts] = (False, False)
ENCOURAGED: Final[Contacts] = (False, True)
LONGEST_BLOCK_SECONDS: Final = 2 * 3600
BLOCKED_LONG_ENOUGH: Final = "blocked for two hours"


class SgReady(RealDevice):
    """`options`: `topic` of the relay board, `full_topic`."""

    def __init__(self, settings: AssetSettings, broker: LocalBroker, *, hub: str) -> None:
        super().__init__(settings)
        self._bus = Bus(broker, name=f"{hub}-{self.resource_id}"[:60])
        self._bus.listen(self._topic_of("tele", "LWT"), self._lives)
        self._bus.listen(self._topic_of("stat", "RESULT"), self._told)
        self._bus.listen(self._topic_of("tele", "STATE"), self._told)
        self._bus.greet(self._ask)
        self._is_online: bool | None = None
        self._shown: dict[int, bool] = {}
        self._said: Contacts = AS_USUAL
        self._said_s = -RESEND_SECONDS
        self._changed_s: int | None = None
        self._blocked_s: int | None = None
        self._bus.start()

    @property
    def available(self) -> bool:
        return self._bus.is_connected and bool(self._is_online)

    def apply(self, at: datetime) -> None:
        self.at_s = second_of(at)
        self._bus.take()
        seen = Seen(is_on=self._said != BLOCKED, switched_s=self._changed_s)
        wanted = self.wish_at(at, seen)
        contacts = contacts_of(wanted, rated_w=self.rated_w)
        if contacts == BLOCKED:
            self._blocked_s = self.at_s if self._blocked_s is None else self._blocked_s
            if self.at_s - self._blocked_s >= LONGEST_BLOCK_SECONDS:
                contacts, self.wished = AS_USUAL, Wish(interlock=BLOCKED_LONG_ENOUGH)
        elif not self.is_ordered(at):
            self._blocked_s = None
        is_shown = (self._shown.get(1, False), self._shown.get(2, False)) == contacts
        waited_s = self.at_s - self._said_s
        is_stale = contacts != AS_USUAL and waited_s >= REFRESH_SECONDS
        if contacts != self._said or is_stale or (not is_shown and not 0 <= waited_s < RESEND_SECONDS):
            self._say(contacts)

    def safe_state(self) -> None:
        self._holds = ()
        if self._said != AS_USUAL:
            self._say(AS_USUAL)

    def telemetry(self, at: datetime) -> DeviceState:
        detail = {BLOCKED: "blocked", ENCOURAGED: "encouraged"}.get(self._said, "as usual")
        return self.state(at, power_w=None, detail=detail, is_available=self.available)

    def close(self) -> None:
        self.safe_state()
        self._bus.close()

    def _topic_of(self, prefix: str, name: str) -> str:
        return full_topic(self.settings, prefix) + name

    def _ask(self) -> None:
        for channel in (1, 2):
            self._bus.say(self._topic_of("cmnd", f"Power{channel}"), "")

    def _say(self, contacts: Contacts) -> None:
        rule = "Rule3 ON Rules#Timer=8 DO Backlog Power1 OFF; Power2 OFF ENDON; Rule3 1"
        timer = f"RuleTimer8 {0 if contacts == AS_USUAL else DEAD_MAN_SECONDS}"
        # Opened before closed: the two contacts together would mean a forced start.
        order = sorted(enumerate(contacts, 1), key=lambda pair: pair[1])
        powers = "; ".join(f"Power{channel} {'ON' if is_closed else 'OFF'}" for channel, is_closed in order)
        is_said = self._bus.say(self._topic_of("cmnd", "Backlog"), f"{rule}; {timer}; {powers}")
        if self.note(powers, is_said=is_said):
            if (contacts == BLOCKED) != (self._said == BLOCKED):
                self._changed_s = self.at_s
            self._said, self._said_s = contacts, self.at_s

    def _lives(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        self._is_online = payload == b"Online"
        if self._is_online:
            self._ask()

    def _told(self, _topic: str, payload: bytes, _is_retained: bool) -> None:
        told = object_of(payload)
        for channel in (1, 2):
            if told.get(f"POWER{channel}") in ("ON", "OFF"):
                self._is_online = self._is_online is not False  # its own word, or last will, counts
                self._shown[channel] = told[f"POWER{channel}"] == "ON"


def contacts_of(wanted: Wish, *, rated_w: int) -> Contacts:
    """Return the contacts that carry out a wish."""
    if wanted.limit_w is None:
        return AS_USUAL
    if wanted.is_raised:
        return ENCOURAGED
    return BLOCKED if wanted.is_off(rated_w) else AS_USUAL
