"""What a hub can say is wrong, each with the cure where there is one."""

from __future__ import annotations

from oadr.errors import BadAnswer as BadAnswer
from oadr.errors import LinkError as LinkError
from oadr.errors import NoContact as NoContact
from oadr.errors import Refused as Refused


class HubError(Exception):
    """Base of what the hub anticipates, beside a LinkError; the text is for the installer."""


class BadClock(HubError):
    """WORLD_CLOCK_ANCHOR or WORLD_CLOCK_SPEED is not understood."""


class BadHome(HubError):
    """`home.json` does not describe a home."""


class BadFolder(HubError):
    """The hub's folder lacks a file, or holds one it should not."""


class BadTime(HubError):
    """A time that is none, or not where it should be."""


class BadAddress(HubError):
    """The VTN's address is not one."""


class Untrusted(BadAnswer):
    """What is said to be the VTN's and is not shown to be: unsigned, wrongly signed, or signed before."""
