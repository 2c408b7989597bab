"""The named baseline rules: what each says, where that was read and how sure it is.

Where a text is silent or could not be read the parameter is named in `unsure`, and can be changed in the
published terms without touching code. Counts are of days, windows of half-hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from settlement.baselines.calendars import Calendar
from settlement.baselines.clock import HALF_HOURS_A_DAY
from settlement.baselines.errors import UnknownRule
from settlement.baselines.rules import Adjustment, BaselineRule, Certainty, DayType, Keep, Method

WORKING_WEEK: Final = (0, 1, 2, 3, 4)
WEEKEND: Final = (5, 6)
TEN_WORKING: Final = DayType("working day", WORKING_WEEK, has_holidays=False, candidates=10, minimum=5)
FOUR_OTHER: Final = DayType("non-working day", WEEKEND, has_holidays=True, candidates=4, minimum=2)
ANY_DAY: Final = DayType("any day", (*WORKING_WEEK, *WEEKEND), has_holidays=True, candidates=1, minimum=1)


def _kept(kind: DayType, keep: Keep, kept: int) -> DayType:
    return replace(kind, keep=keep, kept=kept)


DFS_2023_DOMESTIC: Final = BaselineRule(
    name="dfs_2023_domestic",
    title="DFS 2023/24, domestic: 10 most recent working or 4 non-working days, no in-day adjustment",
    day_types=(TEN_WORKING, FOUR_OTHER),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=60,
    source="NESO Demand Flexibility Service 2023/24 changes (current-news.co.uk); counts from supplier texts",
    certainty=Certainty.MIXED,
    unsure=("look_back_days", "leaves_out_clock_change_days", "day_types.minimum"),
    note="Read: event days out, no adjustment, 10 and 4. Secondary: 60 days, clock-change days out. "
    "Ours: minimum 5 and 2.",
)
DFS_2022: Final = replace(
    DFS_2023_DOMESTIC,
    name="dfs_2022",
    title="DFS 2022/23 (P376 text): 10 or 4 days, additive in-day adjustment",
    adjustment=Adjustment.ADDITIVE,
    window_half_hours=6,
    window_ends_half_hours_before=2,
    source="DFS Procurement Rules 2022/23 as quoted at forums.moneysavingexpert.com/discussion/6403242 p4",
    note="Read: formula and window. Secondary: 60 days. Ours: minimum 5 and 2; a window half-hour without a "
    "reading, or in another event, is left out of the mean. The window was gamed in its first winter.",
)
ELEXON_BL01: Final = replace(
    DFS_2022,
    name="elexon_bl01",
    title="Elexon BL01: the most recent 10 working or 4 non-working days of up to 60, additive adjustment",
    day_types=(_kept(TEN_WORKING, Keep.RECENT, 10), _kept(FOUR_OTHER, Keep.RECENT, 4)),
    source="BSC Baselining Methodology Document v3.0 (bscdocs.elexon.co.uk); its formulas were not readable",
    certainty=Certainty.SECONDARY,
    unsure=("day_types.keep", "day_types.kept", "look_back_days", "adjustment", "window_half_hours"),
    note="The document exists; its formulas were not read. `keep` may be recent, high, mid or low: one "
    "secondary note says high X of Y, supplier code keeps all. The adjustment applies only to volumes that "
    "NESO accepted; take elexon_bl01_unadjusted for pure P415 trades.",
)
ELEXON_BL01_UNADJUSTED: Final = replace(
    ELEXON_BL01,
    name="elexon_bl01_unadjusted",
    title="Elexon BL01 for P415 trades: the most recent 10 working or 4 non-working days, no adjustment",
    adjustment=Adjustment.NONE,
    window_half_hours=0,
    window_ends_half_hours_before=0,
)
OCTOPUS_SAVING_SESSION: Final = BaselineRule(
    name="octopus_saving_session",
    title="Octopus saving session: 10 most recent weekdays or 4 weekend days, bank holidays are weekdays",
    day_types=(
        DayType("weekday", WORKING_WEEK, has_holidays=False, candidates=10, minimum=5),
        DayType("weekend day", WEEKEND, has_holidays=True, candidates=4, minimum=2),
    ),
    calendar=Calendar.NONE,
    look_back_days=60,
    leaves_out_clock_change_days=False,
    source="BottlecapDave/HomeAssistant-OctopusEnergy, octoplus (MIT): customer's code, no official rule",
    certainty=Certainty.SECONDARY,
    unsure=("look_back_days", "day_types.minimum"),
    note="Ours: look-back of 60 days, minimum 5 and 2.",
)
ENA_MID_8_OF_10: Final = replace(
    DFS_2023_DOMESTIC,
    name="ena_mid_8_of_10",
    title="ENA mid 8 of 10: the highest and the lowest of 10 like days left out, no same-day adjustment",
    day_types=(_kept(TEN_WORKING, Keep.MID, 8), _kept(FOUR_OTHER, Keep.MID, 2)),
    source="ENA Open Networks list of baseline methods; details unread",
    certainty=Certainty.UNCONFIRMED,
    unsure=("day_types", "look_back_days"),
    note="Ours: everything but the name. Days are ranked by their mean use in the event's half-hours.",
)
ENA_MID_8_OF_10_SAME_DAY: Final = replace(
    ENA_MID_8_OF_10,
    name="ena_mid_8_of_10_same_day",
    title="ENA mid 8 of 10 with same-day adjustment (additive)",
    adjustment=Adjustment.ADDITIVE,
    window_half_hours=6,
    window_ends_half_hours_before=2,
    unsure=("day_types", "look_back_days", "adjustment", "window_half_hours"),
    note="Ours: everything but the name; the window is that of DFS 2022/23.",
)
THREE_TYPES: Final = ("weekday", "Saturday", "Sunday or holiday")
ISO_NE_90_10: Final = BaselineRule(
    name="iso_ne_90_10",
    title="ISO-NE 90/10: nine tenths of the baseline before, one tenth of the newest day without an event",
    day_types=(
        DayType(THREE_TYPES[0], WORKING_WEEK, has_holidays=False, candidates=44, minimum=5),
        DayType(THREE_TYPES[1], (5,), has_holidays=False, candidates=10, minimum=3),
        DayType(THREE_TYPES[2], (6,), has_holidays=True, candidates=16, minimum=3),
    ),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=60,
    source="ISO New England, July 2015 slides (slideey.com)",
    certainty=Certainty.MIXED,
    method=Method.ROLLING,
    newest_weight_pct=10,
    seed_days=5,
    leaves_out_clock_change_days=False,
    adjustment=Adjustment.ADDITIVE,
    window_half_hours=4,
    window_ends_half_hours_before=1,
    unsure=("look_back_days", "seed_days", "adjustment", "window_half_hours", "day_types.minimum"),
    note="Read: the recurrence. Ours: it starts at the mean of the 5 oldest like days of the last 60 with a "
    "reading instead of reaching back without end, so that a corrected reading stops mattering.",
)
CAISO_10_IN_10: Final = BaselineRule(
    name="caiso_10_in_10",
    title="CAISO 10 in 10: 10 weekdays or 4 weekend days, ratio of the hours before within 20 %",
    day_types=(
        DayType("weekday", WORKING_WEEK, has_holidays=False, candidates=10, minimum=5),
        DayType("weekend day or holiday", WEEKEND, has_holidays=True, candidates=4, minimum=2),
    ),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=45,
    source="CAISO baseline working group draft 2017; the tariff's appendix was not readable",
    certainty=Certainty.MIXED,
    adjustment=Adjustment.RATIO,
    window_half_hours=6,
    window_ends_half_hours_before=2,
    floor_pct=80,
    cap_pct=120,
    unsure=("look_back_days", "window_half_hours", "window_ends_half_hours_before", "day_types.minimum"),
    note="Read: 20 % bounds. General knowledge: 45 days; the window is the fourth to the second hour before.",
)
CAISO_5_IN_10_RESIDENTIAL: Final = replace(
    CAISO_10_IN_10,
    name="caiso_5_in_10_residential",
    title="CAISO residential 5 in 10: highest 5 of 10 weekdays (3 of 5), ratio before and after within 40 %",
    day_types=(
        DayType("weekday", WORKING_WEEK, False, candidates=10, minimum=3, keep=Keep.HIGH, kept=5),
        DayType("weekend day or holiday", WEEKEND, True, candidates=5, minimum=2, keep=Keep.HIGH, kept=3),
    ),
    certainty=Certainty.UNCONFIRMED,
    window_half_hours=4,
    window_ends_half_hours_before=4,
    after_half_hours=4,
    after_starts_half_hours_after=4,
    floor_pct=60,
    cap_pct=140,
    unsure=("day_types", "look_back_days", "window_half_hours", "after_half_hours", "floor_pct", "cap_pct"),
    note="General knowledge: the numbers. The window is two hours ending two hours before the event and two "
    "hours beginning two hours after it; readings after the event count once they have come.",
)
NYISO_AVERAGE_DAY: Final = BaselineRule(
    name="nyiso_average_day",
    title="NYISO average day: the highest 5 of 10 weekdays (2 of 3), low-use days out, ratio within 20 %",
    day_types=(
        DayType("weekday", WORKING_WEEK, False, candidates=10, minimum=3, keep=Keep.HIGH, kept=5),
        DayType("Saturday", (5,), False, candidates=3, minimum=1, keep=Keep.HIGH, kept=2),
        DayType("Sunday or holiday", (6,), True, candidates=3, minimum=1, keep=Keep.HIGH, kept=2),
    ),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=30,
    source="NYISO emergency demand response manual (manual 7); not readable",
    certainty=Certainty.UNCONFIRMED,
    low_use_pct=25,
    adjustment=Adjustment.RATIO,
    window_half_hours=4,
    window_ends_half_hours_before=4,
    floor_pct=80,
    cap_pct=120,
    unsure=("day_types", "look_back_days", "low_use_pct", "window_half_hours", "floor_pct", "cap_pct"),
    note="General knowledge throughout. Ours: low use is measured against the mean of the newest 10 (3).",
)
PJM_4_OF_5: Final = BaselineRule(
    name="pjm_4_of_5",
    title="PJM 4 of 5: the highest 4 of 5 weekdays (2 of 3), low-use days out, symmetric additive adjustment",
    day_types=(
        DayType("weekday", WORKING_WEEK, False, candidates=5, minimum=3, keep=Keep.HIGH, kept=4),
        DayType("Saturday", (5,), False, candidates=3, minimum=1, keep=Keep.HIGH, kept=2),
        DayType("Sunday or holiday", (6,), True, candidates=3, minimum=1, keep=Keep.HIGH, kept=2),
    ),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=45,
    source="PJM default customer baseline (3 day types with SAA); manual 11 not readable",
    certainty=Certainty.UNCONFIRMED,
    low_use_pct=25,
    adjustment=Adjustment.ADDITIVE,
    window_half_hours=6,
    window_ends_half_hours_before=2,
    unsure=("day_types", "look_back_days", "low_use_pct", "window_half_hours"),
    note="General knowledge throughout. Ours: low use is measured against the mean of the newest 5 (3).",
)
ERCOT_MID_8_OF_10: Final = replace(
    DFS_2023_DOMESTIC,
    name="ercot_mid_8_of_10",
    title="ERCOT mid 8 of 10: highest and lowest of 10 like days out, ratio of the 2 h that end 2 h before",
    day_types=(_kept(TEN_WORKING, Keep.MID, 8), _kept(FOUR_OTHER, Keep.MID, 2)),
    source="ERCOT emergency service, third baseline (docest.com/doc/633019, slideserve)",
    certainty=Certainty.MIXED,
    adjustment=Adjustment.RATIO,
    window_half_hours=4,
    window_ends_half_hours_before=4,
    unsure=("day_types", "look_back_days"),
    note="Read: mid 8 of 10 and the ratio; two windows were studied, 8 quarter-hours from 4 h (this one) and "
    "from 2 h before (window_ends_half_hours_before 0). No bounds; never below zero.",
)
US_FLEXIBILITY_AGREEMENT: Final = replace(
    DFS_2023_DOMESTIC,
    name="us_flexibility_agreement",
    title="US flexibility agreement: 10 similar days, adjustment upwards only, the hour from 2 h before",
    source="Flexibility Services Standard Agreement, markettransfer.info/clause/baseline-adjustment",
    certainty=Certainty.MIXED,
    adjustment=Adjustment.ADDITIVE_UP_ONLY,
    window_half_hours=2,
    window_ends_half_hours_before=2,
    unsure=("day_types", "look_back_days"),
    note="Read: mean of 10 similar days, positive adjustments only, one hour starting 2 h before; none for "
    "batteries. Ours: what is similar, and 4 non-working days.",
)
POWERSHAPER_THREE_WEEKS: Final = BaselineRule(
    name="powershaper_three_weeks",
    title="PowerShaper Flex: mean of the last three weeks' weekdays, or weekend days",
    day_types=(
        DayType("weekday", WORKING_WEEK, has_holidays=False, candidates=15, minimum=5),
        DayType("weekend day", WEEKEND, has_holidays=True, candidates=6, minimum=2),
    ),
    calendar=Calendar.NONE,
    look_back_days=21,
    source="Carbon Co-op, PowerShaper developer documentation (dsr reporting)",
    certainty=Certainty.MIXED,
    leaves_out_event_days=False,
    leaves_out_clock_change_days=False,
    unsure=("leaves_out_event_days", "day_types.minimum"),
    note="Read: the same half-hour over the previous three weeks, weekdays or weekend days to match, no "
    "adjustment. No exclusion of event days is stated. Ours: minimum 5 and 2.",
)
TEMPERATURE_REGRESSION: Final = BaselineRule(
    name="temperature_regression",
    title="Regression on heating degrees: like days of the last 60, each half-hour its own level",
    day_types=(
        DayType("working day", WORKING_WEEK, has_holidays=False, candidates=44, minimum=8),
        DayType("non-working day", WEEKEND, has_holidays=True, candidates=24, minimum=4),
    ),
    calendar=Calendar.ENGLAND_WALES,
    look_back_days=60,
    source="Ordinary least squares; base 15.5 C as the UK's degree days",
    certainty=Certainty.OURS,
    method=Method.REGRESSION,
    note="One slope a home against degrees below 15.5 C, one level a half-hour. Without temperatures it is "
    "the mean of the like days.",
)
NOMINATED: Final = BaselineRule(
    name="nominated",
    title="Nominated: the baseline that was submitted before the offer",
    day_types=(ANY_DAY,),
    calendar=Calendar.NONE,
    look_back_days=1,
    source="help.electron.net, How to submit a baseline (SSEN, SP Energy Networks)",
    certainty=Certainty.READ,
    method=Method.NOMINATED,
    note="A half-hour without a nomination has no baseline. It may be revised until 12:00 the day before.",
)
ZERO: Final = BaselineRule(
    name="zero",
    title="Zero: all that the meter shows counts",
    day_types=(ANY_DAY,),
    calendar=Calendar.NONE,
    look_back_days=1,
    source="ENA and DSO zero baseline (help.electron.net)",
    certainty=Certainty.READ,
    method=Method.ZERO,
    note="For assets that do nothing unless asked, such as generation or a battery of their own meter.",
)
FIXED_REFERENCE: Final = BaselineRule(
    name="fixed_reference",
    title="Fixed reference: a published profile per asset times the number of assets",
    day_types=(ANY_DAY,),
    calendar=Calendar.NONE,
    look_back_days=1,
    source="help.electron.net (domestic default); 83 W an EV charger from dso.nationalgrid.co.uk use cases",
    certainty=Certainty.MIXED,
    method=Method.PROFILE,
    profile_w=((ANY_DAY.name, (83,) * HALF_HOURS_A_DAY),),
    unsure=("profile_w",),
    note="Read: the method. The profile is NGED's mean for an EV charger, flat; put the operator's own in "
    "its place.",
)

PRESETS: Final[Mapping[str, BaselineRule]] = {
    rule.name: rule
    for rule in (
        DFS_2023_DOMESTIC,
        DFS_2022,
        ELEXON_BL01,
        ELEXON_BL01_UNADJUSTED,
        OCTOPUS_SAVING_SESSION,
        ENA_MID_8_OF_10,
        ENA_MID_8_OF_10_SAME_DAY,
        CAISO_10_IN_10,
        CAISO_5_IN_10_RESIDENTIAL,
        NYISO_AVERAGE_DAY,
        PJM_4_OF_5,
        ERCOT_MID_8_OF_10,
        ISO_NE_90_10,
        US_FLEXIBILITY_AGREEMENT,
        POWERSHAPER_THREE_WEEKS,
        TEMPERATURE_REGRESSION,
        NOMINATED,
        ZERO,
        FIXED_REFERENCE,
    )
}


def preset(name: str, parameters: Mapping[str, object] | None = None) -> BaselineRule:
    """The preset of that name with parameters changed; raises UnknownRule, RuleInvalid."""
    try:
        rule = PRESETS[name]
    except KeyError:
        raise UnknownRule(rule=name, known=sorted(PRESETS)) from None
    return rule.with_parameters(parameters) if parameters else rule
