"""A buyer's request comes in, from a form, a file or a signed message: checked whole, written down once.

What is wrong is said by field. A request whose deadline has passed is refused: nothing could be offered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction

from campaigns.creating import written_zone, zone_errors
from campaigns.market import telling
from campaigns.market_models import MOST_HALF_HOURS
from campaigns.models import Direction, MarketOffer, MarketParty, MarketPreset, MarketRequest, Programme
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.money import MP_PER_PENNY
from opendsr.kernel.periods import is_half_hour

if TYPE_CHECKING:
    from members.models import User

DEADLINE: Final = "campaigns.market.deadline"
WITHDRAWN: Final = "campaigns.market.offer_withdrawn"
LARGEST_W: Final = 2_000_000_000
LARGEST_MP: Final = 2_000_000_000
FURTHEST: Final = timedelta(days=366)
State = MarketRequest.State


class RequestInvalid(Invalid):
    """The request breaks a rule; `errors` says which, by field."""

    errors: Mapping[str, str]


class ReferenceReused(DomainError):
    """The buyer's reference came before, with another request: `reference`."""

    reference: str


class RequestNotFound(NotFound):
    """There is no such request: `request_id`."""

    request_id: str


class RequestClosed(DomainError):
    """The request is over: `state`, one of the request's states."""

    state: str


class PartyInvalid(Invalid):
    """A buyer that cannot be: `field`, `reason`."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was understood, not yet checked. Power in W, prices in millipence a kWh."""

    reference: str
    preset: str
    direction: str
    zone_kind: str
    zone: str
    starts_at: datetime
    profile_w: tuple[int, ...]
    price_mp_per_kwh: int
    penalty_mp_per_kwh: int
    deadline_at: datetime

    @property
    def ends_at(self) -> datetime:
        """The end of the last half-hour."""
        return self.starts_at + len(self.profile_w) * HALF_HOUR


@transaction.atomic
def add_party(
    *,
    name: str,
    programme: Programme,
    is_sandbox: bool,
    at: datetime,
    by: User,
    client_id: UUID | None = None,
) -> MarketParty:
    """Take in a buyer, on trial or for good; raises PartyInvalid."""
    name = name.strip()
    if not 0 < len(name) <= 80:
        raise PartyInvalid(field="name", reason="1 to 80 letters")
    if MarketParty.objects.filter(name=name).exists():
        raise PartyInvalid(field="name", reason="there is a buyer of this name")
    if client_id is not None and MarketParty.objects.filter(client=client_id).exists():
        raise PartyInvalid(field="client", reason="another buyer signs with its keys")
    party = MarketParty.objects.create(
        name=name,
        programme=programme,
        is_sandbox=is_sandbox,
        client_id=client_id,
        added_at=at,
        added_by=by,
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="campaigns.market.party_added",
        target=f"market_party:{party.pk}",
        detail={"sandbox": is_sandbox, "programme": programme.pk},
    )
    return party


def check(asked: Asked, *, at: datetime) -> dict[str, str]:
    """What is wrong with a request at `at`, by field; nothing when it can be taken in."""
    errors = {
        **_word_errors(asked),
        **zone_errors(asked.zone_kind, written_zone(asked.zone_kind, asked.zone)),
        **_profile_errors(asked.profile_w),
        **_time_errors(asked, at=at),
    }
    for field, value, least in (
        ("price_mp_per_kwh", asked.price_mp_per_kwh, 1),
        ("penalty_mp_per_kwh", asked.penalty_mp_per_kwh, 0),
    ):
        if not least <= value <= LARGEST_MP:
            least_pence, most_pence = least / MP_PER_PENNY, LARGEST_MP // MP_PER_PENNY
            errors[field] = f"From {least_pence:g} to {most_pence:,} pence a kWh."
    return errors


@transaction.atomic
def receive_request(
    *, party: MarketParty, asked: Asked, source: MarketRequest.Source, at: datetime, by: User | None
) -> tuple[MarketRequest, bool]:
    """The request, and whether it is new; the same reference with the same request again is the one there is.

    Raises RequestInvalid with every field that is wrong, ReferenceReused.
    """
    fields = _fields(asked)
    standing = MarketRequest.objects.filter(party=party, reference=asked.reference).first()
    if standing is None:
        errors = check(asked, at=at)
        if errors:
            raise RequestInvalid(errors=errors)
        defaults = {**fields, "source": source, "received_at": at, "received_by": by}
        standing, is_new = MarketRequest.objects.get_or_create(
            party=party, reference=asked.reference, defaults=defaults
        )
        if is_new:
            telling.note(
                "request",
                party=party,
                request=standing,
                is_ours=False,
                at=at,
                by=by,
                body={name: plain(value) for name, value in fields.items()},
            )
            outbox.record(
                DEADLINE, at=at, due_at=asked.deadline_at, key=str(standing.pk), request_id=standing.pk
            )
            return standing, True
    if any(getattr(standing, name) != value for name, value in fields.items()):
        raise ReferenceReused(reference=asked.reference)
    return standing, False


