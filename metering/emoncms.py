"""The emoncms side door: keys of homes, their inputs, and what of them goes into the store.

A key speaks for the household that lived in its home when it was made, and for no other: it is dead once they
move. An input counts for what its role says; one without a role is listed and not kept.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from members.models import Home, Occupancy
from metering import intake, registers, routing, rules, ruling
from metering.adapters.emoncms import Frame
from metering.intake import PowerSample
from metering.intake_models import EmoncmsInput, EmoncmsKey, Message
from metering.letters import Desk
from metering.observations import MOST_WH
from opendsr.kernel import outbox
from opendsr.kernel.errors import DomainError, NotFound

SOURCE, POWER_SOURCE = "emoncms", "emoncms_power"
ISSUED: Final = "metering.emoncms_key.issued"
REVOKED: Final = "metering.emoncms_key.revoked"
MOST_INPUTS: Final = 500
USED_SECONDS: Final = 60
Role = EmoncmsInput.Role
USUAL_ROLES: Final = {
    "import_kwh": Role.IMPORT_KWH,
    "export_kwh": Role.EXPORT_KWH,
    "import_wh": Role.IMPORT_WH,
    "export_wh": Role.EXPORT_WH,
    "grid": Role.POWER_W,
    "grid_power": Role.POWER_W,
}
CHANNELS: Final = {
    Role.IMPORT_KWH: (registers.IMPORT, 1000),
    Role.IMPORT_WH: (registers.IMPORT, 1),
    Role.EXPORT_KWH: (registers.EXPORT, 1000),
    Role.EXPORT_WH: (registers.EXPORT, 1),
}
UPSERT: Final = """
    INSERT INTO metering_emoncmsinput AS held (key_id, node, name, role, at, value)
    SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::float8[])
    ON CONFLICT (key_id, node, name) DO UPDATE SET at = excluded.at, value = excluded.value
    WHERE held.at IS NULL OR held.at <= excluded.at
"""


class NobodyHome(DomainError):
    """A key cannot be made for a home where nobody lives."""

    home_id: UUID


class KeyNotFound(NotFound):
    """No such key."""

    key_id: int


class TooManyInputs(DomainError):
    """A key has more inputs than any home's devices need: `most`."""

    status = 422
    most: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A key that is good, and the stay it speaks for."""

    key: EmoncmsKey
    occupancy: Occupancy

    @property
    def may_write(self) -> bool:
        """Whether it may post."""
        return self.key.access == EmoncmsKey.Access.WRITE


@transaction.atomic
def issue_key(
    *, home: Home, name: str, at: datetime, access: str = EmoncmsKey.Access.WRITE
) -> tuple[EmoncmsKey, str]:
    """Make a key of 32 characters for the home's devices; it is told once, here. Raises NobodyHome."""
    if _stay(home.pk, at) is None:
        raise NobodyHome(home_id=home.pk)
    secret = secrets.token_hex(16)
    key = EmoncmsKey.objects.create(
        home=home, name=name.strip()[:60], key_sha256=_hash(secret), access=access, created_at=at
    )
    outbox.record(ISSUED, at=at, key_id=key.pk, access=str(access))
    return key, secret


@transaction.atomic
def revoke_key(*, key_id: int, at: datetime) -> None:
    """End a key; again changes nothing."""
    key = EmoncmsKey.objects.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise KeyNotFound(key_id=key_id)
    if key.revoked_at is None:
        key.revoked_at = at
        key.save(update_fields=["revoked_at"])
        outbox.record(REVOKED, at=at, key_id=key.pk)


def holder_of(secret: str, *, at: datetime) -> Holder | None:
    """Whom the key speaks for at `at`, None for one that is unknown, revoked or of people who moved out."""
    return _holder(EmoncmsKey.objects.filter(key_sha256=_hash(secret)).first(), at)


def holder_of_letter(sender: str, *, at: datetime) -> Holder | None:
    """The same for the key that a letter names as its sender."""
    return _holder(EmoncmsKey.objects.filter(pk=int(sender)).first() if sender.isdecimal() else None, at)


