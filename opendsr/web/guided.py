"""Guided steps in a membership: a household's page, moving, a new meter, a housemate, leaving, bereavement.

Each step is filled in, then shows what will happen to consents, devices and money, and is done only when that
is confirmed. Members take their own; member services take any, and bereavement is theirs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

import members.queries
from assets.jobs import note_new_meter, visit_of
from assets.models import Asset, Cad, Hub
from members import entry, inviting, leaving, moving, rectifying, supplying
from members.enquiry_models import Shareholding
from members.models import Consent, Member, Occupancy, Role
from members.policy import (
    Forbidden,
    MemberNotFound,
    access_member,
    has_role,
    is_account_holder,
    require_account_holder,
    require_role,
)
from members.queries import account_holder_of
from members.supply_models import PaymentMethod
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date, day_interval
from opendsr.web import housemates, member_home, wording
from opendsr.web.champions import due_survey
from opendsr.web.consent_page import SEES_CONSENTS
from opendsr.web.entering import signed_in
from opendsr.web.guided_forms import (
    BereavementForm,
    EstateForm,
    InviteForm,
    LeaveForm,
    MeterForm,
    MoveForm,
    RemoveForm,
    StepForm,
    TakeBackForm,
    offered_consents,
)
from opendsr.web.refusals import say_refusal
from settlement import bank_details

TAKES_STEPS: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
PAYS_ESTATES: Final = (Role.ADMINISTRATOR, Role.FINANCE)


TITLES: Final = {
    "move": (_lazy("Move house"), _lazy("Move")),
    "meter": (_lazy("A new supplier, meter or way to pay"), _lazy("Note it")),
    "leave": (_lazy("Leave the co-op"), _lazy("Leave")),
    "bereavement": (_lazy("After a death"), _lazy("End the membership")),
    "invite": (_lazy("Invite somebody you live with"), _lazy("Send the invitation")),
    "take-back": (_lazy("Take an invitation back"), _lazy("Take it back")),
    "remove": (_lazy("Take somebody out of the household"), _lazy("Take them out")),
}
CAD_WORDS: Final = {
    "meter": _lazy("The CAD has to be paired with the new meter: a visit is planned for that."),
    "supplier": _lazy("The CAD goes on reading. Should it fall silent, the new supplier has to list it."),
    "payment": _lazy("The CAD goes on reading."),
}
PAID_WORDS: Final[dict[str, Any]] = {
    PaymentMethod.DIRECT_DEBIT: _lazy("paid by direct debit"),
    PaymentMethod.STANDARD_CREDIT: _lazy("paid when the bill comes"),
    PaymentMethod.PREPAYMENT: _lazy("paid in advance"),
}
HOLDERS: Final = frozenset({"move", "invite", "take-back", "remove"})
"""Steps that the household's account holder takes, and nobody else of it."""
AT_ONCE: Final = frozenset({"invite", "take-back"})
"""Steps that do nothing to consents, devices or money."""
FORMS: Final[dict[str, type[StepForm]]] = {
    "move": MoveForm,
    "meter": MeterForm,
    "leave": LeaveForm,
    "bereavement": BereavementForm,
    "invite": InviteForm,
    "take-back": TakeBackForm,
    "remove": RemoveForm,
}


@require_GET
@signed_in
def household_page(request: HttpRequest, number: str) -> HttpResponse:
    """A member's household: homes, people, shares, and the steps that can be taken."""
    at = clock.now()
    member = _member(request, number, at)
    is_staff = has_role(request.user, *TAKES_STEPS)
    stays = members.queries.occupancies_of(member, at)
    supplies = supplying.supplies_of([stay.pk for stay in stays], civil_date(at))
    is_current = member.is_current(at)
    holder, people = account_holder_of(member.household_id, at), leaving.others_of(member, at)
    invitations = inviting.open_to(member.household, at) if member == holder else []
    needed = {"bereavement": is_staff, "remove": bool(people), "take-back": bool(invitations)}
    steps = [
        step
        for step in TITLES
        if is_current and needed.get(step, True) and (member == holder or step not in HOLDERS)
    ]
    context = {
        "member": member,
        "is_self": member.user_id == request.user.pk,
        "is_current": is_current,
        "left": wording.day(member.left_at, "j F Y") if member.left_at and not is_current else "",
        "homes": [
            {
                "home": stay.home,
                "since": wording.day(stay.starts_at, "j F Y"),
                "visit": visit_of(stay.home_id),
                "supply": _supply_words(supplies.get(stay.pk, supplying.Supplied())),
            }
            for stay in stays
        ],
        "survey": due_survey(member) if member.user_id == request.user.pk else None,
        "people": people,
        "holder": holder,
        "invitations": [
            (inviting.address_of(each), wording.day(each.expires_at, "j F Y")) for each in invitations
        ],
        "shares": Shareholding.objects.filter(member=member).order_by("taken_at"),
        "steps": [(step, TITLES[step][0]) for step in steps],
        "is_staff": is_staff,
        "sees_consents": has_role(request.user, *SEES_CONSENTS),
        "takes_estate": member.left_reason == "deceased" and has_role(request.user, *PAYS_ESTATES),
        "estate_form": EstateForm(),
    }
    return render(request, "members/household.html", context)


