"""The board of a campaign that was approved: how far it has come, what runs now, each leg's time, its log.

Counted by the database in two statements, however many homes are asked; looked at again every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Case, Count, IntegerField, Max, Q, QuerySet, Sum, Value, When
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

import campaigns.queries
from campaigns.models import Campaign, Participation
from members.models import User
from opendsr.kernel.models import AuditEntry
from opendsr.web import wording

State = Participation.State
LOG_SHOWN: Final = 40
SLOWEST_FIRST: Final = (
    State.SENT,
    State.DELIVERED_TO_HUB,
    State.PLANNED,
    State.OVERRIDDEN,
    State.OPTED_OUT,
    State.OPTED_IN,
    State.CANCELLED,
)
"""Silent hubs first, then those that have it and say nothing; those that run need nobody's eye."""
LEG_WORDS: Final[Mapping[int, str | Promise]] = {
    1: _lazy("From approval to published"),
    2: _lazy("From published to fetched by the hub"),
    3: _lazy("From fetched to the hub's answer"),
    4: _lazy("From approval to the hub's answer"),
    5: _lazy("From the start to the change seen at the device"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One count of the board; `pct` of all that were asked, for the bar under it."""

    label: str
    value: str
    pct: int


@dataclass(frozen=True, slots=True)
class Leg:
    """How long one leg took: half of the assets at most `half`, all but one in twenty at most `most`."""

    label: str
    assets: str
    half: str
    most: str


def board(campaign: Campaign) -> dict[str, Any]:
    """Counts with bars, what runs now against what was planned and asked, and each leg's time."""
    sums = campaign.participations.aggregate(
        asked=Count("pk", filter=Q(sent_at__isnull=False)),
        fetched=Count("pk", filter=Q(delivered_at__isnull=False)),
        answered=Count("pk", filter=Q(responded_at__isnull=False)),
        changed=Count("pk", filter=Q(changed_at__isnull=False)),
        runs=Count("pk", filter=Q(state=State.OPTED_IN)),
        opted_out=Count("pk", filter=Q(state=State.OPTED_OUT)),
        overridden=Count("pk", filter=Q(state=State.OVERRIDDEN)),
        silent=Count("pk", filter=Q(state=State.SENT)),
        planned_w=Sum("expected_w", default=0),
        runs_w=Sum("expected_w", filter=Q(state=State.OPTED_IN), default=0),
    )
    asked = sums["asked"]
    named = (
        (_("Fetched by the hub"), sums["fetched"]),
        (_("Answered"), sums["answered"]),
        (_("Taking part"), sums["runs"]),
        (_("Seen to change at the device"), sums["changed"]),
        (_("Opted out"), sums["opted_out"]),
        (_("Overridden at the device"), sums["overridden"]),
        (_("Silent"), sums["silent"]),
    )
    powers = (
        (_("Taking part"), sums["runs_w"]),
        (_("Planned"), sums["planned_w"]),
        (_("Asked"), campaign.size_w),
    )
    most_w = max(1, *(watts for _label, watts in powers))
    return {
        "asked": f"{asked:,}",
        "bars": [Bar(label, f"{count:,}", _pct(count, asked)) for label, count in named],
        "powers": [Bar(label, wording.power(watts), _pct(watts, most_w)) for label, watts in powers],
        "legs": legs(campaign),
        "device_note": device_note(campaign),
    }


def legs(campaign: Campaign) -> list[Leg]:
    """The legs that any asset has come through, in their order."""
    return [
        Leg(str(LEG_WORDS[leg]), f"{assets:,}", seconds(half), seconds(most))
        for leg, assets, half, most in campaigns.queries.leg_seconds(campaign)
    ]


def device_note(campaign: Campaign) -> str:
    """What the leg of the device holds besides the device's own time."""
    words = _("Devices that tell nothing of themselves are not counted; one is seen at its next report.")
    if not campaign.spread_seconds:
        return words
    told = campaign.participations.filter(sent_at__isnull=False).aggregate(
        asked=Count("pk"), drawn=Count("start_delay_seconds"), most=Max("start_delay_seconds", default=0)
    )
    words += " " + _("Hubs spread start and end over %(spread)s themselves.") % {
        "spread": seconds(campaign.spread_seconds)
    }
    if told["drawn"]:
        words += " " + _(
            "Of %(n)s of %(asked)s assets they told what they drew, %(most)s at most: not in it."
        ) % {"n": f"{told['drawn']:,}", "asked": f"{told['asked']:,}", "most": seconds(told["most"])}
    if told["drawn"] < told["asked"]:
        words += " " + _("Where a hub tells no draw, its delay is in it.")
    return words


def slowest_first(parts: QuerySet[Participation]) -> QuerySet[Participation]:
    """The parts in the order in which somebody ought to look at them; a home's lie together.

    By nothing of another table: sorting ten thousand joined rows takes fifteen times as long.
    """
    place = Case(
        *(When(state=state, then=Value(number)) for number, state in enumerate(SLOWEST_FIRST)),
        output_field=IntegerField(),
    )
    return parts.annotate(place=place).order_by("place", "sent_at", "occupancy_id", "id")


def times(part: Participation) -> str:
    """When the part was sent, fetched, answered and seen at the device, as far as it has come."""
    told = (
        (_("sent %(time)s"), part.sent_at),
        (_("fetched %(time)s"), part.delivered_at),
        (_("answered %(time)s"), part.responded_at),
        (_("changed %(time)s"), part.changed_at),
    )
    said = [words % {"time": f"{wording.clock_time(at)}:{at:%S}"} for words, at in told if at]
    return ", ".join([*said, *drawn(part)])


def drawn(part: Participation) -> list[str]:
    """How long after start and end the asset follows, as its hub drew; nothing where it told none."""
    start, end = part.start_delay_seconds, part.end_delay_seconds
    if start == end:
        named = [(_("start and end %(time)s later, as drawn"), start)]
    else:
        named = [(_("start %(time)s later, as drawn"), start), (_("end %(time)s later, as drawn"), end)]
    return [words % {"time": minutes(each)} for words, each in named if each is not None]


def minutes(whole_seconds: int) -> str:
    """Whole seconds as 4 min 3 s."""
    minutes, rest = divmod(whole_seconds, 60)
    return _("%(m)s min %(s)s s") % {"m": minutes, "s": rest} if minutes else _("%(s)s s") % {"s": rest}


def log(campaign: Campaign) -> list[dict[str, str]]:
    """What happened to the campaign, newest first, each step in words."""
    entries = list(AuditEntry.objects.filter(target=f"campaign:{campaign.pk}").order_by("-pk")[:LOG_SHOWN])
    people = names({entry.actor for entry in entries})
    return [
        {
            "at": f"{wording.day(entry.at, wording.SHORT_DAY)}, {wording.clock_time(entry.at)}:{entry.at:%S}",
            "who": people.get(entry.actor, _("the system")),
            "words": explained(entry.verb, entry.detail),
        }
        for entry in entries
    ]


def explained(verb: str, detail: Mapping[str, Any]) -> str:
    """One step of the log, as a sentence; one without words of its own is spelt out."""
    words = STEPS.get(verb)
    if words is None:
        return verb.removeprefix("campaign.").replace("_", " ").capitalize()
    return words(detail)


def _planned(detail: Mapping[str, Any]) -> str:
    words = _("Planned: %(n)s assets, %(power)s expected") % {
        "n": detail.get("chosen", 0),
        "power": wording.power(int(detail.get("expected_w", 0))),
    }
    if "sure_w" in detail:
        words += _(", %(power)s with a chance of %(pct)s %%") % {
            "power": wording.power(int(detail["sure_w"])),
            "pct": detail.get("chance_pct", 0),
        }
    short_w = int(detail.get("shortfall_w", 0))
    return words + (_(", %(short)s short.") % {"short": wording.power(short_w)} if short_w else ".")


def _approved(detail: Mapping[str, Any]) -> str:
    if detail.get("in_advance"):
        return _("Approved in advance by the operator's contract.")
    words = _("Approved: %(n)s assets are held for it.") % {"n": detail.get("participations", 0)}
    busy = int(detail.get("busy", 0))
    return words + (_(" %(n)s were taken by another campaign meanwhile.") % {"n": busy} if busy else "")


def _dispatched(detail: Mapping[str, Any]) -> str:
    words = _("Sent: %(events)s events for %(sent)s assets.") % {
        "events": detail.get("events", 0),
        "sent": detail.get("sent", 0),
    }
    held = sum((detail.get("left_out") or {}).values())
    words += _(" The last check kept %(n)s back.") % {"n": held} if held else ""
    beyond = int((detail.get("left_out") or {}).get("ramp", 0))
    if not beyond:
        return words
    return words + _(
        " %(n)s of them, %(power)s, would have changed more at once than the rules allow%(beside)s."
        " Where they are wanted, plan another campaign at another time, or raise the cap."
    ) % {
        "n": beyond,
        "power": wording.power(int(detail.get("ramp_held_w", 0))),
        "beside": wording.beside(detail.get("ramp_shared_with") or []),
    }


def _displaced(detail: Mapping[str, Any]) -> str:
    return _("%(n)s assets were given to direct load control, which comes first.") % {
        "n": detail.get("assets", 0)
    }


def _plans_moved(detail: Mapping[str, Any]) -> str:
    return _("%(n)s plans of the night make room for it; the homes pay %(more)s more for that.") % {
        "n": detail.get("assets", 0),
        "more": wording.money(int(detail.get("more_mp", 0))),
    }


def _amended(detail: Mapping[str, Any]) -> str:
    changed = detail.get("changed") or {}
    told = "; ".join(
        _("%(field)s from %(old)s to %(new)s")
        % {"field": AMENDABLE.get(field, field), "old": old or wording.NOTHING, "new": new or wording.NOTHING}
        for field, (old, new) in changed.items()
    )
    return _("Changed before it was approved: %(told)s.") % {"told": told}


def _stopped(detail: Mapping[str, Any]) -> str:
    return _because(_("Stopped early: what was done until then counts."), detail)


def _cap_held(detail: Mapping[str, Any]) -> str:
    if detail.get("minutes"):
        return _("The cap that asked it asks nobody for %(n)s minutes.") % {"n": detail["minutes"]}
    return _("The cap that asked it asks nobody until it changes.")


def _cancelled(detail: Mapping[str, Any]) -> str:
    words = _("Cancelled: %(n)s events called off.") % {"n": detail.get("events", 0)}
    return _because(words, detail)


def _because(words: str, detail: Mapping[str, Any]) -> str:
    reason = detail.get("reason")
    return f"{words} {_('Reason: %(reason)s.') % {'reason': str(reason).rstrip('.')}}" if reason else words


def _told(words: str | Promise) -> Callable[[Mapping[str, Any]], str]:
    return lambda detail: str(words)


AMENDABLE: Final[Mapping[str, str | Promise]] = {
    "name": _lazy("name"),
    "programme": _lazy("programme"),
    "reason": _lazy("why"),
    "direction": _lazy("direction"),
    "zone_kind": _lazy("kind of zone"),
    "zone": _lazy("zone"),
    "size_w": _lazy("size in W"),
    "hold_out_pct": _lazy("homes held out in percent"),
    "starts_at": _lazy("start"),
    "ends_at": _lazy("end"),
}
STEPS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "campaign.created": _told(_lazy("Created.")),
    "campaign.draft": _told(_lazy("Created by a network operator's signal.")),
    "campaign.planned": _planned,
    "campaign.first_approved": _told(_lazy("Approved by the first of two people.")),
    "campaign.approved": _approved,
    "campaign.dispatched": _dispatched,
    "campaign.displaced": _displaced,
    "campaign.plans_moved": _plans_moved,
    "campaign.amended": _amended,
    "campaign.stopped_early": _stopped,
    "campaign.cancelled": _cancelled,
    "campaign.cap_held": _cap_held,
    "campaign.cap_let": _told(_lazy("The cap that asked it may ask again.")),
    "campaign.completed": _told(_lazy("Over: what everybody answered is written down.")),
    "campaign.outcomes": _told(_lazy("Meter readings came in: outcomes were worked out again.")),
}


def names(actors: set[str]) -> dict[str, str]:
    """Who the actors of audit entries are, those that are people."""
    ids = {actor.removeprefix("user:") for actor in actors if actor.startswith("user:")}
    return {f"user:{user.pk}": str(user) for user in User.objects.filter(pk__in=ids)}


def _pct(part: int, whole: int) -> int:
    return min(100, 100 * part // whole) if whole else 0


def seconds(value: float) -> str:
    """A time in seconds, to a tenth."""
    return _("%(s)s s") % {"s": f"{value:,.1f}"}
