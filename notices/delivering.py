"""Sending what is due: claimed a batch at a time, asked again at the last moment, handed to its channel.

A claim moves the row's next try ahead of time: a worker that is killed loses nothing, and what it may have
sent without writing it down is sent once more under the same reference. Sending is outside of transactions.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count
from django.utils import translation

from members.models import Member
from notices import channels, choosing, facts, links, quiet, words
from notices.kinds import Channel, Kind, NoticeClass, is_wanted
from notices.models import Contact, Language, Notice
from opendsr.kernel import clock, encryption, house, installation
from opendsr.kernel.lookups import among
from opendsr.kernel.periods import civil_date, day_interval

BATCH: Final = 100
LEASE: Final = timedelta(minutes=5)
BACKOFF_SECONDS: Final = (60, 300, 900, 3_600, 4 * 3_600)
State = Notice.State
Reason = Notice.Reason

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Round:
    """What a batch shares: who its members are, and how many each was sent on the day."""

    members: dict[UUID, Member]
    contacts: dict[UUID, Contact]
    choices: dict[UUID, choosing.Choices]
    sent_today: Counter[UUID]
    coop: str
    logo_url: str
    mail: channels.Mail
    at: datetime
    quiet: quiet.Hours
    most_a_day: int
    counts: Counter[str] = field(default_factory=Counter)


def send_due(*, at: datetime, limit: int = 1_000) -> Counter[str]:
    """Send what is due at `at` (world time), up to `limit`; returns how many came to which state."""
    counts: Counter[str] = Counter()
    tried = 0
    with channels.Mail() as mail:
        while tried < limit and (batch := _claim(at, min(BATCH, limit - tried))):
            tried += len(batch)
            counts += _send_batch(batch, mail, at)
    return counts


@transaction.atomic
def _claim(at: datetime, limit: int) -> list[Notice]:
    wall = clock.wall_now()
    due = Notice.objects.filter(state=State.QUEUED, due_at__lte=at, next_try_wall_at__lte=wall)
    batch = list(due.select_for_update(skip_locked=True).order_by("due_at", "id")[:limit])
    for notice in batch:
        notice.attempts += 1
        notice.next_try_wall_at = wall + LEASE
    Notice.objects.bulk_update(batch, ["attempts", "next_try_wall_at"])
    return batch


def _send_batch(batch: Sequence[Notice], mail: channels.Mail, at: datetime) -> Counter[str]:
    member_ids = list({notice.member_id for notice in batch})
    today = day_interval(civil_date(at))
    sent = Notice.objects.filter(
        member__in=among(member_ids), sent_at__gte=today.starts_at, sent_at__lt=today.ends_at
    ).exclude(notice_class=NoticeClass.SAFETY)
    members = Member.objects.select_related("user").filter(pk__in=among(member_ids))
    coop = installation.current()
    with encryption.remembering():
        round = _Round(
            members={member.pk: member for member in members},
            contacts={each.member_id: each for each in Contact.objects.filter(member__in=among(member_ids))},
            choices=choosing.choices_of(member_ids),
            sent_today=Counter(dict(sent.values_list("member").annotate(Count("pk")).order_by())),
            coop=coop.coop_name,
            logo_url=links.address("house_logo", coop.logo) if coop.logo else "",
            mail=mail,
            at=at,
            quiet=quiet.in_force(),
            most_a_day=house.number("notices_a_day"),
        )
        for notice in batch:
            _send(notice, round)
    return round.counts


def _send(notice: Notice, round: _Round) -> None:
    """One notice: put off, given up, or handed to its channel; whatever it comes to is written down."""
    later, reason, to = _last_look(notice, round)
    if later is not None:
        _put_off(notice, later, round)
        return
    if reason:
        _end(notice, State.DROPPED, reason, round)
        return
    try:
        provider_id = _hand_over(notice, to, round)
    except channels.Refused as error:
        state = State.BOUNCED if error.reason == Reason.UNDELIVERABLE else State.FAILED
        _end(notice, state, str(error.reason), round)
    except channels.NotTaken:
        _try_again(notice, round)
    except Exception:  # one bad notice must not hold up the rest; it is kept, counted and shown
        logger.exception("notice %s of kind %s could not be made", notice.pk, notice.kind)
        _try_again(notice, round)
    else:
        notice.state, notice.sent_at, notice.provider_id, notice.address = (
            State.SENT,
            round.at,
            provider_id,
            to,
        )
        _keep(notice, ["state", "sent_at", "provider_id", "address"])
        if notice.notice_class != NoticeClass.SAFETY:
            round.sent_today[notice.member_id] += 1
        round.counts[State.SENT.value] += 1


def _last_look(notice: Notice, round: _Round) -> tuple[datetime | None, str, str]:
    """(when it may leave instead, why it never will, the address): much may have changed in the queue."""
    member = round.members.get(notice.member_id)
    is_safety = notice.notice_class == NoticeClass.SAFETY
    if notice.expires_at <= round.at:
        return None, Reason.TOO_LATE, ""
    if member is None or not facts.of(notice):
        return None, Reason.GONE, ""
    held = round.choices.get(notice.member_id, {})
    if not is_wanted(held, NoticeClass(notice.notice_class), Channel(notice.channel)):
        return None, Reason.NOT_WANTED, ""
    to = _address(notice, member, round.contacts.get(notice.member_id))
    if not to:
        return None, Reason.NO_ADDRESS, ""
    if is_safety:
        return None, "", to
    if quiet.is_quiet(round.at, round.quiet):
        return quiet.may_leave_at(round.at, round.quiet), "", ""
    if round.sent_today[notice.member_id] >= round.most_a_day:
        return quiet.next_morning(round.at, round.quiet), "", ""
    return None, "", to


def _address(notice: Notice, member: Member, contact: Contact | None) -> str:
    if notice.channel == Channel.EMAIL:
        return member.user.email if member.user is not None and member.user.is_active else ""
    return contact.phone if contact is not None and contact.confirmed_at is not None else ""


def _hand_over(notice: Notice, to: str, round: _Round) -> str:
    contact = round.contacts.get(notice.member_id)
    language = contact.language if contact is not None else Language.ENGLISH.value
    with translation.override(language):
        said = words.say(Kind(notice.kind), facts.of(notice))
        about = links.links_of(notice)
        reference = f"{notice.pk.hex}-{notice.again}"
        if notice.channel == Channel.SMS:
            text = words.text_message(said, about, coop=round.coop)
            return channels.sms().send(to, text, reference=reference)
        notice_class = NoticeClass(notice.notice_class)
        letter = words.letter(
            said, about, coop=round.coop, notice_class=notice_class, logo_url=round.logo_url
        )
        headers = {"List-Unsubscribe": f"<{about.stop}>"} if notice.notice_class != NoticeClass.SAFETY else {}
        return round.mail.send(to, letter, reference=reference, headers=headers)


def _put_off(notice: Notice, later: datetime, round: _Round) -> None:
    """Held, not dropped; unless what it tells is over by then."""
    if later >= notice.expires_at:
        reason = Reason.HELD_PAST_START if quiet.is_quiet(round.at, round.quiet) else Reason.TOO_MANY
        _end(notice, State.DROPPED, reason, round)
        return
    notice.due_at, notice.attempts = later, notice.attempts - 1
    notice.next_try_wall_at = clock.wall_now()
    _keep(notice, ["due_at", "attempts", "next_try_wall_at"])
    round.counts["held"] += 1


def _try_again(notice: Notice, round: _Round) -> None:
    if notice.attempts > len(BACKOFF_SECONDS):
        _end(notice, State.FAILED, Reason.NO_ANSWER, round)
        return
    pause = timedelta(seconds=BACKOFF_SECONDS[notice.attempts - 1])
    notice.next_try_wall_at = clock.wall_now() + pause
    _keep(notice, ["next_try_wall_at"])
    round.counts["put_off"] += 1


def _end(notice: Notice, state: Notice.State, reason: str, round: _Round) -> None:
    notice.state, notice.reason = state, reason
    _keep(notice, ["state", "reason"])
    round.counts[state.value] += 1


def _keep(notice: Notice, fields: list[str]) -> None:
    """Write the outcome, unless a receipt or a person was quicker."""
    with transaction.atomic():
        held = Notice.objects.select_for_update().filter(pk=notice.pk, state=State.QUEUED)
        if held.values_list("pk").first() is not None:
            notice.save(update_fields=fields)
