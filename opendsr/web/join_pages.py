"""Public pages on which somebody joins: asked step by step, answered at once, agreed to in the end.

An enquiry is taken up again by the link in a letter; the session only remembers which one is open. Becoming
a member needs a session that came by that link, so that nobody joins with somebody else's address.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import members.queries
from assets.models import AssetKind
from members import applying, consenting, inviting
from members.applying import Standing
from members.assessing import Verdict, rules_in_force
from members.enquiry_models import Application, Invitation, Otherwise, TermsText
from members.models import Member, Purpose
from members.terms import TermsChanged, newest_terms
from opendsr.kernel import clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.web import letters
from opendsr.web.join_forms import AgreeForm, HomeForm, HousemateForm, MoreForm, ThingsForm, WhoForm
from opendsr.web.refusals import say_refusal, sentence

OPEN: Final = "application"
BY_LINK: Final = "application_by_link"
BEHIND: Final = "came_by"
State = Application.State
STEPS: Final = (
    ("join", _lazy("You")),
    ("join_home", _lazy("Your home")),
    ("join_things", _lazy("What is in it")),
    ("join_check", _lazy("Check")),
    ("join_agree", _lazy("Agree")),
)
MET: Final = {
    "area": _lazy("Your home is in our area."),
    "smart_meter": _lazy("You have a smart meter, which the sums need."),
    "assets": _lazy("You have something that we can control."),
    "landlord": _lazy("Nothing to ask of a landlord, or they agree."),
}
UNMET: Final = {
    "area": _lazy("Your home is outside the area we work in."),
    "smart_meter": _lazy(
        "We need a smart meter to know what changed. Your supplier fits one free of charge."
    ),
    "assets": _lazy(
        "You named nothing that we can control yet, such as a car charger or an immersion heater."
    ),
    "landlord": _lazy("Work on the wiring needs your landlord’s agreement. We can ask them with you."),
}
ANSWER: Final = {
    Otherwise.IGNORE: _lazy(
        "It looks as if you can take part. Somebody of the co-op looks at it to be sure."
    ),
    Otherwise.ASK: _lazy("You may be able to take part: somebody of the co-op has to look at some points."),
    Otherwise.DECLINE: _lazy(
        "By our rules you cannot take part as things are. Hand it in all the same if you think we should."
    ),
}
PASSKEY_NEXT: Final = _lazy(
    "Welcome. Make your passkey now and tick Passwordless. Should it not work out, the sign-in page sends a "
    "link by which you choose a password."
)
BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
View = Callable[..., HttpResponse]


def with_open_one(view: View) -> View:
    """Give the view the enquiry that this session has open; send others to the beginning."""

    @wraps(view)
    def entered(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        held = open_one(request)
        if held is None:
            return redirect("join")
        response = view(request, held, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    return entered


def open_one(request: HttpRequest) -> Standing | None:
    """The enquiry that this session has open."""
    kept = request.session.get(OPEN)
    if kept is None:
        return None
    try:
        held = applying.standing(UUID(kept))
    except applying.ApplicationNotFound:
        return None
    return held if held.answers else None


@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """What it is about, and who asks; a session with an enquiry open goes on with that."""
    at = clock.now()
    member = members.queries.member_of(request.user)
    behind = _behind(request, at)
    initial = {"full_name": member.full_name, "email": request.user.email} if member else {}  # type: ignore[union-attr]
    if behind.invitation is not None and not member:
        initial["email"] = inviting.address_of(behind.invitation)
    form = WhoForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            letters.count_asking(request, data["email"])
            application = applying.start(
                **data, at=at, invitation=behind.invitation, champion=behind.champion, member=member
            )
        except DomainError as error:
            form.add_error(None, sentence(error))
        else:
            request.session[OPEN] = str(application.pk)
            request.session[BY_LINK] = False
            request.session.pop(BEHIND, None)
            _send_link(request, application, data["email"])
            return redirect("join_home")
    held = open_one(request)
    context = _context(request, "join", at) | {
        "form": form,
        "assurance": newest_terms(TermsText.Kind.ASSURANCE, at),
        "held": held if held is not None and held.application.state in applying.OPEN else None,
        "partner": inviting.partner_behind(behind.invitation),
        "champion": behind.champion,
        "member": member,
    }
    return render(request, "join/start.html", context, status=422 if form.errors else 200)


@require_GET
def join_by(request: HttpRequest, token: str) -> HttpResponse:
    """The link of a champion or an invitation; a housemate's leads to a page of its own."""
    behind = inviting.behind_token(token, clock.now())
    if behind.invitation is not None and behind.invitation.kind == Invitation.Kind.HOUSEHOLD:
        return redirect("join_household", token)
    request.session[BEHIND] = token
    return redirect("join")


