"""Staff pages: the prompts screen, and what became of one press."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from vtn import desk, prompting, ven_page
from vtn.models import MessageLog, PromptRun, QueuedMessage, Ven
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, sentence, show

KINDS: Final = {"event": _lazy("Events"), "message": _lazy("Registration"), "report": _lazy("Reports")}
RUNS_SHOWN: Final = 15
MESSAGES_SHOWN: Final = 30


@require_GET
@door(Deed.RUN_PROMPTS)
def prompt_list(request: StaffRequest) -> HttpResponse:
    """The buttons, for the VEN chosen; and the latest presses."""
    ven_id = request.GET.get("ven", "").replace("\0", "").strip()[:64]
    ven = Ven.objects.filter(ven_id=ven_id).first() if ven_id else None
    runs = PromptRun.objects.select_related("ven").order_by("-pk")
    context = {
        "ven": ven,
        "ven_id": ven_id,
        "is_unknown": bool(ven_id) and ven is None,
        "kinds": [
            {
                "label": label,
                "code": kind,
                "prompts": [
                    {"prompt": each, "run_id": new_uuid()} for each in prompting.PROMPTS if each.kind == kind
                ],
            }
            for kind, label in KINDS.items()
            if any(each.kind == kind for each in prompting.PROMPTS)
        ],
        "runs": [
            {"run": run, "title": _title(run.prompt)}
            for run in (runs.filter(ven=ven) if ven else runs)[:RUNS_SHOWN]
        ],
    }
    return show(request, "vtn/prompt_list.html", context, section="prompts")


@require_POST
@door(Deed.RUN_PROMPTS)
def prompt_press(request: StaffRequest, name: str) -> HttpResponse:
    """Stage one prompt and show what becomes of it."""
    ven_id = request.POST.get("ven", "").replace("\0", "")[:64]
    try:
        run_id = UUID(request.POST.get("run_id", ""))
    except ValueError:
        run_id = new_uuid()
    try:
        run = prompting.press(
            ven_id=ven_id,
            prompt=name,
            run_id=run_id,
            is_live=request.POST.get("live") == "yes",
            at=clock.now(),
            by=request.principal.actor,
        )
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, sentence(error))
        return redirect(f"{reverse('vtn:prompt_list')}?ven={ven_id}")
    return redirect("vtn:prompt_run", run.run_id)


@require_GET
@door(Deed.RUN_PROMPTS)
def prompt_run(request: StaffRequest, run_id: UUID) -> HttpResponse:
    """What became of a press: the events, the queue, the messages since; renewed while it is open."""
    run = PromptRun.objects.select_related("ven").filter(run_id=run_id).first()
    if run is None:
        raise Http404
    at = clock.now()
    events = desk.events(at=at).filter(event_id__in=run.event_ids).order_by("starts_at", "pk")
    rows = [ven_page.event_row(each, at=at) for each in events]
    queued = list(
        QueuedMessage.objects.filter(ven=run.ven, kind__in=run.queued, queued_at__gte=run.at).order_by("pk")[
            :10
        ]
    )
    context: dict[str, Any] = {
        "run": run,
        "title": _title(run.prompt),
        "expects": getattr(prompting.BY_NAME.get(run.prompt), "expects", ""),
        "events": rows,
        "queued": [
            {"row": each, "tag": ven_page.QUEUE_TAGS.get(each.state, ""), "state": each.get_state_display()}
            for each in queued
        ],
        "log": MessageLog.objects.filter(ven=run.ven, recorded_wall_at__gte=run.started_wall_at).order_by(
            "-pk"
        )[:MESSAGES_SHOWN],
        "is_done": bool(rows or queued)
        and all(row["delivery_tag"] == "good" for row in rows)
        and not any(each.is_open for each in queued),
    }
    if request.GET.get("part") == "live":
        return show(request, "vtn/partials/_prompt_live.html", context)
    return show(request, "vtn/prompt_run.html", context, section="prompts")


def _title(name: str) -> object:
    prompt = prompting.BY_NAME.get(name)
    return prompt.title if prompt is not None else name
