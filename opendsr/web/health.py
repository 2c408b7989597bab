"""Whether this process lives and can serve: for supervisors and load balancers, without sign-in."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from opendsr.kernel import heartbeat, outbox

BEAT: Final = "beat"
BEAT_SILENT_SECONDS: Final = 60
OLDEST_DUE_SECONDS: Final = 120


@require_safe
@never_cache
def livez(request: HttpRequest) -> JsonResponse:
    """Answer without touching anything else."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and is migrated; the worker's state is told, no more."""
    try:
        executor = MigrationExecutor(connection)
        is_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not is_migrated:
            return JsonResponse({"status": "migrations are missing: run manage.py migrate"}, status=503)
        backlog = outbox.backlog()
        silence = heartbeat.age_seconds(BEAT)
    except DatabaseError:
        return JsonResponse({"status": "no database"}, status=503)
    checks = {
        "background_work": silence is not None and silence < BEAT_SILENT_SECONDS,
        "outbox_on_time": backlog.oldest_due_seconds < OLDEST_DUE_SECONDS,
        "outbox_dead": backlog.dead,
    }
    return JsonResponse({"status": "ok", "checks": checks})
