"""Short surveys: a member is asked three questions after joining, after the first event and once a year.

Answers are a member's own until they are counted: staff see means over five members or more, and comments
without a name, in an order that tells nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from members import entry
from members.constraints import refused_as
from members.enquiry_models import Occasion, ShortSurvey
from members.models import Member
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.periods import civil_date

LEAST_ANSWERS: Final = 5
AFTER_JOINING: Final = timedelta(days=14)
OPEN_FOR_DAYS: Final = 60
QUESTIONS: Final[Mapping[str, Mapping[str, str | Promise]]] = {
    Occasion.JOINING: {
        "clear": _("Was it clear what it costs, who comes and what can go wrong?"),
        "easy": _("Was it easy to join?"),
        "trust": _("Do you trust the co-op with your home?"),
    },
    Occasion.FIRST_EVENT: {
        "told": _("Did you know in time what would happen, and when?"),
        "comfort": _("Was your home as warm, and the water as hot, as you wanted?"),
        "control": _("Could you have said no without trouble?"),
    },
    Occasion.YEARLY: {
        "fair": _("Is what you get for it fair?"),
        "comfort": _("Was your home as warm, and the water as hot, as you wanted?"),
        "recommend": _("Would you tell a neighbour to join?"),
    },
}


class NotAsked(DomainError):
    """This survey is not open to the member now, or was answered."""

    occasion: str


class ScoreMissing(Invalid):
    """A question has no answer from 1 to 5."""

    field: str


@dataclass(frozen=True, slots=True)
class Due:
    """A survey open to a member: the occasion and the year of membership it is about."""

    occasion: Occasion
    year: int


@dataclass(frozen=True, slots=True)
class QuestionTotal:
    """One question's answers in total: how many of each score, and their mean in tenths."""

    code: str
    words: str | Promise
    counts: tuple[int, int, int, int, int]
    mean_tenths: int


@dataclass(frozen=True, slots=True)
class OccasionTotal:
    """One occasion's answers; below five of them nothing is told but that."""

    occasion: Occasion
    answers: int | None
    questions: tuple[QuestionTotal, ...]
    comments: tuple[str, ...]


def due_for(member: Member, *, at: datetime, first_event_at: datetime | None) -> Due | None:
    """The survey the member may answer at `at`, the most telling first; None when there is none."""
    if not member.is_current(at):
        return None
    answered = set(ShortSurvey.objects.filter(member=member).values_list("occasion", "year"))
    today, joined = civil_date(at), civil_date(member.joined_at)
    if first_event_at is not None and first_event_at <= at:
        days = (today - civil_date(first_event_at)).days
        if 0 <= days <= OPEN_FOR_DAYS and (Occasion.FIRST_EVENT, 0) not in answered:
            return Due(Occasion.FIRST_EVENT, 0)
    years = years_between(joined, today)
    if years and (today - _anniversary(joined, years)).days <= OPEN_FOR_DAYS:
        return Due(Occasion.YEARLY, years) if (Occasion.YEARLY, years) not in answered else None
    since = at - member.joined_at
    if AFTER_JOINING <= since <= AFTER_JOINING + timedelta(days=OPEN_FOR_DAYS):
        return Due(Occasion.JOINING, 0) if (Occasion.JOINING, 0) not in answered else None
    return None


@transaction.atomic
def answer(
    *,
    member: Member,
    occasion: str,
    scores: Mapping[str, int],
    at: datetime,
    first_event_at: datetime | None,
    comment: str = "",
) -> ShortSurvey:
    """Keep the member's answer to the survey open to them. Raises NotAsked, ScoreMissing, InvalidField."""
    due = due_for(member, at=at, first_event_at=first_event_at)
    if due is None or due.occasion != occasion:
        raise NotAsked(occasion=occasion)
    for code in QUESTIONS[due.occasion]:
        if scores.get(code) not in (1, 2, 3, 4, 5):
            raise ScoreMissing(field=code)
    with refused_as(shortsurvey_once_an_occasion=NotAsked(occasion=occasion)):
        return ShortSurvey.objects.create(
            member=member,
            occasion=due.occasion,
            year=due.year,
            scores={code: scores[code] for code in QUESTIONS[due.occasion]},
            comment=entry.one_line(comment, field="comment", longest=1000, may_be_empty=True),
            answered_at=at,
        )


def totals(since: date | None = None) -> list[OccasionTotal]:
    """Every occasion's answers in total, from a Europe/London date on when one is given."""
    found = []
    for occasion in Occasion:
        rows = ShortSurvey.objects.filter(occasion=occasion)
        if since is not None:
            rows = rows.filter(answered_at__date__gte=since)
        answers = [(row.scores, row.comment) for row in rows.only("member", "scores", "comment")]
        if len(answers) < LEAST_ANSWERS:
            found.append(OccasionTotal(occasion, None, (), ()))
            continue
        questions = tuple(
            total_of(code, words, [scores[code] for scores, _comment in answers if code in scores])
            for code, words in QUESTIONS[occasion].items()
        )
        comments = sorted(
            (comment for _scores, comment in answers if comment),
            key=lambda text: hashlib.sha256(text.encode()).digest(),
        )
        found.append(OccasionTotal(occasion, len(answers), questions, tuple(comments)))
    return found


def total_of(code: str, words: str | Promise, scores: Sequence[int]) -> QuestionTotal:
    """Counts of the scores 1 to 5, and their mean in tenths, rounded half up."""
    counts = tuple(scores.count(score) for score in range(1, 6))
    mean_tenths = (20 * sum(scores) + len(scores)) // (2 * len(scores)) if scores else 0
    return QuestionTotal(code, words, counts, mean_tenths)  # type: ignore[arg-type]


def years_between(joined: date, today: date) -> int:
    """Whole years of membership."""
    years = today.year - joined.year
    return max(0, years - (_anniversary(joined, years) > today))


def _anniversary(joined: date, years: int) -> date:
    """The day so many years on; 29 February is kept on 1 March."""
    try:
        return joined.replace(year=joined.year + years)
    except ValueError:
        return date(joined.year + years, 3, 1)
