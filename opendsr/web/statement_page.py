"""A statement in words: what the meter shows, how the baseline was made, and the money sum step by step.

Every number comes from `settlement.statements.StatementView`; only how it is written is worked out here. The
savings shown beside the sum come from `settlement.beside` and are no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from opendsr.kernel.interval import HALF_HOUR
from opendsr.kernel.money import MP_PER_POUND
from opendsr.web import wording
from opendsr.web.charts import Figure, half_hour_figure
from opendsr.web.member_home import change, statement_days, statement_title
from settlement import beside, statement_json
from settlement.baselines.explaining import LEFT_OUT_WORDS, Explanation, PartExplanation
from settlement.baselines.rules import Method
from settlement.beside import EventSavings
from settlement.event_views import EventView, HalfHour, ShareLine
from settlement.models import Basis, Standing
from settlement.savings import Saving
from settlement.statements import StatementView

SHARE_DECIMALS, MP_DECIMALS = 9, 5


@dataclass(frozen=True, slots=True)
class HalfHourRow:
    """One half-hour of the event."""

    label: str
    baseline: str
    metered: str
    delivered: str


@dataclass(frozen=True, slots=True)
class HistoryTable:
    """The readings behind the baseline of one civil day's half-hours, newest day first."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    means: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DeviceTable:
    """What devices drew: (name, how it is known, kW and confidence of each half-hour)."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the sum: what it is, how it comes about, and the amount."""

    label: str
    how: str
    amount: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """One event of a statement; `mark` tells its sections apart from those of the other events.

    Only the event of a statement that has no other has a `figure`: the tables carry the numbers.
    """

    mark: str
    title: str
    when: str
    earned: str
    change: str
    standing: str
    outcome: str
    tag: str
    asked: str
    missing: str
    in_part: str
    figure: Figure | None
    rows: tuple[HalfHourRow, ...]
    delivered: str
    delivered_is: str
    baseline_rule: str
    history: tuple[HistoryTable, ...]
    devices: DeviceTable | None
    adjustment: str
    steps: tuple[Step, ...]
    others: tuple[Step, ...]
    savings: tuple[Step, ...]
    provenance: str


@dataclass(frozen=True, slots=True)
class StatementPage:
    """All that `settlement/statement.html` shows."""

    statement_id: UUID
    title: str
    when: str
    issued: str
    member_number: str
    kind: str
    is_provisional: bool
    correction: str
    earned: str
    earned_exact: str
    change: str
    events: tuple[EventPage, ...]
    totals: tuple[Step, ...]
    balance: str
    hash: str


def in_words(view: StatementView) -> StatementPage:
    """The statement for the page."""
    events = view.events
    directions = {event.direction for event in events}
    delivered_wh = sum(event.delivered_wh for event in events)
    return StatementPage(
        statement_id=view.statement_id,
        title=statement_title([event.campaign for event in events]),
        when=wording.stretch(events[0].starts_at, events[0].ends_at)
        if len(events) == 1
        else statement_days([event.starts_at for event in events]),
        issued=wording.day(view.issued_at, "j F Y"),
        member_number=view.member_number,
        kind=view.kind_words,
        is_provisional=view.is_provisional,
        correction=_correction(view),
        earned=wording.money(view.earned_mp),
        earned_exact=wording.millipence(view.earned_mp),
        change=change(directions.pop(), delivered_wh) if len(directions) == 1 else wording.NOTHING,
        events=tuple(
            _event(event, saved, "" if number == 1 else f"-{number}", is_one_of_many=len(events) > 1)
            for number, (event, saved) in enumerate(
                zip(events, beside.event_savings(events), strict=True), start=1
            )
        ),
        totals=_totals(view),
        balance=wording.millipence(view.balance_mp),
        hash=statement_json.as_data(view)["sha256"],
    )


