"""What a home is found fit for: some heaters are refused, long cables and weak signals warned of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from assets.job_models import SurveyLimits
from members.entry import InvalidField
from opendsr.kernel import audit

HEATERS: Final = ("manual", "thermostatic", "automatic", "quantum", "lot_20")
REFUSED_AT_FIRST: Final = ("automatic", "quantum", "lot_20")
CABLE_M_AT_FIRST: Final = 30
SIGNAL_DBM_AT_FIRST: Final = -75


@dataclass(frozen=True, slots=True)
class Found:
    """What the surveyor saw; `heaters` are the kinds there, `kinds` the assets to be fitted."""

    kinds: frozenset[str]
    heaters: frozenset[str]
    cable_m: int
    signal_dbm: int


@dataclass(frozen=True, slots=True)
class SurveyFinding:
    """One thing refused or warned of, with what was found and where the limit lies."""

    code: str
    is_refusal: bool
    found: str
    limit: str


def judge(found: Found, limits: SurveyLimits) -> tuple[SurveyFinding, ...]:
    """What is refused and warned of, refusals first."""
    findings = [
        SurveyFinding("heater", True, heater, ", ".join(sorted(set(HEATERS) - set(limits.refused_heaters))))
        for heater in sorted(found.heaters.intersection(limits.refused_heaters))
    ]
    if found.cable_m > limits.cable_m:
        findings.append(SurveyFinding("cable", False, str(found.cable_m), str(limits.cable_m)))
    if found.signal_dbm < limits.signal_dbm:
        findings.append(SurveyFinding("signal", False, str(found.signal_dbm), str(limits.signal_dbm)))
    return tuple(findings)


def is_nothing_left(found: Found, findings: Collection[SurveyFinding]) -> bool:
    """True when all that was to be fitted are storage heaters, and none of those there can be controlled."""
    refused = {each.found for each in findings if each.code == "heater"}
    wanted = found.kinds - ({"storage_heater"} if found.heaters and found.heaters <= refused else set())
    return not wanted


def limits_in_force(at: datetime) -> SurveyLimits:
    """The newest version published by `at`; before the first, the figures of this file."""
    newest = SurveyLimits.objects.filter(published_at__lte=at).order_by("-version").first()
    return newest or SurveyLimits(
        version=0,
        cable_m=CABLE_M_AT_FIRST,
        signal_dbm=SIGNAL_DBM_AT_FIRST,
        refused_heaters=list(REFUSED_AT_FIRST),
        published_at=at,
        published_by="",
    )


@transaction.atomic
def publish_limits(
    *, cable_m: int, signal_dbm: int, refused_heaters: Collection[str], at: datetime, by: str
) -> SurveyLimits:
    """Publish the next version; surveys made before keep what they were told. Raises InvalidField."""
    if not 1 <= cable_m <= 1000:
        raise InvalidField(field="cable_m", problem="out_of_range")
    if not -120 <= signal_dbm <= -1:
        raise InvalidField(field="signal_dbm", problem="out_of_range")
    if not set(refused_heaters) <= set(HEATERS):
        raise InvalidField(field="refused_heaters", problem="not_a_choice")
    newest = SurveyLimits.objects.select_for_update().order_by("-version").first()
    limits = SurveyLimits.objects.create(
        version=newest.version + 1 if newest else 1,
        cable_m=cable_m,
        signal_dbm=signal_dbm,
        refused_heaters=sorted(set(refused_heaters)),
        published_at=at,
        published_by=by,
    )
    audit.record(at=at, actor=by, verb="survey_limits.published", target=f"survey_limits:{limits.version}")
    return limits
