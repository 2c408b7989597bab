"""Whether somebody who asks can take part: the co-op's own rules, as data, answered in words at once.

`assess` is pure; a person decides afterwards (`applying.decide`) and may decide otherwise, with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from members.enquiry_models import JoiningRules, Otherwise, Tenure, Told
from members.entry import InvalidField
from opendsr.kernel import audit

GSP_GROUP_OF_DISTRIBUTOR: Final = {
    "10": "A", "11": "B", "12": "C", "13": "D", "14": "E", "15": "F", "16": "G", "17": "P", "18": "N",
    "19": "J", "20": "H", "21": "K", "22": "L", "23": "M",
}  # fmt: skip
"""The GSP group of an MPAN's first two digits, its distributor; independent networks span them."""
AREA: Final = r"[A-Z]{1,2}([0-9][A-Z0-9]?)?"
MOST_AREAS: Final = 300


@dataclass(frozen=True, slots=True)
class Particulars:
    """What the rules look at, as told."""

    postcode: str
    smart_meter: str
    asset_kinds: frozenset[str]
    tenure: str
    landlord_agrees: str
    is_partners: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's answer: `outcome` is ignore where it is met."""

    rule: str
    outcome: Otherwise


@dataclass(frozen=True, slots=True)
class Verdict:
    """The strictest outcome of all rules, and each rule's."""

    outcome: Otherwise
    findings: tuple[Finding, ...]

    @property
    def unmet(self) -> tuple[Finding, ...]:
        """The rules that stand in the way or want a look."""
        return tuple(each for each in self.findings if each.outcome != Otherwise.IGNORE)


def gsp_group_of(mpan: str) -> str:
    """The GSP group letter of an MPAN; empty for independent networks, which are in any of them."""
    return GSP_GROUP_OF_DISTRIBUTOR.get(mpan[:2], "")


def assess(told: Particulars, rules: JoiningRules) -> Verdict:
    """Judge what was told by the rules; the strictest of their outcomes is the verdict."""

    def outcome(is_met: bool, otherwise: str) -> Otherwise:
        return Otherwise.IGNORE if is_met else Otherwise(otherwise)

    is_tenant = told.tenure in (Tenure.SOCIAL, Tenure.PRIVATE)
    wired = told.asset_kinds.intersection(rules.asset_kinds)
    findings = (
        Finding("area", outcome(_in_area(told.postcode, rules.postcode_areas), rules.area_otherwise)),
        Finding("smart_meter", outcome(told.smart_meter == Told.YES, rules.smart_meter_otherwise)),
        Finding("assets", outcome(bool(wired) or not rules.asset_kinds, rules.assets_otherwise)),
        Finding(
            "landlord",
            outcome(
                not is_tenant or told.is_partners or told.landlord_agrees == Told.YES,
                rules.landlord_otherwise,
            ),
        ),
    )
    outcomes = {each.outcome for each in findings}
    strictest = next(
        each for each in (Otherwise.DECLINE, Otherwise.ASK, Otherwise.IGNORE) if each in outcomes
    )
    return Verdict(strictest, findings)


def rules_in_force(at: datetime) -> JoiningRules:
    """The newest version published by `at`; before the first, nothing is ruled out and a person looks."""
    newest = JoiningRules.objects.filter(published_at__lte=at).order_by("-version").first()
    if newest is not None:
        return newest
    return JoiningRules(
        version=0,
        postcode_areas=[],
        asset_kinds=[],
        published_at=at,
        published_by="",
    )


@transaction.atomic
def publish_rules(
    *,
    postcode_areas: Sequence[str],
    asset_kinds: Sequence[str],
    otherwise: dict[str, str],
    share_value_pence: int,
    least_shares: int,
    most_shares: int,
    at: datetime,
    by: str,
) -> JoiningRules:
    """Publish the next version; `otherwise` names the outcome of area, smart_meter, assets and landlord.

    Raises InvalidField.
    """
    areas = [each.upper().replace(" ", "") for each in postcode_areas]
    if len(areas) > MOST_AREAS or any(not re.fullmatch(AREA, each, re.ASCII) for each in areas):
        raise InvalidField(field="postcode_areas", problem="not_a_postcode_area")
    if share_value_pence < 1:
        raise InvalidField(field="share_value_pence", problem="not_above_zero")
    if not 1 <= least_shares <= most_shares:
        raise InvalidField(field="most_shares", problem="less_than_the_least")
    # Two who publish at once wait for each other here, so that versions stay in order.
    newest = JoiningRules.objects.select_for_update().order_by("-version").first()
    rules = JoiningRules.objects.create(
        version=newest.version + 1 if newest else 1,
        postcode_areas=areas,
        asset_kinds=sorted(set(asset_kinds)),
        area_otherwise=Otherwise(otherwise["area"]),
        smart_meter_otherwise=Otherwise(otherwise["smart_meter"]),
        assets_otherwise=Otherwise(otherwise["assets"]),
        landlord_otherwise=Otherwise(otherwise["landlord"]),
        share_value_pence=share_value_pence,
        least_shares=least_shares,
        most_shares=most_shares,
        published_at=at,
        published_by=by,
    )
    audit.record(at=at, actor=by, verb="joining_rules.published", target=f"joining_rules:{rules.version}")
    return rules


def _in_area(postcode: str, areas: Collection[str]) -> bool:
    """True when the postcode's area (letters) or district (first half) is listed, or nothing is."""
    if not areas:
        return True
    district = postcode.split(" ")[0]
    area = re.match(r"[A-Z]+", district)
    return district in areas or (area is not None and area.group() in areas)
