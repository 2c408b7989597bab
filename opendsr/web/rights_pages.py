"""A member's page on their data and rights: ask, see where it stands, take the copy, be erased."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

import members.queries
from assets.models import Hub
from members import asking, erasing, exporting, looking, rectifying, restricting
from members.asking import Kind, Step, Verdict
from members.models import Channel, Member, User
from members.policy import own_member
from members.rights_models import Restriction, RightsRequest
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.web import member_home, rights_export, wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged
from opendsr.web.purposes import in_words
from opendsr.web.refusals import say_at_fields, sentence
from opendsr.web.rights_forms import (
    ComplainForm,
    EraseForm,
    ObjectForm,
    PasswordForm,
    RectifyForm,
    WordsForm,
)

REQUESTS_SHOWN: Final = 20
STEPS: Final[Mapping[str, str | Promise]] = {
    "opened": _lazy("asked"),
    "acknowledged": _lazy("acknowledged"),
    "taken": _lazy("copy taken"),
    "granted": _lazy("done"),
    "partly": _lazy("done in part"),
    "refused": _lazy("refused"),
    "taken_back": _lazy("taken back"),
}
PROBLEMS: Final[Mapping[str, str | Promise]] = {
    "empty": _lazy("Write it: it cannot be left out."),
    "too_long": _lazy("Shorten it."),
    "control_character": _lazy("Type it anew: it holds a character that cannot be seen."),
    "not_a_postcode": _lazy("Write the postcode as in M15 5RF."),
    "not_13_digits": _lazy("Write the MPAN's 13 digits, as on the electricity bill."),
    "not_an_email_address": _lazy("Write an address such as robin@example.org."),
    "not_a_choice": _lazy("Choose one of those offered."),
}


@require_http_methods(["GET", "POST"])
@signed_in
def my_rights(request: HttpRequest) -> HttpResponse:
    """What I asked and where it stands; the button pressed says what else is asked."""
    at = clock.now()
    member = own_member(request.user, at)
    do = request.POST.get("do", "")
    shown = _forms(request, member, at, do)
    if request.method == "POST":
        form = shown.get(do)
        if do == "export" or (form is not None and form.is_valid()):
            try:
                message = _ask(do, form, request, member, at)
            except DomainError as error:
                if form is None:
                    messages.error(request, sentence(error))
                    return redirect("my_rights")
                add_error(form, error)
            else:
                messages.success(request, message)
                return redirect("my_rights")
        elif form is None:
            messages.error(request, _("Choose what you would like to ask."))
            return redirect("my_rights")
    rows, pager = paged(request, asking.requests_of(member), size=REQUESTS_SHOWN, anchor="asked")
    steps = asking.steps_of(row.pk for row in rows)
    live = set(Restriction.objects.filter(member=member, ends_at=None).values_list("request_id", flat=True))
    context = {
        "requests": [shown_request(row, steps.get(row.pk, []), at, live) for row in rows],
        "pager": pager,
        "forms": shown,
        "opened": do,
        "looks": [
            {
                "at": wording.moment(each.at),
                "who": each.actor.replace(":", " "),
                "page": each.page,
                "what": ", ".join(sorted({str(in_words(kind)) for kind in each.kinds})),
                "why": each.why,
            }
            for each in looking.looks_at(member)
        ],
        "is_restricted": restricting.is_restricted(member.household_id),
    }
    status = 422 if any(form.errors for form in shown.values()) else 200
    return render(request, "members/my_rights.html", context, status=status)


@require_http_methods(["GET", "POST"])
@signed_in
def take_copy(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """The ZIP of everything, for the member it is about, after their password once more."""
    at = clock.now()
    member = own_member(request.user, at)
    asked = asking.requests_of(member).filter(pk=request_id, kind=Kind.EXPORT).first()
    if asked is None:
        raise asking.RequestNotFound(request_id=str(request_id))
    form = PasswordForm(user_of(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        whole = exporting.take(request_id=request_id, member=member, at=at, by=user_of(request))
        answer = HttpResponse(whole, content_type="application/zip")
        name = f"your-data-{member.number}-{wording.day(asked.opened_at, 'Y-m-d')}.zip"
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer
    context = {"form": form, "asked": shown_request(asked, [], at, set())}
    return render(request, "members/take_copy.html", context, status=422 if form.errors else 200)


@require_POST
@signed_in
def lift_restriction(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Let the co-op use again what it holds, or take an objection back."""
    at = clock.now()
    member = own_member(request.user, at)
    asked = asking.requests_of(member).filter(pk=request_id).first()
    if asked is None or asked.kind not in (Kind.RESTRICTION, Kind.OBJECTION):
        raise asking.RequestNotFound(request_id=str(request_id))
    restricting.lift(
        request_id=request_id,
        at=at,
        by=user_of(request),
        actor=actor(member),
        verdict=Verdict.TAKEN_BACK,
        reason=_("You took it back."),
    )
    messages.success(request, _("What we hold about you is used again, as far as you agreed to it."))
    return redirect("my_rights")


