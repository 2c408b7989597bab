"""The rules in force: published as versions, read by the intake, tried on stored messages beforehand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from members.models import User
from metering import rules
from metering.intake_models import Message, RuleSet
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError

PUBLISHED: Final = "metering.rules.published"
TRIED: Final = 1_000
COUNT: Final = """
    INSERT INTO metering_rulecount AS held (ruleset_id, rule, hits, latest_at)
    SELECT %s, *, %s FROM unnest(%s::text[], %s::int8[])
    ON CONFLICT (ruleset_id, rule) DO UPDATE
    SET hits = held.hits + excluded.hits, latest_at = greatest(held.latest_at, excluded.latest_at)
"""


class RulesChanged(DomainError):
    """Somebody published another version since this one was opened: `newest` is the one in force."""

    newest: int
    based_on: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What rules would do with one stored message."""

    message: Message
    body: dict[str, Any] | None
    hits: tuple[str, ...]
    alarms: tuple[str, ...]
    changed: bool


def current() -> RuleSet | None:
    """The version in force, None before the first."""
    return RuleSet.objects.order_by("-version").first()


def book_in_force() -> rules.RuleBook:
    """The rules in force, ready to run."""
    found = current()
    return rules.NO_RULES if found is None else rules.rule_book(found.rules, version=found.version)


@transaction.atomic
def publish(*, wanted: object, note: str, based_on: int, at: datetime, by: User | None) -> RuleSet:
    """Make the rules the next version; raises RuleInvalid, or RulesChanged when `based_on` is old."""
    rules.rule_book(wanted)
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE metering_ruleset IN SHARE ROW EXCLUSIVE MODE")
    newest = current()
    number = 0 if newest is None else newest.version
    if number != based_on:
        raise RulesChanged(newest=number, based_on=based_on)
    made = RuleSet.objects.create(
        version=number + 1, rules=wanted, note=note.strip()[:200], created_at=at, created_by=by
    )
    outbox.record(PUBLISHED, at=at, version=made.version)
    return made


def count(version: int, hits: Mapping[str, int], *, at: datetime) -> None:
    """Add to the counters of a version's rules; inside the caller's transaction."""
    if version and hits:
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [version, at, list(hits), list(hits.values())])


def dry_run(wanted: object, messages: Iterable[Message] | None = None) -> tuple[list[Trial], Counter[str]]:
    """What the rules would do with the newest stored messages, and their hits; changes nothing."""
    book = rules.rule_book(wanted)
    if messages is None:
        messages = Message.objects.exclude(body="").order_by("-received_at", "-pk")[:TRIED]
    trials, hits = [], Counter[str]()
    for message in messages:
        try:
            body = json.loads(message.body)
        except (ValueError, RecursionError):
            continue
        if not isinstance(body, dict):
            continue
        done = book.apply(message.source, message.topic, body)
        hits.update(done.hits)
        trials.append(
            Trial(
                message,
                done.body,
                done.hits,
                tuple(text or name for name, text in done.alarms),
                done.body != body,
            )
        )
    return trials, hits
