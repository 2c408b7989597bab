"""`home.json`: what a simulated home has, and what is scripted to happen in it.

    {
      "meter": "CAD-0001",                            name in readings.csv
      "base_wh": {"2026-11-20": [212, ...]},          46/48/50 Wh a London day: all but the assets below
      "export_wh": {"2026-11-20": [0, ...]},          optional
      "assets": [
        {"resource_id": "r1", "kind": "ev_charger",   or immersion_heater, storage_heater
         "rated_w": 7360,                             optional, by kind
         "seed": "home-1",                            habits on days not given below; default the resource_id
         "hours": [["16:00", "21:00"]],               when its owner lets it run, London time; by kind
         "stays": {"2026-11-20": [{"arrives_at": "2026-11-20T17:05:00Z", "departs_at": "2026-11-21T07:20:00Z",
                   "energy_wh": 9800, "battery_wh": 58000, "arrives_with_pct": 41.0}]},
         "draws": {"2026-11-20": [["2026-11-20T17:40:00Z", 1200]]}}
      ],
      "incidents": {"opt_out_events": false, "override_at": null, "resume_at": null, "offline": [[from, to]]}
    }

Days named in `stays` and `draws` happen exactly so (an empty list: nothing that day); others follow the seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import pairwise
from pathlib import Path

from hems import config_fields
from hems.errors import BadHome
from hems.ev_charger import Stay
from hems.instants import half_hours, read_instant, read_local_time, written

CONFIG, SIMULATION = "hub.toml", "home.json"
"""A folder with the first is a real home's (`config`), whatever else it holds; else a simulated one's."""
EV_CHARGER, EV_CHARGER_3PH = "ev_charger", "ev_charger_3ph"
IMMERSION_HEATER, STORAGE_HEATER = "immersion_heater", "storage_heater"
CAR_KINDS = (EV_CHARGER, EV_CHARGER_3PH)
RATED_W = {EV_CHARGER: 7360, EV_CHARGER_3PH: 22_080, IMMERSION_HEATER: 3000, STORAGE_HEATER: 2500}
HOURS: dict[str, tuple[tuple[time, time], ...]] = {
    EV_CHARGER: (),
    EV_CHARGER_3PH: (),
    IMMERSION_HEATER: ((time(5, 30), time(8, 30)), (time(16), time(21))),
    STORAGE_HEATER: ((time(0, 30), time(7, 30)),),
}
LARGEST_HALF_HOUR_WH = 100_000

Draw = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Asset:
    """One flexible asset. `hours` are London wall times; none means at any hour."""

    resource_id: str
    kind: str
    rated_w: int
    seed: str
    hours: tuple[tuple[time, time], ...] = ()
    stays: Mapping[date, tuple[Stay, ...]] = field(default_factory=dict)
    draws: Mapping[date, tuple[Draw, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incidents:
    """What is scripted: the hub answers no, the member presses the button (and takes it back), the link is
    down.
    """

    opt_out_events: bool = False
    override_at: datetime | None = None
    resume_at: datetime | None = None
    offline: tuple[tuple[datetime, datetime], ...] = ()

    def is_offline(self, at: datetime) -> bool:
        return any(starts_at <= at < ends_at for starts_at, ends_at in self.offline)


@dataclass(frozen=True, slots=True)
class Home:
    """A simulated home over the London days of `base_wh`."""

    meter: str
    base_wh: Mapping[date, tuple[int, ...]]
    assets: tuple[Asset, ...]
    export_wh: Mapping[date, tuple[int, ...]] = field(default_factory=dict)
    incidents: Incidents = field(default_factory=Incidents)


def make_asset(resource_id: str, kind: str, *, seed: str = "", rated_w: int | None = None) -> Asset:
    """An asset with the usual rating and hours of its kind; `seed` decides its habits."""
    if kind not in RATED_W:
        raise BadHome(f"kind {kind!r} is none of {', '.join(RATED_W)}")
    return Asset(resource_id, kind, rated_w or RATED_W[kind], seed or resource_id, HOURS[kind])


def read_home(path: Path) -> Home:
    """Return the home a `home.json` describes; raises BadHome saying where it is wrong."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadHome(f"{path} is missing: the hub does not know what it drives") from None
    except ValueError as error:
        raise BadHome(f"{path} is not JSON: {error}") from error
    return home_from_json(document)


