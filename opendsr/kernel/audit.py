"""The audit trail: who did what to what. Written in the transaction of the deed; PostgreSQL refuses edits.

Names and contact details never go in, only references, so that erasing a person leaves the trail whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from opendsr.kernel import clock, plain
from opendsr.kernel.models import AuditEntry


def record(
    *, at: datetime, actor: str, verb: str, target: str, detail: Mapping[str, object] | None = None
) -> AuditEntry:
    """Append one entry, such as actor="staff:7", verb="campaign.approved", target="campaign:12"."""
    return AuditEntry.objects.create(
        at=at,
        recorded_wall_at=clock.wall_now(),
        actor=actor,
        verb=verb,
        target=target,
        detail=plain.json_object(detail or {}),
    )
