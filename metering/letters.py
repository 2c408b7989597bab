"""Messages that were not simply stored, and the rules that decide about each before it is.

A `Desk` is of one source and one batch: it runs the rules in force over a message, notes what they and the
intake could not or would not store, and writes both inside the batch's transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from metering import routing, ruling
from metering.intake_models import Message
from metering.rules import RuleBook
from opendsr.kernel import encryption, outbox

ALARM: Final = "metering.rule.alarm"
MOST_LETTERS: Final = 500
BODY_CHARACTERS: Final = 16_384
WITHOUT_BODY: Final = frozenset({routing.NO_CONSENT, routing.NO_STREAM})
BODY_CONTEXT: Final = f"metering_message|body|{Message.SEALED_FOR}"
LETTER: Final = """
    INSERT INTO metering_message AS held
        (outcome, source, sender, topic, code, rule, body, detail, received_at, times)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[],
                         %s::text[], %s::timestamptz[], %s::int4[])
    ON CONFLICT (outcome, source, sender, topic, code, rule) DO UPDATE SET
        body = excluded.body, detail = excluded.detail, times = held.times + excluded.times,
        received_at = greatest(held.received_at, excluded.received_at)
"""


@dataclass(slots=True)
class Letter:
    """A message for the dead letters, or one that a rule kept or raised an alarm on."""

    body: str
    detail: str
    received_at: datetime
    times: int = 1


LetterKey = tuple[str, str, str, str, str, str]
"""Outcome, source, sender, topic, code, rule."""


class Desk:
    """The rules over one source's messages in a batch, and the letters that come of it.

    `stream_at` says whose readings a sender's are at a time, or the code of why there are none: of people
    who did not consent, or whom nobody knows to live there, a rule keeps no body either.
    """

    def __init__(
        self, source: str, book: RuleBook, *, stream_at: Callable[[str, datetime], UUID | str]
    ) -> None:
        self.source = source
        self.stream_at = stream_at
        self.book = book
        self.has_rules = book.speaks_of(source)
        self.letters: dict[LetterKey, Letter] = {}
        self.hits: Counter[str] = Counter()

    def ruled(
        self,
        sender: str,
        topic: str,
        body: Mapping[str, Any],
        *,
        received_at: datetime,
        raw: str | None = None,
    ) -> dict[str, Any] | None:
        """The message after the rules, None when one drops it; `raw` is how it came, its JSON unless told."""
        done = self.book.apply(self.source, topic, body)
        self.hits.update(done.hits)
        told = [(Message.Outcome.ALARM, "alarm", rule, text or rule) for rule, text in done.alarms]
        told += [(Message.Outcome.KEPT, "kept", rule, "") for rule in done.kept]
        if told:
            written = json.dumps(body, default=str) if raw is None else raw
            if self.stream_at(sender, received_at) in WITHOUT_BODY:
                written = ""
            for outcome, code, rule, detail in told:
                self.note(
                    outcome, sender, topic, code, detail, rule=rule, body=written, received_at=received_at
                )
        return done.body

    def note(
        self,
        outcome: str,
        sender: str,
        topic: str,
        code: str,
        detail: str,
        *,
        received_at: datetime,
        body: str = "",
        rule: str = "",
        times: int = 1,
    ) -> None:
        """Note a message; the body of one that nobody consented to is not kept."""
        body = "" if code in WITHOUT_BODY else body[:BODY_CHARACTERS]
        note(
            self.letters,
            (outcome, self.source, plain(sender)[:64], plain(topic)[:200], code, rule),
            Letter(plain(body), plain(detail)[:300], received_at, times),
        )

    def store(self, *, at: datetime) -> None:
        """Write letters, the rules' counters and the alarms as facts; inside the caller's transaction."""
        ruling.count(self.book.version, self.hits, at=at)
        write_letters(self.letters)
        for (outcome, _, sender, _, _, rule), letter in self.letters.items():
            if outcome == Message.Outcome.ALARM:
                outbox.record(ALARM, at=at, rule=rule, sender=sender, text=letter.detail)


def note(letters: dict[LetterKey, Letter], key: LetterKey, letter: Letter) -> None:
    """Add a letter; the newest of a kind is kept with how often it came."""
    known = letters.get(key)
    if known is not None:
        letter.times += known.times
    elif len(letters) >= MOST_LETTERS:
        key = (key[0], key[1], "", "*", key[4], key[5])
        letter.times += letters[key].times if key in letters else 0
    letters[key] = letter


def write_letters(letters: dict[LetterKey, Letter]) -> None:
    """Write the letters, each kind one row; inside the caller's transaction."""
    if not letters:
        return
    keys = sorted(letters)
    columns = [list(column) for column in zip(*keys, strict=True)]
    rows = [letters[key] for key in keys]
    with encryption.sealing_for({Message.SEALED_FOR}), connection.cursor() as cursor:
        cursor.execute(
            LETTER,
            [
                *columns,
                [_sealed(row.body) for row in rows],
                [row.detail for row in rows],
                [row.received_at for row in rows],
                [row.times for row in rows],
            ],
        )


def _sealed(body: str) -> bytes:
    """As the model's own field seals it."""
    return encryption.seal(Message.SEALED_FOR, body, BODY_CONTEXT) if body else b""


def plain(text: str) -> str:
    """PostgreSQL keeps any character but NUL."""
    return text.replace("\x00", "\ufffd")