def home_from_json(document: object) -> Home:
    """Return the home a parsed `home.json` describes; raises BadHome saying where it is wrong."""
    top = _mapping(document, "home")
    assets = tuple(_asset(item, f"assets[{number}]") for number, item in enumerate(_items(top, "assets")))
    names = [asset.resource_id for asset in assets]
    if len(set(names)) != len(names):
        raise BadHome("assets: a resource_id is given twice")
    base_wh = _by_day(top, "base_wh")
    if not base_wh:
        raise BadHome("base_wh: give at least one day")
    return Home(
        meter=config_fields.text(top, "meter", "home"),
        base_wh=base_wh,
        assets=assets,
        export_wh=_by_day(top, "export_wh"),
        incidents=_incidents(_mapping(top.get("incidents", {}), "incidents")),
    )


def home_to_json(home: Home) -> dict[str, object]:
    """The document `home_from_json` reads back."""

    def moment(at: datetime | None) -> str | None:
        return None if at is None else written(at)

    def stay(item: Stay) -> dict[str, object]:
        return {
            "arrives_at": written(item.arrives_at),
            "departs_at": written(item.departs_at),
            "energy_wh": item.energy_wh,
            "battery_wh": item.battery_wh,
            "arrives_with_pct": item.arrives_with_pct,
        }

    return {
        "meter": home.meter,
        "base_wh": {day.isoformat(): list(wh) for day, wh in home.base_wh.items()},
        "export_wh": {day.isoformat(): list(wh) for day, wh in home.export_wh.items()},
        "assets": [
            {
                "resource_id": asset.resource_id,
                "kind": asset.kind,
                "rated_w": asset.rated_w,
                "seed": asset.seed,
                "hours": [[f"{opens:%H:%M}", f"{closes:%H:%M}"] for opens, closes in asset.hours],
                "stays": {
                    day.isoformat(): [stay(item) for item in items] for day, items in asset.stays.items()
                },
                "draws": {
                    day.isoformat(): [[written(at), wh] for at, wh in items]
                    for day, items in asset.draws.items()
                },
            }
            for asset in home.assets
        ],
        "incidents": {
            "opt_out_events": home.incidents.opt_out_events,
            "override_at": moment(home.incidents.override_at),
            "resume_at": moment(home.incidents.resume_at),
            "offline": [[written(since), written(until)] for since, until in home.incidents.offline],
        },
    }


def _asset(item: object, where: str) -> Asset:
    entry = _mapping(item, where)
    asset = make_asset(
        config_fields.text(entry, "resource_id", where),
        config_fields.text(entry, "kind", where),
        seed=str(entry.get("seed", "")),
        rated_w=_whole(entry["rated_w"], f"{where}.rated_w", least=1) if "rated_w" in entry else None,
    )
    if "hours" in entry:
        hours = [_pair(pair, f"{where}.hours") for pair in _items(entry, "hours")]
        spans = tuple((_clock_time(opens, where), _clock_time(closes, where)) for opens, closes in hours)
    else:
        spans = asset.hours
    return Asset(
        resource_id=asset.resource_id,
        kind=asset.kind,
        rated_w=asset.rated_w,
        seed=asset.seed,
        hours=spans,
        stays=_stays(_mapping(entry.get("stays", {}), f"{where}.stays"), f"{where}.stays"),
        draws=_draws(_mapping(entry.get("draws", {}), f"{where}.draws"), f"{where}.draws"),
    )


def _stays(days: Mapping[str, object], where: str) -> dict[date, tuple[Stay, ...]]:
    stays: dict[date, tuple[Stay, ...]] = {}
    for text in days:
        entries = [_mapping(item, f"{where}.{text}") for item in _items(days, text)]
        stays[_day(text, where)] = tuple(_stay(entry, f"{where}.{text}") for entry in entries)
    ordered = sorted((stay for items in stays.values() for stay in items), key=lambda stay: stay.arrives_at)
    if any(before.departs_at > after.arrives_at for before, after in pairwise(ordered)):
        raise BadHome(f"{where}: two stays overlap")
    return stays


