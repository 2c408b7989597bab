"""What providers call, signed: a text message that came in, and what became of what was sent.

    POST /hooks/sms/       {"id": "...", "from": "+44...", "text": "SKIP"}  ->  {"reply": "..."}
    POST /hooks/receipts/  {"id": "...", "outcome": "delivered"}            ->  {"known": true}

`notices/hooks.py` says how a call is signed. A body that is not understood is 400, an unsigned one 403.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

import campaigns.queries
import members.queries
from campaigns import opting
from campaigns.models import Participation
from members.models import Member
from notices import hooks, inbound, receipts
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import wording

MOST_BYTES: Final = 16 * 1024
LONGEST: Final = {"id": 120, "from": 40, "text": 2_000, "outcome": 40}
OUT: Final = (Participation.State.OPTED_OUT, Participation.State.OVERRIDDEN)


@csrf_exempt
@require_POST
def sms_in(request: HttpRequest) -> HttpResponse:
    """A member's text message; the answer is what the provider sends back to the number."""

    def act(told: Mapping[str, str]) -> dict[str, object]:
        reply = inbound.receive(
            provider_id=told["id"],
            sender=told["from"],
            text=told["text"],
            at=clock.now(),
            answer=answer_next_event,
        )
        return {"reply": reply}

    return _called(request, ("id", "from", "text"), act)


@csrf_exempt
@require_POST
def receipts_in(request: HttpRequest) -> HttpResponse:
    """A receipt; `known` is false for an id that is none of ours."""

    def act(told: Mapping[str, str]) -> dict[str, object]:
        return {"known": receipts.receive(provider_id=told["id"], outcome=told["outcome"], at=clock.now())}

    return _called(request, ("id", "outcome"), act)


def answer_next_event(member: Member, is_in: bool, at: datetime) -> str:
    """Skip, or rejoin, the member's next event for all their homes, and say so."""
    stays = members.queries.occupancies_of(member, at) if member.is_current(at) else []
    parts = list(campaigns.queries.upcoming_participations([stay.pk for stay in stays], at))
    wanted = [part for part in parts if (part.state in OUT) == is_in]
    if not wanted:
        return _("No event of yours is waiting for an answer.")
    event = wanted[0].campaign
    homes = {part.occupancy_id for part in wanted if part.campaign_id == event.pk}
    act = opting.opt_home_back_in if is_in else opting.skip_home
    try:
        for home in sorted(homes):
            act(campaign_id=event.pk, occupancy_id=home, at=at, by=None, reason="text message")
    except DomainError:
        return _("That could not be changed any more. Your own devices’ buttons always work.")
    when = {"when": wording.stretch(event.starts_at, event.ends_at, form="D j M")}
    if is_in:
        return _("You take part on %(when)s. Reply SKIP to skip it after all.") % when
    return _("You are out on %(when)s. Reply IN to take part after all.") % when


def _called(
    request: HttpRequest, names: tuple[str, ...], act: Callable[[Mapping[str, str]], dict[str, object]]
) -> HttpResponse:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        return JsonResponse({"error": "too_large"}, status=413)
    body = request.body
    try:
        hooks.verify(
            body,
            request.headers.get(hooks.HEADER, ""),
            secret=settings.NOTICE_HOOK_SECRET,
            wall=clock.wall_now(),
        )
    except hooks.SignatureWrong:
        return JsonResponse({"error": "signature_wrong"}, status=403)
    told = _texts(body, names)
    if isinstance(told, str):
        return JsonResponse({"error": "invalid", "detail": told}, status=400)
    try:
        return JsonResponse(act(told))
    except DomainError as error:
        return JsonResponse({"error": error.code, "detail": str(error)}, status=error.status)


def _texts(body: bytes, names: tuple[str, ...]) -> dict[str, str] | str:
    """The named texts of a JSON object, or what is wrong with it."""
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(given, dict):
        return "the body is not a JSON object"
    for name in names:
        value = given.get(name)
        if not isinstance(value, str) or "\x00" in value or len(value) > LONGEST[name]:
            return f"{name}: a text of at most {LONGEST[name]} characters is needed"
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"{name}: is not Unicode text"
    if not given["id"].strip():
        return "id: is empty"
    return {name: given[name] for name in names}