@require_GET
@signed_in
def member_find(request: HttpRequest) -> HttpResponse:
    """Member services look a member up by number, in any of its forms."""
    require_role(request.user, *TAKES_STEPS)
    try:
        member = access_member(request.user, request.GET.get("number", ""), clock.now())
    except MemberNotFound:
        messages.error(request, _("No member has this number."))
        return redirect("funnel")
    return redirect("household_page", member.number)


@require_http_methods(["GET", "POST"])
@signed_in
def step_page(request: HttpRequest, number: str, step: str) -> HttpResponse:
    """One step: asked, shown, confirmed."""
    at = clock.now()
    member = _member(request, number, at)
    if step == "estate":
        return _take_estate(request, member, at)
    if step not in FORMS:
        raise Http404
    if step == "bereavement" and not has_role(request.user, *TAKES_STEPS):
        raise Forbidden(needs="member_services")
    if not member.is_current(at):
        messages.error(request, _("That membership has ended."))
        return redirect("household_page", member.number)
    if step in HOLDERS:
        require_account_holder(member, at)
    sent = request.POST if request.method == "POST" else None
    initial = {"moved_on": civil_date(at), "changed_on": civil_date(at)}
    form = FORMS[step](sent, member=member, at=at, initial=initial)
    effects: list[tuple[str, list[str]]] = []
    if sent is not None and form.is_valid():
        if request.POST.get("do") == "confirm" or step in AT_ONCE:
            try:
                said = _done(request, step, form, member, at)
            except DomainError as error:
                say_refusal(form, error)
            else:
                messages.success(request, said)
                is_gone = step == "leave" and member.user_id == request.user.pk
                return redirect("home") if is_gone else redirect("household_page", member.number)
        else:
            effects = effects_of(step, form, member, at)
    title, button = TITLES[step]
    context = {
        "member": member,
        "step": step,
        "title": title,
        "button": button,
        "form": form,
        "effects": effects,
        "is_asked_twice": step not in AT_ONCE,
        "wordings": [(text.get_purpose_display(), text.body) for text in offered_consents(at)]
        if step == "move"
        else [],
    }
    return render(request, "members/step.html", context, status=422 if form.errors else 200)


def effects_of(step: str, form: Any, member: Member, at: datetime) -> list[tuple[str, list[str]]]:
    """What will happen to consents, devices and money, in words, before anything does."""
    if step == "meter":
        return _meter_effects(form, at)
    if step == "move":
        stays: Sequence[Occupancy] = [form.chosen]
        ending = members.queries.consents_in_force([form.chosen.pk], at)
    elif step == "remove":
        stays, ending = [], leaving.consents_of(form.chosen_person, at)
    else:
        is_over = not leaving.others_of(member, at) and not form.cleaned_data.get("new_name")
        stays = members.queries.occupancies_of(member, at) if is_over else []
        ending = leaving.consents_of(member, at)
        if is_over:
            ending = members.queries.consents_in_force([stay.pk for stay in stays], at)
    return [
        (_("Consents"), _consents_ending(ending, step)),
        (_("Devices"), _devices(stays)),
        (_("Money"), _money(step, form, member, at)),
        *_also(step, form, member, at),
    ]


def _consents_ending(ending: Sequence[Consent], step: str) -> list[str]:
    words = [
        _("“%(purpose)s” for %(home)s, given by %(who)s, ends.")
        % {
            "purpose": each.get_purpose_display(),
            "home": each.occupancy.home.name,
            "who": each.member.full_name,
        }
        for each in ending
    ]
    if step == "move":
        words.append(_("For the new home only what you ticked is agreed to, from now on."))
    return words or [_("None is in force, so none ends.")]


