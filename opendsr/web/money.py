"""Staff pages of money: rounds, payments, what buyers paid and disputes, share policies and the surplus."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import settlement.policy
from members.policy import has_role
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.money import MP_PER_POUND
from opendsr.kernel.periods import civil_date
from opendsr.web import payments_page, policies_page, rounds_page, step_up, surplus_page
from opendsr.web.entering import signed_in
from opendsr.web.money_forms import (
    BatchForm,
    PolicyForm,
    RemittanceForm,
    RoundForm,
    SocietyForm,
    StatusForm,
    SurplusForm,
)
from opendsr.web.paging import paged
from opendsr.web.refusals import sentence
from settlement import paying, payment_files, policies, remitting, rounds, statement_files, voting
from settlement.models import Dispute, PaymentBatch, SettlementRound
from settlement.surplus import LegalForm

SHOWN: Final = 25
REFUSED_FOR_GOOD: Final = (404,)
MOST_BYTES: Final = 5_000_000


@require_http_methods(["GET", "POST"])
@signed_in
def round_list(request: HttpRequest) -> HttpResponse:
    """Rounds, newest first, and the form that proposes one."""
    settlement.policy.require_sees_money(request.user)
    at = clock.now()
    form = RoundForm(request.POST if request.method == "POST" else None, at=at)
    if request.method == "POST":
        settlement.policy.require_may_settle(request.user)
        if form.is_valid():
            proposed = _refusable(request, lambda: form.propose(at=at, by=request.user))
            if isinstance(proposed, SettlementRound):
                messages.success(request, _("Proposed. It is being computed; a second person approves it."))
                return redirect("round_page", proposed.pk)
    found = SettlementRound.objects.select_related("programme", "decision", "progress", "proposed_by")
    shown, pager = paged(request, found.order_by("-proposed_at", "-number"), size=SHOWN)
    context = {
        "rounds": [rounds_page.list_row(row) for row in shown],
        "pager": pager,
        "form": form,
        "may_settle": has_role(request.user, *settlement.policy.MAY_SETTLE),
    }
    return render(request, "settlement/round_list.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def round_page(request: HttpRequest, round_id: UUID) -> HttpResponse:
    """One round: its events, inputs and hashes, what it changes, and the decision."""
    round = settlement.policy.access_round(request.user, round_id)
    return render(request, "settlement/round.html", rounds_page.whole_page(request, round))


@require_POST
@signed_in
def round_action(request: HttpRequest, round_id: UUID, verb: str) -> HttpResponse:
    """Approve, withdraw or go on computing; what cannot be done is said on the page."""
    settlement.policy.access_round(request.user, round_id)
    settlement.policy.require_may_settle(request.user)
    at, by = clock.now(), request.user
    actions: Mapping[str, Callable[[], object]] = {
        "approve": lambda: rounds.approve_round(round_id=round_id, at=at, by=by),  # type: ignore[arg-type]
        "withdraw": lambda: rounds.withdraw_round(round_id=round_id, at=at, by=by),  # type: ignore[arg-type]
        "compute": lambda: rounds.compute_round(round_id=round_id, at=at),
        "files": lambda: statement_files.ask_files(round_id=round_id, at=at, by=by),  # type: ignore[arg-type]
    }
    if verb not in actions:
        raise Http404
    if verb == "approve":
        step_up.require(request, _("Approve and post the round"))
    if _refusable(request, actions[verb]) is not None and verb == "approve":
        messages.success(request, _("Approved and posted. The statements are out."))
    return redirect("round_page", round_id)


@require_GET
@signed_in  # type: ignore[arg-type]
def round_statements(request: HttpRequest, round_id: UUID) -> StreamingHttpResponse:
    """Every statement's files in one ZIP; only for those who may settle, and on record."""
    round = settlement.policy.access_round(request.user, round_id)
    settlement.policy.require_may_settle(request.user)
    pieces = statement_files.open_files(
        round_id=round_id,
        at=clock.now(),
        by=request.user,  # type: ignore[arg-type]
    )
    answer = StreamingHttpResponse(pieces, content_type="application/zip")
    name = f"statements-{round.programme_id}-{round.number}.zip"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_http_methods(["GET", "POST"])
@signed_in
def payment_list(request: HttpRequest) -> HttpResponse:
    """Batches, who can be paid now and who waits for what, and the form that proposes a batch."""
    settlement.policy.require_sees_money(request.user)
    at = clock.now()
    form = BatchForm(request.POST if request.method == "POST" else None, today=civil_date(at))
    if request.method == "POST":
        settlement.policy.require_may_settle(request.user)
        if form.is_valid():
            step_up.require(request, _("Propose the payments"))
            data = form.cleaned_data
            batch = _refusable(
                request,
                lambda: paying.propose_batch(
                    rail=data["rail"],
                    processing_date=data["processing_date"],
                    threshold_pence=int(data["threshold_pounds"] * 100),
                    at=at,
                    by=request.user,  # type: ignore[arg-type]
                ),
            )
            if isinstance(batch, PaymentBatch):
                return redirect("payment_batch", batch.pk)
    context = payments_page.list_page(request, form, at=at)
    return render(request, "settlement/payment_list.html", context, status=422 if form.errors else 200)