def _event(view: EventView, saved: EventSavings, mark: str, *, is_one_of_many: bool) -> EventPage:
    return EventPage(
        mark=mark,
        title=view.campaign,
        when=wording.stretch(view.starts_at, view.ends_at),
        earned=wording.millipence(view.net_mp),
        change=change(view.direction, view.delivered_wh),
        standing=view.standing_words,
        outcome=view.outcome_words,
        tag=wording.tag(view.outcome),
        asked=f"{wording.kwh(view.instructed_wh)} kWh",
        missing=_missing(view),
        in_part=_in_part(view),
        figure=None if is_one_of_many else _figure(view, mark),
        rows=tuple(
            HalfHourRow(
                label=_label(each),
                baseline=wording.kwh(each.baseline_wh),
                metered=wording.kwh(each.metered_wh),
                delivered=wording.kwh(each.delivered_wh),
            )
            for each in view.half_hours
        ),
        delivered=wording.kwh(view.delivered_wh),
        delivered_is=view.direction_words,
        baseline_rule=view.rule_title,
        history=tuple(_history(view, part) for part in view.explanation.parts),
        adjustment=_adjustment(view.explanation),
        steps=_steps(view),
        others=tuple(
            Step(other.title, f"{wording.kwh(other.paid_wh)} kWh", wording.millipence(other.earned_mp))
            for other in view.others
        ),
        savings=_savings(saved),
        devices=_devices(view),
        provenance=_provenance(view),
    )


def _figure(view: EventView, mark: str) -> Figure:
    return half_hour_figure(
        element_id=f"statement-figure{mark}",
        label=_("Your baseline and what your meter shows, by half-hour; the table has the numbers"),
        starts=[each.starts_at for each in view.half_hours],
        metered_kwh=[None if each.metered_wh is None else each.metered_wh / 1000 for each in view.half_hours],
        baseline_kwh=[
            None if each.baseline_wh is None else each.baseline_wh / 1000 for each in view.half_hours
        ],
    )


def _savings(saved: EventSavings) -> tuple[Step, ...]:
    """Carbon and price beside the payment; what is not known is said, never taken for nothing."""
    grams, bill = saved.carbon, saved.bill
    return (
        Step(
            _("Carbon not emitted"),
            _known(grams, _("by the grid's carbon intensity in each half-hour")),
            f"{grams.amount / 1000:,.2f} kg CO₂" if grams.half_hours else _("not known"),
        ),
        Step(
            _("At half-hourly prices"),
            _known(bill, _("by the price the co-op follows, which need not be your tariff")),
            wording.millipence(bill.amount) if bill.half_hours else _("not known"),
        ),
    )


def _known(saving: Saving, how: str) -> str:
    of = saving.half_hours + saving.left_out
    if not saving.half_hours:
        return _("no figures for these half-hours")
    words = _("%(how)s: %(n)s of %(of)s half-hours") % {"how": how, "n": saving.half_hours, "of": of}
    return words if saving.left_out else how


def _totals(view: StatementView) -> tuple[Step, ...]:
    steps = []
    if len(view.events) > 1:
        steps.append(
            Step(_("Earned in all events"), _("the sum of the events"), wording.millipence(view.earned_mp))
        )
    if view.previous_mp or view.is_correction:
        steps += [
            Step(_("Posted before"), _("by earlier runs"), wording.millipence(view.previous_mp)),
            Step(_("Posted now"), _("the difference"), wording.millipence(view.posted_mp)),
        ]
    return tuple(steps)


def _correction(view: StatementView) -> str:
    if not view.is_correction or not view.posted_mp:
        if not view.is_correction:
            return ""
        return _("This statement confirms an earlier one: no amount has changed.")
    words = _(
        "This statement corrects an earlier one, because readings came or were corrected afterwards."
        " %(before)s had been posted for this event; %(now)s is posted now."
    )
    return words % {"before": wording.millipence(view.previous_mp), "now": wording.millipence(view.posted_mp)}


def _label(half_hour: HalfHour) -> str:
    label = wording.half_hour(half_hour.starts_at, half_hour.starts_at + HALF_HOUR)
    return f"{label} ({half_hour.covered_words})" if half_hour.is_part else label


def _in_part(view: EventView) -> str:
    if not any(each.is_part for each in view.half_hours):
        return ""
    return _(
        "Of a half-hour that the event covers in part, what your meter shows of all of it counts, up to what"
        " was asked of that part."
    )


