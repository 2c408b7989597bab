"""Desired and reported state of VENs, on their own listener beside OpenADR, which has no place for it.

A VEN posts what it is and which desired version it holds; the answer is the newer one, if there is any:

    POST /ven/shadow       {"version": 3, "reported": {...}}
                           {"version": 4, "desired": {...}}, or {"version": 3} when there is none
    GET  /ven/files/SHA256  the bytes

The certificate says who speaks, as on every other path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from django.db import transaction

from opendsr.kernel import clock, outbox
from opendsr.kernel.errors import Invalid
from vtn.models import Ven, VenFile, VenShadow

SHADOW_PATH: Final = "/ven/shadow"
FILES_PREFIX: Final = "/ven/files/"
LARGEST_REPORT_BYTES: Final = 64 * 1024
LARGEST_FILE_BYTES: Final = 16 * 1024 * 1024
DEEPEST: Final = 8
REPORTED: Final = "vtn.shadow.reported"


class ReportUnreadable(Invalid):
    """What a VEN reports is no JSON object with a version and a reported state."""

    problem: str


class FileTooLarge(Invalid):
    """No VEN fetches so much."""

    size: int
    most: int


@dataclass(frozen=True, slots=True)
class Shadow:
    """The two documents of one VEN; `is_in_step` once it has taken in what is desired now."""

    ven_id: str
    desired: Mapping[str, Any]
    desired_version: int
    desired_at: datetime | None
    reported: Mapping[str, Any]
    answered_version: int
    reported_at: datetime | None
    heard_wall_at: datetime | None

    @property
    def is_in_step(self) -> bool:
        return self.answered_version == self.desired_version and self.heard_wall_at is not None


# ---- for the house


@transaction.atomic
def desire(documents: Mapping[str, Mapping[str, Any]], *, at: datetime) -> int:
    """Say what VENs should be, by VEN id; return how many documents are others than before.

    A few statements for any number of VENs; an id that is no VEN's is passed over.
    """
    vens = dict(Ven.objects.filter(ven_id__in=list(documents)).values_list("pk", "ven_id"))
    VenShadow.objects.bulk_create([VenShadow(ven_id=pk) for pk in vens], ignore_conflicts=True)
    changed = []
    for shadow in VenShadow.objects.select_for_update().filter(ven_id__in=list(vens)).order_by("ven_id"):
        document = documents[vens[shadow.ven_id]]
        if shadow.desired != document or not shadow.desired_version:
            shadow.desired, shadow.desired_at = dict(document), at
            shadow.desired_version += 1
            changed.append(shadow)
    VenShadow.objects.bulk_update(changed, ["desired", "desired_version", "desired_at"], batch_size=1_000)
    return len(changed)


def shadows_of(ven_ids: Collection[str]) -> dict[str, Shadow]:
    """Return the documents by VEN id, in one query; a VEN that nobody desired anything of is left out."""
    rows = VenShadow.objects.filter(ven__ven_id__in=ven_ids).select_related("ven")
    return {row.ven.ven_id: _of(row) for row in rows}


def keep_file(body: bytes, *, at: datetime) -> str:
    """Keep bytes for VENs to fetch and return their SHA-256. Raises FileTooLarge."""
    if len(body) > LARGEST_FILE_BYTES:
        raise FileTooLarge(size=len(body), most=LARGEST_FILE_BYTES)
    name = sha256(body).hexdigest()
    VenFile.objects.get_or_create(sha256=name, defaults={"body": body, "kept_at": at})
    return name


# ---- for the listener


@transaction.atomic
def take_report(*, ven: Ven, body: bytes, at: datetime) -> bytes:
    """Take in what a VEN says of itself and return the answer. Raises ReportUnreadable.

    Records `vtn.shadow.reported` when it is news.
    """
    version, reported = _read(body)
    VenShadow.objects.get_or_create(ven_id=ven.pk)
    shadow = VenShadow.objects.select_for_update().get(ven_id=ven.pk)
    answered = min(version, shadow.desired_version)
    is_news = shadow.reported != reported or shadow.answered_version != answered
    shadow.heard_wall_at = clock.wall_now()
    if is_news:
        shadow.reported, shadow.answered_version, shadow.reported_at = reported, answered, at
        outbox.record(REPORTED, at=at, ven_id=ven.ven_id)
    shadow.save()
    answer: dict[str, Any] = {"version": shadow.desired_version}
    if version != shadow.desired_version and shadow.desired_version:
        answer["desired"] = shadow.desired
    return json.dumps(answer, separators=(",", ":")).encode()


def file_of(name: str) -> bytes | None:
    """Return the bytes of a name; None when nothing is kept by it."""
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        return None
    body = VenFile.objects.filter(sha256=name).values_list("body", flat=True).first()
    return None if body is None else bytes(body)


def _read(body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ReportUnreadable(problem="not_json") from None
    if not isinstance(document, dict):
        raise ReportUnreadable(problem="not_an_object")
    version, reported = document.get("version"), document.get("reported")
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**31:
        raise ReportUnreadable(problem="version_is_no_whole_number")
    if not isinstance(reported, dict):
        raise ReportUnreadable(problem="reported_is_no_object")
    if not _is_plain(reported, DEEPEST):
        raise ReportUnreadable(problem="reported_cannot_be_kept")
    return version, reported


def _is_plain(value: object, depth: int) -> bool:
    """True for what PostgreSQL can keep as JSON: no NUL, no lone surrogate, no NaN, not too deep."""
    if depth < 0:
        return False
    if isinstance(value, dict):
        return all(_is_plain(name, 0) and _is_plain(each, depth - 1) for name, each in value.items())
    if isinstance(value, list):
        return all(_is_plain(each, depth - 1) for each in value)
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    if isinstance(value, int):
        return abs(value) < 10**18
    return value is None


def _of(row: VenShadow) -> Shadow:
    return Shadow(
        ven_id=row.ven.ven_id,
        desired=row.desired,
        desired_version=row.desired_version,
        desired_at=row.desired_at,
        reported=row.reported,
        answered_version=row.answered_version,
        reported_at=row.reported_at,
        heard_wall_at=row.heard_wall_at,
    )
