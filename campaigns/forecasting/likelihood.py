"""The chance that an asset is there to be moved in each half-hour, and how much it moves then.

Pure. What devices said of the last weeks counts against what is usual of the kind (a beta prior of PRIOR_DAYS
days); what they say now counts too, less with every hour ahead. Without a word from a device, what the home
usually draws stands for what can be turned down, as planning takes it (`expecting.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assets.asking import CAR_KINDS
from campaigns.expecting import SERVICE_W
from campaigns.forecasting.fans import Bools, Floats, Ints
from campaigns.needs import HEATING_MONTHS, PLUGGED_IN_FROM, READY_BY
from opendsr.kernel.periods import LONDON, is_working_day

HALF_HOURS_A_DAY: Final = 48
PRIOR_DAYS: Final = 5.0
PLUGGED_IN_STAY, PLUGGED_ELSE = 0.75, 0.15
COOL: Final = 0.7
"""Of tanks that nobody measures, so many have room for heat."""
CORE_HAS_ROOM: Final = 0.5
FADES_HOURS: Final = 3.0
"""After so many hours what a device says now counts a third."""
UNKNOWN_W: Final = -1


@dataclass(frozen=True, slots=True)
class Axis:
    """Half-hours [half-hour]: London slot of the day 0..47, whether a working day, and the London month."""

    starts: tuple[datetime, ...]
    slot: Ints
    is_working: Bools
    month: Ints


@dataclass(frozen=True, slots=True)
class History:
    """What devices said by London half-hour of the day, [asset, 48]: in how many half-hours they spoke and
    drew, the mean W then; in how many they told of a plug or a temperature, and were plugged in or cool.
    """

    seen: Floats
    drew: Floats
    drawn_w: Floats
    told: Floats
    ready: Floats


@dataclass(frozen=True, slots=True)
class Now:
    """What each asset's device says at the beginning, [asset]: 1 yes, 0 no, NaN not told."""

    draws: Floats
    is_ready: Floats


@dataclass(frozen=True, slots=True)
class Things:
    """One entry an asset: kind, rated and flexible W, and the place of its home among `usual_w`."""

    kind: tuple[str, ...]
    rated_w: Floats
    flexible_w: Floats
    home: Ints


@dataclass(frozen=True, slots=True)
class There:
    """[asset, half-hour]: W moved when it is there, and the chance that it is; 0 where nothing is known."""

    power_w: Floats
    chance: Floats


def axis_of(starts: Sequence[datetime]) -> Axis:
    """The half-hours by London's clock: on the days on which it changes two slots lack or come twice."""
    local = [start.astimezone(LONDON) for start in starts]
    working = {each.date(): is_working_day(each.date()) for each in local}
    return Axis(
        starts=tuple(starts),
        slot=np.array([2 * each.hour + each.minute // 30 for each in local], np.int64),
        is_working=np.array([working[each.date()] for each in local], np.bool_),
        month=np.array([each.month for each in local], np.int64),
    )


def there(
    things: Things, axis: Axis, history: History, now: Now, usual_w: Ints, *, is_turn_down: bool
) -> There:
    """What each asset has to give. `usual_w` is [home, half-hour], UNKNOWN_W where meters do not say."""
    kinds = np.array(things.kind)
    has_device = history.seen.sum(axis=1) > 0
    home_w = usual_w[things.home].astype(np.float64)
    is_metered = home_w != UNKNOWN_W
    share_w = _shared(things, np.where(is_metered, home_w, 0))
    draws_usually = np.clip(share_w / np.maximum(things.rated_w, 1)[:, None], 0, 1)
    seen, drew = history.seen[:, axis.slot], history.drew[:, axis.slot]
    draws = (drew + PRIOR_DAYS * draws_usually) / (seen + PRIOR_DAYS)
    ready = _ready(kinds, axis, history, draws)
    ahead = np.arange(len(axis.starts)) / 2
    weight = np.exp(-ahead / FADES_HOURS)[None, :]
    draws = _with_now(draws, now.draws, weight)
    ready = _with_now(ready, now.is_ready, weight)
    in_season = np.ones_like(draws)
    in_season[kinds == "storage_heater"] = np.isin(axis.month, HEATING_MONTHS).astype(np.float64)
    if is_turn_down:
        mean_w = np.where(history.drawn_w > 0, history.drawn_w, things.rated_w[:, None])[:, axis.slot]
        own_w = np.minimum(mean_w, things.rated_w[:, None])
        flexible_w = np.broadcast_to(things.flexible_w[:, None], own_w.shape)
        power_w = np.where(has_device[:, None], own_w, flexible_w)
        by_meter = share_w / np.maximum(flexible_w, 1)
        chance = np.where(has_device[:, None], draws, np.where(is_metered, by_meter, 0))
    else:
        most_w = np.where(has_device, things.rated_w, things.flexible_w)[:, None]
        left_w = np.maximum(SERVICE_W - np.where(is_metered, home_w, 0), 0)
        together_w = np.zeros((len(usual_w), 1))
        np.add.at(together_w, things.home, most_w)
        power_w = most_w * np.minimum(1, left_w / np.maximum(together_w[things.home], 1))
        # A car that charges already, or a tank that heats, is not there to be turned up.
        chance = np.where(has_device[:, None] | is_metered, np.maximum(0, ready - draws), 0)
    return There(power_w, np.clip(chance * in_season, 0, 1))


def _shared(things: Things, home_w: Floats) -> Floats:
    """The home's usual use shared among its assets by their flexible power, none above its own."""
    together = np.zeros((int(things.home.max(initial=-1)) + 1,))
    np.add.at(together, things.home, things.flexible_w)
    part = things.flexible_w / np.maximum(together[things.home], 1)
    return np.asarray(np.minimum(part[:, None] * home_w, things.flexible_w[:, None]))


def _ready(kinds: NDArray[np.str_], axis: Axis, history: History, draws: Floats) -> Floats:
    """The chance that a car is plugged in, a tank cool enough, a core not full, drawing or not."""
    told, yes = history.told[:, axis.slot], history.ready[:, axis.slot]
    stay_from, stay_to = (2 * each.hour + each.minute // 30 for each in (PLUGGED_IN_FROM, READY_BY))
    in_stay = (axis.slot >= stay_from) | (axis.slot < stay_to)
    prior = np.full(draws.shape, CORE_HAS_ROOM)
    prior[np.isin(kinds, CAR_KINDS)] = np.where(in_stay, PLUGGED_IN_STAY, PLUGGED_ELSE)
    prior[kinds == "immersion_heater"] = COOL
    return np.asarray((yes + PRIOR_DAYS * np.maximum(prior, draws)) / (told + PRIOR_DAYS))


def _with_now(usually: Floats, now: Floats, weight: Floats) -> Floats:
    told = np.isfinite(now)
    found = weight * np.nan_to_num(now)[:, None] + (1 - weight) * usually
    return np.where(told[:, None], found, usually)
