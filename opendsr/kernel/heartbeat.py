"""Signs of life of background processes, on the wall clock; written by tasks, read by the health check."""

from __future__ import annotations

from opendsr.kernel import clock
from opendsr.kernel.models import Heartbeat


def beat(name: str) -> None:
    """Note that `name` is at work now."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, seen_wall_at=clock.wall_now())],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["seen_wall_at"],
    )


def age_seconds(name: str) -> float | None:
    """Real seconds since `name` was last seen, or None when it never was."""
    row = Heartbeat.objects.filter(name=name).first()
    return None if row is None else (clock.wall_now() - row.seen_wall_at).total_seconds()
