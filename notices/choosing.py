"""A member's choices: which class by which channel, in which language, to which number."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import BooleanField, Case, Value, When

from members import entry
from members.models import Member
from notices.kinds import Channel, NoticeClass, is_wanted
from notices.models import PHONE, Choice, Contact, Language
from opendsr.kernel import audit, clock
from opendsr.kernel.errors import Invalid
from opendsr.kernel.lookups import among

CODE_MINUTES: Final = 15
MOST_TRIES: Final = 5
CHOSEN: Final = "notices.chosen"
CHOOSABLE: Final = (NoticeClass.EVENT, NoticeClass.ACCOUNT, NoticeClass.MARKETING)

Choices = dict[tuple[str, str], bool]


class CodeWrong(Invalid):
    """The code is not the one that was sent, is too old, or was tried too often."""

    problem: str


def normal_number(text: str) -> str:
    """A telephone number as +44...; raises entry.InvalidField. Numbers that begin with 0 are British."""
    packed = re.sub(r"[\s().-]", "", text)
    if packed.startswith("00"):
        packed = "+" + packed[2:]
    elif packed.startswith("0"):
        packed = "+44" + packed[1:]
    if not re.fullmatch(PHONE, packed, re.ASCII):
        raise entry.InvalidField(field="phone", problem="not_a_number")
    return packed


def choices_of(member_ids: list[UUID]) -> dict[UUID, Choices]:
    """What members chose, by member; who chose nothing is absent."""
    found: dict[UUID, Choices] = {}
    rows = Choice.objects.filter(member__in=among(member_ids))
    for member_id, notice_class, channel, wanted in rows.values_list(
        "member_id", "notice_class", "channel", "is_wanted"
    ):
        found.setdefault(member_id, {})[notice_class, channel] = wanted
    return found


def said(notice_class: str, channel: Channel) -> Case:
    """What each member chose, in a statement over members: yes, no, or null for who chose nothing."""
    chosen = Choice.objects.filter(notice_class=notice_class, channel=channel)
    return Case(
        *(
            When(pk__in=chosen.filter(is_wanted=answer).values("member"), then=Value(answer))
            for answer in (True, False)
        ),
        output_field=BooleanField(null=True),
    )


@transaction.atomic
def choose(
    *,
    member: Member,
    wanted: Mapping[tuple[NoticeClass, Channel], bool],
    at: datetime,
    how: str,
    wording: str = "",
) -> None:
    """Keep a yes or no for each class and channel given; `wording` is what a yes to marketing agreed to."""
    member = Member.objects.select_for_update(of=("self",)).get(pk=member.pk)
    held = choices_of([member.pk]).get(member.pk, {})
    changed = {}
    for (notice_class, channel), is_yes in wanted.items():
        if notice_class is NoticeClass.SAFETY or is_wanted(held, notice_class, channel) == is_yes:
            continue
        Choice.objects.update_or_create(
            member=member,
            notice_class=notice_class,
            channel=channel,
            defaults={
                "is_wanted": is_yes,
                "chosen_at": at,
                "how": how,
                "wording": wording[:200] if notice_class is NoticeClass.MARKETING and is_yes else "",
            },
        )
        changed[f"{notice_class.value} by {channel.value}"] = is_yes
    if changed:
        _note(member, at, {"how": how, **changed})


@transaction.atomic
def choose_language(*, member: Member, language: str, at: datetime) -> None:
    """Write to the member in this language from now on."""
    chosen = entry.choice(Language, language, "language")
    Contact.objects.update_or_create(member=member, defaults={"language": chosen, "changed_at": at})


@transaction.atomic
def give_number(*, member: Member, phone: str, at: datetime) -> str:
    """Keep the number, unconfirmed, and return the code to send to it. Raises entry.InvalidField.

    Nothing else is sent to a number before somebody who reads its messages has typed the code.
    """
    number, code = normal_number(phone), f"{secrets.randbelow(10**6):06d}"
    contact, _ = Contact.objects.select_for_update().get_or_create(member=member, defaults={"changed_at": at})
    contact.phone, contact.confirmed_at, contact.changed_at = number, None, at
    contact.code_sha256, contact.code_tries = _hash(member, code), 0
    contact.code_until_wall_at = clock.wall_now() + timedelta(minutes=CODE_MINUTES)
    contact.save()
    return code


def confirm_number(*, member: Member, code: str, at: datetime) -> None:
    """Take the number as the member's. Raises CodeWrong; the try is counted all the same."""
    with transaction.atomic():
        contact = Contact.objects.select_for_update().filter(member=member).exclude(code_sha256="").first()
        if contact is None or contact.code_until_wall_at is None:
            problem = "none_sent"
        elif contact.code_tries >= MOST_TRIES or contact.code_until_wall_at <= clock.wall_now():
            problem = "too_old"
        elif not secrets.compare_digest(contact.code_sha256, _hash(member, re.sub(r"\s", "", code))):
            problem = "wrong"
            contact.code_tries += 1
            contact.save(update_fields=["code_tries"])
        else:
            problem = ""
            contact.code_sha256, contact.confirmed_at, contact.changed_at = "", at, at
            contact.save(update_fields=["code_sha256", "confirmed_at", "changed_at"])
            _note(member, at, {"number": "confirmed"})
    if problem:
        raise CodeWrong(problem=problem)


@transaction.atomic
def drop_number(*, member: Member, at: datetime) -> None:
    """Forget the number; nothing is sent to it any more."""
    contact = Contact.objects.select_for_update().filter(member=member).first()
    if contact is None or not contact.phone:
        return
    contact.phone, contact.confirmed_at, contact.code_sha256, contact.changed_at = "", None, "", at
    contact.save()
    _note(member, at, {"number": "forgotten"})


def _hash(member: Member, code: str) -> str:
    return hashlib.sha256(f"{member.pk}|{code}".encode()).hexdigest()


def _note(member: Member, at: datetime, detail: dict[str, object]) -> None:
    audit.record(
        at=at, actor=f"member:{member.number}", verb=CHOSEN, target=f"member:{member.number}", detail=detail
    )
