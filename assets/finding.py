"""Which homes staff look for: every way to narrow the registry, as one value and one query.

Names and addresses lie sealed and are found by the hashes of their words alone (decision 0055); serial
numbers and wire names are found whole. What is not given does not narrow. Each way to narrow is a list of
homes of its own, which PostgreSQL hashes once: none is asked home by home.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, Exists, F, FloatField, IntegerField, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Cast

from assets import vtn_door
from assets.journals import SILENT_AFTER
from assets.models import Asset, Cad, Hub
from assets.registry_models import HomeMeasure, Meter, Product
from assets.wear import MOST_OF_RELAYS, RELAY_YEARS, WARN_SHARE, YEAR
from members.models import Home
from members.partner_models import PartnerHome
from opendsr.kernel import blind_index
from opendsr.kernel.ids import uuid_or_none

SILENT, FAULTY, WORN, OUTDATED = "silent", "faulty", "worn", "outdated"
NO_HUB, NO_CAD, WELL = "no_hub", "no_cad", "well"
NOBODY, ANYBODY = "none", "any"
RUNS_ANOTHER: Final = ~Q(firmware="") & ~Q(product__firmware="") & ~Q(firmware=F("product__firmware"))
"""Hubs and assets that said they run another version than their model should."""
AREA: Final = re.compile(r"[A-Z]{1,2}")
POSTCODE_START: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?( [0-9]([A-Z]{2})?)?")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is looked for; empty is any. `partner`: an id, `none` or `any`; `product`: an id."""

    q: str = ""
    kind: str = ""
    product: str = ""
    state: str = ""
    health: str = ""
    gsp_group: str = ""
    substation: str = ""
    cmz: str = ""
    area: str = ""
    partner: str = ""
    firmware: str = ""
    measure: str = ""

    @property
    def is_any(self) -> bool:
        """True when nothing narrows."""
        return not any(getattr(self, each.name) for each in fields(self))


def homes(criteria: Criteria, *, at: datetime, wall: datetime, day: date) -> QuerySet[Home]:
    """The homes that fit, in order of postcode; `day` is the Europe/London date asked about."""
    rows = Home.objects.all()
    for name, narrow in NARROWINGS.items():
        value = getattr(criteria, name)
        if value:
            rows = rows.filter(narrow(value))
    if criteria.partner:
        rows = rows.filter(_of_partner(criteria.partner, day))
    if criteria.health:
        rows = rows.filter(_in_health(criteria.health, at, wall))
    return rows.order_by("postcode", "pk")


def named(home_ids: Sequence[UUID]) -> list[Home]:
    """These homes in this order, with what a list shows of them."""
    shown = Home.objects.only("pk", "name", "postcode", "gsp_group", "primary_substation", "cmz")
    found = shown.in_bulk(home_ids)
    return [found[each] for each in home_ids if each in found]


def worn_assets(at: datetime) -> QuerySet[Asset]:
    """Assets in use of whose relay four fifths of the life are used, by cycles or by years; see `wear`."""
    life = Case(
        When(product=None, then=F("kind__switch_life")),
        default=F("product__relay_life_cycles"),
        output_field=IntegerField(),
    )
    years = Case(
        When(product=None, kind__switch_life__lte=MOST_OF_RELAYS, then=Value(RELAY_YEARS)),
        default=F("product__relay_life_years"),
        output_field=IntegerField(),
    )
    lives = Product.objects.exclude(relay_life_years=None).values_list("relay_life_years", flat=True)
    is_worn = Q(cycles_share__gte=WARN_SHARE)
    for number in {RELAY_YEARS, *(each for each in lives.distinct() if each)}:
        is_worn |= Q(years=number, installed_at__lte=at - WARN_SHARE * number * YEAR)
    share = Cast("relay_count__cycles", FloatField()) / Cast(life, FloatField())
    rows = Asset.objects.exclude(state=Asset.State.RETIRED)
    return rows.annotate(cycles_share=share, years=years).filter(is_worn)


def in_area(area: str) -> Q:
    """Homes of a postcode area such as OL; what is none fits no home."""
    return Q(postcode__regex=rf"^{area}[0-9]") if AREA.fullmatch(area) else Q(pk=None)


