"""Staff pages: network operators that drive homes directly, and the rules that every campaign keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

import campaigns.policy
from campaigns import rules
from campaigns.models import CampaignRule, ServicingClient, ServicingContract, ServicingSignal
from campaigns.servicing import capping, contracting, holding, telling
from campaigns.servicing_models import ZONE_KINDS, Scope
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval
from opendsr.kernel.models import AuditEntry
from opendsr.web import campaign_page, live_board, step_up, wording
from opendsr.web.entering import account_of, signed_in
from opendsr.web.operator_forms import ContractForm, KeyForm, OperatorForm, RulesForm, watts
from opendsr.web.paging import paged
from opendsr.web.refusals import say_at_fields, sentence

SHOWN: Final = 25
HISTORY_SHOWN: Final = 20
FIELD_OF: Final = {
    "max_w": "max_kw",
    "approved_w": "approved_kw",
    "import_cap_w": "import_cap_kw",
    "export_cap_w": "export_cap_kw",
    "second_from_w": "second_from_kw",
    "substation_w_per_minute": "substation_kw_per_minute",
    "portfolio_w_per_minute": "portfolio_kw_per_minute",
}
TAGS: Final = {
    "dispatched": "good",
    "in_force": "good",
    "stopped": "info",
    "rehearsed": "info",
    "waiting": "warn",
    "refused": "bad",
    "received": "",
}


@require_http_methods(["GET", "POST"])
@signed_in
def operator_list(request: HttpRequest) -> HttpResponse:
    """The operators, and the form that lets one in."""
    campaigns.policy.require_sees_operators(request.user)
    form = OperatorForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        campaigns.policy.require_manages_operators(request.user)
        if form.is_valid():
            made = _tried(
                form,
                lambda: contracting.add_client(**form.cleaned_data, at=clock.now(), by=account_of(request)),
            )
            if isinstance(made, ServicingClient):
                messages.success(request, _("Added. Take in its public key and agree to a contract next."))
                return redirect("operator", made.pk)
    shown, pager = paged(request, ServicingClient.objects.order_by("name"), size=SHOWN)
    context = {
        "operators": shown,
        "pager": pager,
        "form": form,
        "may_manage": campaigns.policy.may_manage_operators(request.user),
    }
    return render(request, "campaigns/operator_list.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET"])
@signed_in
def operator(request: HttpRequest, client_id: UUID) -> HttpResponse:
    """One operator: contracts, keys, signals with what they were answered, and the history."""
    return _page(request, campaigns.policy.access_operator(request.user, client_id))


@require_POST
@signed_in
def operator_action(request: HttpRequest, client_id: UUID, verb: str) -> HttpResponse:
    """Do one thing about an operator and come back to it."""
    client = campaigns.policy.access_operator(request.user, client_id)
    if verb == "confirm":
        campaigns.policy.require_runs_campaigns(request.user)
    else:
        campaigns.policy.require_manages_operators(request.user)
    if verb in FORMS:
        form = FORMS[verb](request.POST)
        if form.is_valid():
            step_up.require(request, str(STEPPED_UP[verb]))
        done = form.is_valid() and _tried(form, lambda: WITH_FORM[verb](request, client, form.cleaned_data))
        if not done:
            return _page(request, client, **{verb: form})
    elif verb in PLAIN:
        if verb in STEPPED_UP:
            step_up.require(request, str(STEPPED_UP[verb]))
        try:
            PLAIN[verb](request, client)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            messages.error(request, sentence(error))
            return redirect("operator", client.pk)
    else:
        raise Http404
    messages.success(request, str(SAID[verb]))
    return redirect("operator", client.pk)


@require_http_methods(["GET", "POST"])
@signed_in
def campaign_rules(request: HttpRequest) -> HttpResponse:
    """The rules in force, those before them, and the form that sets new ones."""
    campaigns.policy.require_sees_operators(request.user)
    now = rules.in_force()
    initial = {
        "second_from_kw": _kw(now.second_from_w),
        "substation_kw_per_minute": _kw(now.substation_w_per_minute),
        "portfolio_kw_per_minute": _kw(now.portfolio_w_per_minute),
        "chance_pct": now.chance_pct,
        "most_asks": now.most_asks,
    }
    form = RulesForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":
        campaigns.policy.require_manages_operators(request.user)
        if form.is_valid() and _tried(form, lambda: _set_rules(request, form.cleaned_data)):
            messages.success(request, _("Set. They hold for campaigns planned and approved from now on."))
            return redirect("campaign_rules")
    versions = CampaignRule.objects.select_related("set_by").order_by("-pk")
    shown, pager = paged(request, versions, size=SHOWN)
    context = {
        "now": _rule_words(now),
        "versions": [
            {
                "words": _rule_words(each),
                "why": each.why,
                "by": each.set_by,
                "at": wording.moment(each.set_at),
            }
            for each in shown
        ],
        "pager": pager,
        "form": form,
        "may_manage": campaigns.policy.may_manage_operators(request.user),
    }
    return render(request, "campaigns/campaign_rules.html", context, status=422 if form.errors else 200)


def _page(request: HttpRequest, client: ServicingClient, **forms: Form) -> HttpResponse:
    at, wall = clock.now(), clock.wall_now()
    signals, pager = paged(request, _signals(client), size=SHOWN, anchor="signals")
    contracts, contracts_pager = paged(
        request,
        client.contracts.select_related("programme", "agreed_by", "confirmed_by").order_by(
            "-starts_at", "pk"
        ),
        size=SHOWN,
        parameter="contracts",
        anchor="contracts",
    )
    keys, keys_pager = paged(
        request, client.keys.order_by("-pk"), size=SHOWN, parameter="keys", anchor="keys"
    )
    entries = AuditEntry.objects.filter(target=f"servicing_client:{client.pk}").order_by("-pk")
    history = list(entries[:HISTORY_SHOWN])
    people = live_board.names({entry.actor for entry in history})
    context = {
        "operator": client,
        "scopes": [str(scope.label) for scope in Scope if scope.value in client.scopes],
        "contracts": [_contract(each, at=at) for each in contracts],
        "contracts_pager": contracts_pager,
        "caps": _caps(client, at=at),
        "keys": [
            {"row": key, "is_good": key.ends_wall_at is None or key.ends_wall_at > wall} for key in keys
        ],
        "keys_pager": keys_pager,
        "signals": [_signal(each) for each in signals],
        "pager": pager,
        "refusals": client.refusals.order_by("-hour_wall_at", "reason")[:SHOWN],
        "history": [
            {
                "at": wording.moment(entry.at),
                "actor": people.get(entry.actor, entry.actor),
                "verb": entry.verb.removeprefix("campaigns.servicing.").replace(".", " "),
                "detail": ", ".join(f"{name}: {value}" for name, value in sorted(entry.detail.items())),
            }
            for entry in history
        ],
        "may_manage": campaigns.policy.may_manage_operators(request.user) and client.closed_at is None,
        "may_confirm": campaigns.policy.may_run_campaigns(request.user) and client.closed_at is None,
        "key_form": forms.get("key", KeyForm()),
        "contract_form": forms.get("contract", ContractForm()),
        "open_form": next(iter(forms), ""),
    }
    return render(request, "campaigns/operator.html", context, status=422 if forms else 200)


def _signals(client: ServicingClient) -> Any:
    return client.signals.select_related("campaign").order_by("-received_wall_at", "-pk")


def _signal(signal: ServicingSignal) -> dict[str, Any]:
    asked = signal.asked
    what = [str(ServicingSignal.Kind(signal.kind).label)]
    if asked["zone"]:
        what.append(asked["zone"])
    if signal.kind == ServicingSignal.Kind.CAP:
        what.append(str(CAP_KINDS[asked["direction"]]))
    if asked["size_w"] or signal.kind == ServicingSignal.Kind.CAP:
        what.append(wording.power(asked["size_w"]))
    if not signal.key_id:
        what.append(_("the site itself"))
    if not signal.key_id and signal.kind == ServicingSignal.Kind.STOP:
        let = signal.state == ServicingSignal.State.IN_FORCE
        what.append(_("may ask again") if let else _("asks nobody"))
    if asked["minutes"]:
        what.append(_("%(n)s min") % {"n": asked["minutes"]})
    answer = signal.answer
    got = _("%(homes)s homes, %(power)s expected") % {
        "homes": answer.get("homes", 0),
        "power": wording.power(answer.get("expected_w", 0)),
    }
    took = signal.decided_wall_at and signal.decided_wall_at - signal.received_wall_at
    return {
        "at": wording.moment(signal.received_at),
        "what": ", ".join(what),
        "reference": asked["reference"],
        "state": str(ServicingSignal.State(signal.state).label),
        "tag": TAGS[signal.state],
        "why": signal.reason.replace("_", " "),
        "got": _cap_words(answer) if "cap" in answer else got if "homes" in answer else "",
        "took": _("%(s)s s") % {"s": f"{took.total_seconds():.2f}"} if took else "",
        "campaign": signal.campaign,
    }


def _contract(contract: ServicingContract, *, at: Any) -> dict[str, Any]:
    is_in_force = contract.starts_at <= at and (contract.ends_at is None or contract.ends_at > at)
    return {
        "row": contract,
        "where": f"{OPERATOR_ZONES[contract.zone_kind]} {contract.zone}",
        "most": wording.power(contract.max_w),
        "approved": wording.power(contract.approved_w),
        "from": wording.moment(contract.starts_at),
        "until": wording.moment(contract.ends_at) if contract.ends_at else "",
        "is_in_force": is_in_force,
        "waits": is_in_force and contract.approved_w and contract.confirmed_at is None,
        "caps": [
            CAP_TERMS[kind] % {"power": wording.power(agreed_w)}
            for kind in capping.ANSWERS
            if (agreed_w := capping.agreed_w(contract, kind)) is not None
        ],
    }


def _caps(client: ServicingClient, *, at: datetime) -> list[dict[str, Any]]:
    """The caps of the contracts in force: each with what was done about it last and who is held by it."""
    contracts = client.contracts.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at)
    found = []
    for contract in contracts.order_by("zone").select_related("programme"):
        kinds = [kind for kind in capping.ANSWERS if capping.agreed_w(contract, kind) is not None]
        metered_w = _metered_w(contract, at=at) if kinds else None
        for kind in kinds:
            cap = capping.in_force(contract, kind)
            running = capping.given(contract, kind, at=at)
            hold = holding.hold_of(contract, kind, cap_w=cap.cap_w if cap else None, at=at)
            now = "–" if metered_w is None else wording.power(metered_w if kind == "import" else -metered_w)
            found.append(
                {
                    "zone": f"{OPERATOR_ZONES[contract.zone_kind]} {contract.zone}",
                    "kind": str(CAP_KINDS[kind]),
                    "cap": wording.power(cap.cap_w) if cap else "",
                    "source": str(CAP_SOURCES[cap.source]) if cap else "",
                    "since": wording.moment(cap.since) if cap else "",
                    "metered": now,
                    "held": [
                        {"campaign": each.campaign, "given": wording.power(each.given_w)} for each in running
                    ],
                    "homes": capping.held_homes(running),
                    "hold": campaign_page.hold_words(hold) if hold else "",
                }
            )
    return found


def _metered_w(contract: ServicingContract, *, at: datetime) -> int | None:
    """The zone's net import in the newest minute that enough meters told, in W."""
    minute = at.replace(second=0, microsecond=0)
    rows = telling.metering(contract, interval=Interval(minute - capping.TOLD_WITHIN, minute), at=at)
    told: list[int] = [each["mean_w"] for each in rows if each["mean_w"] is not None]
    return told[-1] if told else None