def _missing(view: EventView) -> str:
    words = []
    if view.missing_half_hours:
        some = ngettext(
            "%(n)s half-hour has no meter reading and earns nothing.",
            "%(n)s half-hours have no meter reading and earn nothing.",
            view.missing_half_hours,
        )
        words.append(some % {"n": view.missing_half_hours})
    if view.without_baseline:
        some = ngettext(
            "%(n)s half-hour has too few days of readings for a baseline and earns nothing.",
            "%(n)s half-hours have too few days of readings for a baseline and earn nothing.",
            view.without_baseline,
        )
        words.append(some % {"n": view.without_baseline})
    return " ".join(words)


def _history(view: EventView, part: PartExplanation) -> HistoryTable:
    starts = part.starts[: part.event_count]
    baseline = {each.starts_at: each.baseline_wh for each in view.half_hours}
    return HistoryTable(
        heads=tuple(wording.half_hour(start, start + HALF_HOUR) for start in starts),
        rows=tuple(
            (
                wording.civil_day(used.day),
                tuple(wording.kwh(wh) for wh in used.wh[: part.event_count]),
            )
            for used in part.used
        ),
        means=tuple(wording.kwh(baseline.get(start)) for start in starts),
        left_out=tuple((wording.civil_day(out.day), LEFT_OUT_WORDS[out.reason]) for out in part.left_out),
    )


def _adjustment(explanation: Explanation) -> str:
    if explanation.adjustment_ratio is not None:
        words = _(
            "The baseline is %(ratio)s times the mean: what you used outside the event against what you"
            " usually use then."
        )
        return words % {"ratio": f"{float(explanation.adjustment_ratio):,.3f}"}
    if explanation.method == Method.REGRESSION and any(part.warmth for part in explanation.parts):
        return _(
            "The baseline is not the plain mean: it goes by a straight line against how cold it was, "
            "fitted to the days below. The CSV and JSON have each temperature."
        )
    if explanation.adjustment_wh is None:
        return ""
    words = _(
        "The baseline includes an adjustment of %(kwh)s kWh in each half-hour: what you used more or less"
        " than usual before the event."
    )
    return words % {"kwh": f"{float(explanation.adjustment_wh) / 1000:+,.3f}"}


def _devices(view: EventView) -> DeviceTable | None:
    """What each device drew and how sure that is; None where nothing is known of any."""
    if not view.devices:
        return None
    return DeviceTable(
        heads=tuple(
            wording.half_hour(each.starts_at, each.starts_at + HALF_HOUR) for each in view.half_hours
        ),
        rows=tuple(
            (
                device.name,
                _("its own meter") if device.is_measured else _("estimated"),
                tuple(
                    (wording.NOTHING if watts is None else f"{watts / 1000:,.2f}", f"{sure} %")
                    for watts, sure in device.half_hours
                ),
            )
            for device in view.devices
        ),
    )


def _steps(view: EventView) -> tuple[Step, ...]:
    unit = "%s kWh"
    steps = [
        Step(
            _("Delivered by your home"),
            _("sum of the half-hours: %(what)s") % {"what": view.direction_words},
            unit % wording.kwh(view.delivered_wh),
        ),
        Step(_("Of which paid"), f"{view.floor_words}. {view.cap_words}.", unit % wording.kwh(view.paid_wh)),
        Step(_("Paid for all homes together"), _sold(view), unit % wording.kwh(view.total_sold_wh)),
        Step(_("Revenue"), _revenue(view), wording.millipence(view.revenue_mp)),
        Step(
            _("The co-op's share"),
            _("%(pct)s %%, rounded down") % {"pct": f"{view.coop_share_pct.normalize():f}"},
            wording.millipence(view.coop_mp),
        ),
    ]
    if view.fund_mp > view.held_mp:
        pct = {"pct": view.policy["fund_pct"]}
        steps.append(
            Step(
                _("Community fund"),
                _("%(pct)s %%, rounded down") % pct,
                wording.millipence(view.fund_mp - view.held_mp),
            )
        )
    if view.held_mp:
        words = (
            _("what no home earned")
            if view.holds_unearned
            else _("what only homes that overrode the event would have earned")
        )
        steps.append(Step(_("Held for the community fund"), words, wording.millipence(view.held_mp)))
    steps.append(Step(_("The members' pool"), _pool_rule(view), wording.millipence(view.members_mp)))
    for share in view.shares:
        if len(view.shares) > 1:
            words = _("part of the pool shared %(how)s") % {"how": share.words}
            steps.append(Step(_("Part of the pool"), words, wording.millipence(share.pool_mp)))
        steps.append(Step(_("Your exact share"), _share_rule(view, share), _exact(share.exact_mp)))
    steps.append(
        Step(
            _("You earned"),
            _("to the thousandth of a penny, so that all shares sum to the pool"),
            wording.millipence(view.earned_mp),
        )
    )
    if view.gift_mp:
        words = _("your gift to the community fund, %(pct)s %%") % {
            "pct": f"{view.donates_pct.normalize():f}"
        }
        steps.append(Step(_("You give"), words, wording.millipence(-view.gift_mp)))
    return tuple(steps)