def _stay(entry: Mapping[str, object], where: str) -> Stay:
    extra: dict[str, object] = {}
    if "battery_wh" in entry:
        extra["battery_wh"] = _whole(entry["battery_wh"], f"{where}.battery_wh", least=1)
    if "arrives_with_pct" in entry:
        charge = entry["arrives_with_pct"]
        if isinstance(charge, bool) or not isinstance(charge, int | float) or not 0 <= charge <= 100:
            raise BadHome(f"{where}.arrives_with_pct: {charge!r} is no percentage")
        extra["arrives_with_pct"] = float(charge)
    stay = Stay(
        _instant(entry.get("arrives_at"), f"{where}.arrives_at"),
        _instant(entry.get("departs_at"), f"{where}.departs_at"),
        _whole(entry.get("energy_wh"), f"{where}.energy_wh"),
        **extra,  # type: ignore[arg-type]
    )
    if stay.departs_at <= stay.arrives_at:
        raise BadHome(f"{where}: a stay departs after it arrives")
    return stay


def _draws(days: Mapping[str, object], where: str) -> dict[date, tuple[Draw, ...]]:
    draws: dict[date, tuple[Draw, ...]] = {}
    for text in days:
        pairs = [_pair(item, f"{where}.{text}") for item in _items(days, text)]
        draws[_day(text, where)] = tuple((_instant(at, where), _whole(wh, where)) for at, wh in pairs)
    return draws


def _incidents(entry: Mapping[str, object]) -> Incidents:
    def moment(name: str) -> datetime | None:
        return None if entry.get(name) is None else _instant(entry[name], f"incidents.{name}")

    pairs = [_pair(item, "incidents.offline") for item in _items(entry, "offline")]
    is_no = entry.get("opt_out_events", False)
    if not isinstance(is_no, bool):
        raise BadHome("incidents.opt_out_events: true or false")
    return Incidents(
        opt_out_events=is_no,
        override_at=moment("override_at"),
        resume_at=moment("resume_at"),
        offline=tuple((_instant(a, "incidents.offline"), _instant(b, "incidents.offline")) for a, b in pairs),
    )


def _by_day(top: Mapping[str, object], name: str) -> dict[date, tuple[int, ...]]:
    days: dict[date, tuple[int, ...]] = {}
    entries = _mapping(top.get(name, {}), name)
    for text in entries:
        day, values = _day(text, name), _items(entries, text)
        if len(values) != len(half_hours(day)):
            raise BadHome(
                f"{name}.{text}: {len(values)} values, the day has {len(half_hours(day))} half-hours"
            )
        days[day] = tuple(_whole(value, f"{name}.{text}", most=LARGEST_HALF_HOUR_WH) for value in values)
    return dict(sorted(days.items()))


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadHome(f"{where}: an object is expected, not {value!r:.40}")
    return value


def _items(entry: Mapping[str, object], name: str) -> Sequence[object]:
    value = entry.get(name, [])
    if not isinstance(value, list):
        raise BadHome(f"{name}: a list is expected, not {value!r:.40}")
    return value


def _pair(value: object, where: str) -> tuple[object, object]:
    if not isinstance(value, list) or len(value) != 2:
        raise BadHome(f"{where}: a pair is expected, not {value!r:.40}")
    return value[0], value[1]


def _whole(value: object, where: str, *, least: int = 0, most: int = 10**9) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadHome(f"{where}: {value!r:.40} is no whole number from {least} to {most}")
    return value


def _instant(value: object, where: str) -> datetime:
    try:
        return read_instant(value if isinstance(value, str) else "")
    except ValueError:
        raise BadHome(f"{where}: {value!r:.40} is no ISO 8601 instant with an offset") from None


def _clock_time(value: object, where: str) -> time:
    try:
        return read_local_time(value if isinstance(value, str) else "")
    except ValueError:
        raise BadHome(f"{where}.hours: {value!r:.40} is no HH:MM") from None


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadHome(f"{where}: {text!r:.40} is no YYYY-MM-DD") from None
