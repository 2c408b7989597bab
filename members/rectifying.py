"""Putting right what is held: people do names and addresses themselves, staff decide the rest.

What stood there before is kept sealed (`FormerValue`), for whom it was about, so that a change by mistake or
malice can be undone and is gone when the person is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Model

from members import asking, entry
from members.asking import About
from members.constraints import refused_as
from members.joining import EmailTaken, MpanTaken
from members.models import Home, Household, Member, User
from members.queries import occupancies_of
from members.rights_models import FormerValue, RightsRequest
from opendsr.kernel.errors import DomainError

BY_THEMSELVES: Final = frozenset({About.FULL_NAME, About.HOUSEHOLD_NAME, About.ADDRESS})
OF_THE_HOME: Final = frozenset({About.ADDRESS, About.POSTCODE, About.MPAN})
CORRECTED: Final = "Put right as you wrote it."


class NoHomeToCorrect(DomainError):
    """The member's household lives in no home of the co-op's at the moment."""

    member: str


class NoAccountToCorrect(DomainError):
    """The member has no account to sign in with, so no address of one."""

    member: str


@transaction.atomic
def correct(
    *,
    member: Member,
    about: str,
    wanted: str,
    at: datetime,
    channel: str,
    by: str,
    home_id: UUID | None = None,
    words: str = "",
    user: User | None = None,
) -> RightsRequest:
    """Ask for a value to be put right. Their own name, the household's and the address change at once.

    Raises InvalidField, NoHomeToCorrect, NoAccountToCorrect.
    """
    about = entry.choice(About, about, "about")
    value = _fit(about, wanted)
    if about == About.OTHER and not words.strip():
        raise entry.InvalidField(field="words", problem="empty")
    home = None
    if about in OF_THE_HOME:
        homes = {stay.home_id: stay.home for stay in occupancies_of(member, at)}
        home = homes.get(home_id) if home_id else next(iter(homes.values()), None)
        if home is None:
            raise NoHomeToCorrect(member=member.number)
    if about == About.EMAIL and member.user_id is None:
        raise NoAccountToCorrect(member=member.number)
    request = asking.open_request(
        member=member,
        kind=asking.Kind.RECTIFICATION,
        at=at,
        channel=channel,
        by=by,
        words=words,
        about=about,
        home=home,
        wanted=value,
    )
    if about in BY_THEMSELVES:
        _apply(request, at, user)
        return asking.decide(
            request_id=request.pk,
            verdict=asking.Verdict.GRANTED,
            reason=CORRECTED,
            at=at,
            by=None,
            actor=by,
        )
    return request


@transaction.atomic
def decide(*, request_id: UUID, verdict: str, reason: str, at: datetime, by: User) -> RightsRequest:
    """Put the value right, or say why not. Raises InvalidField, EmailTaken, MpanTaken, RequestClosed."""
    request = asking.locked(request_id)
    if verdict in (asking.Verdict.GRANTED, asking.Verdict.PARTLY) and request.about != About.OTHER:
        _apply(request, at, by)
    return asking.decide(request_id=request_id, verdict=verdict, reason=reason, at=at, by=by)


def _fit(about: str, wanted: str) -> str:
    """The value made fit to store; raises InvalidField with the field `wanted`."""
    try:
        match about:
            case About.FULL_NAME | About.HOUSEHOLD_NAME:
                return entry.one_line(wanted, field="wanted", longest=120)
            case About.ADDRESS:
                return entry.one_line(wanted, field="wanted", longest=200)
            case About.EMAIL:
                return entry.email(wanted)
            case About.POSTCODE:
                return entry.postcode(wanted)
            case About.MPAN:
                return entry.mpan(wanted)
            case _:
                return entry.one_line(wanted, field="wanted", longest=254, may_be_empty=True)
    except entry.InvalidField as error:
        raise entry.InvalidField(**{**error.data, "field": "wanted"}) from error


def _apply(request: RightsRequest, at: datetime, by: User | None) -> None:
    member = request.member
    match request.about:
        case About.FULL_NAME:
            _change(Member.objects.get(pk=member.pk), "full_name", request.wanted, at, by)
        case About.HOUSEHOLD_NAME:
            household = Household.objects.get(pk=member.household_id)
            _change(household, "name", request.wanted, at, by)
        case About.EMAIL:
            _change_email(member, request.wanted, at, by)
        case _:
            assert request.home is not None  # noqa: S101 asked for with its home
            home = Home.objects.select_for_update(no_key=True).get(pk=request.home.pk)
            with refused_as(home_one_a_mpan=MpanTaken(field="wanted")):
                _change(home, request.about, request.wanted, at, by)


def _change(row: Member | Household | Home, field: str, value: str, at: datetime, by: User | None) -> None:
    before = str(getattr(row, field))
    if before == value:
        return
    setattr(row, field, value)
    row.save(update_fields=[field])
    _keep(_subject(row), row.pk, field, before, at, by)


def _change_email(member: Member, value: str, at: datetime, by: User | None) -> None:
    user = User.objects.select_for_update().filter(member=member).first()
    if user is None:
        raise NoAccountToCorrect(member=member.number)
    before = user.email
    if before == value:
        return
    user.email = value
    with refused_as(user_one_an_email=EmailTaken(field="wanted")):
        user.save(update_fields=["email"])
    _keep(FormerValue.Subject.MEMBER, member.pk, "email", before, at, by)


def _subject(row: Model) -> FormerValue.Subject:
    return FormerValue.Subject(str(row._meta.model_name))


def _keep(
    subject: FormerValue.Subject, subject_id: UUID, field: str, before: str, at: datetime, by: User | None
) -> None:
    FormerValue.objects.create(
        subject=subject, subject_id=subject_id, field=field, value=before, until_at=at, changed_by=by
    )
