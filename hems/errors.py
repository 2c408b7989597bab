"""What a hub can say is wrong, each with the cure where there is one."""

from __future__ import annotations


class HubError(Exception):
    """Base of what the hub anticipates; the text is for the installer."""


class BadClock(HubError):
    """WORLD_CLOCK_ANCHOR or WORLD_CLOCK_SPEED is not understood."""


class BadHome(HubError):
    """`home.json` does not describe a home."""


class BadFolder(HubError):
    """The hub's folder lacks a file, or holds one it should not."""


class BadAddress(HubError):
    """The VTN's address is not one."""