def _devices(stays: Sequence[Occupancy]) -> list[str]:
    if not stays:
        return [_("Nothing changes: somebody of the household is still a member.")]
    homes = [stay.home_id for stay in stays]
    hubs = Hub.objects.filter(home__in=homes, state=Hub.State.COMMISSIONED).order_by("serial")
    words = [
        _("Hub %(serial)s stays in the home and asks nothing of it until whoever lives there next agrees.")
        % {"serial": hub.serial}
        for hub in hubs
    ]
    count = Asset.objects.filter(hub__home__in=homes).exclude(state=Asset.State.RETIRED).count()
    if count:
        words.append(_("Devices work by their own switches; the co-op takes them away if that is wished."))
    return words or [_("There is no hub in the home.")]


def _money(step: str, form: Any, member: Member, at: datetime) -> list[str]:
    stays = Occupancy.objects.filter(household_id=member.household_id)
    if step == "move":
        stays = stays.filter(pk=form.chosen.pk)
    balance = {"sum": wording.money(member_home.balance_mp(list(stays)))}
    heir = form.cleaned_data.get("successor") or form.cleaned_data.get("new_name")
    others = leaving.others_of(member, at)
    if step == "bereavement":
        if heir or others:
            words = [_("%(sum)s on the household’s account pass to who carries it on.") % balance]
        else:
            words = [_("%(sum)s are owed to the estate, and held until its account is known.") % balance]
    elif step in ("leave", "remove") and others:
        words = [_("%(sum)s stay on the household’s account.") % balance]
    else:
        words = [_("%(sum)s on the account are paid out with the next batch, however little.") % balance]
    words.append(_("Events that are over are settled as they would have been; later ones do not count."))
    shares = sum(each.shares for each in Shareholding.objects.filter(member=member))
    if shares and step == "leave":
        words.append(
            _("Your %(shares)s shares stay yours until the society pays them back by its rules.")
            % {"shares": shares}
        )
    if shares and step == "bereavement":
        told = {"shares": shares}
        words.append(
            _("%(shares)s shares pass to who carries the household on.") % told
            if heir
            else _("%(shares)s shares belong to the estate.") % told
        )
    return words


def _also(step: str, form: Any, member: Member, at: datetime) -> list[tuple[str, list[str]]]:
    if step == "remove":
        told = {"name": form.chosen_person.full_name}
        words = [
            _("%(name)s signs in still, and sees nothing of the household any more.") % told,
            _("Keys of their programs and calendars end, and they are told by email.") % told,
            _("Shares of theirs stay theirs until the society pays them back by its rules."),
        ]
        return [(_("Their sign-in"), words)]
    others = leaving.others_of(member, at)
    if step == "leave" and others and is_account_holder(member, at):
        return [
            (_("The account"), [_("%(name)s becomes the account holder.") % {"name": others[0].full_name}])
        ]
    if step == "bereavement":
        words = [_("The sign-in of the person who died is closed, and no letter goes to their address.")]
        if form.cleaned_data.get("new_name"):
            words.append(_("%(name)s becomes a member.") % {"name": form.cleaned_data["new_name"]})
        return [(_("Letters"), words)]
    if step == "move":
        return [(_("Visit"), [_("A visit to the new home is planned, unless a hub works there already.")])]
    return []


def _meter_effects(form: Any, at: datetime) -> list[tuple[str, list[str]]]:
    consents = members.queries.consents_in_force([form.chosen.pk], at)
    is_meter = form.cleaned_data["what"] == "meter"
    has_cad = Cad.objects.filter(home_id=form.chosen.home_id, retired_at__isnull=True).exists()
    devices = [_("The hub and its devices are not touched: it is the same hub with the same certificate.")]
    if has_cad:
        devices.append(str(CAD_WORDS[form.cleaned_data["what"]]))
    return [
        (
            _("Consents"),
            [_("All %(n)s stand: nothing has to be agreed to again.") % {"n": len(consents)}],
        ),
        (_("Devices"), devices),
        (
            _("Money"),
            [
                _("Baselines go on with the home’s earlier days."),
                _("The half-hour of the change is left out, because the new register begins anew.")
                if is_meter
                else _("Nothing changes."),
            ],
        ),
    ]