def _told(watts: int | None) -> str:
    return wording.NOTHING if watts is None else wording.power(watts)


def _cap_words(answer: Mapping[str, Any]) -> str:
    """What a cap's signal found and did, in a line."""
    words = {
        "flow": _told(answer["flow_w"]),
        "over": _told(answer["wanted_w"]),
        "given": wording.power(answer["given_w"]),
        "asked": wording.power(answer.get("asked_w", 0)),
        "homes": answer.get("homes", 0),
        "n": answer.get("campaigns", 0),
        "why": answer["why"].replace("_", " "),
    }
    return str(CAP_SAID[answer["did"]] % words)


def _kw(watts_: int | None) -> str:
    """A form's kW of whole W."""
    return "" if watts_ is None else wording.power(watts_).removesuffix(" kW").replace(",", "")


def _rule_words(rule: CampaignRule) -> list[str]:
    return [
        _("two people approve from %(power)s") % {"power": wording.power(rule.second_from_w)},
        _("a substation's load changes by %(power)s a minute at most")
        % {"power": wording.power(rule.substation_w_per_minute)},
        _("all homes together may change as fast as they like")
        if rule.portfolio_w_per_minute is None
        else _("all homes together change by %(power)s a minute at most")
        % {"power": wording.power(rule.portfolio_w_per_minute)},
        _("the size is reached with a chance of %(pct)s %%") % {"pct": rule.chance_pct},
        _("a home is asked for %(n)s campaigns in four weeks at most") % {"n": rule.most_asks},
    ]


