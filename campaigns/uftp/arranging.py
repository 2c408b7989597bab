"""Who we are in UFTP, how each buyer speaks it and what its congestion points are: set by staff, audited."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from campaigns.creating import written_zone, zone_errors
from campaigns.market.receiving import LARGEST_MP
from campaigns.models import MarketParty, MarketPreset, UftpIdentity, UftpPoint, UftpTerms
from campaigns.uftp import wire
from campaigns.uftp_models import POINT_DIRECTIONS, UftpSign
from opendsr.kernel import audit, calling_out, encryption
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from opendsr.kernel.ids import new_uuid

if TYPE_CHECKING:
    from members.models import User

MOST_TOLERANCE_PCT: Final = 50
SHOWN: Final = (
    "domain",
    "endpoint",
    "public_key",
    "sign",
    "baseline_reference",
    "tolerance_pct",
    "is_barred",
)


class TermsInvalid(Invalid):
    """An identity, terms or a congestion point that cannot be; `errors` says what, by field."""

    errors: Mapping[str, str]


class PartyNotFound(NotFound):
    """There is no such buyer: `party_id`."""

    party_id: str


class PointNotFound(NotFound):
    """The buyer has no such congestion point: `point_id`."""

    point_id: str


class NoIdentity(DomainError):
    """The co-op has no key yet: nothing can be sealed."""


def identity() -> UftpIdentity | None:
    """Who we are now; None before the first key."""
    return UftpIdentity.objects.order_by("-made_at", "-pk").first()


def private_key(row: UftpIdentity) -> bytes:
    """The identity's private key, opened."""
    return encryption.unseal_bytes(row.pk, bytes(row.sealed_key), _context(row.pk))


@transaction.atomic
def make_identity(*, domain: str, at: datetime, by: User) -> UftpIdentity:
    """Make a key for the domain; from now on messages are sealed with it. Raises TermsInvalid."""
    domain = domain.strip().lower()
    if len(domain) > 120 or not wire.DOMAIN.fullmatch(domain):
        raise TermsInvalid(errors={"domain": "Write a domain such as aggregator.example.org."})
    private, public = wire.new_key()
    row_id = new_uuid()
    made = UftpIdentity.objects.create(
        id=row_id,
        domain=domain,
        public_key=base64.b64encode(public).decode(),
        sealed_key=encryption.seal_bytes(row_id, private, _context(row_id)),
        made_at=at,
        made_by=by,
    )
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb="campaigns.uftp.key_made",
        target=f"uftp_identity:{made.pk}",
        detail={"domain": domain, "public_key": made.public_key},
    )
    return made


@transaction.atomic
def set_terms(
    *,
    party_id: UUID,
    domain: str,
    endpoint: str,
    public_key: str,
    sign: str,
    baseline_reference: str,
    tolerance_pct: int,
    is_barred: bool,
    at: datetime,
    by: User,
) -> UftpTerms:
    """Set how the buyer speaks UFTP; the history has what it was. Raises PartyNotFound, TermsInvalid."""
    party = _locked(party_id)
    domain, endpoint, errors = domain.strip().lower(), endpoint.strip(), {}
    raw = b""
    if len(domain) > 120 or not wire.DOMAIN.fullmatch(domain):
        errors["domain"] = "Write its domain, such as dso.example.org."
    elif UftpTerms.objects.filter(domain=domain).exclude(party=party).exists():
        errors["domain"] = "Another buyer has this domain."
    try:
        raw = wire.public_key(public_key)
    except (ValueError, binascii.Error):
        errors["public_key"] = "Copy its public key: cs1. and base64, or base64 of 32 bytes alone."
    try:
        calling_out.parsed(endpoint, ports=ports())
    except calling_out.NotCalled as error:
        errors["endpoint"] = f"It would never be called: {error}."
    if sign not in UftpSign.values:
        errors["sign"] = f"Choose one of {', '.join(UftpSign.values)}."
    if len(baseline_reference) > 80 or not (baseline_reference.isprintable()):
        errors["baseline_reference"] = "80 letters at most."
    if not 0 <= tolerance_pct <= MOST_TOLERANCE_PCT:
        errors["tolerance_pct"] = f"0 to {MOST_TOLERANCE_PCT} percent."
    if errors:
        raise TermsInvalid(errors=errors)
    fields: dict[str, Any] = {
        "domain": domain,
        "endpoint": endpoint,
        "public_key": base64.b64encode(raw).decode(),
        "sign": sign,
        "baseline_reference": baseline_reference.strip(),
        "tolerance_pct": tolerance_pct,
        "is_barred": is_barred,
    }
    before = UftpTerms.objects.filter(party=party).first()
    changed = {name: value for name, value in fields.items() if getattr(before, name, None) != value}
    terms, _ = UftpTerms.objects.update_or_create(
        party=party, defaults={**fields, "changed_at": at, "changed_by": by}
    )
    if changed:
        _note("terms_set", party, changed, at=at, by=by)
    return terms