def _done(request: HttpRequest, step: str, form: Any, member: Member, at: datetime) -> str:
    is_self = member.user_id == request.user.pk
    by = f"member:{member.number}" if is_self else f"staff:{request.user.pk}"
    data = form.cleaned_data
    if step == "move":
        moving.move_house(
            member=member, occupancy=form.chosen, moved_at=_start_of(data["moved_on"], at),
            address=data["address"], postcode=data["postcode"], mpan=data["mpan"],
            gsp_group=entry.gsp_group(data["gsp_group"]) if data["gsp_group"] else "",
            supplier=data["supplier"], payment_method=data["payment_method"],
            purposes=form.purposes, at=at, by=by, channel="web" if is_self else "phone",
        )  # fmt: skip
        return _("Moved. What was agreed to for the old home has ended.")
    if step == "meter":
        return _note_meter(form, member, at, by, "web" if is_self else "phone")
    if step == "leave":
        leaving.leave(member=member, at=at, by=by)
        return _("The membership has ended. Thank you for the time together.")
    if step == "bereavement":
        parting = leaving.bereave(
            member=member, at=at, by=by, successor=form.others.get(data["successor"]),
            new_name=data["new_name"], new_email=data["new_email"],
        )  # fmt: skip
        if parting.is_household_over:
            return _("The membership has ended; what is owed is held for the estate.")
        return _("The membership has ended; the household goes on.")
    if step == "take-back":
        inviting.take_back(household=member.household, invitation_id=UUID(data["invitation"]), by=by, at=at)
        return _("Taken back. Its link leads nowhere any more.")
    if step == "remove":
        housemates.remove(holder=member, number=data["person"], at=at, by=by)
        return _("Done. They see nothing of the household any more.")
    if not housemates.invite(request, member=member, email=data["email"], at=at):
        return _("The letter could not be sent. Try again later.")
    return _("The invitation is on its way; its link works for 14 days.")


def _supply_words(supplied: supplying.Supplied) -> list[str]:
    """Who supplies a home and how it pays, as far as that is known."""
    words = []
    if supplied.supplier:
        words.append(_("supplied by %(name)s") % {"name": supplied.supplier})
    if supplied.payment_method in PAID_WORDS:
        words.append(str(PAID_WORDS[supplied.payment_method]))
    return words


def _note_meter(form: Any, member: Member, at: datetime, by: str, channel: str) -> str:
    """Note the supplier, the meter, and ask for the MPAN to be looked at: all of it or nothing."""
    data, stay = form.cleaned_data, form.chosen
    with transaction.atomic():
        supply = {name: data[name] for name in ("supplier", "payment_method") if data[name]}
        if supply:
            supplying.note_supply(occupancy=stay, **supply, starts_on=data["changed_on"], at=at, by=by)
        if data["what"] == "meter":
            note_new_meter(home=stay.home, changed_at=_start_of(data["changed_on"], at), at=at, by=by)
        if not data["mpan"] or data["mpan"] == stay.home.mpan:
            return _("Noted. All consents stand.")
        rectifying.correct(
            member=member, about="mpan", wanted=data["mpan"], home_id=stay.home_id,
            at=at, channel=channel, by=by,
        )  # fmt: skip
    return _("Noted. All consents stand. We check the new MPAN and write to you.")


def _take_estate(request: HttpRequest, member: Member, at: datetime) -> HttpResponse:
    """Where an estate is to be paid; finance alone, and only after a death."""
    if request.method != "POST" or member.left_reason != "deceased":
        raise Http404
    if not has_role(request.user, *PAYS_ESTATES):
        raise Forbidden(needs="finance")
    form = EstateForm(request.POST)
    try:
        if not form.is_valid():
            raise bank_details.BankDetailInvalid(field="account", reason="form")
        payee = bank_details.Payee(**form.cleaned_data)
        bank_details.change(member=member, payee=payee, at=at, by=request.user)  # type: ignore[arg-type]
    except bank_details.BankDetailInvalid:
        messages.error(request, _("Write the name, six digits of the sort code, eight of the account."))
    else:
        messages.success(request, _("Kept. What is owed can be paid to the estate in seven days."))
    return redirect("household_page", member.number)


def _member(request: HttpRequest, number: str, at: datetime) -> Member:
    """Oneself, or anybody for member services; finance may look."""
    member = access_member(request.user, number, at)
    if member.user_id == request.user.pk or has_role(request.user, *TAKES_STEPS, *PAYS_ESTATES):
        if request.method == "POST" and member.user_id != request.user.pk:
            is_estate = request.path.endswith("/estate/")
            if not has_role(request.user, *(PAYS_ESTATES if is_estate else TAKES_STEPS)):
                raise Forbidden(needs="member_services")
        return member
    raise Forbidden(needs="member_services")


def _start_of(day: Any, at: datetime) -> datetime:
    """The start of a London day that has passed; of today, now."""
    return at if day == civil_date(at) else day_interval(day).starts_at
