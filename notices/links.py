"""Links that one press uses without signing in: to skip an event, and to stop a kind of letter.

A link names its notice and is signed; opening it changes nothing (programs that look at links open them all),
only the press of the button does. It ends with what it is for.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from notices import facts
from notices.models import Notice
from notices.words import Links
from opendsr.kernel.errors import NotFound

SALT: Final = "opendsr notice link"
SKIP, STOP = "s", "x"
STOPS_FOR: Final = timedelta(days=90)


class LinkUnknown(NotFound):
    """The link was cut, changed, or is of a notice that is gone."""

    status = 404


class LinkExpired(NotFound):
    """What the link was for is over."""

    status = 410


@dataclass(frozen=True, slots=True)
class OneTap:
    """What a link is for."""

    action: str
    notice: Notice


def token(notice: Notice, action: str) -> str:
    """The end of the link's address."""
    named = base64.urlsafe_b64encode(notice.pk.bytes).rstrip(b"=").decode()
    return signing.Signer(salt=SALT, sep=".").sign(action + named)


def read(given: str, *, at: datetime) -> OneTap:
    """What the link is for; raises LinkUnknown and LinkExpired."""
    try:
        text = signing.Signer(salt=SALT, sep=".").unsign(given)
        notice_id = UUID(bytes=base64.urlsafe_b64decode(text[1:] + "=="))
    except (signing.BadSignature, binascii.Error, ValueError):
        raise LinkUnknown() from None
    notice = Notice.objects.select_related("member").filter(pk=notice_id).first()
    if notice is None or text[0] not in (SKIP, STOP):
        raise LinkUnknown()
    until = notice.queued_at + STOPS_FOR
    if text[0] == SKIP:
        told = facts.of(notice)
        if "occupancy_id" not in told:
            raise LinkUnknown()
        if not notice.member.is_current(at):  # the household's events are theirs no more
            raise LinkExpired()
        until = datetime.fromisoformat(str(told["ends_at"]))
    if at >= until:
        raise LinkExpired()
    return OneTap(text[0], notice)


def links_of(notice: Notice) -> Links:
    """The addresses in a notice's letter."""
    about = {"home": address("home"), "preferences": address("preferences")}
    if notice.about is not None:
        about["skip"] = address("notice_link", token(notice, SKIP))
        about["statement"] = address("home") + "#earned"
        statement_id = facts.of(notice).get("statement_id")
        if statement_id:
            about["statement"] = address("statement", UUID(str(statement_id)))
    return Links(
        home=address("home"),
        choices=address("my_notices"),
        stop=address("notice_link", token(notice, STOP)),
        by_name=about,
    )


def address(name: str, *arguments: object) -> str:
    """The whole address of a page; SITE_URL is where the site is reached."""
    return settings.SITE_URL.rstrip("/") + reverse(name, args=arguments)
