"""The kinds of notice there are, and the class of each: the class decides what a member may switch off.

PECR reg. 22: only `marketing` promotes anything, and it goes to nobody who has not agreed to it. What is
`safety` cannot be switched off and keeps no quiet hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _lazy


class NoticeClass(TextChoices):
    """What a notice is about, as a member chooses."""

    SAFETY = "safety", _lazy("Safety")
    EVENT = "event", _lazy("Events")
    ACCOUNT = "account", _lazy("My account and devices")
    MARKETING = "marketing", _lazy("News and offers of the co-op")


class Channel(TextChoices):
    """How a notice travels."""

    EMAIL = "email", _lazy("Email")
    SMS = "sms", _lazy("Text message")


class Kind(TextChoices):
    """What a notice says; `words.py` says it."""

    EVENT_SCHEDULED = "event_scheduled", _lazy("Event scheduled")
    EVENT_REMINDER = "event_reminder", _lazy("Event reminder")
    EVENT_START = "event_start", _lazy("Event starts")
    EVENT_END = "event_end", _lazy("Event over")
    EVENT_CANCELLED = "event_cancelled", _lazy("Event called off")
    EVENT_RESULT = "event_result", _lazy("Event result")
    REVISED_RESULT = "revised_result", _lazy("Revised result")
    DEVICE_OFFLINE = "device_offline", _lazy("Device offline")
    STATEMENT_READY = "statement_ready", _lazy("Statement ready")
    CONSENT_RENEWAL = "consent_renewal", _lazy("Consent reminder")
    SAFETY_WORD = "safety_word", _lazy("Safety notice")
    NEWS = "news", _lazy("News")


@dataclass(frozen=True, slots=True)
class Manner:
    """The class of a kind, whether it is worth a text message, and when it is too old to be sent at all."""

    notice_class: NoticeClass
    by_sms: bool = False
    stale_after: timedelta = timedelta(days=3)


_EVENT, _ACCOUNT = NoticeClass.EVENT, NoticeClass.ACCOUNT
HOURS_6: Final = timedelta(hours=6)

MANNERS: Final[Mapping[Kind, Manner]] = {
    Kind.EVENT_SCHEDULED: Manner(_EVENT, by_sms=True),
    Kind.EVENT_REMINDER: Manner(_EVENT),
    Kind.EVENT_START: Manner(_EVENT, stale_after=timedelta(minutes=30)),
    Kind.EVENT_END: Manner(_EVENT, stale_after=timedelta(hours=12)),
    Kind.EVENT_CANCELLED: Manner(_EVENT, by_sms=True),
    Kind.EVENT_RESULT: Manner(_EVENT),
    Kind.REVISED_RESULT: Manner(_EVENT),
    Kind.DEVICE_OFFLINE: Manner(_ACCOUNT),
    Kind.STATEMENT_READY: Manner(_ACCOUNT, stale_after=timedelta(days=14)),
    Kind.CONSENT_RENEWAL: Manner(_ACCOUNT, stale_after=timedelta(days=30)),
    Kind.SAFETY_WORD: Manner(NoticeClass.SAFETY, by_sms=True),
    Kind.NEWS: Manner(NoticeClass.MARKETING),
}

WANTED_UNASKED: Final = frozenset({(_EVENT, Channel.EMAIL), (_EVENT, Channel.SMS), (_ACCOUNT, Channel.EMAIL)})
"""What a member gets who has chosen nothing; a text message only who has given a number, of course."""


def is_wanted(choices: Mapping[tuple[str, str], bool], notice_class: NoticeClass, channel: Channel) -> bool:
    """Whether a member with these choices gets notices of the class by the channel. Pure.

    `choices` holds only what was chosen. Safety is not a choice; marketing is a no until it is a yes.
    """
    if notice_class is NoticeClass.SAFETY:
        return True
    return choices.get((notice_class.value, channel.value), (notice_class, channel) in WANTED_UNASKED)
