"""Fitting a home: the hub planned with its one-time code, the CAD paired, the assets wired to the hub.

Homes come from `members.joining`; a planned hub goes live through `commissioning.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from assets import shadowing
from assets.enrolment_code import code_sha256, new_code
from assets.models import Asset, AssetKind, Cad, Hub
from members import entry
from members.constraints import refused_as
from members.models import Home
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.ids import random_token

CODE_LIFE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class PlannedHub:
    """A hub waiting for its installer; the code is shown once and not kept."""

    hub: Hub
    enrolment_code: str


class SerialTaken(DomainError):
    """A device with this serial number is on record already."""

    field: str
    serial: str


class HomeHasCad(DomainError):
    """The home has a CAD in use; it has to be retired before another is paired."""

    home_id: str


class HubNotPlanned(DomainError):
    """The hub is commissioned or retired, so it needs no code."""

    serial: str
    state: str


class HubRetired(DomainError):
    """Nothing can be wired to a retired hub."""

    serial: str


class UnknownAssetKind(Invalid):
    """No asset kind has this code."""

    field: str
    kind_code: str


class PowerOutOfRange(Invalid):
    """The power is zero or more than the kind's fitting, or the asset itself, may carry."""

    field: str
    given_w: int
    limit_w: int


@transaction.atomic
def plan_hub(*, home: Home, serial: str, at: datetime, code_life: timedelta = CODE_LIFE) -> PlannedHub:
    """Record the hub that will go into the home, with a code good for `code_life` and one use.

    Raises InvalidField and SerialTaken.
    """
    serial = entry.one_line(serial, field="serial", longest=40)
    code = new_code()
    with refused_as(assets_hub_serial_key=SerialTaken(field="serial", serial=serial)):
        hub = Hub.objects.create(
            home=home,
            serial=serial,
            enrolment_code_sha256=code_sha256(code),
            enrolment_code_expires_at=at + code_life,
        )
    return PlannedHub(hub=hub, enrolment_code=code)


@transaction.atomic
def reissue_code(*, hub: Hub, at: datetime, code_life: timedelta = CODE_LIFE) -> PlannedHub:
    """Give a planned hub a new code; the old one, spent, expired or lost, is void. Raises HubNotPlanned."""
    hub = Hub.objects.select_for_update().get(pk=hub.pk)
    if hub.state != Hub.State.PLANNED:
        raise HubNotPlanned(serial=hub.serial, state=hub.state)
    code = new_code()
    hub.enrolment_code_sha256 = code_sha256(code)
    hub.enrolment_code_expires_at = at + code_life
    hub.enrolment_failures = 0
    hub.save(update_fields=["enrolment_code_sha256", "enrolment_code_expires_at", "enrolment_failures"])
    return PlannedHub(hub=hub, enrolment_code=code)


@transaction.atomic
def pair_cad(*, home: Home, serial: str, model: str = "", at: datetime) -> Cad:
    """Record the CAD paired with the home's smart meter. Raises InvalidField, SerialTaken, HomeHasCad."""
    serial = entry.one_line(serial, field="serial", longest=40)
    with refused_as(
        assets_cad_serial_key=SerialTaken(field="serial", serial=serial),
        cad_one_in_use_a_home=HomeHasCad(home_id=str(home.pk)),
    ):
        return Cad.objects.create(
            home=home,
            serial=serial,
            model=entry.one_line(model, field="model", longest=60, may_be_empty=True),
            paired_at=at,
        )


@transaction.atomic
def install_asset(
    *,
    hub: Hub,
    kind_code: str,
    name: str,
    at: datetime,
    rated_w: int | None = None,
    flexible_w: int | None = None,
) -> Asset:
    """Record an asset that the hub drives, under a random resource id for the wire.

    `rated_w` defaults to the kind's; `flexible_w`, the power it can typically drop in the evening, to the
    kind's figure within `rated_w`. Raises InvalidField, HubRetired, UnknownAssetKind, PowerOutOfRange.
    """
    kind = AssetKind.objects.filter(code=kind_code).first()
    if kind is None:
        raise UnknownAssetKind(field="kind_code", kind_code=kind_code)
    rated_w = kind.rated_w if rated_w is None else rated_w
    if not 0 < rated_w <= kind.limit_w:
        raise PowerOutOfRange(field="rated_w", given_w=rated_w, limit_w=kind.limit_w)
    flexible_w = min(kind.typical_flexible_w, rated_w) if flexible_w is None else flexible_w
    if not 0 <= flexible_w <= rated_w:
        raise PowerOutOfRange(field="flexible_w", given_w=flexible_w, limit_w=rated_w)
    held = Hub.objects.select_for_update(no_key=True).get(pk=hub.pk)
    if held.state == Hub.State.RETIRED:
        raise HubRetired(serial=held.serial)
    asset = Asset.objects.create(
        hub=held,
        kind=kind,
        resource_id=f"esa-{random_token(64)}",
        name=entry.one_line(name, field="name", longest=80),
        rated_w=rated_w,
        flexible_w=flexible_w,
        installed_at=at,
    )
    shadowing.refresh([held], at=at)
    return asset
