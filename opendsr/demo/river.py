"""One campaign through the real parts, from plan to pence: what `make demo` plays after the co-op is loaded.

All of it is done through services, real processes and the wire; the demo only decides when, and tells it.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from campaigns import approving, creating, opting, planning
from campaigns.models import Campaign, Participation, Programme, ZoneKind
from hems.simulation import METER_COLUMNS
from metering import ingest
from opendsr.demo import cast, homes, stage
from opendsr.demo.cast import Story
from opendsr.demo.loading import PROGRAMME, DemoCoop, local_instant
from opendsr.demo.telling import Teller
from opendsr.kernel import clock
from opendsr.kernel.periods import LONDON, day_interval
from opendsr.run.places import var_folder
from opendsr.run.supervisor import Supervisor
from settlement import settling
from settlement.models import SettlementRun
from settlement.tasks import settle_what_is_ready

PLAY_STEPS = 5
SPEED = 180.0
CURTAIN_UP, LINK_LOST, PLANNED_FROM, PLANNED_BY = time(15, 50), time(16, 30), time(16, 32), time(17, 5)
SKIPPED, STARTS, OVERRIDDEN, ENDS, CURTAIN_DOWN = (
    time(17, 12),
    time(17, 30),
    time(18, 10),
    time(19),
    time(19, 12),
)
SIZE_W_A_HOME, SIZE_W_OF_FEW, FEW_HOMES = 4_000, 8_000, 8  # a few homes are all asked
LATE_BATCHES = 3
ANSWERED = (Participation.State.OPTED_IN, Participation.State.OPTED_OUT, Participation.State.OVERRIDDEN)
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Timetable:
    """The event day's moments in UTC."""

    curtain_up: datetime
    link_lost: datetime
    planned_from: datetime
    planned_by: datetime
    skipped: datetime
    starts: datetime
    overridden: datetime
    ends: datetime
    curtain_down: datetime
    midnight: datetime


def timetable(coop: DemoCoop) -> Timetable:
    """The play's local times on the event day."""
    day = coop.event_day
    return Timetable(
        curtain_up=local_instant(day, CURTAIN_UP),
        link_lost=local_instant(day, LINK_LOST),
        planned_from=local_instant(day, PLANNED_FROM),
        planned_by=local_instant(day, PLANNED_BY),
        skipped=local_instant(day, SKIPPED),
        starts=local_instant(day, STARTS),
        overridden=local_instant(day, OVERRIDDEN),
        ends=local_instant(day, ENDS),
        curtain_down=local_instant(day, CURTAIN_DOWN),
        midnight=day_interval(day).ends_at,
    )


def play(coop: DemoCoop, teller: Teller, *, speed: float = SPEED) -> Campaign:
    """Play the event and settle it; returns the completed, settled campaign."""
    times = timetable(coop)
    port = stage.vtn_port()
    for home in coop.homes:
        story = home.household.spec.story
        offline = (times.link_lost, times.curtain_down)
        incidents = homes.incidents_of(story, override_at=times.overridden, offline=offline)
        homes.script(home, coop.event_day, incidents)
    stage.forget_statuses(coop.homes)
    with Supervisor(var_folder() / "log") as supervisor:
        campaign_id = _afternoon(coop, times, teller, supervisor, port, speed)
    stage.run_to_midnight(coop.homes, times.midnight, vtn_port=port)
    _readings_arrive(coop, campaign_id, times, teller)
    with Supervisor(var_folder() / "log") as supervisor:
        _settle(campaign_id, times, teller, supervisor, port)
    clock.reset()
    return Campaign.objects.select_related("programme").get(pk=campaign_id)


