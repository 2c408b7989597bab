"""Fits out the demo's homes: hub, CAD, charger and heater, each hub commissioned from its own request.

The hub's folder under `var/demo/hubs/` is all that the hub process ever sees of the site.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from assets import commissioning, installing
from assets.models import Asset, Hub
from hems import keys
from hems.files import write_atomically
from hems.home import Asset as SimulatedAsset
from hems.home import Home, Incidents, home_to_json, make_asset
from hems.simulation import METER_COLUMNS, asset_load_wh
from opendsr.demo.cast import Story
from opendsr.demo.pasts import Past, filled
from opendsr.demo.people import Household
from opendsr.kernel.periods import period_starts

NAMES = {"ev_charger": "EV charger", "immersion_heater": "Immersion heater"}
SURVEYED_FLEXIBLE_W = {"ev_charger": 4_600, "immersion_heater": 1_200}  # what a survey expects of an evening


@dataclass(frozen=True, slots=True)
class FittedHome:
    """A home with its devices, and the folder of its hub."""

    household: Household
    past: Past
    hub: Hub
    ven_id: str
    assets: tuple[Asset, ...]
    simulated: tuple[SimulatedAsset, ...]
    folder: Path

    @property
    def meter(self) -> str:
        """The CAD's serial: the meter's name in every readings file."""
        return f"CAD-{self.household.spec.number:04d}"


def fit(household: Household, past: Past, *, hubs: Path, at: datetime) -> FittedHome:
    """Plan and commission the hub, pair the CAD and install the assets."""
    spec = household.spec
    folder = hubs / spec.serial
    shutil.rmtree(folder, ignore_errors=True)
    planned = installing.plan_hub(home=household.home, serial=spec.serial, at=at)
    request = keys.enrol(folder, serial=spec.serial)
    done = commissioning.commission_hub(
        serial=spec.serial, enrolment_code=planned.enrolment_code, csr_pem=request.read_bytes(), at=at
    )
    write_atomically(folder / keys.CERTIFICATE, done.certificate_pem.encode())
    write_atomically(folder / keys.CA, done.ca_pem.encode())
    installing.pair_cad(
        home=household.home, serial=f"CAD-{spec.number:04d}", model="Simulated IHD/CAD", at=at
    )
    assets = tuple(
        installing.install_asset(
            hub=done.hub, kind_code=kind, name=NAMES[kind], flexible_w=SURVEYED_FLEXIBLE_W[kind], at=at
        )
        for kind in spec.asset_kinds
    )
    simulated = tuple(
        make_asset(asset.resource_id, asset.kind_id, seed=f"{spec.serial}-{asset.kind_id}")
        for asset in assets
    )
    return FittedHome(household, past, done.hub, done.ven_id, assets, simulated, folder)


def history_csv(home: FittedHome, days: Sequence[date]) -> str:
    """Ten weeks as the CAD would have logged them: the home's own use plus its assets' simulated load."""
    out = io.StringIO()
    out.write(METER_COLUMNS + "\n")
    rows = csv.writer(out, lineterminator="\n")
    for day in days:
        loads = [asset_load_wh(asset, day) for asset in home.simulated]
        export_wh = home.past.export_wh(day)
        for place, (start, base_wh) in enumerate(
            zip(period_starts(day), home.past.base_wh(day), strict=True)
        ):
            if base_wh is not None:
                total_wh = base_wh + sum(load[place] for load in loads)
                rows.writerow((home.meter, f"{start:%Y-%m-%dT%H:%M:%SZ}", total_wh, export_wh[place]))
    return out.getvalue()


def script(home: FittedHome, event_day: date, incidents: Incidents) -> None:
    """Write the hub's `home.json`: the event day's own use, the assets, and what will go wrong."""
    document = home_to_json(
        Home(
            meter=home.meter,
            base_wh={event_day: tuple(filled(home.past.base_wh(event_day)))},
            export_wh={event_day: tuple(home.past.export_wh(event_day))},
            assets=home.simulated,
            incidents=incidents,
        )
    )
    write_atomically(home.folder / "home.json", json.dumps(document, indent=1).encode())


def incidents_of(story: Story, *, override_at: datetime, offline: tuple[datetime, datetime]) -> Incidents:
    """What the household's story means for its hub."""
    nothing = Incidents()
    if story is Story.OVERRIDES:
        return replace(nothing, override_at=override_at)
    if story is Story.OFFLINE:
        return replace(nothing, offline=(offline,))
    if story is Story.HUB_SAYS_NO:
        return replace(nothing, opt_out_events=True)
    return nothing


def event_day_readings(home: FittedHome, event_day: date) -> list[str]:
    """The CAD's log of the event day as the hub left it, without half-hours the real home has none for."""
    unknown = {
        f"{start:%Y-%m-%dT%H:%M:%SZ}"
        for start, wh in zip(period_starts(event_day), home.past.base_wh(event_day), strict=True)
        if wh is None
    }
    lines = (home.folder / "readings.csv").read_text().splitlines()[1:]
    return [line for line in lines if line.split(",")[1] not in unknown]
