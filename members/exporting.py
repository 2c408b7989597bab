"""A copy of everything held about a member: asked for, written in parts in the background, taken as one ZIP.

This room keeps the parts and the file, sealed with the member's own key; what the parts are, and how they
become a file, is told by the caller, who sees every room. Work cut short goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from members import asking
from members.models import Member, User
from members.rights_models import DataExport, DataExportPart, RightsRequest
from opendsr.kernel import encryption, outbox
from opendsr.kernel.errors import DomainError

ASKED: Final = "members.export.asked"
KEPT: Final = timedelta(days=30)
READY: Final = "Your copy is ready. It can be taken for 30 days; ask for another at any time."

Assemble = Callable[[Mapping[str, bytes]], bytes]


class ExportNotReady(DomainError):
    """Some parts are not written yet, or the file was forgotten after its 30 days."""

    request_id: str


@transaction.atomic
def ask(
    *, member: Member, parts: Sequence[str], at: datetime, channel: str, by: str, words: str = ""
) -> RightsRequest:
    """Have a copy written, in parts of these names. Raises RequestOpen while one is being written."""
    request = asking.open_request(
        member=member, kind=asking.Kind.EXPORT, at=at, channel=channel, by=by, words=words
    )
    DataExport.objects.create(request=request, parts=len(parts))
    outbox.record_many(
        ASKED,
        [(f"{request.pk}:{name}", {"request_id": str(request.pk), "part": name}) for name in parts],
        at=at,
    )
    return request


@transaction.atomic
def write_part(
    *, request_id: UUID, part: str, body: Callable[[Member], bytes], assemble: Assemble, at: datetime
) -> bool:
    """Write one part; whoever writes the last makes the file and closes the request. False: it was there.

    A member erased meanwhile has nothing written any more.
    """
    export = DataExport.objects.select_for_update(of=("self",)).filter(pk=request_id).first()
    if export is None or export.sealed is not None or export.forgotten_at is not None:
        return False
    request = RightsRequest.objects.select_related("member__household", "member__user").get(pk=request_id)
    if request.verdict or DataExportPart.objects.filter(export=export, name=part).exists():
        return False
    sealed = encryption.seal_bytes(request.member_id, body(request.member), _context(request_id, part))
    DataExportPart.objects.create(export=export, name=part, sealed=sealed)
    export.parts_done += 1
    if export.parts_done == export.parts:
        kept = {
            each.name: encryption.unseal_bytes(
                request.member_id, bytes(each.sealed), _context(request_id, each.name)
            )
            for each in DataExportPart.objects.filter(export=export)
        }
        whole = assemble(kept)
        export.sealed = encryption.seal_bytes(request.member_id, whole, _context(request_id, ""))
        export.size_bytes, export.ready_at = len(whole), at
        DataExportPart.objects.filter(export=export).delete()
        asking.decide(
            request_id=request_id,
            verdict=asking.Verdict.GRANTED,
            reason=READY,
            at=at,
            by=None,
            actor="system:export",
        )
    export.save()
    return True


@transaction.atomic
def take(*, request_id: UUID, member: Member, at: datetime, by: User) -> bytes:
    """The ZIP, for the member whose copy it is; that it was taken is on record. Raises ExportNotReady and
    RequestNotFound.
    """
    found = DataExport.objects.select_for_update(of=("self",)).select_related("request")
    export = found.filter(pk=request_id, request__member=member).first()
    if export is None:
        raise asking.RequestNotFound(request_id=str(request_id))
    if export.sealed is None:
        raise ExportNotReady(request_id=str(request_id))
    whole = encryption.unseal_bytes(member.pk, bytes(export.sealed), _context(request_id, ""))
    export.taken_at = at
    export.save(update_fields=["taken_at"])
    asking.record(export.request, at=at, by=asking.actor_of(by), verb="taken", bytes=len(whole))
    return whole


def forget(*, at: datetime) -> int:
    """Drop files that have been ready for a month; how many."""
    old = DataExport.objects.filter(ready_at__lt=at - KEPT, sealed__isnull=False)
    return old.update(sealed=None, forgotten_at=at)


def _context(request_id: UUID, part: str) -> str:
    return f"members_dataexport|{part}|{request_id}"