def _afternoon(
    coop: DemoCoop, times: Timetable, teller: Teller, supervisor: Supervisor, port: int, speed: float
) -> UUID:
    """From the hubs' first poll to the end of the event, in sped-up world time."""
    with teller.step(f"VTN, worker and {len(coop.homes)} hubs; each registers over mutual TLS"):
        anchor = stage.anchored_now(times.curtain_up, speed)
        anchor.set_here()
        supervisor.start(*stage.vtn_and_worker(anchor, port))
        supervisor.start(*stage.hubs(anchor, coop.homes, vtn_port=port, until=times.midnight))
        _registration(coop, times, teller, supervisor)
    with teller.step("Staff plan, approve and send a turn-down campaign"):
        campaign_id = _campaign(coop, times, teller)
        _answers(campaign_id, coop, times, teller, supervisor)
    with teller.step(f"The event, {STARTS:%H:%M} to {ENDS:%H:%M}; the world runs {speed:g} times as fast"):
        _event(campaign_id, coop, times, teller, supervisor)
    teller.note(_stories(coop))
    return campaign_id


def _registration(coop: DemoCoop, times: Timetable, teller: Teller, supervisor: Supervisor) -> None:
    def done() -> bool:
        seen = stage.look(coop.homes)
        teller.progress(len(seen.registered), len(coop.homes), f"hubs, {_world()}")
        at = clock.now()
        is_everybody = len(seen.registered) == len(coop.homes)
        return at >= times.planned_by or (is_everybody and at >= times.planned_from)

    stage.wait_until(done, seconds=PATIENCE_SECONDS, what="the hubs to register", supervisor=supervisor)
    missing = len(coop.homes) - len(stage.look(coop.homes).registered)
    if missing:
        teller.note(
            f"{missing} hubs did not register in time on this machine; they will count as unresponsive"
        )


def _campaign(coop: DemoCoop, times: Timetable, teller: Teller) -> UUID:
    """Create, plan and approve; the worker dispatches."""
    in_zone = sum(home.household.spec.zone == cast.ZONE for home in coop.homes)
    size_w_a_home = SIZE_W_OF_FEW if in_zone <= FEW_HOMES else SIZE_W_A_HOME
    campaign = creating.create_campaign(
        programme=Programme.objects.get(pk=PROGRAMME),
        name=f"{coop.event_day:%A} evening turn-down",
        reason="The network between the reservoir and the mill is full on weekday evenings",
        direction="turn_down",
        zone_kind=ZoneKind.CMZ,
        zone=cast.ZONE,
        size_w=size_w_a_home * in_zone,
        starts_at=times.starts,
        ends_at=times.ends,
        at=clock.now(),
        by=coop.staff,
    )
    plan = planning.plan_campaign(campaign_id=campaign.pk, at=clock.now())
    asked = f"{campaign.size_w / 1000:g} kW asked in {ZoneKind.CMZ.label} {cast.ZONE}"
    expected = (
        f"{plan.expected_w / 1000:.1f} kW expected from {len(plan.chosen)} assets in {plan.homes} homes"
    )
    teller.note(f"Plan: {asked}, {expected}")
    reasons = Counter(line.reason for line in plan.lines if line.left_out)
    if reasons:
        teller.note(
            "Left out: " + "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common())
        )
    approving.approve_campaign(campaign_id=campaign.pk, at=clock.now(), by=coop.staff)
    return campaign.pk


def _answers(
    campaign_id: UUID, coop: DemoCoop, times: Timetable, teller: Teller, supervisor: Supervisor
) -> None:
    """Hubs fetch the event and answer; two households skip it on their page before it starts."""
    skippers = [home for home in coop.homes if home.household.spec.story is Story.SKIPS]
    has_skipped = False

    def done() -> bool:
        nonlocal has_skipped
        at = clock.now()
        answered, asked = _answered(campaign_id)
        teller.progress(answered, asked, f"answers, {_world()}")
        if not has_skipped and at >= times.skipped:
            has_skipped = True
            for home in skippers:
                user = home.household.members[0].user
                opting.skip_home(
                    campaign_id=campaign_id, occupancy_id=home.household.occupancy.pk, at=at, by=user
                )
        return at >= times.starts

    wall = clock.wall_seconds_until(times.starts)
    stage.wait_until(done, seconds=wall + PATIENCE_SECONDS, what="the event to start", supervisor=supervisor)


