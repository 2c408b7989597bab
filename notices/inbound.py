"""Text messages that come in: SKIP, IN, STOP and HELP.

A no is taken however it is written, a yes only as the very word. A message counts once, by its id at the
provider, and gets the same answer when it comes again. A number that nobody has confirmed gets an answer that
says nothing about who is a member.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from members.entry import InvalidField
from members.models import Member
from notices import choosing
from notices.kinds import Channel
from notices.models import Contact, InboundSms
from opendsr.kernel import installation

SKIP, IN, STOP, HELP = "SKIP", "IN", "STOP", "HELP"
SKIPS: Final = frozenset({"SKIP", "OUT", "NO", "NA", "PEIDIO"})
STOPS: Final = frozenset({"STOP", "STOPALL", "END", "UNSUBSCRIBE", "QUIT", "CANCEL", "STOPIO"})
REPLY_CHARACTERS: Final = 480
LOCK: Final = 0x5335

Answer = Callable[[Member, bool, datetime], str]
"""Skips (False) or rejoins (True) the member's next event, and returns what to say."""


def keyword(text: str) -> str:
    """The keyword a message comes to: a no by its first word, a yes only by itself. Pure."""
    found = re.findall(r"[^\W\d_]+", text.upper())
    first = found[0] if found else ""
    if first in STOPS:
        return STOP
    if first in SKIPS:
        return SKIP
    return IN if text.strip().upper().rstrip(".!") == IN else HELP


@transaction.atomic
def receive(*, provider_id: str, sender: str, text: str, at: datetime, answer: Answer) -> str:
    """Act on a message and return the reply; the same message again gets the same reply and no more."""
    with connection.cursor() as cursor:  # of the same message twice at once the second waits
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK, provider_id])
    known = InboundSms.objects.filter(pk=provider_id).first()
    if known is not None:
        return known.reply
    word, whose = keyword(text), _contacts(sender)
    language = whose[0].language if whose else "en-gb"
    with translation.override(language):
        reply = _act(word, whose, at, answer)[:REPLY_CHARACTERS]
    row = InboundSms.objects.create(provider_id=provider_id, keyword=word, reply=reply, received_at=at)
    row.members.set([each.member for each in whose])
    return reply


def _contacts(sender: str) -> list[Contact]:
    try:
        number = choosing.normal_number(sender)
    except InvalidField:
        return []
    found = Contact.objects.select_related("member").filter(phone_index=number, confirmed_at__isnull=False)
    return list(found.order_by("member_id"))


def _act(word: str, whose: list[Contact], at: datetime, answer: Answer) -> str:
    coop = {"coop": installation.current().coop_name}
    if word == HELP or not whose:
        if word == STOP:
            return _("%(coop)s: no more texts will be sent to this number.") % coop
        return (
            _("%(coop)s: members can reply SKIP to skip their next event, IN to take part again, STOP for no"
              " more texts.")
            % coop
        )  # fmt: skip
    if word == STOP:
        for each in whose:
            wanted = {(notice_class, Channel.SMS): False for notice_class in choosing.CHOOSABLE}
            choosing.choose(member=each.member, wanted=wanted, at=at, how="sms")
            choosing.drop_number(member=each.member, at=at)
        return _("%(coop)s: no more texts will be sent to this number.") % coop
    said = [answer(each.member, word == IN, at) for each in whose]
    return f"{coop['coop']}: {' '.join(dict.fromkeys(said))}"
