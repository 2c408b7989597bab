"""Where staff write to members in the co-op's own words: written, looked at with who would get it, sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from members import entry
from members.policy import has_role, require_role
from notices import words, writing
from notices.kinds import MANNERS, Kind, NoticeClass
from notices.models import Circular
from notices.policy import RESENDS_NOTICES, SEES_NOTICES
from notices.writing import Audience
from opendsr.kernel import clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.web import live_board, step_up, wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence

SHOWN: Final = 25
CHOICES: Final = (
    (Kind.SAFETY_WORD, _lazy("Safety: to every member, at once, at night too")),
    (Kind.NEWS, _lazy("News: only to members who said yes to it")),
)
STATES: Final[Mapping[str, tuple[str | Promise, str]]] = {
    Circular.State.WRITTEN: (_lazy("waits for a second look"), "warn"),
    Circular.State.SENT: (_lazy("sent"), "good"),
    Circular.State.DROPPED: (_lazy("not sent"), ""),
}
PROBLEMS: Final[Mapping[str, str | Promise]] = {
    "promotes": _lazy("A notice of safety promotes nothing: take words such as offer or prize out."),
    "empty": _lazy("Write something."),
}


class CircularForm(forms.Form):
    """A heading and some paragraphs."""

    kind = forms.ChoiceField(label=_lazy("What it is"), choices=CHOICES)
    subject = forms.CharField(
        label=_lazy("Heading"), max_length=writing.LONGEST_SUBJECT,
        validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("All that a text message says, so it has to do by itself."),
    )  # fmt: skip
    body = forms.CharField(
        label=_lazy("Words"), max_length=writing.LONGEST_BODY, widget=forms.Textarea(attrs={"rows": 8}),
        validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("Plain text; an empty line begins a paragraph."),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@signed_in
def circular_list(request: HttpRequest) -> HttpResponse:
    """What was written, newest first, and the form for something new."""
    require_role(request.user, *(RESENDS_NOTICES if request.method == "POST" else SEES_NOTICES))
    form = CircularForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        made = _written(request, form)
        if made is not None:
            return redirect("circular", made.pk)
    shown, pager = paged(request, Circular.objects.order_by("-written_at", "pk"), size=SHOWN)
    names = live_board.names({row.written_by for row in shown})
    context = {
        "rows": [_row(row, names) for row in shown],
        "pager": pager,
        "form": form,
        "may_write": has_role(request.user, *RESENDS_NOTICES),
    }
    return render(request, "notices/circulars.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def circular(request: HttpRequest, circular_id: UUID) -> HttpResponse:
    """The second look: as it will be read, who gets it, who does not and why."""
    require_role(request.user, *SEES_NOTICES)
    row = writing.circular(circular_id)
    kind = Kind(row.kind)
    is_open = row.state == Circular.State.WRITTEN
    counts = writing.audience(kind, at=clock.now()) if is_open else Audience(**row.counts)
    said = words.say(kind, {"subject": row.subject, "body": row.body})
    names = live_board.names({row.written_by, row.decided_by})
    is_own = row.written_by == f"user:{request.user.pk}"
    context = {
        "row": _row(row, names),
        "said": said,
        "text": f"{installation.current().coop_name}: {said.sms}" if MANNERS[kind].by_sms else "",
        "counts": counts if is_open or row.state == Circular.State.SENT else None,
        "is_news": kind is Kind.NEWS,
        "is_safety": MANNERS[kind].notice_class is NoticeClass.SAFETY,
        "is_open": is_open,
        "decided_by": names.get(row.decided_by, row.decided_by),
        "decided_at": wording.moment(row.decided_at) if row.decided_at else "",
        "may_decide": is_open and has_role(request.user, *RESENDS_NOTICES),
        "needs_other": kind is Kind.NEWS and is_own,
    }
    return render(request, "notices/circular.html", context)


@require_POST
@signed_in
def circular_action(request: HttpRequest, circular_id: UUID, verb: str) -> HttpResponse:
    """Send it, or drop it; what cannot be done is said on its page."""
    require_role(request.user, *RESENDS_NOTICES)
    writing.circular(circular_id)
    at, by = clock.now(), f"user:{request.user.pk}"
    actions: Mapping[str, Callable[[], Circular]] = {
        "send": lambda: writing.send(circular_id=circular_id, at=at, by=by),
        "drop": lambda: writing.drop(circular_id=circular_id, at=at, by=by),
    }
    if verb not in actions:
        raise Http404
    if verb == "send":
        step_up.require(request, _("Send it to members"))
    try:
        actions[verb]()
    except DomainError as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, _("It is on its way.") if verb == "send" else _("It will not be sent."))
    return redirect("circular", circular_id)


def _written(request: HttpRequest, form: CircularForm) -> Circular | None:
    data = form.cleaned_data
    try:
        return writing.write(
            kind=data["kind"], subject=data["subject"], body=data["body"],
            at=clock.now(), by=f"user:{request.user.pk}",
        )  # fmt: skip
    except entry.InvalidField as error:
        problem = str(error.problem)
        form.add_error(str(error.field), str(PROBLEMS.get(problem, _("Write it in plain letters."))))
        return None


def _row(row: Circular, names: Mapping[str, str]) -> dict[str, Any]:
    state, tag = STATES[row.state]
    return {
        "id": row.pk,
        "kind": Kind(row.kind).label,
        "subject": row.subject,
        "by": names.get(row.written_by, row.written_by),
        "at": wording.moment(row.written_at),
        "state": state,
        "tag": tag,
        "told": f"{row.counts['told']:,}" if row.counts else wording.NOTHING,
    }