def _sold(view: EventView) -> str:
    return str(Basis(view.revenue_basis).label) if view.revenue_basis != Basis.HOMES else ""


def _revenue(view: EventView) -> str:
    words = _("at %(rate)s p per kWh") % {"rate": f"{view.pence_per_kwh.normalize():f}"}
    if view.pay_factor != 1:
        words += _(", times %(factor)s: %(curve)s") % {
            "factor": f"{view.pay_factor.normalize():f}",
            "curve": view.pay_curve["title"],
        }
    if view.availability_mp:
        words += _("; and %(amount)s for standing ready") % {
            "amount": wording.millipence(view.availability_mp)
        }
    return words


def _pool_rule(view: EventView) -> str:
    return (
        _("the rest")
        if not view.policy["name"]
        else _("the rest; %(policy)s") % {"policy": view.policy["name"]}
    )


def _share_rule(view: EventView, share: ShareLine) -> str:
    """How a part of the pool becomes the home's; where homes are held out they get the mean of the others."""
    weight, total = share.weight, share.total_weight
    homes = view.hold_out.homes + view.hold_out.held_out if view.hold_out else 0
    if view.hold_out and view.standing == Standing.HELD_OUT:
        return _("pool / %(homes)s homes, those held out among them") % {"homes": f"{homes:,}"}
    if view.hold_out:
        weight, total = weight // view.hold_out.weighs_times, total // homes
    if share.by in ("wh", "availability"):
        mine, everybody = wording.kwh(weight), wording.kwh(total)
    else:
        mine, everybody = f"{weight:,}", f"{total:,}"
    if view.hold_out:
        words = _("pool × %(some)s of %(homes)s homes, the others held out × %(mine)s / %(all)s")
        some = f"{view.hold_out.homes:,}"
        return words % {"some": some, "homes": f"{homes:,}", "mine": mine, "all": everybody}
    return _("pool × %(mine)s / %(all)s") % {"mine": mine, "all": everybody}


def _exact(share_mp: Fraction) -> str:
    """A fraction of millipence in pounds, cut after SHARE_DECIMALS decimals; dots show that it goes on."""
    scale = 10**SHARE_DECIMALS
    scaled = share_mp * scale / MP_PER_POUND
    whole, rest = divmod(int(scaled), scale)
    decimals = f"{rest:0{SHARE_DECIMALS}d}"
    if scaled.denominator == 1:
        return f"£{whole:,}.{decimals[:MP_DECIMALS]}{decimals[MP_DECIMALS:].rstrip('0')}"
    return f"£{whole:,}.{decimals}…"


def _provenance(view: EventView) -> str:
    words = _(
        "Settlement run %(run)s, from readings known by %(known)s. Terms: %(terms)s. Baseline rule from:"
        " %(source)s (%(certainty)s). Inputs: SHA-256 %(hash)s…"
    )
    return words % {
        "run": view.run_number,
        "known": wording.moment(view.as_known_at),
        "terms": view.terms,
        "source": view.rule_source,
        "certainty": view.rule_certainty,
        "hash": view.input_sha256[:16],
    }