@require_GET
@signed_in
def payment_batch(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """One batch: its payments, the decision, the file and what the bank said."""
    settlement.policy.require_sees_money(request.user)
    batch = paying.batch_by_id(batch_id)
    return render(request, "settlement/payment_batch.html", payments_page.batch_page(request, batch))


@require_POST
@signed_in
def batch_action(request: HttpRequest, batch_id: UUID, verb: str) -> HttpResponse:
    """Approve or withdraw a batch."""
    settlement.policy.require_may_settle(request.user)
    paying.batch_by_id(batch_id)
    at, by = clock.now(), request.user
    actions: Mapping[str, Callable[[], object]] = {
        "approve": lambda: paying.approve_batch(batch_id=batch_id, at=at, by=by),  # type: ignore[arg-type]
        "withdraw": lambda: paying.withdraw_batch(batch_id=batch_id, at=at, by=by),  # type: ignore[arg-type]
    }
    if verb not in actions:
        raise Http404
    if verb == "approve":
        step_up.require(request, _("Approve the payments"))
    if _refusable(request, actions[verb]) is not None and verb == "approve":
        messages.success(request, _("Approved. The payments have left the households' balances."))
    return redirect("payment_batch", batch_id)


@require_GET
@signed_in
def batch_file(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """The file for the bank; only of an approved batch, only for those who may settle."""
    settlement.policy.require_may_settle(request.user)
    batch = paying.batch_by_id(batch_id)
    step_up.require(request, _("Take the file for the bank"))
    made = _refusable(request, lambda: payment_files.export(batch, created=civil_date(clock.now())))
    if not isinstance(made, payment_files.PaymentFile):
        return redirect("payment_batch", batch_id)
    answer = HttpResponse(made.text, content_type=made.content_type)
    answer["Content-Disposition"] = f'attachment; filename="{made.name}"'
    return answer


@require_POST
@signed_in
def payment_status(request: HttpRequest) -> HttpResponse:
    """Take in the bank's answer: a CSV with the columns reference, status and reason."""
    settlement.policy.require_may_settle(request.user)
    form = StatusForm(request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, _("Choose a CSV file with the columns reference, status and reason."))
        return redirect("payment_list")
    file = form.cleaned_data["file"]
    if file.size > MOST_BYTES:
        messages.error(request, _("The file is larger than 5 MB: split it. Nothing of it was taken."))
        return redirect("payment_list")
    text = file.read().decode("utf-8-sig", errors="replace")
    try:
        rows = list(csv.DictReader(io.StringIO(text.replace("\0", ""), newline="")))
    except csv.Error:
        rows = []
    clean = [{str(key).strip().lower(): str(value or "") for key, value in row.items()} for row in rows]
    if not clean or not {"reference", "status"} <= clean[0].keys():
        messages.error(request, _("Choose a CSV file with the columns reference, status and reason."))
        return redirect("payment_list")
    done = paying.import_status(
        rows=list(enumerate(clean, start=2)),
        at=clock.now(),
        by=request.user,  # type: ignore[arg-type]
    )
    words = _("%(paid)s paid, %(returned)s returned, %(known)s known before.") % {
        "paid": done.paid,
        "returned": done.returned,
        "known": done.known,
    }
    messages.success(request, words)
    for error in done.refused[:20]:
        messages.error(
            request,
            _("Line %(line)s: %(field)s “%(value)s”: %(reason)s")
            % {name: error.data[name] for name in ("line", "field", "value", "reason")},
        )
    if len(done.refused) > 20:
        more = len(done.refused) - 20
        messages.error(request, ngettext("%(n)s more line", "%(n)s more lines", more) % {"n": more})
    return redirect("payment_list")


@require_http_methods(["GET", "POST"])
@signed_in
def dispute_list(request: HttpRequest) -> HttpResponse:
    """What buyers paid and what differs; the form that takes a remittance in."""
    settlement.policy.require_sees_money(request.user)
    at = clock.now()
    form = RemittanceForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        settlement.policy.require_may_settle(request.user)
        if form.is_valid():
            data = form.cleaned_data
            done = _refusable(
                request,
                lambda: remitting.record_remittance(
                    programme_code=data["programme"].pk,
                    reference=data["reference"],
                    lines=data["lines"],
                    vat_pence=int(data["vat_pounds"] * 100),
                    at=at,
                    by=request.user,  # type: ignore[arg-type]
                ),
            )
            if isinstance(done, tuple):
                count = len(done[1])
                words = ngettext("%(n)s event differs.", "%(n)s events differ.", count) % {"n": count}
                messages.success(request, _("Taken in.") + " " + words)
                return redirect("dispute_list")
    context = payments_page.disputes_page(request, form)
    return render(request, "settlement/dispute_list.html", context, status=422 if form.errors else 200)


@require_POST
@signed_in
def dispute_action(request: HttpRequest, dispute_id: UUID, verb: str) -> HttpResponse:
    """End a dispute: the buyer paid the rest, or the co-op bears it."""
    settlement.policy.require_may_settle(request.user)
    if verb not in ("paid", "conceded"):
        raise Http404
    if not Dispute.objects.filter(pk=dispute_id).exists():
        raise remitting.DisputeUnknown(dispute_id=dispute_id)
    _refusable(
        request,
        lambda: remitting.settle_dispute(
            dispute_id=dispute_id,
            outcome=verb,
            at=clock.now(),
            by=request.user,  # type: ignore[arg-type]
            note=request.POST.get("note", "").replace("\0", ""),
        ),
    )
    return redirect("dispute_list")


@require_http_methods(["GET", "POST"])
@signed_in
def policy_list(request: HttpRequest) -> HttpResponse:
    """Share policies in their versions, and the editor with its preview on the last event."""
    settlement.policy.require_sees_money(request.user)
    at = clock.now()
    form = PolicyForm(request.POST if request.method == "POST" else None, at=at)
    preview = None
    if request.method == "POST":
        settlement.policy.require_may_settle(request.user)
        if form.is_valid() and request.POST.get("do") == "publish":
            if _publish(request, form, at=at):
                return redirect("policy_list")
        elif form.is_valid():
            preview = _refusable(request, lambda: policies_page.preview(form.cleaned_data["policy"]))
    context = policies_page.whole_page(request, form, preview, at=at)
    return render(request, "settlement/policy_list.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@signed_in
def surplus(request: HttpRequest) -> HttpResponse:
    """The society's legal form, votes that wait and years shared; the form that writes a vote down."""
    settlement.policy.require_sees_money(request.user)
    at = clock.now()
    form = SurplusForm(request.POST if request.method == "POST" else None, at=at)
    if request.method == "POST":
        settlement.policy.require_may_settle(request.user)
        if form.is_valid() and _propose_surplus(request, form, at=at):
            return redirect("surplus")
    context = surplus_page.whole_page(request, form, SocietyForm())
    return render(request, "settlement/surplus.html", context, status=422 if form.errors else 200)


def _propose_surplus(request: HttpRequest, form: SurplusForm, *, at: datetime) -> bool:
    data = form.cleaned_data
    proposed = _refusable(
        request,
        lambda: voting.propose_surplus(
            year=data["year"],
            period=data["period"],
            surplus_mp=int(data["surplus_pounds"] * MP_PER_POUND),
            resolution=data["resolution"],
            at=at,
            by=request.user,  # type: ignore[arg-type]
        ),
    )
    if proposed is not None:
        messages.success(request, _("Written down. A second person approves it."))
    return proposed is not None


@require_POST
@signed_in
def surplus_society(request: HttpRequest) -> HttpResponse:
    """State what kind of registered society the co-op is."""
    settlement.policy.require_may_settle(request.user)
    form = SocietyForm(request.POST)
    if form.is_valid():
        chosen = LegalForm(form.cleaned_data["legal_form"])
        voting.state_legal_form(form=chosen, at=clock.now(), by=request.user)  # type: ignore[arg-type]
        return redirect("surplus")
    context = surplus_page.whole_page(request, SurplusForm(at=clock.now()), form)
    return render(request, "settlement/surplus.html", context, status=422)


@require_POST
@signed_in
def surplus_action(request: HttpRequest, proposal_id: UUID, verb: str) -> HttpResponse:
    """Approve or withdraw a vote that was written down; what cannot be done is said on the page."""
    settlement.policy.require_may_settle(request.user)
    at, by = clock.now(), request.user
    actions: Mapping[str, Callable[[], object]] = {
        "approve": lambda: voting.approve_surplus(proposal_id=proposal_id, at=at, by=by),  # type: ignore[arg-type]
        "withdraw": lambda: voting.withdraw_surplus(proposal_id=proposal_id, at=at, by=by),  # type: ignore[arg-type]
    }
    if verb not in actions:
        raise Http404
    if verb == "approve":
        step_up.require(request, _("Approve and post the surplus"))
    if _refusable(request, actions[verb]) is not None and verb == "approve":
        messages.success(request, _("Approved and posted."))
    return redirect("surplus")


def _publish(request: HttpRequest, form: PolicyForm, *, at: datetime) -> bool:
    data = form.cleaned_data
    published = _refusable(
        request,
        lambda: policies.publish_policy(
            name=data["name"],
            policy=data["policy"],
            effective_from=data["effective_from"],
            why=data["why"],
            at=at,
            by=request.user,  # type: ignore[arg-type]
        ),
    )
    if published is None:
        return False
    messages.success(request, _("Published as %(version)s.") % {"version": published})
    return True


def _refusable(request: HttpRequest, work: Callable[[], object]) -> object | None:
    """What the work gives; None after a refusal, which is then said on the page."""
    try:
        return work()
    except DomainError as error:
        if error.status in REFUSED_FOR_GOOD:
            raise
        messages.error(request, sentence(error))
        return None