@transaction.atomic
def add_point(
    *,
    party_id: UUID,
    congestion_point: str,
    zone_kind: str,
    zone: str,
    direction: str,
    preset: str,
    price_mp_per_kwh: int,
    penalty_mp_per_kwh: int,
    at: datetime,
    by: User,
) -> UftpPoint:
    """Agree on a congestion point; the one of that address before it ends. Raises TermsInvalid."""
    party = _locked(party_id)
    congestion_point, zone = congestion_point.strip(), written_zone(zone_kind, zone)
    errors = dict(zone_errors(zone_kind, zone))
    if not wire.POINT.fullmatch(congestion_point):
        errors["congestion_point"] = "Write ean. and 12 to 34 digits, or ea1.YYYY-MM.domain:name."
    if direction not in dict(POINT_DIRECTIONS):
        errors["direction"] = f"Choose one of {', '.join(dict(POINT_DIRECTIONS))}."
    if not MarketPreset.objects.filter(pk=preset).exists():
        errors["preset"] = "Choose a kind of market."
    if not 1 <= price_mp_per_kwh <= LARGEST_MP:
        errors["price_mp_per_kwh"] = "Ask for more than nothing."
    if not 0 <= penalty_mp_per_kwh <= LARGEST_MP:
        errors["penalty_mp_per_kwh"] = "Write 0 where there is no penalty."
    if errors:
        raise TermsInvalid(errors=errors)
    party.uftp_points.filter(congestion_point=congestion_point, ended_at=None).update(ended_at=at)
    made = UftpPoint.objects.create(
        party=party,
        congestion_point=congestion_point,
        zone_kind=zone_kind,
        zone=zone,
        direction=direction,
        preset_id=preset,
        price_mp_per_kwh=price_mp_per_kwh,
        penalty_mp_per_kwh=penalty_mp_per_kwh,
        added_at=at,
        added_by=by,
    )
    what = {
        "point": congestion_point,
        "zone": f"{zone_kind} {zone}".strip(),
        "direction": direction,
        "preset": preset,
        "price_mp_per_kwh": price_mp_per_kwh,
        "penalty_mp_per_kwh": penalty_mp_per_kwh,
    }
    _note("point_added", party, what, at=at, by=by)
    return made


@transaction.atomic
def end_point(*, party_id: UUID, point_id: int, at: datetime, by: User) -> None:
    """Take nothing more for a congestion point; again, nothing changes. Raises PointNotFound."""
    party = _locked(party_id)
    point = party.uftp_points.filter(pk=point_id).first()
    if point is None:
        raise PointNotFound(point_id=str(point_id))
    if point.ended_at is None:
        point.ended_at = at
        point.save(update_fields=["ended_at"])
        _note("point_ended", party, {"point": point.congestion_point}, at=at, by=by)


def ports() -> frozenset[int]:
    """The ports that are called."""
    return frozenset(getattr(settings, "UFTP_PORTS", calling_out.PORTS))


def call(url: str, body: bytes) -> calling_out.Answer:
    """Post to an endpoint that staff have set; raises calling_out.NotCalled."""
    ca = getattr(settings, "UFTP_CA", "")
    return calling_out.post(
        url,
        body,
        content_type="text/xml; charset=utf-8",
        networks=[ip_network(each) for each in getattr(settings, "UFTP_NETWORKS", ())],
        ports=ports(),
        ca=Path(ca) if ca else None,
    )


def _locked(party_id: UUID) -> MarketParty:
    found = MarketParty.objects.select_for_update().filter(pk=party_id).first()
    if found is None:
        raise PartyNotFound(party_id=str(party_id))
    return found


def _context(row_id: UUID) -> str:
    return f"campaigns_uftpidentity|sealed_key|{row_id}"


def _note(verb: str, party: MarketParty, detail: Mapping[str, Any], *, at: datetime, by: User) -> None:
    audit.record(
        at=at,
        actor=f"user:{by.pk}",
        verb=f"campaigns.uftp.{verb}",
        target=f"market_party:{party.pk}",
        detail=dict(detail),
    )
