"""The memory behind an on/off device. Pure: wishes and what the device shows in, commands out.

A device that is off because of an order is told so again every few minutes with a time after which it comes
back by itself: a hub that dies leaves nothing cold. What the device does that nobody told it is the member's
hand, and stands until the order is over. Afterwards it is given back as it was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hems.drivers.manners import LONGEST_DEAD_MAN

DEAD_MAN_SECONDS: Final = int(LONGEST_DEAD_MAN.total_seconds())
REFRESH_SECONDS: Final = DEAD_MAN_SECONDS // 3
RESEND_SECONDS: Final = 10
EARLY_SECONDS: Final = 5
"""A device's own timer may run this much fast."""


@dataclass(frozen=True, slots=True)
class Command:
    """Be on or off; after `flips_after_seconds` (0: never) be the opposite without being told."""

    is_on: bool
    flips_after_seconds: int = 0


class Relay:
    """One switch. `hear` what it shows, `step` to learn what to tell it."""

    def __init__(self, *, is_on_when_free: bool = True) -> None:
        """`is_on_when_free`: how it is left when nobody remembers how it was found."""
        self._is_on_when_free = is_on_when_free
        self.shown: bool | None = None
        self.switched_s: int | None = None
        self.cycles = 0
        """Times that it went off after having been on, since the hub started."""
        self.is_overridden = False
        self._target: bool | None = None
        self._found: bool | None = None
        self._is_ours = self._was_ours = False
        self._was_followed = False
        self._told_s = -RESEND_SECONDS
        self._is_giving_back = False

    def hear(self, is_on: bool, at_s: int) -> None:
        """The device shows what it is."""
        if self.shown is not None and self.shown != is_on:
            self.switched_s = at_s
            self.cycles += not is_on
            followed = self._target is not None and self._was_followed and is_on != self._target
            flipped = self._is_ours and at_s - self._told_s >= DEAD_MAN_SECONDS - EARLY_SECONDS
            if followed and not flipped:
                self.is_overridden = True
            elif followed:
                self._was_followed = False
        self.shown = is_on
        if self._target is not None and is_on == self._target:
            self._was_followed = True

    def step(self, target: bool | None, at_s: int) -> Command | None:
        """Return what to tell the device so that it is `target` (None: as its owner has it), or nothing."""
        if target is None:
            return self._give_back(at_s)
        if self._target is None and not self._is_giving_back:
            self._found = self.shown
        if target != self._target:
            # While it is being given back what it showed last may be old: no hand is read from that.
            is_sure = self._target is None and not self._is_giving_back
            self._was_followed = is_sure and self.shown == target
            self._target, self.is_overridden, self._is_giving_back = target, False, False
            self._told_s = -RESEND_SECONDS
            self._is_ours = self._is_ours and self.shown == target
        if self.is_overridden:
            return None
        if self.shown == target:
            if not self._is_ours or target or at_s - self._told_s < REFRESH_SECONDS:
                return None
        elif 0 <= at_s - self._told_s < RESEND_SECONDS:
            return None
        self._was_ours = self._is_ours
        self._told_s, self._is_ours = at_s, True
        return Command(target, 0 if target else DEAD_MAN_SECONDS)

    def was_not_said(self) -> None:
        """The command did not leave: give it again at the next step; so far nothing is ours to give back."""
        self._told_s = -RESEND_SECONDS
        self._is_ours = self._was_ours

    def _give_back(self, at_s: int) -> Command | None:
        if self._target is not None:
            self._is_giving_back = self._is_ours and not self.is_overridden
            self._target, self._was_followed, self.is_overridden = None, False, False
            self._told_s = -RESEND_SECONDS
        if not self._is_giving_back:
            self._is_ours, self._found = False, None
            return None
        wanted = self._is_on_when_free if self._found is None else self._found
        if self.shown == wanted and self._told_s >= 0:
            self._is_giving_back = self._is_ours = False
            self._found = None
            return None
        if 0 <= at_s - self._told_s < RESEND_SECONDS:
            return None
        self._told_s, self._was_ours = at_s, self._is_ours
        return Command(wanted)