def _set_rules(request: HttpRequest, data: Mapping[str, Any]) -> CampaignRule:
    return rules.set_rules(
        second_from_w=watts(data["second_from_kw"]),
        substation_w_per_minute=watts(data["substation_kw_per_minute"]),
        portfolio_w_per_minute=_watts_or_none(data["portfolio_kw_per_minute"]),
        chance_pct=data["chance_pct"],
        most_asks=data["most_asks"],
        why=data["why"],
        at=clock.now(),
        by=account_of(request),
    )


def _add_key(request: HttpRequest, client: ServicingClient, data: Mapping[str, Any]) -> object:
    return contracting.add_key(
        client_id=client.pk, **data, at=clock.now(), wall=clock.wall_now(), by=account_of(request)
    )


def _agree(request: HttpRequest, client: ServicingClient, data: Mapping[str, Any]) -> object:
    powers = ("max_kw", "approved_kw", "import_cap_kw", "export_cap_kw")
    terms = {name: value for name, value in data.items() if name not in powers and value is not None}
    return contracting.agree(
        client_id=client.pk,
        **terms,
        import_cap_w=_watts_or_none(data["import_cap_kw"]),
        export_cap_w=_watts_or_none(data["export_cap_kw"]),
        max_w=watts(data["max_kw"]),
        approved_w=watts(data["approved_kw"]),
        at=clock.now(),
        by=account_of(request),
    )


