"""Members' pages: the next event with one press to skip it, my usage against the baseline, what I earned.

Objects come only from the rooms' policies, for the household of whoever is signed in.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

import campaigns.policy
import members.policy
import members.queries
import settlement.queries
from campaigns import opting
from campaigns.models import OptRecord
from members import terms
from members.models import Role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import member_home, statement_page, usage, wording
from opendsr.web import statement_pdf as statement_pdf_maker
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from settlement import statements as settled
from settlement.models import Statement
from settlement.policy import access_statement

STATEMENTS_SHOWN = 12
REFUSED_FOR_GOOD = (403, 404)


@require_GET
@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """The member's home; staff without a home go to campaigns, installers to visits, partners to totals."""
    at = clock.now()
    member = members.queries.member_of(request.user)
    if member is None:
        if campaigns.policy.may_see_campaigns(request.user):
            return redirect("today")
        if members.policy.has_role(request.user, Role.INSTALLER):
            return redirect("visit_list")
        if members.queries.partner_of(request.user) is not None:
            return redirect("partner_home")
        return render(request, "web/no_home.html")
    stays = member_home.stays_of(member, at)
    mine = settlement.queries.statements_of(member)
    shown, pager = paged(request, mine, size=STATEMENTS_SHOWN, parameter="statements", anchor="earned")
    balance_mp = member_home.balance_mp(stays)
    context = {
        "member": member,
        "terms_to_read": terms.terms_to_read(member, at) if member.is_current(at) else None,
        "stays": stays,
        "upcoming": member_home.upcoming_events(stays, at),
        "awaiting": member_home.awaiting(stays, at),
        "statements": member_home.statement_rows(shown),
        "statements_pager": pager,
        "balance": wording.money(balance_mp),
        "balance_exact": wording.millipence(balance_mp),
        "assets": member_home.assets_of(stays),
        "consents": member_home.consents_of(stays, at),
        "usage": usage.day_usage(stays, _day(request), at),
    }
    return render(request, "web/home.html", context)


@require_POST
@signed_in
def answer_event(request: HttpRequest, campaign_id: UUID, occupancy_id: UUID) -> HttpResponse:
    """Skip an event for the whole home, or opt back in; the button pressed says which."""
    at = clock.now()
    stay = members.policy.access_occupancy(request.user, occupancy_id, at)
    part = stay.participations.filter(campaign=campaign_id).first()
    if part is None:
        raise opting.ParticipationNotFound(participation_id=campaign_id)
    campaigns.policy.access_participation_to_answer(request.user, part.pk, at)
    is_own = campaigns.policy.is_own_household(request.user, part, at)
    answer = opting.opt_home_back_in if request.POST.get("answer") == "in" else opting.skip_home
    problem = ""
    try:
        answer(
            campaign_id=campaign_id,
            occupancy_id=stay.pk,
            at=at,
            by=request.user,  # type: ignore[arg-type]
            source=OptRecord.Source.PORTAL if is_own else OptRecord.Source.STAFF,
        )
    except DomainError as error:
        if error.status in REFUSED_FOR_GOOD:
            raise
        problem = sentence(error)
    event = member_home.upcoming_event(stay, campaign_id, at, problem=problem)
    if event is None and not problem:
        problem = _("That event is over or was called off, so there is nothing to answer any more.")
    if request.htmx:  # type: ignore[attr-defined]
        context = {"event": event, "problem": problem}
        return render(request, "partials/_answered_event.html", context, status=409 if problem else 200)
    if problem:
        messages.error(request, problem)
    return redirect(f"{reverse('home')}#{event.element_id}" if event else "home")


@require_GET
@signed_in
def statement(request: HttpRequest, statement_id: UUID) -> HttpResponse:
    """One statement with the whole sum."""
    view = settled.statement_view(access_statement(request.user, statement_id, clock.now()))
    return render(request, "settlement/statement.html", {"statement": statement_page.in_words(view)})


@require_GET
@signed_in
def statement_csv(request: HttpRequest, statement_id: UUID) -> HttpResponse:
    """The same statement as a file; its first bytes tell a spreadsheet that it is UTF-8."""
    row = access_statement(request.user, statement_id, clock.now())
    answer = HttpResponse(settled.render_csv(row).encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_stem(row)}.csv"'
    return answer


@require_GET
@signed_in
def statement_json(request: HttpRequest, statement_id: UUID) -> HttpResponse:
    """The same statement with all that is needed to work it out again, and a hash."""
    row = access_statement(request.user, statement_id, clock.now())
    answer = HttpResponse(settled.render_json(row), content_type="application/json; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_stem(row)}.json"'
    return answer


@require_GET
@signed_in
def statement_pdf(request: HttpRequest, statement_id: UUID) -> HttpResponse:
    """The same statement as a tagged PDF; where PDFs cannot be made, the page says so and can be printed."""
    row = access_statement(request.user, statement_id, clock.now())
    view = settled.statement_view(row)
    page = statement_page.in_words(view)
    try:
        body = statement_pdf_maker.render(page)
    except statement_pdf_maker.PdfUnavailable as error:
        messages.error(request, sentence(error))
        return redirect("statement", row.pk)
    answer = HttpResponse(body, content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="{file_stem(row)}.pdf"'
    return answer


def file_stem(row: Statement) -> str:
    """What a statement's file is called: member, day of issue, programme, round."""
    day = wording.day(row.issued_at, "Y-m-d")
    return f"statement-{row.member.number}-{day}-{row.round.programme_id}-{row.round.number}"


def _day(request: HttpRequest) -> date | None:
    try:
        return date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        return None
