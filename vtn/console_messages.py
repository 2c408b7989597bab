"""Staff pages: the message log, of one VEN or of all, and one exchange with its redacted bodies."""

from __future__ import annotations

from typing import Final

from django.db.models import Q
from django.http import Http404, HttpResponse
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

from vtn.lists import chosen, paged, search_words
from vtn.models import MessageLog, Ven
from vtn.policy import Deed
from vtn.staff_door import StaffRequest, door, show

KINDS: Final = {"refused": _lazy("Refused"), "answered": _lazy("Answered"), "with_body": _lazy("With bodies")}
SERVICES: Final = ("EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll")


@require_GET
@door(Deed.SEE)
def message_list(request: StaffRequest) -> HttpResponse:
    """Exchanges, newest first; the filters stay in the address."""
    words, ven_id = search_words(request), request.GET.get("ven", "").replace("\0", "")[:64]
    kind = chosen(request, "kind", tuple(KINDS))
    service = chosen(request, "service", SERVICES)
    rows = MessageLog.objects.select_related("ven").order_by("-pk")
    if ven_id:
        rows = rows.filter(ven__ven_id=ven_id)
    if service:
        rows = rows.filter(service=service)
    if words:
        rows = rows.filter(Q(message__icontains=words) | Q(reply__icontains=words) | Q(code=words))
    match kind:
        case "refused":
            rows = rows.filter(is_refused=True)
        case "answered":
            rows = rows.filter(is_refused=False)
        case "with_body":
            rows = rows.exclude(request_body="", reply_body="")
    shown, pager = paged(request, rows.defer("request_body", "reply_body"))
    context = {
        "log": shown,
        "pager": pager,
        "words": words,
        "ven_id": ven_id,
        "is_ven": bool(ven_id) and Ven.objects.filter(ven_id=ven_id).exists(),
        "kind": kind,
        "kinds": KINDS.items(),
        "service": service,
        "services": SERVICES,
        "is_filtered": bool(words or ven_id or kind or service),
    }
    return show(request, "vtn/message_list.html", context, section="messages")


@require_GET
@door(Deed.SEE)
def message_detail(request: StaffRequest, message_id: int) -> HttpResponse:
    """One exchange; its bodies for those who may read them."""
    row = MessageLog.objects.select_related("ven").filter(pk=message_id).first()
    if row is None:
        raise Http404
    context = {"entry": row, "may_read": request.principal.may(Deed.READ_BODIES)}
    return show(request, "vtn/message_detail.html", context, section="messages")
