"""Where OpenADR 2.0b travels over MQTT: after the XMPP binding, one topic a VEN, direction and service.

    oadr2b/<vtnID>/ven/<venID>/up/<Service>      VEN asks      reply on .../up-reply
    oadr2b/<vtnID>/ven/<venID>/down/<Service>    VTN asks      reply on .../down-reply
    oadr2b/<vtnID>/ven/<venID>/wake              VTN: poll now (for VENs that pull)
    oadr2b/<vtnID>/ven/<venID>/presence          retained `online`, last will `offline`
    oadr2b/<vtnID>/join/<fingerprint>/up/EiRegisterParty   a VEN that does not know its venID

Five slashes at most, so that a broker which allows seven (AWS IoT Core) carries it. Names
go into topics as they are: one that holds a wildcard or a slash is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, NamedTuple

ROOT: Final = "oadr2b"
SHARE: Final = "$share/vtn/"
ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
LARGEST_MESSAGE_BYTES: Final = 128 * 1024
"""Brokers in the cloud carry no more."""
SERVICES: Final = ("EiRegisterParty", "EiEvent", "EiReport", "EiOpt")
"""No OadrPoll: both sides are always connected."""

LONGEST_TOPIC: Final = 256
"""Characters. No VEN's is longer; MQTT allows 65,535 bytes, and a VEN chooses how its own end."""
_MOST_KNOWN: Final = 65_536
"""Topics remembered: a VEN has five, and speaks and is spoken to on the same ones for ever."""

Party = Literal["ven", "join"]


class BadName(ValueError):
    """A name that cannot be one level of a topic."""


class Address(NamedTuple):
    """A topic taken apart; `service` is empty for reply, wake and presence."""

    vtn_id: str
    party: Party
    name: str
    kind: str
    service: str = ""


@lru_cache(maxsize=_MOST_KNOWN)
def topic(vtn_id: str, name: str, kind: str, service: str = "", *, party: Party = "ven") -> str:
    """Return the topic; raises BadName."""
    for level in (vtn_id, name):
        if not level or any(character in level for character in "/+#\0") or level.startswith("$"):
            raise BadName(f"{level!r} cannot be part of a topic")
    end = f"{kind}/{service}" if service else kind
    return f"{ROOT}/{vtn_id}/{party}/{name}/{end}"


def taken_apart(text: str) -> Address | None:
    """Return what a topic says, None when it is none of these."""
    return _taken_apart(text) if len(text) <= LONGEST_TOPIC else None


@lru_cache(maxsize=_MOST_KNOWN)
def _taken_apart(text: str) -> Address | None:
    root, *levels = text.split("/")
    if root != ROOT or len(levels) not in (4, 5) or not all(levels):
        return None
    vtn_id, party, name, kind, *rest = levels
    if (kind in ("up", "down")) != bool(rest):
        return None
    service = rest[0] if rest else ""
    if party == "ven":
        return Address(vtn_id, "ven", name, kind, service)
    return Address(vtn_id, "join", name, kind, service) if party == "join" else None


def vtn_subscriptions(vtn_id: str) -> tuple[str, ...]:
    """Return what a VTN's workers subscribe to; what VENs ask is shared between them."""
    return (
        f"{SHARE}{ROOT}/{vtn_id}/ven/+/up/#",
        f"{SHARE}{ROOT}/{vtn_id}/ven/+/down-reply",
        f"{SHARE}{ROOT}/{vtn_id}/join/+/up/#",
        f"{ROOT}/{vtn_id}/ven/+/presence",
    )


def ven_subscriptions(vtn_id: str, ven_id: str) -> tuple[str, ...]:
    """Return what a VEN subscribes to."""
    down = topic(vtn_id, ven_id, "down")
    return (f"{down}/#", topic(vtn_id, ven_id, "up-reply"), topic(vtn_id, ven_id, "wake"))
