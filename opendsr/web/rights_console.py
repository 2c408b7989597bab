"""Staff pages of requests and complaints: what is due first, each with its steps, answered with a reason."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from members import asking, erasing, exporting, rectifying, restricting
from members.asking import Kind, Verdict
from members.policy import (
    ANSWERS_RIGHTS,
    SEES_RIGHTS,
    access_member,
    access_rights_request,
    has_role,
    require_role,
)
from members.rights_models import RightsRequest
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import processing_record as record
from opendsr.web import rights_export
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from opendsr.web.rights_forms import AnswerForm, OnBehalfForm
from opendsr.web.rights_pages import add_error, premises_that_go, shown_request, user_of

SHOWN: Final = 50


@require_http_methods(["GET", "POST"])
@signed_in
def rights_list(request: HttpRequest) -> HttpResponse:
    """What waits, oldest due first; what was answered; and what came on paper or by telephone."""
    require_role(request.user, *(ANSWERS_RIGHTS if request.method == "POST" else SEES_RIGHTS))
    at = clock.now()
    form = OnBehalfForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            opened = _open_for(form, request)
        except DomainError as error:
            add_error(form, error)
        else:
            return redirect("rights_request", opened.pk)
    waiting, pager = paged(request, asking.open_requests(), size=SHOWN)
    closed, closed_pager = paged(
        request, asking.closed_requests(), size=SHOWN, parameter="answered", anchor="closed"
    )
    rows = [(row, shown_request(row, [], at, set())) for row in waiting]
    context = {
        "waiting": rows,
        "overdue": asking.open_requests().filter(due_at__lt=at).count(),
        "pager": pager,
        "closed": [(row, shown_request(row, [], at, set())) for row in closed],
        "closed_pager": closed_pager,
        "form": form if has_role(request.user, *ANSWERS_RIGHTS) else None,
    }
    return render(request, "members/rights_list.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def rights_request(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """One request: what happened so far, and the answer."""
    row = access_rights_request(request.user, request_id)
    at = clock.now()
    do = request.POST.get("do", "")
    form = AnswerForm(request.POST if do == "answer" else None)
    if request.method == "POST":
        require_role(request.user, *ANSWERS_RIGHTS)
        if do == "answer" and form.is_valid():
            try:
                _answer(row, form, request)
            except asking.RequestClosed as error:
                messages.error(request, sentence(error))
                return redirect("rights_request", row.pk)
            except DomainError as error:
                add_error(form, error)
            else:
                messages.success(request, _("Answered. The member reads it on their page."))
                return redirect("rights_request", row.pk)
        elif do != "answer":
            _act(do, row, request)
            return redirect("rights_request", row.pk)
    context = {
        "row": row,
        "asked": shown_request(row, asking.steps_of([row.pk]).get(row.pk, []), at, set()),
        "form": form,
        "may_answer": has_role(request.user, *ANSWERS_RIGHTS) and not row.verdict and row.kind != Kind.EXPORT,
        "is_erasure": row.kind == Kind.ERASURE,
        "is_erased": erasing.is_erased(row.member),
    }
    return render(request, "members/rights_request.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def processing_record(request: HttpRequest) -> HttpResponse:
    """Every table with personal data: what for, on which ground, how long, to whom, how it lies."""
    require_role(request.user, *SEES_RIGHTS)
    rows = record.record()
    groups = [
        {**asdict(group), "rows": [row for row in rows if row.model in group.models]}
        for group in record.DECLARED
    ]
    return render(request, "members/processing_record.html", {"groups": groups, "count": len(rows)})


def _open_for(form: forms.Form, request: HttpRequest) -> RightsRequest:
    """Open what somebody asked on paper or by telephone."""
    at, data = clock.now(), form.cleaned_data
    member = access_member(user_of(request), data["number"], at)
    by = asking.actor_of(user_of(request))
    shared = {"member": member, "at": at, "channel": data["channel"], "by": by, "words": data["words"]}
    match data["kind"]:
        case Kind.EXPORT:
            return exporting.ask(parts=rights_export.PARTS, **shared)
        case Kind.RESTRICTION:
            return restricting.restrict(**shared)
        case Kind.OBJECTION:
            return restricting.object_to(purpose=data["purpose"], **shared)
        case Kind.RECTIFICATION:
            return rectifying.correct(about=asking.About.OTHER, wanted="", **shared)
        case kind:
            return asking.open_request(kind=kind, **shared)


def _answer(row: RightsRequest, form: forms.Form, request: HttpRequest) -> None:
    at, by, data = clock.now(), user_of(request), form.cleaned_data
    told = {"request_id": row.pk, "verdict": data["verdict"], "reason": data["reason"], "at": at, "by": by}
    match row.kind:
        case Kind.RECTIFICATION:
            rectifying.decide(**told)
        case Kind.OBJECTION:
            restricting.decide_objection(**told)
        case Kind.RESTRICTION:
            restricting.lift(actor=asking.actor_of(by), **told)
        case Kind.ERASURE if data["verdict"] != Verdict.REFUSED:
            erasing.erase_member(
                member=row.member,
                at=at,
                by=asking.actor_of(by),
                request_id=row.pk,
                premises=premises_that_go(row.member),
            )
        case _:
            asking.decide(**told)


def _act(do: str, row: RightsRequest, request: HttpRequest) -> None:
    try:
        if do == "acknowledge":
            asking.acknowledge(request_id=row.pk, at=clock.now(), by=user_of(request))
            messages.success(request, _("Acknowledged."))
        else:
            messages.error(request, _("Press one of the buttons on the page."))
    except DomainError as error:
        messages.error(request, sentence(error))
