"""Staff pages: the campaigns, one campaign's life, and the event report with both its halves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import campaigns.policy
import campaigns.queries
import settlement.policy
from campaigns import (
    amending,
    approving,
    creating,
    freezing,
    life,
    opting,
    planning,
    reporting,
)
from campaigns.life import Verb
from campaigns.models import Campaign, OptRecord, Participation
from campaigns.servicing import holding, running
from members.policy import has_role, require_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid, uuid_or_none
from opendsr.kernel.periods import civil_date
from opendsr.web import campaign_page, draws, evidence, live_board, measured, step_up, wording
from opendsr.web.entering import signed_in
from opendsr.web.forms import CampaignForm, asked_before
from opendsr.web.paging import paged
from opendsr.web.refusals import say_at_fields, sentence
from opendsr.web.statement_pdf import PdfUnavailable
from settlement import settling
from settlement.models import SettlementRun
from settlement.sharing import ZeroWeights

CAMPAIGNS_SHOWN: Final = 25
HOMES_SHOWN: Final = 50
FIELD_OF: Final = {"size_w": "size_kw", "starts_at": "starts", "ends_at": "ends"}
SETTLE: Final = "settle"
LIKE: Final = "like"
UNEARNED: Final = "unearned"
REFUSED_FOR_GOOD: Final = (403, 404)
ASKED: Final = (
    Participation.State.PLANNED,
    Participation.State.SENT,
    Participation.State.DELIVERED_TO_HUB,
    Participation.State.OPTED_IN,
)
EVIDENCE_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "pdf": "application/pdf",
}


@require_GET
@signed_in
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Every campaign, newest first, a page at a time."""
    require_role(request.user, *campaigns.policy.SEES_CAMPAIGNS)
    wanted = request.GET.get("state", "")
    rows = Campaign.objects.select_related("programme").order_by("-starts_at", "-created_at")
    state = wanted if wanted in Campaign.State.values else ""
    shown, pager = paged(request, rows.filter(state=state) if state else rows, size=CAMPAIGNS_SHOWN)
    held = campaigns.queries.held_by(shown, at=clock.now())
    context = {
        "campaigns": [
            {
                "id": row.pk,
                "name": row.name,
                "when": wording.stretch(row.starts_at, row.ends_at, form=wording.SHORT_DAY),
                "where": campaign_page.where(row),
                "size": wording.kw(row.size_w),
                "homes": f"{held[row.pk].homes:,}" if row.approved_at else wording.NOTHING,
                "state": wording.state(row.state),
                "tag": wording.tag(row.state),
            }
            for row in shown
        ],
        "pager": pager,
        "state": state,
        "states": [(code, wording.state(code)) for code in Campaign.State.values],
        "sees_operators": has_role(request.user, *campaigns.policy.SEES_OPERATORS),
        "may_create": campaigns.policy.may_run_campaigns(request.user),
        "freeze": (freeze := freezing.current()),
        "frozen_since": wording.moment(freeze.frozen_at) if freeze else "",
    }
    return render(request, "campaigns/campaign_list.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def campaign_new(request: HttpRequest) -> HttpResponse:
    """Create a campaign and plan it; the form sent twice makes one. `?like=` fills it in from another."""
    campaigns.policy.require_runs_campaigns(request.user)
    at = clock.now()
    known: dict[str, object] = {"day": civil_date(at) + timedelta(days=1)}
    if like := uuid_or_none(request.GET.get(LIKE, "")):
        known = asked_before(campaigns.policy.access_campaign(request.user, like))
    form = CampaignForm(
        request.POST if request.method == "POST" else None, initial=known | {"key": new_uuid()}
    )
    if request.method == "POST" and form.is_valid():
        campaign = _create(request, form, at=at)
        if campaign is not None:
            return redirect("campaign_detail", campaign.pk)
    return _campaign_form(request, form, like=like)


@require_http_methods(["GET", "POST"])
@signed_in
def campaign_change(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Ask for something else in a campaign that is not approved yet; it is planned anew."""
    campaign = campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    form = CampaignForm(
        request.POST if request.method == "POST" else None,
        initial=asked_before(campaign) | {"key": campaign.pk},
    )
    seen = request.POST.get("seen", "") if campaign.state in amending.AMENDABLE else ""
    if seen and seen != campaign_page.seen_of(campaign):
        form.add_error(
            None,
            _("Somebody changed it since you opened the form: look at it, then send yours once more."),
        )
    elif request.method == "POST" and form.is_valid():
        try:
            amending.amend_campaign(
                campaign_id=campaign_id,
                at=clock.now(),
                by=request.user,  # type: ignore[arg-type]
                **_asked(form),
            )
        except creating.CampaignInvalid as error:
            say_at_fields(form, error.errors, FIELD_OF)
        except DomainError as error:
            messages.error(request, sentence(error))
            return redirect("campaign_detail", campaign_id)
        else:
            messages.success(request, _("Changed, and planned anew. Nothing has been sent."))
            return redirect("campaign_detail", campaign_id)
    return _campaign_form(request, form, campaign=campaign)


def _campaign_form(
    request: HttpRequest, form: CampaignForm, *, campaign: Campaign | None = None, like: UUID | None = None
) -> HttpResponse:
    context = {
        "form": form,
        "campaign": campaign,
        "seen": campaign_page.seen_of(campaign) if campaign else "",
        "like": like,
        "zones": form.known_zones(),
        "has_programme": form.has_programme(),
    }
    status = 409 if form.has_error(NON_FIELD_ERRORS, creating.AlreadyCreated.code) else 422
    return render(request, "campaigns/campaign_new.html", context, status=status if form.errors else 200)


@require_GET
@signed_in
def campaign_detail(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """One campaign: what is asked, the next step, who takes part, who is left out and why."""
    campaign = campaigns.policy.access_campaign(request.user, campaign_id)
    return render(request, "campaigns/campaign_detail.html", campaign_page.whole_page(request, campaign))


@require_GET
@signed_in
def campaign_live(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """The part of the campaign page that changes while it runs; a new state asks for the whole page again."""
    campaign = campaigns.policy.access_campaign(request.user, campaign_id)
    if request.GET.get("state") != campaign.state:
        response = HttpResponse(status=204)
        response["HX-Refresh"] = "true"
        return response
    return render(request, "campaigns/partials/_live.html", campaign_page.live_part(request, campaign))


@require_POST
@signed_in
def campaign_action(request: HttpRequest, campaign_id: UUID, verb: str) -> HttpResponse:
    """Do one thing to a campaign and come back to it; what cannot be done is said, not shown as a fault."""
    action = ACTIONS.get(verb)
    if action is None:
        raise Http404
    try:
        return action(request, campaign_id, at=clock.now())
    except DomainError as error:
        if error.status in REFUSED_FOR_GOOD:
            raise
        messages.error(request, sentence(error))
        if isinstance(error, ZeroWeights):
            return redirect(f"{reverse('event_report', args=[campaign_id])}?{UNEARNED}=yes")
    return redirect("event_report" if verb == SETTLE else "campaign_detail", campaign_id)


@require_GET
@signed_in
def event_report(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Who answered and what was expected (campaigns), what meters show and what it earned (settlement)."""
    campaign = campaigns.policy.access_campaign(request.user, campaign_id)
    report = reporting.event_report(campaign_id, has_lines=False)
    view = measured.measured_report(campaign)
    lines, pager = paged(request, view.lines if view else (), size=HOMES_SHOWN, anchor="money")
    waiting, is_incomplete = ("", False) if view else measured.waiting(campaign)
    drawn = reporting.drawn_parts(campaign).select_related("asset__kind", "occupancy__home")
    drawn = drawn if report.drawn else drawn.none()
    drawn_shown, drawn_pager = paged(request, drawn, size=HOMES_SHOWN, parameter="drawn", anchor="draws")
    may_settle = has_role(request.user, *settlement.policy.MAY_SETTLE)
    context = {
        "campaign": campaign,
        "when": wording.stretch(campaign.starts_at, campaign.ends_at),
        "where": campaign_page.where(campaign),
        "figures": measured.figures(report, view),
        "measured": view,
        "homes": measured.home_rows(campaign, settlement.queries.money_lines(lines)),
        "homes_pager": pager,
        "waiting": waiting,
        "is_incomplete": is_incomplete,
        "may_settle": may_settle and campaign.state == Campaign.State.COMPLETED,
        "may_hold": may_settle and request.GET.get(UNEARNED) == "yes",
        "outcomes": [
            {"label": wording.state(code), "tag": wording.tag(code), "count": f"{count:,}"}
            for code, count in sorted(report.outcomes.items())
        ],
        "left_out": [{"label": label, "count": f"{count:,}"} for label, count in report.left_out_reasons],
        "legs": live_board.legs(campaign),
        "device_note": live_board.device_note(campaign),
        "draws": draws.named_rows(drawn_shown),
        "draws_note": draws.note(report, campaign.spread_seconds),
        "draws_pager": drawn_pager,
    }
    return render(request, "campaigns/event_report.html", context)


@require_GET
@signed_in
def event_evidence(request: HttpRequest, campaign_id: UUID, form: str) -> HttpResponse:
    """The event report's totals as a file: csv, json or pdf; where PDFs cannot be made, the page says so."""
    campaign = campaigns.policy.access_campaign(request.user, campaign_id)
    document = evidence.pack(campaign)
    if form == "pdf":
        try:
            body: bytes | str = evidence.as_pdf(campaign, document)
        except PdfUnavailable as error:
            messages.error(request, sentence(error))
            return redirect("event_report", campaign_id)
    else:
        body = evidence.as_csv(document) if form == "csv" else evidence.as_json(document)
    answer = HttpResponse(body, content_type=EVIDENCE_TYPES[form])
    answer["Content-Disposition"] = f'attachment; filename="{evidence.file_stem(campaign)}.{form}"'
    return answer


def _create(request: HttpRequest, form: CampaignForm, *, at: datetime) -> Campaign | None:
    """The campaign of a valid form, planned; None when the service refuses it, said at the fields."""
    try:
        campaign = creating.create_campaign(
            campaign_id=form.cleaned_data["key"],
            at=at,
            by=request.user,  # type: ignore[arg-type]
            **_asked(form),
        )
    except creating.CampaignInvalid as error:
        say_at_fields(form, error.errors, FIELD_OF)
        return None
    except creating.AlreadyCreated as error:
        words = _(
            "This form was sent before, for another campaign. “%(name)s” stays as it is: change it on its "
            "page, or send this once more to have both."
        ) % {"name": Campaign.objects.get(pk=error.campaign_id).name}
        form.add_error(None, ValidationError(words, code=error.code))
        anew = request.POST.copy()
        anew["key"] = str(new_uuid())
        form.data = anew
        return None
    if campaign.state == Campaign.State.DRAFT:
        planning.plan_campaign(campaign_id=campaign.pk, at=at)
    return campaign


def _asked(form: CampaignForm) -> dict[str, Any]:
    """What a valid form asks, as the service takes it."""
    data = form.cleaned_data
    same = (
        "programme",
        "name",
        "direction",
        "zone_kind",
        "zone",
        "starts_at",
        "ends_at",
        "hold_out_pct",
        "reason",
    )
    return {field: data[field] for field in same} | {"size_w": int(data["size_kw"] * Decimal(1000))}


def _plan(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    planning.plan_campaign(campaign_id=campaign_id, at=at)
    return redirect("campaign_detail", campaign_id)


def _approve(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    step_up.require(request, _("Approve the campaign"))
    with transaction.atomic():
        # Under its lock, so that nobody changes it between the look and the approval.
        campaign = life.lock_campaign(campaign_id)
        seen = request.POST.get("seen", "")
        if seen and campaign.approved_at is None and seen != campaign_page.seen_of(campaign):
            words = _("It was changed or planned anew since you opened the page: look through it once more.")
            messages.error(request, words)
            return redirect("campaign_detail", campaign_id)
        made = approving.approve_campaign(campaign_id=campaign_id, at=at, by=request.user)  # type: ignore[arg-type]
    messages.success(
        request,
        _("Approved. The hubs are being told now.")
        if made
        else _("Approved by you. At this size a second person has to approve it; nothing is sent before."),
    )
    return redirect("campaign_detail", campaign_id)


def _cancel(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    is_held = _end(request, campaign_id, at=at, is_cancelled=True)
    messages.success(
        request, _("Cancelled. Hubs that know of the event are being told.") + _held_words(is_held)
    )
    return redirect("campaign_detail", campaign_id)


def _stop(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    campaign = campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    is_over = campaign.state in running.OVER or at >= campaign.ends_at
    is_held = _end(request, campaign_id, at=at, is_cancelled=False)
    campaign.refresh_from_db()
    if is_over:
        messages.info(request, _("It was over already, so nothing was stopped."))
    elif campaign.state == Campaign.State.CANCELLED:
        words = _("It had not begun, so it was cancelled. Hubs that know of the event are being told.")
        messages.success(request, words + _held_words(is_held))
    else:
        words = _("Stopped. Hubs that run it are being told; what was done until now counts.")
        messages.success(request, words + _held_words(is_held))
    return redirect("campaign_detail", campaign_id)


def _end(request: HttpRequest, campaign_id: UUID, *, at: datetime, is_cancelled: bool) -> bool:
    return holding.stop(
        campaign_id=campaign_id,
        hold=request.POST.get("hold", holding.UNTIL_CHANGED),
        is_cancelled=is_cancelled,
        at=at,
        by=request.user,  # type: ignore[arg-type]
        reason=request.POST.get("reason", "").replace("\x00", ""),
    )


def _held_words(is_held: bool) -> str:
    return " " + _("The cap that asked it asks nobody meanwhile.") if is_held else ""


def _let_ask(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    """The cap that asked it may ask again."""
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    holding.let_ask(campaign_id=campaign_id, at=at, by=request.user)  # type: ignore[arg-type]
    messages.success(request, _("The cap asks again, from the next minute on."))
    return redirect("campaign_detail", campaign_id)


def _go_on(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    """Draft and plan what begins where this one ends; it is approved on its own page."""
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    key, minutes = uuid_or_none(request.POST.get("key", "")), request.POST.get("minutes", "")
    if key is None:
        raise Http404
    continuation = amending.continue_campaign(
        campaign_id=campaign_id,
        continuation_id=key,
        minutes=int(minutes) if minutes.isdecimal() and len(minutes) < 4 else 0,
        at=at,
        by=request.user,  # type: ignore[arg-type]
    )
    messages.success(request, _("This is what would follow. Look through the plan and approve it in time."))
    return redirect("campaign_detail", continuation.pk)


def _leave_out(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    """One home, every asset of it, said no to by staff."""
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    dropped = opting.skip_home(
        campaign_id=campaign_id,
        occupancy_id=_occupancy(request),
        at=at,
        by=request.user,  # type: ignore[arg-type]
        source=OptRecord.Source.STAFF,
        reason="left out by staff",
    )
    if not dropped:
        raise Http404
    messages.success(request, _("Left out. Its hub is being told."))
    return redirect("campaign_detail", campaign_id)


def _ask_again(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    """One home that staff left out, and nobody of the household said anything since."""
    campaigns.policy.access_campaign_to_run(request.user, campaign_id)
    occupancy_id = _occupancy(request)
    parts = list(Participation.objects.filter(campaign=campaign_id, occupancy=occupancy_id))
    if parts and all(part.state in ASKED for part in parts):
        messages.info(request, _("It is asked already."))
        return redirect("campaign_detail", campaign_id)
    if not campaigns.queries.left_out_by_staff(parts):
        raise Http404
    opting.opt_home_back_in(
        campaign_id=campaign_id,
        occupancy_id=occupancy_id,
        at=at,
        by=request.user,  # type: ignore[arg-type]
        source=OptRecord.Source.STAFF,
        reason="asked again by staff",
    )
    messages.success(request, _("Asked again. Its hub is being told."))
    return redirect("campaign_detail", campaign_id)


def _occupancy(request: HttpRequest) -> UUID:
    found = uuid_or_none(request.POST.get("occupancy", ""))
    if found is None:
        raise Http404
    return found


def _settle(request: HttpRequest, campaign_id: UUID, *, at: datetime) -> HttpResponse:
    campaigns.policy.access_campaign(request.user, campaign_id)
    settlement.policy.require_may_settle(request.user)
    done = settling.settle_campaign(
        campaign_id=campaign_id,
        at=at,
        is_forced=request.POST.get("without_missing") == "yes",
        holds_unearned=request.POST.get(UNEARNED) == "yes",
        actor=f"user:{request.user.pk}",
    )
    messages.success(request, _settled_words(done.run, is_new=done.is_new, posted=done.posted))
    return redirect("event_report", campaign_id)


def _settled_words(run: SettlementRun, *, is_new: bool, posted: bool) -> str:
    if not is_new:
        return _("Nothing has changed since run %(run)s, so nothing was posted.") % {"run": run.sequence}
    if not posted:
        return _("Settled by run %(run)s. No money moves.") % {"run": run.sequence}
    return _("Settled by run %(run)s. The statements are out.") % {"run": run.sequence}


ACTIONS: Final[Mapping[str, Callable[..., HttpResponse]]] = {
    Verb.PLAN.value: _plan,
    Verb.APPROVE.value: _approve,
    Verb.CANCEL.value: _cancel,
    campaign_page.STOP: _stop,
    campaign_page.GO_ON: _go_on,
    campaign_page.LEAVE_OUT: _leave_out,
    campaign_page.ASK_AGAIN: _ask_again,
    campaign_page.LET_ASK: _let_ask,
    SETTLE: _settle,
}