@transaction.atomic
def withdraw_request(*, request_id: UUID, at: datetime, by: User | None) -> MarketRequest:
    """The buyer takes its request back, before it has ordered; again, nothing changes.

    Raises RequestNotFound and RequestClosed.
    """
    request = locked(request_id)
    if request.state == State.WITHDRAWN:
        return request
    if request.state not in (State.OPEN, State.OFFERED):
        raise RequestClosed(state=request.state)
    request.state = State.WITHDRAWN
    request.save(update_fields=["state"])
    withdraw_offers(request, at=at)
    telling.note("withdrawn", party=request.party, request=request, is_ours=False, at=at, by=by)
    return request


@transaction.atomic
def lapse_request(*, request_id: UUID, at: datetime) -> None:
    """Close a request that nothing was offered for by its deadline; any other stays as it is."""
    request = MarketRequest.objects.select_for_update().filter(pk=request_id).first()
    if request is not None and request.state == State.OPEN and request.deadline_at <= at:
        request.state = State.LAPSED
        request.save(update_fields=["state"])
        telling.note("lapsed", party=request.party, request=request, is_ours=True, at=at, by=None)


def locked(request_id: UUID) -> MarketRequest:
    """The request with its party, its row held to the end of the transaction; raises RequestNotFound."""
    found = (
        MarketRequest.objects.select_for_update(of=("self",))
        .select_related("party__programme", "party__client", "preset")
        .filter(pk=request_id)
        .first()
    )
    if found is None:
        raise RequestNotFound(request_id=str(request_id))
    return found


def is_trial(request: MarketRequest) -> bool:
    """Whether nothing may be sent to homes for the request's buyer, nor kept for it."""
    client = request.party.client
    return request.party.is_sandbox or (client is not None and client.is_sandbox)


def release(offer: MarketOffer, state: MarketOffer.State) -> None:
    """Close an offer and let go of the assets held for it."""
    offer.state = state
    offer.save(update_fields=["state"])
    offer.held.update(is_held=False)


def withdraw_offers(request: MarketRequest, *, at: datetime) -> None:
    """Take back what is offered for a request and not ordered; what the buyer knows of it, it is told."""
    for offer in request.offers.filter(state=MarketOffer.State.MADE):
        release(offer, MarketOffer.State.WITHDRAWN)
        outbox.record(WITHDRAWN, at=at, key=str(offer.pk), offer_id=offer.pk)


def plain(value: object) -> object:
    """A value as JSON holds it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _fields(asked: Asked) -> dict[str, object]:
    return {
        "preset_id": asked.preset,
        "direction": asked.direction,
        "zone_kind": asked.zone_kind,
        "zone": written_zone(asked.zone_kind, asked.zone),
        "starts_at": asked.starts_at,
        "ends_at": asked.ends_at,
        "profile_w": list(asked.profile_w),
        "peak_w": max(asked.profile_w, default=0),
        "price_mp_per_kwh": asked.price_mp_per_kwh,
        "penalty_mp_per_kwh": asked.penalty_mp_per_kwh,
        "deadline_at": asked.deadline_at,
    }


def _word_errors(asked: Asked) -> dict[str, str]:
    errors = {}
    if not 0 < len(asked.reference) <= 80 or not asked.reference.isprintable():
        errors["reference"] = "Give the buyer's reference: 1 to 80 letters."
    if asked.direction not in Direction.values:
        errors["direction"] = f"Choose one of {', '.join(Direction.values)}."
    presets = {preset.pk: preset for preset in MarketPreset.objects.order_by("pk")}
    preset, minutes = presets.get(asked.preset), 30 * len(asked.profile_w)
    if preset is None:
        errors["preset"] = f"Choose one of {', '.join(presets)}."
    elif not preset.least_minutes <= minutes <= preset.most_minutes:
        least, most = preset.least_minutes, preset.most_minutes
        errors["profile_w"] = f"{preset.name} takes {least} to {most} minutes, not {minutes}."
    return errors


def _profile_errors(profile_w: Sequence[int]) -> dict[str, str]:
    if not 1 <= len(profile_w) <= MOST_HALF_HOURS:
        return {"profile_w": f"Give 1 to {MOST_HALF_HOURS} half-hours."}
    if min(profile_w) < 0 or not 0 < max(profile_w) <= LARGEST_W:
        return {"profile_w": "Ask for 0 W to 2 GW in each half-hour, and for more than 0 in one."}
    return {}


def _time_errors(asked: Asked, *, at: datetime) -> dict[str, str]:
    for field, value in (("starts_at", asked.starts_at), ("deadline_at", asked.deadline_at)):
        if value.utcoffset() is None:
            return {field: "Give the time with its zone."}
    errors = {}
    if not is_half_hour(asked.starts_at):
        errors["starts_at"] = "Choose a whole half-hour."
    elif not at < asked.starts_at <= at + FURTHEST:
        errors["starts_at"] = "Choose a start in the future, within a year."
    if asked.deadline_at <= at:
        errors["deadline_at"] = "The deadline has passed: nothing can be offered any more."
    elif asked.deadline_at > asked.starts_at:
        errors["deadline_at"] = "Choose a deadline before the start."
    return errors