def _watts_or_none(kw: Decimal | None) -> int | None:
    return None if kw is None else watts(kw)


def _revoke(request: HttpRequest, client: ServicingClient) -> None:
    contracting.revoke_key(
        client_id=client.pk,
        key_id=request.POST.get("key_id", "").replace("\0", ""),
        at=clock.now(),
        wall=clock.wall_now(),
        by=account_of(request),
    )


def _confirm(request: HttpRequest, client: ServicingClient) -> None:
    contracting.confirm(contract_id=_own_contract(request, client), at=clock.now(), by=account_of(request))


def _end(request: HttpRequest, client: ServicingClient) -> None:
    contracting.end_contract(
        contract_id=_own_contract(request, client), at=clock.now(), by=account_of(request)
    )


def _close(request: HttpRequest, client: ServicingClient) -> None:
    contracting.close_client(client_id=client.pk, at=clock.now(), by=account_of(request))


def _own_contract(request: HttpRequest, client: ServicingClient) -> UUID:
    try:
        contract_id = UUID(request.POST.get("contract", ""))
    except ValueError:
        raise Http404 from None
    if not client.contracts.filter(Q(pk=contract_id)).exists():
        raise Http404
    return contract_id


def _tried(form: Form, work: Callable[[], object]) -> object | None:
    """What the work gives; None after a refusal, which is then said at its field."""
    try:
        return work()
    except (contracting.FieldInvalid, rules.RuleInvalid) as error:
        say_at_fields(form, {error.field: error.reason}, FIELD_OF)
        return None


OPERATOR_ZONES: Final = dict(ZONE_KINDS)
CAP_KINDS: Final = {"import": _lazy("import"), "export": _lazy("export")}
CAP_TERMS: Final = {
    "import": _lazy("import cap on silence %(power)s"),
    "export": _lazy("export cap on silence %(power)s"),
}
CAP_SOURCES: Final = {"operator": _lazy("the operator"), "silence": _lazy("silence")}
CAP_SAID: Final = {
    "asked": _lazy("%(flow)s in the zone, %(over)s over it: asked %(asked)s of %(homes)s homes"),
    "let_go": _lazy("%(flow)s in the zone, %(over)s over it: let %(n)s campaigns go"),
    "kept": _lazy("%(flow)s in the zone, %(over)s over it, %(given)s given: nothing changed"),
    "unmet": _lazy("%(flow)s in the zone, %(over)s over it, not met: %(why)s"),
}
FORMS: Final[Mapping[str, type[Form]]] = {"key": KeyForm, "contract": ContractForm}
WITH_FORM: Final[Mapping[str, Callable[..., object]]] = {"key": _add_key, "contract": _agree}
PLAIN: Final[Mapping[str, Callable[[HttpRequest, ServicingClient], None]]] = {
    "revoke-key": _revoke,
    "confirm": _confirm,
    "end": _end,
    "close": _close,
}
STEPPED_UP: Final = {
    "key": _lazy("Take the key in"),
    "contract": _lazy("Agree to the contract"),
    "confirm": _lazy("Confirm the contract"),
}
"""What lets somebody start campaigns, or more of them; what takes that away is done at once."""
SAID: Final = {
    "key": _lazy("Taken in. Requests signed with it are let in from now on."),
    "contract": _lazy("In force. What it approves in advance holds once a second person has confirmed it."),
    "revoke-key": _lazy("Revoked. It opens nothing from the next request on."),
    "confirm": _lazy("Confirmed. Starts up to that size need nobody's approval any more."),
    "end": _lazy("Ended. What runs goes on to its end; an emergency stop is still taken."),
    "close": _lazy("Closed. Every request of the operator is refused from now on."),
}
