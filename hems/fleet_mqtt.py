"""A virtual hub's connection over MQTT 5: the full binding of `oadr.topics`, certificate as identity."""

from __future__ import annotations

import time
from typing import Final

from hems.fleet_files import Identity
from hems.fleet_life import AnswerPushed, Ask, CutOff, Hub, Life, Pushed, Reply, Wait
from hems.fleet_loop import LONGEST_QUIET_SECONDS, Broken, Carrier, Loop
from hems.mqtt_session import Heard, Ready, Replied, Said, Session, TurnedAway
from oadr import mqtt

KEEP_ALIVE_SECONDS: Final = 900


class MqttCarrier(Carrier):
    """Asks by publishing on `up`, knows its replies by correlation, and answers what comes on `down`.

    What comes on `down` is answered in the loop's own time (`Loop.later`), together with its receipt.
    """

    __slots__ = (
        "correlation",
        "is_cut_off",
        "is_gathering",
        "is_subscribed",
        "is_to_answer",
        "talk",
        "vtn_id",
    )

    def __init__(self, loop: Loop, hub: Hub, life: Life, identity: Identity, *, vtn_id: str) -> None:
        super().__init__(loop, hub, life, identity)
        self.vtn_id = vtn_id
        self.is_subscribed = self.is_cut_off = self.is_gathering = self.is_to_answer = False
        self.correlation = b""
        self.talk = Session(vtn_id, hub.ven_id, self.send)

    def greet(self) -> None:
        self.talk = Session(self.vtn_id, self.hub.ven_id, self.send)
        self.is_subscribed = False
        self.talk.greet(keep_alive_seconds=KEEP_ALIVE_SECONDS)

    def say(self) -> None:
        if isinstance(self.step, Ask) and self.is_subscribed:
            self.correlation = self.talk.ask(self.step.service, self.step.body)

    def take(self) -> None:
        data, self.inbox = self.inbox, b""
        self.is_gathering = True
        try:
            for heard in self.talk.feed(data):
                self.heard(heard)
        except mqtt.BadPacket as error:
            raise Broken(str(error)) from error
        except TurnedAway as error:
            self.hub.tally.counts[f"broker: {error}"] += 1
            raise Broken(str(error)) from error
        finally:
            self.is_gathering = False
        if self.sock is not None and not self.is_to_answer:
            super().send(b"")

    def answer(self) -> None:
        """React to what the VTN has begun; without a connection once there is one again."""
        self.is_to_answer = False
        if self.sock is None:
            return
        self.is_gathering = True
        try:
            if self.hub.pending and isinstance(self.step, Wait):
                self.go_on(self.hub.pending.pop(0))
        finally:
            self.is_gathering = False
        if self.sock is not None:
            super().send(b"")

    def send(self, data: bytes) -> None:
        """Send; what is said while hearing leaves together."""
        if self.is_gathering and self.sock is not None:
            self.outbox += data
        else:
            super().send(data)

    def heard(self, heard: Heard) -> None:
        if isinstance(heard, Ready):
            self.is_subscribed = True
            self.say()
        elif isinstance(heard, Replied):
            if heard.correlation == self.correlation and isinstance(self.step, Ask):
                self.replied(Reply(heard.status, heard.body))
        elif isinstance(heard, Said):
            self.hub.pending.append(Pushed(heard.service, heard.body, heard, time.time()))
            if isinstance(self.step, Wait) and not self.is_to_answer:
                self.is_to_answer = True
                self.loop.do_later(self)

    def answer_pushed(self, answer: AnswerPushed) -> None:
        self.talk.answer(answer.to.token, answer.body)

    def closed_while_idle(self) -> None:
        """Both sides are to be connected always: come back after a quiet time, to the full set of events."""
        super().closed_while_idle()
        self.is_cut_off = True
        wait = self.quiet_seconds * self.hub.dice.uniform(0.5, 1.0)
        self.quiet_seconds = min(self.quiet_seconds * 2, LONGEST_QUIET_SECONDS)
        self.loop.wake(self, wait)

    def woken(self) -> None:
        if self.is_cut_off:
            self.is_cut_off = False
            self.go_on(CutOff())
        else:
            super().woken()