@require_GET
def join_continue(request: HttpRequest, token: str) -> HttpResponse:
    """The link in a letter: open the enquiry where it stands."""
    application = applying.application_of_token(token)
    request.session[OPEN], request.session[BY_LINK] = str(application.pk), True
    held = open_one(request)
    if held is None:
        raise applying.ApplicationNotFound()
    return redirect(_where(held))


@require_http_methods(["GET", "POST"])
@with_open_one
def join_home(request: HttpRequest, held: Standing) -> HttpResponse:
    """The home."""
    return _step(request, held, "join_home", HomeForm, "join_things")


@require_http_methods(["GET", "POST"])
@with_open_one
def join_things(request: HttpRequest, held: Standing) -> HttpResponse:
    """What is in it."""
    return _step(request, held, "join_things", ThingsForm, "join_check")


@require_http_methods(["GET", "POST"])
@with_open_one
def join_check(request: HttpRequest, held: Standing) -> HttpResponse:
    """All that was told, the rules' answer in words, and the button that hands it in."""
    at = clock.now()
    if held.missing:
        messages.warning(request, _("Some questions are open yet."))
        return redirect(_where(held))
    if request.method == "POST":
        try:
            applying.submit(application_id=held.application.pk, at=at)
        except DomainError as error:
            messages.error(request, sentence(error))
        return redirect("join_standing")
    if held.application.state not in applying.OPEN:
        return redirect("join_standing")
    context = _context(request, "join_check", at) | {
        "told": told_in_words(held.answers),
        **verdict_in_words(applying.verdict_of(held, at)),
    }
    return render(request, "join/check.html", context)


