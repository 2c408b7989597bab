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


class BadTime(HubError):
    """A time that is none, or not where it should be."""


class BadAddress(HubError):
    """The VTN's address is not one."""


class LinkError(HubError):
    """The exchange did not come off; trying again later is right."""


class NoContact(LinkError):
    """Nobody there, cut off, or a certificate that does not hold."""


class Refused(LinkError):
    """An HTTP status other than 200, or the same said over MQTT."""

    def __init__(self, status: int, retry_after_seconds: float | None = None, *, reason: str = "") -> None:
        super().__init__(f"the VTN answered HTTP {status}" + (f": {reason}" if reason else ""))
        self.status, self.reason = status, reason
        self.retry_after_seconds = retry_after_seconds


class BadAnswer(LinkError):
    """What the VTN says is no OpenADR message."""


class Untrusted(BadAnswer):
    """What is said to be the VTN's and is not shown to be: unsigned, wrongly signed, or signed before."""