@require_http_methods(["GET", "POST"])
@signed_in
def erase_me(request: HttpRequest) -> HttpResponse:
    """What goes and what stays, and then the erasure itself."""
    at = clock.now()
    member = own_member(request.user, at)
    form = EraseForm(user_of(request), request.POST or None, auto_id="erase_%s")
    if request.method == "POST" and form.is_valid():
        try:
            erasing.erase_on_request(
                member=member, at=at, channel=Channel.WEB, by=actor(member), premises=premises_that_go(member)
            )
        except DomainError as error:
            form.add_error(None, sentence(error))
        else:
            logout(request)
            messages.success(request, _("You are erased. Nobody can sign in as you any more. Goodbye."))
            return redirect("account_login")
    balance_mp = member_home.balance_mp(members.queries.occupancies_of(member, at))
    others = Member.objects.filter(household_id=member.household_id, left_at=None).exclude(pk=member.pk)
    context = {
        "form": form,
        "is_last": not others.exists(),
        "premises_go": bool(premises_that_go(member)),
        "balance": wording.money(balance_mp) if balance_mp > 0 else "",
    }
    return render(request, "members/erase_me.html", context, status=422 if form.errors else 200)


def premises_that_go(member: Member) -> set[UUID]:
    """Homes whose name, address and meter point go with the last of a household: no hub hangs there."""
    homes = erasing.last_homes(member)
    in_use = Hub.objects.filter(home__in=homes).exclude(state=Hub.State.RETIRED)
    return homes - set(in_use.values_list("home_id", flat=True))


def user_of(request: HttpRequest) -> User:
    """The signed-in account."""
    assert isinstance(request.user, User)  # noqa: S101 behind `signed_in`
    return request.user


def actor(member: Member) -> str:
    """The member in the audit trail's form."""
    return f"member:{member.number}"


def add_error(form: forms.Form, error: DomainError) -> None:
    """Say a service's refusal beside its field."""
    field = str(error.data.get("field", ""))
    words = PROBLEMS.get(str(error.data.get("problem", "")), "")
    say_at_fields(form, {field: str(words) or sentence(error)})


def shown_request(row: RightsRequest, steps: list[Step], at: datetime, live: set[UUID]) -> dict[str, Any]:
    """A request for a page: what, when, where it stands, what can be done."""
    export = getattr(row, "export", None) if row.kind == Kind.EXPORT else None
    tag = {"": "info", Verdict.GRANTED: "good", Verdict.PARTLY: "warn", Verdict.REFUSED: "bad"}
    is_overdue = not row.verdict and at > row.due_at
    return {
        "id": row.pk,
        "kind": row.get_kind_display(),
        "about": row.get_about_display() if row.about else "",
        "purpose": row.get_purpose_display() if row.purpose else "",
        "wanted": row.wanted,
        "words": row.words,
        "opened": wording.day(row.opened_at, "j F Y"),
        "due": wording.day(row.due_at - erasing.INSTANT, "j F Y"),
        "is_overdue": is_overdue,
        "is_open": not row.verdict,
        "state": row.get_verdict_display()
        if row.verdict
        else (_("Overdue") if is_overdue else _("Being looked at") if row.acknowledged_at else _("Open")),
        "tag": "bad" if is_overdue else tag.get(row.verdict, ""),
        "reason": row.reason,
        "may_take": export is not None and export.ready_at is not None and export.forgotten_at is None,
        "progress": {"done": export.parts_done, "of": export.parts} if export and not row.verdict else None,
        "size": f"{export.size_bytes / 1000:,.0f} kB" if export and export.size_bytes else "",
        "may_lift": row.pk in live and not row.verdict,
        "steps": [
            {"at": wording.moment(each.at), "what": STEPS.get(each.verb, each.verb), "who": _who(each.actor)}
            for each in steps
        ],
    }


def _forms(request: HttpRequest, member: Member, at: datetime, do: str) -> dict[str, forms.Form]:
    stays = members.queries.occupancies_of(member, at)

    def made(name: str, make: Callable[..., forms.Form], *args: Any) -> forms.Form:
        return make(*args, request.POST if do == name else None, auto_id=f"{name}_%s")

    return {
        "rectify": made("rectify", RectifyForm, stays),
        "restrict": made("restrict", WordsForm),
        "object": made("object", ObjectForm),
        "complain": made("complain", ComplainForm),
    }


def _ask(do: str, form: forms.Form | None, request: HttpRequest, member: Member, at: datetime) -> str:
    """Call the one service; what to say afterwards."""
    data = form.cleaned_data if form is not None else {}
    by = actor(member)
    match do:
        case "export":
            exporting.ask(member=member, parts=rights_export.PARTS, at=at, channel=Channel.WEB, by=by)
            return _("Your copy is being written. Come back in a few minutes.")
        case "rectify":
            asked = rectifying.correct(
                member=member,
                about=data["about"],
                wanted=data["wanted"],
                words=data["words"],
                home_id=UUID(data["home"]) if data.get("home") else None,
                at=at,
                channel=Channel.WEB,
                by=by,
                user=user_of(request),
            )
            return _("Put right.") if asked.verdict else _("Noted. You hear from us within a month.")
        case "restrict":
            restricting.restrict(member=member, at=at, channel=Channel.WEB, by=by, words=data["words"])
            return _("From this moment what we hold about your household is kept and not used.")
        case "object":
            restricting.object_to(
                member=member,
                purpose=data["purpose"],
                words=data["words"],
                at=at,
                channel=Channel.WEB,
                by=by,
            )
            return _("Noted. Until it is decided nothing we hold about your household is used.")
        case _:
            asking.open_request(
                member=member, kind=Kind.COMPLAINT, at=at, channel=Channel.WEB, by=by, words=data["words"]
            )
            return _("Your complaint has arrived. You have our answer within 30 days.")


def _who(actor: str) -> str:
    kind = actor.partition(":")[0]
    return {"member": _("member"), "user": _("the co-op"), "system": _("by itself")}.get(kind, actor)