@transaction.atomic
def take_frames(
    holder: Holder, frames: Sequence[Frame], *, at: datetime, passed_over: dict[str, int] | None = None
) -> Counter[str]:
    """Store what the frames say; returns what could not be used, by code. Raises TooManyInputs.

    Again the same frames change nothing. Of each node and code the latest frame waits as a letter
    (`frame_of_letter`); what was no frame is counted only.
    """
    key = holder.key
    home = key.home_id
    routes = routing.routes({"": home})
    known = {(each.node, each.name): each for each in EmoncmsInput.objects.filter(key=key)}
    unused: dict[tuple[str, str], _Unused] = {}
    desk = Desk(
        SOURCE,
        ruling.book_in_force(),
        stream_at=lambda _, when: routes.stream_of_home(home, "electricity", when),
    )
    samples: list[registers.Sample] = []
    power: list[PowerSample] = []
    newest: dict[tuple[str, str], tuple[datetime, float | None, str]] = {}
    for given, frame in sorted(_ruled(desk, frames, str(key.pk), at, unused), key=lambda each: each[1].at):
        stream = routes.stream_of_home(home, "electricity", frame.at)
        is_live = not isinstance(stream, str) and routes.may_keep_live(stream, frame.at)
        for name, value in frame.values.items():
            place = (frame.node, name)
            found = known.get(place)
            role = found.role if found is not None else USUAL_ROLES.get(name.casefold(), Role.NONE)
            if frame.at <= at + registers.AHEAD:
                newest[place] = (frame.at, value if is_live else None, role)
            if role == Role.NONE:
                continue
            if not registers.is_timely(frame.at, at):
                _note(unused, given, name, "clock_ahead" if frame.at > at else "too_late")
            elif isinstance(stream, str):
                _note(unused, given, name, stream)
            elif role == Role.POWER_W:
                power.append((stream, frame.at, round(max(-2e9, min(value, 2e9)))))
            else:
                channel, scale = CHANNELS[Role(role)]
                wh = round(value * scale) if abs(value) < 1e15 else -1
                if 0 < wh <= MOST_WH:
                    samples.append(registers.Sample(stream, SOURCE, channel, frame.at, wh))
                else:
                    _note(unused, given, name, "zero_register" if wh == 0 else "implausible")
    if len(set(known) | set(newest)) > MOST_INPUTS:
        raise TooManyInputs(most=MOST_INPUTS)
    registers.take_in(samples)
    intake.store_power(power, source=POWER_SOURCE, at=at)
    _write_inputs(key, newest)
    told = Counter(passed_over or {})
    for code, times in (+told).items():
        words = f"rows or values of key {key.name!r}"
        desk.note(Message.Outcome.DEAD, str(key.pk), "*", code, words, received_at=at, times=times)
    for (node, code), each in unused.items():
        words = f"values of key {key.name!r}: {', '.join(sorted(each.values))}"
        desk.note(
            Message.Outcome.DEAD, str(key.pk), node, code, words,
            body=json.dumps({"at": each.at.isoformat(), "values": each.values}), received_at=at,
            times=each.times,
        )  # fmt: skip
        told[code] += each.times
    desk.store(at=at)
    if key.used_at is None or (at - key.used_at).total_seconds() > USED_SECONDS:
        EmoncmsKey.objects.filter(pk=key.pk).update(used_at=at)
    return told


def frame_of_letter(node: str, body: str) -> Frame:
    """The frame that a letter of `take_frames` keeps."""
    told = json.loads(body)
    return Frame(node, datetime.fromisoformat(told["at"]), told["values"])


def inputs_of(holder: Holder) -> list[EmoncmsInput]:
    """The key's inputs by node and name."""
    return list(EmoncmsInput.objects.filter(key=holder.key).order_by("node", "name"))


@dataclass(slots=True)
class _Unused:
    """Values of a node's latest frame that could not be used for one reason; how often any could not."""

    at: datetime
    values: dict[str, float]
    times: int = 0


def _note(unused: dict[tuple[str, str], _Unused], given: Frame, name: str, code: str) -> None:
    """Note a value that cannot be used; what a rule named anew is kept as the whole frame that came."""
    held = unused.setdefault((given.node, code), _Unused(given.at, {}))
    if held.at != given.at:
        held.at, held.values = given.at, {}
    held.values |= {name: given.values[name]} if name in given.values else given.values
    held.times += 1


def _ruled(
    desk: Desk, frames: Sequence[Frame], sender: str, at: datetime, unused: dict[tuple[str, str], _Unused]
) -> Iterator[tuple[Frame, Frame]]:
    """The frames as they came and after the rules; a value that a rule made no number of is not used."""
    for frame in frames:
        if not desk.has_rules:
            yield frame, frame
            continue
        told = desk.ruled(sender, frame.node, frame.values, received_at=at)
        if told is None:
            continue
        values = {name: rules.as_number(value) for name, value in told.items() if value is not None}
        for name, value in values.items():
            if value is None:
                _note(unused, frame, name, "not_a_number")
        numbers = {name: value for name, value in values.items() if value is not None}
        yield frame, replace(frame, values=numbers)


def _write_inputs(key: EmoncmsKey, newest: dict[tuple[str, str], tuple[datetime, float | None, str]]) -> None:
    if not newest:
        return
    places = sorted(newest)
    with connection.cursor() as cursor:
        cursor.execute(
            UPSERT,
            [
                key.pk,
                [node for node, _ in places],
                [name for _, name in places],
                [newest[place][2] for place in places],
                [newest[place][0] for place in places],
                [newest[place][1] for place in places],
            ],
        )


def _holder(key: EmoncmsKey | None, at: datetime) -> Holder | None:
    stay = None if key is None else _stay(key.home_id, key.created_at)
    if key is None or key.revoked_at is not None or stay is None or not stay.is_current(at):
        return None
    return Holder(key, stay)


def _stay(home_id: UUID, at: datetime) -> Occupancy | None:
    """Who lived in the home at `at`."""
    stays = Occupancy.objects.filter(home_id=home_id, starts_at__lte=at).order_by("-starts_at")
    stay = stays.first()
    return stay if stay is not None and stay.is_current(at) else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
