"""A buyer of the tests and its requests, for the evening of the staged Wednesday."""

from __future__ import annotations

import itertools
from datetime import timedelta

from campaigns.market import receiving
from campaigns.market.receiving import Asked
from campaigns.models import MarketParty, MarketPreset, MarketRequest
from members.models import Role
from tests.campaigns.staging import NOON, STARTS_AT, make_programme
from tests.factories import make_staff

_numbers = itertools.count(1)


def make_buyer(*, is_sandbox: bool = False, **fields: object) -> MarketParty:
    """A buyer under the market programme, taken in at noon."""
    number = next(_numbers)
    MarketPreset.objects.filter(pk="local").update(least_w=1_000)
    return receiving.add_party(
        name=f"Northern Flex {number}",
        programme=make_programme(),
        is_sandbox=is_sandbox,
        at=NOON,
        by=make_staff(f"mia{number}@example.org", Role.ADMINISTRATOR),
        **fields,  # type: ignore[arg-type]
    )


def asked(**fields: object) -> Asked:
    """Two hours at the CMZ Calder from four o'clock: 4 kW, then 8 kW; offers until two."""
    wanted: dict[str, object] = {
        "reference": f"R-{next(_numbers)}",
        "preset": "local",
        "direction": "turn_down",
        "zone_kind": "cmz",
        "zone": "Calder",
        "starts_at": STARTS_AT,
        "profile_w": (4_000, 4_000, 8_000, 8_000),
        "price_mp_per_kwh": 60_000,
        "penalty_mp_per_kwh": 0,
        "deadline_at": NOON + timedelta(hours=2),
    }
    return Asked(**{**wanted, **fields})  # type: ignore[arg-type]


def make_request(party: MarketParty, **fields: object) -> MarketRequest:
    """A request received at noon."""
    request, _ = receiving.receive_request(
        party=party, asked=asked(**fields), source=MarketRequest.Source.FORM, at=NOON, by=None
    )
    return request