def _in_health(health: str, at: datetime, wall: datetime) -> Q:
    hubs = Hub.objects.filter(state=Hub.State.COMMISSIONED)
    assets = Asset.objects.exclude(state=Asset.State.RETIRED)
    with_hub = Q(pk__in=hubs.values("home"))
    is_heard = Q(pk__in=hubs.filter(ven_id__in=vtn_door.heard_since(wall - SILENT_AFTER)).values("home"))
    is_faulty = Q(pk__in=assets.filter(state=Asset.State.FAULTY).values("hub__home"))
    is_worn = Q(pk__in=worn_assets(at).values("hub__home"))
    is_outdated = Q(pk__in=hubs.filter(RUNS_ANOTHER).values("home"))
    is_outdated |= Q(pk__in=assets.filter(RUNS_ANOTHER).values("hub__home"))
    with_cad = Q(pk__in=Cad.objects.filter(retired_at=None).values("home"))
    return {
        SILENT: with_hub & ~is_heard,
        FAULTY: is_faulty,
        WORN: is_worn,
        OUTDATED: is_outdated,
        NO_HUB: ~with_hub,
        NO_CAD: ~with_cad,
        WELL: is_heard & with_cad & ~is_faulty & ~is_worn & ~is_outdated,
    }.get(health, Q(pk=None))


def _of_partner(partner: str, day: date) -> Q:
    links = PartnerHome.objects.filter(
        Q(ends_on=None) | Q(ends_on__gt=day), home=OuterRef("pk"), starts_on__lte=day
    )
    if partner == NOBODY:
        return ~Q(Exists(links))
    if partner == ANYBODY:
        return Q(Exists(links))
    wanted = uuid_or_none(partner)
    return Q(pk=None) if wanted is None else Q(Exists(links.filter(partner=wanted)))


def _found_by_words(words: str) -> Q:
    """A serial number or wire name whole, a postcode from its start, or words of name and address."""
    text = " ".join(words.split())
    exact = {text, text.upper()}
    ids: set[UUID] = set()
    ids.update(Hub.objects.filter(serial__in=exact).values_list("home_id", flat=True))
    ids.update(Cad.objects.filter(serial__in=exact).values_list("home_id", flat=True))
    ids.update(Meter.objects.filter(serial__in=exact).values_list("home_id", flat=True))
    ids.update(Asset.objects.filter(resource_id__in={text}).values_list("hub__home_id", flat=True))
    found = Q(pk__in=ids)
    if POSTCODE_START.fullmatch(text.upper()):
        found |= Q(postcode__startswith=text.upper())
    hashes = blind_index.words(text)
    return found | Q(words__contains=hashes) if hashes else found


def _has_asset(**narrow: Any) -> Q:
    in_use = Asset.objects.exclude(state=Asset.State.RETIRED)
    return Q(pk__in=in_use.filter(**narrow).values("hub__home"))


def _has_product(text: str) -> Q:
    product = uuid_or_none(text)
    if product is None:
        return Q(pk=None)
    hubs = Hub.objects.filter(product=product).exclude(state=Hub.State.RETIRED)
    cads = Cad.objects.filter(product=product, retired_at=None)
    meters = Meter.objects.filter(product=product, removed_at=None)
    fitted = Q(pk__in=hubs.values("home")) | Q(pk__in=cads.values("home")) | Q(pk__in=meters.values("home"))
    return fitted | _has_asset(product=product)


def _has_hub_in(state: str) -> Q:
    return Q(pk__in=Hub.objects.filter(state=state).values("home"))


def _runs(version: str) -> Q:
    hubs = Hub.objects.filter(firmware=version).exclude(state=Hub.State.RETIRED)
    return Q(pk__in=hubs.values("home")) | _has_asset(firmware=version)


def _has_measure(kind: str) -> Q:
    rows = HomeMeasure.objects.filter(kind=kind, removed_at=None, ended_on=None)
    return Q(pk__in=rows.values("home"))


NARROWINGS: Final[dict[str, Callable[[str], Q]]] = {
    "q": _found_by_words,
    "kind": lambda kind: _has_asset(kind=kind),
    "product": _has_product,
    "state": _has_hub_in,
    "gsp_group": lambda letter: Q(gsp_group=letter),
    "substation": lambda name: Q(primary_substation=name),
    "cmz": lambda name: Q(cmz=name),
    "area": in_area,
    "firmware": _runs,
    "measure": _has_measure,
}
