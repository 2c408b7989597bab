"""Loads the demo co-op: people, homes, hubs and ten weeks of readings, through the co-op's own services."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction

from campaigns.models import Programme, UseCase
from hems.home import Incidents
from members.models import User
from metering import ingest
from opendsr.demo import cast, founding, homes, pasts, people
from opendsr.demo.days import HISTORY_DAYS, event_date, history_days
from opendsr.demo.homes import FittedHome
from opendsr.demo.telling import Teller
from opendsr.kernel import clock
from opendsr.kernel.periods import LONDON, civil_date
from settlement import terms

JOINED_BEFORE = timedelta(days=HISTORY_DAYS + 7)
PROGRAMME = "capacity-bidding"
PENCE_PER_KWH = Decimal(300)
COOP_SHARE_PCT = Decimal(35)
LOADING_STEPS = 4


@dataclass(frozen=True, slots=True)
class DemoCoop:
    """The loaded co-op and the day its event is played on."""

    event_day: date
    staff: User
    homes: tuple[FittedHome, ...]
    source: str

    @property
    def streams(self) -> dict[str, UUID]:
        """Stream ids by meter name, as readings files call them."""
        return {home.meter: home.household.stream_id for home in self.homes}


def demo_folder() -> Path:
    """Where the demo's hubs and files lie."""
    return Path(settings.VAR_DIR) / "demo"


def demo_logins() -> list[str]:
    """The published logins of the demo, a line each."""
    who = {
        cast.STAFF_EMAIL: "staff: dispatcher and administrator",
        cast.TREASURER_EMAIL: "staff: treasurer",
        "alice@caldervale.example": "member",
        "bob@caldervale.example": "member, same household as Alice",
        "carol@caldervale.example": "member, skipped the event",
    }
    return [f"{email:28} {cast.PASSWORD:20} {what}" for email, what in who.items()]


def local_instant(day: date, clock_time: time) -> datetime:
    """A UK local time of a day as UTC."""
    return datetime.combine(day, clock_time, tzinfo=LONDON).astimezone(clock.wall_now().tzinfo)


def load_demo(
    teller: Teller | None = None, *, homes_file: str = "", demo_date: str = "", **conventions: str | None
) -> DemoCoop:
    """Empty the demo's database and load the co-op afresh, up to the morning of the event day.

    Raises DomainErrors that say what to do: a database not the demo's, a date or a file that cannot be.
    """
    teller = teller or Teller(LOADING_STEPS)
    founding.require_demo_database()
    event_day = event_date(demo_date, civil_date(clock.wall_now()))
    joined_at = local_instant(event_day, time(9)) - JOINED_BEFORE
    source, pasts_of_homes = _pasts(teller, homes_file, event_day, conventions)
    with teller.step("A database for the demo co-op"):
        founding.start_afresh(at=joined_at)
        staff = people.hire_staff(at=joined_at)
        _publish_terms(at=joined_at)
    specs = cast.homes(len(pasts_of_homes))
    with teller.step(f"{len(specs)} homes join, with dated consents"):
        people.publish_consent_texts(at=joined_at)
        households = []
        for household in people.join_everybody(specs, at=joined_at):
            households.append(household)
            teller.progress(len(households), len(specs), "homes")
    with teller.step("Hubs, CADs, chargers and heaters; every hub's own request signed by the co-op's CA"):
        fitted = []
        for household, past in zip(households, pasts_of_homes, strict=True):
            fitted.append(
                homes.fit(household, past, hubs=demo_folder() / "hubs", at=joined_at + timedelta(days=2))
            )
            teller.progress(len(fitted), len(specs), "hubs")
    coop = DemoCoop(event_day, staff, tuple(fitted), source)
    _import_history(teller, coop)
    for household in households:
        people.act_beforehand(household, at=local_instant(event_day - timedelta(days=1), time(18)))
    founding.mark_loaded(at=local_instant(event_day, time(9)), homes=len(fitted))
    return coop


def _pasts(
    teller: Teller, homes_file: str, event_day: date, conventions: Mapping[str, str | None]
) -> tuple[str, list[pasts.Past]]:
    if not homes_file:
        generated = pasts.generated(len(cast.homes()), event_day)
        return "generated households (seeded), simulated assets", list(generated)
    found = pasts.from_file(Path(homes_file).expanduser(), event_day, **conventions)
    teller.note(f"{found.name} ({found.convention}): {len(found.pasts)} homes")
    if found.rejected:
        teller.note(f"of its rows, {found.rejected:,} cannot be used:")
        for reject in found.rejects:
            teller.note(f"  line {reject.line:,}: {reject.field} {reject.value!r}: {reject.reason}")
    if found.gaps:
        gap = found.gaps[0]
        teller.note(
            f"{found.gap_half_hours:,} half-hours are missing and stay so; the first gap is of"
            f" {gap.half_hours}, in {gap.meter} from {gap.starts_at:%Y-%m-%d %H:%M}Z, after line {gap.line:,}"
        )
    if found.left_out:
        teller.note(f"without a single complete day, left out: {', '.join(found.left_out)}")
    for past in found.pasts[:20]:
        teller.note(f"  {past.label}")
    return f"real readings of {found.name}, re-dated; simulated assets laid over every day", list(found.pasts)


@transaction.atomic
def _publish_terms(*, at: datetime) -> None:
    published = terms.publish_terms(
        name="Turn-down, pay as delivered",
        baseline_rule="dfs_2023_domestic",
        utilisation_pence_per_kwh=PENCE_PER_KWH,
        coop_share_pct=COOP_SHARE_PCT,
        at=at,
    )
    Programme.objects.create(
        code=PROGRAMME,
        name="Evening turn-down for the network",
        use_case=UseCase.MARKET,
        market_context="http://caldervale.example/capacity-bidding",
        settlement_terms_id=published.pk,
        notification_seconds=900,
        start_tolerance_seconds=0,  # played in minutes and read by the half-hour: at once
    )


def _import_history(teller: Teller, coop: DemoCoop) -> None:
    """One file a home through the real import; every row is accounted for."""
    days = history_days(coop.event_day)
    at = local_instant(coop.event_day, time(9))
    landed = rejected = 0
    with teller.step(f"Ten weeks of half-hourly readings, {coop.source}"):
        for number, home in enumerate(coop.homes, start=1):
            report = ingest.import_file(
                file=io.BytesIO(homes.history_csv(home, days).encode()),
                name=f"{home.meter}-history.csv",
                streams=coop.streams,
                at=at,
            )
            landed += report.rows_landed
            rejected += report.rows_rejected
            teller.progress(number, len(coop.homes), f"homes, {landed:,} readings")
        for home in coop.homes:
            homes.script(home, coop.event_day, Incidents())
    teller.note(f"{landed:,} readings stored" + (f", {rejected:,} rejected" if rejected else ""))