def _event(
    campaign_id: UUID, coop: DemoCoop, times: Timetable, teller: Teller, supervisor: Supervisor
) -> None:
    """The event runs in the homes; the worker closes the campaign when its time is over."""

    def done() -> bool:
        seen = stage.look(coop.homes)
        teller.say(
            f"{_world()}  {seen.power_w / 1000:6.1f} kW from chargers and heaters, {seen.held} held back,"
            f" {seen.states['offline']} hub offline"
        )
        if clock.now() < times.curtain_down:
            return False
        return Campaign.objects.filter(pk=campaign_id, state=Campaign.State.COMPLETED).exists()

    wall = clock.wall_seconds_until(times.curtain_down)
    stage.wait_until(
        done, seconds=wall + PATIENCE_SECONDS, what="the campaign to complete", supervisor=supervisor
    )


def _readings_arrive(coop: DemoCoop, campaign_id: UUID, times: Timetable, teller: Teller) -> None:
    """The event day's readings, shuffled over all homes, in late files; some rows come twice."""
    lines = [line for home in coop.homes for line in homes.event_day_readings(home, coop.event_day)]
    dice = random.Random(coop.event_day.isoformat())  # noqa: S311 - a reproducible shuffle
    dice.shuffle(lines)
    size = -(-len(lines) // LATE_BATCHES)
    with teller.step(
        f"Meter readings of the event day arrive late and out of order, in {LATE_BATCHES} files"
    ):
        for number in range(LATE_BATCHES):
            batch = lines[max(0, number * size - 10) : (number + 1) * size]
            at = times.midnight + timedelta(hours=9 + 15 * number)
            report = ingest.import_file(
                file=io.BytesIO("\n".join([METER_COLUMNS, *batch, ""]).encode()),
                name=f"late-{number + 1}.csv",
                streams=coop.streams,
                at=at,
            )
            waits = settling.ready(campaign_id, as_known_at=at)
            state = (
                "complete"
                if waits.complete
                else f"{waits.missing_half_hours} half-hours of the event still missing"
            )
            known = f", {report.rows_unchanged} known already" if report.rows_unchanged else ""
            refused = f", {report.rows_rejected} refused" if report.rows_rejected else ""
            teller.note(f"{report.name}: {report.rows_landed} readings{known}{refused}; {state}")


def _settle(campaign_id: UUID, times: Timetable, teller: Teller, supervisor: Supervisor, port: int) -> None:
    """A Celery job settles what is ready."""
    with teller.step("Baseline, delivery, revenue, shares, ledger and statements, in a Celery job"):
        anchor = stage.anchored_now(times.midnight + timedelta(hours=9 + 15 * LATE_BATCHES), 1)
        anchor.set_here()
        supervisor.start(stage.worker(anchor, port))
        settle_what_is_ready.delay()
        stage.wait_until(
            lambda: SettlementRun.objects.filter(campaign=campaign_id).exists(),
            seconds=PATIENCE_SECONDS,
            what="the settlement run",
            supervisor=supervisor,
        )


def _answered(campaign_id: UUID) -> tuple[int, int]:
    states = Counter(Participation.objects.filter(campaign=campaign_id).values_list("state", flat=True))
    return sum(states[state] for state in ANSWERED), sum(states.values()) - states[
        Participation.State.CANCELLED
    ]


def _stories(coop: DemoCoop) -> str:
    told = Counter(home.household.spec.story for home in coop.homes)
    told.pop(Story.WILLING, None)
    return "Homes: " + "; ".join(f"{count} {story}" for story, count in told.items())


def _world() -> str:
    return f"{clock.now().astimezone(LONDON):%H:%M}"
