"""The signals of OpenADR 2.0b: which types each may have, and in what units.

Data, so that a rule is one line; what the schema lets through and no VEN could act on is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from oadr.messages import Unit
from vtn.content import SignalContent

POWER: Final = "power"
ENERGY: Final = "energy"
PRICE_A_KWH: Final = "price a kWh"
PRICE_A_KW: Final = "price a kW"
SHARE: Final = "share"
OTHER: Final = "other"


def _power(scale: str, units: str = "W") -> Unit:
    return Unit("powerReal", "RealPower", units, scale, hertz="50", voltage="230", is_ac=True)


_CURRENCIES: Final = ("gbp", "eur", "usd", "aud", "cad", "chf", "dkk", "nok", "sek", "pln", "jpy", "nzd")
UNITS: Final[Mapping[str, tuple[str, Unit]]] = {
    "w": (POWER, _power("none")),
    "kw": (POWER, _power("k")),
    "mw": (POWER, _power("M")),
    "var": (POWER, Unit("powerReactive", "ReactivePower", "VAR", "none", "50", "230", is_ac=True)),
    "va": (POWER, Unit("powerApparent", "ApparentPower", "VA", "none", "50", "230", is_ac=True)),
    "wh": (ENERGY, Unit("energyReal", "RealEnergy", "Wh", "none")),
    "kwh": (ENERGY, Unit("energyReal", "RealEnergy", "Wh", "k")),
    "mwh": (ENERGY, Unit("energyReal", "RealEnergy", "Wh", "M")),
    "varh": (ENERGY, Unit("energyReactive", "ReactiveEnergy", "VARh", "none")),
    "vah": (ENERGY, Unit("energyApparent", "ApparentEnergy", "VAh", "none")),
    **{
        f"{code}_per_kwh": (PRICE_A_KWH, Unit("currencyPerKWh", "currencyPerKWh", code.upper()))
        for code in _CURRENCIES
    },
    **{
        f"{code}_per_kw": (PRICE_A_KW, Unit("currencyPerKW", "currencyPerKW", code.upper()))
        for code in _CURRENCIES
    },
    **{code: (OTHER, Unit("currency", "currency", code.upper())) for code in _CURRENCIES},
    "pct": (SHARE, Unit("customUnit", "percent", "%", "none")),
    "v": (OTHER, Unit("voltage", "Voltage", "V", "none")),
    "a": (OTHER, Unit("current", "Current", "A", "none")),
    "hz": (OTHER, Unit("frequency", "Frequency", "Hz", "none")),
    "celsius": (OTHER, Unit("temperature", "temperature", "celsius", "none")),
    "fahrenheit": (OTHER, Unit("temperature", "temperature", "fahrenheit", "none")),
    "therm": (OTHER, Unit("Therm", "Therm", "thm", "none")),
    "pulse": (OTHER, Unit("pulseCount", "pulse count", "count", pulse_factor=1.0)),
}
"""Neutral unit -> its family and the item element of the 2.0b wire."""

_PRICES: Final = {"price": {PRICE_A_KWH}, "priceRelative": {PRICE_A_KWH}, "priceMultiplier": set[str]()}
_DEMAND: Final = {"price": {PRICE_A_KW}, "priceRelative": {PRICE_A_KW}, "priceMultiplier": set[str]()}
_ANY: Final = {POWER, ENERGY, PRICE_A_KWH, PRICE_A_KW, SHARE, OTHER}
RULES: Final[Mapping[str, Mapping[str, set[str]]]] = {
    "SIMPLE": {"level": set()},
    "simple": {"level": set()},
    "ELECTRICITY_PRICE": _PRICES,
    "ENERGY_PRICE": _PRICES,
    "DEMAND_CHARGE": _DEMAND,
    "BID_PRICE": {"price": {PRICE_A_KWH, PRICE_A_KW}},
    "BID_LOAD": {"setpoint": {POWER}},
    "BID_ENERGY": {"setpoint": {ENERGY}},
    "CHARGE_STATE": {"setpoint": {ENERGY, SHARE}, "delta": {ENERGY, SHARE}, "multiplier": set()},
    "LOAD_DISPATCH": {"setpoint": {POWER}, "delta": {POWER}, "multiplier": set(), "level": set()},
    "LOAD_CONTROL": {
        "x-loadControlCapacity": {SHARE},
        "x-loadControlLevelOffset": set(),
        "x-loadControlPercentOffset": {SHARE},
        "x-loadControlSetpoint": _ANY,
    },
}
"""Signal -> type -> the families of unit it may be in; none when the value is a bare number."""
_NEEDS_UNIT: Final = frozenset({"price", "priceRelative", "setpoint", "delta"})


def fault_of(signal: SignalContent, *, lasting_seconds: int) -> str:
    """Return what is wrong with a signal of an event that lasts so long (0: open-ended); "" when nothing.

    Rules 8 (durations sum to the event's), 9 (SIMPLE is 0..3) and 116 (SIMPLE is a level).
    """
    name = signal.name
    total = sum(seconds for seconds, _ in signal.intervals)
    if not signal.intervals:
        return f"{name}: no interval"
    if total != lasting_seconds:
        return f"{name}: intervals last {total} s of the event's {lasting_seconds} s"
    if lasting_seconds and any(seconds <= 0 for seconds, _ in signal.intervals):
        return f"{name}: an interval lasts no time"
    if not lasting_seconds and len(signal.intervals) != 1:
        return f"{name}: an open-ended event has one interval"
    if not all(math.isfinite(value) for _, value in signal.intervals):
        return f"{name}: a value is no number"
    if signal.unit and signal.unit not in UNITS:
        return f"{name}: unknown unit {signal.unit!r}"
    if name.upper() == "SIMPLE" and (
        signal.type != "level" or any(value not in (0, 1, 2, 3) for _, value in signal.intervals)
    ):
        return "SIMPLE is a level of 0, 1, 2 or 3"
    return _fault_of_kind(signal)


def _fault_of_kind(signal: SignalContent) -> str:
    types = RULES.get(signal.name)
    if types is None:
        return "" if signal.name.startswith("x-") else f"no such signal: {signal.name!r}"
    families = types.get(signal.type)
    if families is None:
        return f"{signal.name} is one of {', '.join(types)}, not {signal.type!r}"
    if signal.unit and UNITS[signal.unit][0] not in families:
        allowed = " or ".join(sorted(families)) or "a bare number"
        return f"{signal.name}/{signal.type} is {allowed}, not {signal.unit!r}"
    if not signal.unit and families and signal.type in _NEEDS_UNIT:
        return f"{signal.name}/{signal.type} needs a unit"
    return ""