@require_http_methods(["GET", "POST"])
@with_open_one
def join_standing(request: HttpRequest, held: Standing) -> HttpResponse:
    """Where the enquiry stands; what member services asked is answered here."""
    at = clock.now()
    application = held.application
    form = MoreForm(request.POST or None)
    if request.method == "POST" and application.state == State.ASKED and form.is_valid():
        applying.answer(application_id=application.pk, given=form.cleaned_data, at=at)
        applying.submit(application_id=application.pk, at=at)
        messages.success(request, _("Thank you. Somebody of the co-op looks at it again."))
        return redirect("join_standing")
    context = _context(request, "join_check", at) | {"held": held, "state": application.state, "form": form}
    return render(request, "join/standing.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@with_open_one
def join_agree(request: HttpRequest, held: Standing) -> HttpResponse:
    """Read, accept, consent, take shares: the last step makes the member."""
    at = clock.now()
    application, answers = held.application, held.answers
    if application.state != State.APPROVED:
        return redirect("join_standing")
    member = _same_member(request, application)
    if not request.session.get(BY_LINK) and member is None:
        _send_link(request, application, answers["email"])
        messages.info(request, _("Open the link in the letter that we sent you: then we know it is you."))
        return redirect("join_standing")
    texts = {kind: newest_terms(kind, at) for kind in TermsText.Kind}
    rules = rules_in_force(at)
    wordings = _consent_words(application, at)
    form = AgreeForm(
        request.POST or None,
        rules=rules,
        purposes={purpose: text.get_purpose_display() for purpose, text in wordings.items()},
        mpan=answers["mpan"],
        is_member=application.member_id is not None,
        initial={"terms": getattr(texts[TermsText.Kind.TERMS], "body_sha256", "")},
    )
    if request.method == "POST" and form.is_valid():
        try:
            joined = _join(application, form, at)
        except DomainError as error:
            _refuse(form, error, texts[TermsText.Kind.TERMS])
        else:
            request.session.pop(OPEN, None)
            _welcome(request, joined, answers)
            return redirect("home" if request.user.is_authenticated else "account_login")
    context = _context(request, "join_agree", at) | {
        "form": form,
        "assurance": texts[TermsText.Kind.ASSURANCE],
        "terms": texts[TermsText.Kind.TERMS],
        "wordings": [(text.get_purpose_display(), text.body) for text in wordings.values()],
        "is_ready": all(texts.values()),
        "partner": application.partner,
    }
    return render(request, "join/agree.html", context, status=422 if form.errors else 200)


@require_POST
@with_open_one
def join_withdraw(request: HttpRequest, held: Standing) -> HttpResponse:
    """Let go of the enquiry; what was told is gone."""
    try:
        applying.withdraw(application_id=held.application.pk, at=clock.now())
    except DomainError as error:
        messages.error(request, sentence(error))
        return redirect("join_standing")
    request.session.pop(OPEN, None)
    messages.success(request, _("We have forgotten what you told us. You can begin again at any time."))
    return redirect("join")


@require_POST
@with_open_one
def join_letter(request: HttpRequest, held: Standing) -> HttpResponse:
    """Send the link again."""
    try:
        letters.count_asking(request, held.answers["email"])
    except letters.TooManyAsked as error:
        messages.error(request, sentence(error))
    else:
        _send_link(request, held.application, held.answers["email"])
        messages.success(request, _("We have sent the link to the address that you gave."))
    return redirect(_where(held))


@require_http_methods(["GET", "POST"])
def join_household(request: HttpRequest, token: str) -> HttpResponse:
    """Somebody whom a member invited into their household takes a sign-in of their own."""
    at = clock.now()
    behind = inviting.behind_token(token, at)
    if behind.invitation is None or behind.invitation.household is None:
        raise inviting.InvitationNotFound()
    by_passkey = request.POST.get("do") == "passkey"
    form = HousemateForm(request.POST or None, by_passkey=by_passkey)
    if request.method == "POST" and form.is_valid():
        try:
            member = inviting.join_household(
                invitation_id=behind.invitation.pk,
                full_name=form.cleaned_data["full_name"],
                password=form.cleaned_data["password"],
                at=at,
            )
        except DomainError as error:
            form.add_error(None, sentence(error))
        else:
            if by_passkey:
                login(request, member.user, backend=BACKEND)
                messages.success(request, PASSKEY_NEXT)
                return redirect("mfa_add_webauthn")
            messages.success(request, _("Welcome. Sign in with your address and the password you chose."))
            return redirect("account_login")
    context = {"form": form, "email": inviting.address_of(behind.invitation)}
    response = render(request, "join/household.html", context, status=422 if form.errors else 200)
    add_never_cache_headers(response)
    return response


def verdict_in_words(verdict: Verdict) -> dict[str, Any]:
    """The answer, and each rule's."""
    return {
        "answer": ANSWER[verdict.outcome],
        "outcome": verdict.outcome,
        "findings": [
            {"is_met": each.outcome == Otherwise.IGNORE, "words": _finding(each.rule, each.outcome)}
            for each in verdict.findings
        ],
    }


def told_in_words(answers: dict[str, Any]) -> list[tuple[str, str]]:
    """What was told, as labels and values."""
    names = dict(AssetKind.objects.values_list("code", "name"))
    rows: list[tuple[str, str]] = []
    for form in (WhoForm(), HomeForm(), ThingsForm()):
        for name, field in form.fields.items():
            value = answers.get(name)
            if not value:
                continue
            if name == "asset_kinds":
                shown = ", ".join(names.get(code, code) for code in value)
            else:
                shown = str(dict(getattr(field, "choices", ())).get(value, value))
            rows.append((str(field.label), shown))
    if answers.get("question"):
        rows.append((_("Answered later"), answers["question"]))
    return rows


def send_link(
    request: HttpRequest, application: Application, to: str, *, template: str, subject: str
) -> bool:
    """Write to whoever asks, with the link that takes the enquiry up again."""
    url = request.build_absolute_uri(reverse("join_continue", args=[applying.link_token(application)]))
    context = {"url": url, "coop": installation.current(), "reason": application.decision_reason}
    return letters.send(to, subject, template, context)


def _finding(rule: str, outcome: Otherwise) -> str:
    return str((MET if outcome == Otherwise.IGNORE else UNMET)[rule])


def _step(request: HttpRequest, held: Standing, name: str, kind: Any, then: str) -> HttpResponse:
    at = clock.now()
    if held.application.state not in applying.OPEN:
        return redirect("join_standing")
    form = kind(request.POST) if request.method == "POST" else kind(initial=held.answers)
    if request.method == "POST" and form.is_valid():
        given = getattr(form, "answers", form.cleaned_data)
        try:
            applying.answer(application_id=held.application.pk, given=given, at=at)
        except DomainError as error:
            say_refusal(form, error)
        else:
            return redirect("join_home" if request.POST.get("do") == "later" else then)
    context = _context(request, name, at) | {"form": form, "partner": held.application.partner}
    return render(request, "join/step.html", context, status=422 if form.errors else 200)


def _refuse(form: AgreeForm, error: DomainError, words: TermsText | None) -> None:
    """Say why not; where the terms changed, the next press is about the new ones."""
    name = str(error.data.get("field", ""))
    if isinstance(error, TermsChanged) and words is not None:
        form.data = {**form.data.dict(), "terms": words.body_sha256}  # type: ignore[attr-defined]
        name = "accepts"
    form.add_error(name if name in form.fields else None, sentence(error))


def _join(application: Application, form: AgreeForm, at: datetime) -> Member:
    data = form.cleaned_data
    return applying.join(
        application_id=application.pk,
        terms_sha256=data["terms"],
        shares=data.get("shares") or 0,
        purposes={purpose: applying.granularity_for(purpose) for purpose in form.consents},
        password=data.get("password"),
        gsp_group=data.get("gsp_group", ""),
        at=at,
    )


def _consent_words(application: Application, at: datetime) -> dict[str, Any]:
    """The consents offered, each in the words in force; a landlord's totals only to a landlord's tenants."""
    found = {}
    for purpose in Purpose:
        if purpose == Purpose.PARTNER_TOTALS and application.partner_id is None:
            continue
        text = consenting.newest_text(purpose, at)
        if text is not None:
            found[purpose.value] = text
    return found


def _same_member(request: HttpRequest, application: Application) -> Member | None:
    """The member who added this home while signed in, when they still are."""
    member = members.queries.member_of(request.user)
    return member if member is not None and member.pk == application.member_id else None


def _behind(request: HttpRequest, at: datetime) -> inviting.Behind:
    token = request.session.get(BEHIND)
    if token is None:
        return inviting.Behind()
    try:
        return inviting.behind_token(token, at)
    except inviting.InvitationNotFound:
        return inviting.Behind()


def _where(held: Standing) -> str:
    """The first step that is open."""
    state = held.application.state
    if state == State.APPROVED:
        return "join_agree"
    if state not in (State.STARTED, State.ASKED):
        return "join_standing"
    if state == State.ASKED:
        return "join_standing"
    missing = held.missing
    if not missing:
        return "join_check"
    return "join_things" if missing == ("smart_meter",) else "join_home"


def _context(request: HttpRequest, current: str, at: datetime) -> dict[str, Any]:
    names = [name for name, _label in STEPS]
    place = names.index(current)
    steps = [
        {"label": label, "is_done": number < place, "is_current": number == place}
        for number, (_name, label) in enumerate(STEPS)
    ]
    return {"steps": steps, "step_label": STEPS[place][1]}


def _send_link(request: HttpRequest, application: Application, to: str) -> None:
    subject = _("Your enquiry at %(coop)s") % {"coop": installation.current().coop_name}
    if not send_link(request, application, to, template="join/letters/continue.txt", subject=subject):
        messages.warning(request, _("We could not send you the link just now. You can ask for it below."))


def _welcome(request: HttpRequest, member: Member, answers: dict[str, Any]) -> None:
    words = {"number": member.number}
    messages.success(
        request,
        _("Welcome: you are member %(number)s. Next we arrange a visit to look at your home.") % words,
    )
