"""The market's door, by HTTP: a buyer asks, is offered, orders; strangers and repeats change nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest

from campaigns.market import declaring, offering
from campaigns.models import Campaign, MarketOrder, MarketParty, MarketPreset, MarketRequest
from campaigns.servicing_models import Scope
from tests.campaigns.market.trading import make_buyer
from tests.campaigns.servicing.operating import Operator, make_habits, make_operator, repeat, told
from tests.campaigns.staging import (
    ENDS_AT,
    NOON,
    STARTS_AT,
    PaperVtn,
    make_history,
    make_ready_home,
    make_rules,
)

pytestmark = pytest.mark.django_db
ItIs = Callable[[datetime], None]
ASK = {
    "message": "request",
    "reference": "R-1",
    "kind": "local",
    "direction": "turn_down",
    "zone_kind": "cmz",
    "zone": "Calder",
    "starts_at": "2026-01-14T16:00:00Z",
    "profile_w": [4_000, 8_000],
    "price_pence_per_kwh": "60.5",
    "penalty_pence_per_kwh": 10,
    "deadline_at": "2026-01-14T14:00:00Z",
}


@pytest.fixture
def operator(paper_vtn: PaperVtn, it_is: ItIs) -> Operator:
    """A client of every scope that signs for a live buyer; four homes with habits; it is noon."""
    it_is(NOON)
    make_rules()
    homes = [make_ready_home(cmz="Calder")[0] for _ in range(4)]
    make_habits(*homes)
    make_history({home.stream_id: 3_000 for home in homes})
    made = make_operator()
    make_buyer(client_id=made.client.pk)
    return made


def say(operator: Operator, **fields: Any) -> dict[str, Any]:
    return told(operator.send("/market/messages/", fields))


def test_a_buyer_asks_is_offered_and_orders(operator: Operator) -> None:
    asked = say(operator, **ASK)
    assert (asked["http"], asked["state"], asked["offer"]) == (201, "open", None)
    assert say(operator, **ASK) == {**asked, "http": 200}
    early = say(operator, message="order", reference="R-1", order_reference="O-1")
    assert (early["http"], early["code"]) == (409, "not_offered")
    offering.make_offers(request_ids=[asked["request_id"]], at=NOON, by=None)

    offered = told(operator.send("/market/requests/R-1/"))
    ordered = say(operator, message="order", reference="R-1", order_reference="O-1", ordered_w=[4_000, 4_000])
    again = say(operator, message="order", reference="R-1", order_reference="O-1", ordered_w=[4_000, 4_000])

    assert offered["offer"]["offered_w"][0] == 4_000
    assert (ordered["http"], ordered["state"]) == (201, "ordered")
    assert ordered["order"]["price_pence"] == "242.000"
    assert again == {**ordered, "http": 200}
    campaign = Campaign.objects.get()
    assert (campaign.size_w, campaign.state) == (4_000, "planned")
    assert MarketRequest.objects.get().price_mp_per_kwh == 60_500


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"deadline_at": "2026-01-14T11:00:00Z"}, "deadline_at"),
        ({"profile_w": [1.5]}, "profile_w"),
        ({"price_pence_per_kwh": "NaN"}, "price_pence_per_kwh"),
        ({"price_pence_per_kwh": "9e999999"}, "price_pence_per_kwh"),
        ({"price_pence_per_kwh": "1e-999999"}, "price_pence_per_kwh"),
        ({"price_pence_per_kwh": 0}, "price_pence_per_kwh"),
        ({"kind": "nonesuch"}, "kind"),
        ({"starts_at": "2026-01-14T16:10:00Z"}, "starts_at"),
        ({"zone": "x\u0000y"}, "zone"),
        ({"more": 1}, "more"),
        ({"message": ["order"]}, "message"),
    ],
)
def test_what_is_wrong_is_said_by_field_and_kept_nowhere(
    operator: Operator, change: dict[str, Any], field: str
) -> None:
    answer = say(operator, **{**ASK, **change})

    assert answer["http"] == 422
    assert [each["field"] for each in answer["errors"]] == [field]
    assert not MarketRequest.objects.exists()


def test_a_request_is_found_by_any_reference_that_was_taken(operator: Operator) -> None:
    for reference in ("NF/2026/1", "by/x", "50 %", "é?"):
        assert say(operator, **{**ASK, "reference": reference})["http"] == 201

        found = told(operator.send(f"/market/requests/{quote(reference)}/"))

        assert (found["http"], found["reference"]) == (200, reference)


def test_strangers_find_nothing(operator: Operator) -> None:
    say(operator, **ASK)
    other = make_operator(zone="Hebden")
    make_buyer(client_id=other.client.pk)
    no_buyer, no_scope = make_operator(zone="Todmorden"), make_operator(zone="Brig", scopes=[Scope.READ])

    assert told(other.send("/market/requests/R-1/"))["http"] == 404
    assert say(other, message="withdrawal", reference="R-1")["http"] == 404
    assert say(no_buyer, **ASK)["code"] == "no_such_buyer"
    assert say(no_scope, **ASK)["code"] == "scope_missing"
    assert told(repeat("POST", "/market/messages/", b"{}", {}))["http"] == 401
    assert told(operator.send("/market/by/nobody/messages/", {}))["code"] == "unknown_adapter"
    assert MarketRequest.objects.get().state == "open"


def test_a_sandbox_client_is_answered_the_same_and_nothing_is_planned(operator: Operator) -> None:
    MarketPreset.objects.filter(pk="local").update(least_w=1_000)
    trial = make_operator(is_sandbox=True)
    make_buyer(client_id=trial.client.pk)
    asked = say(trial, **ASK)
    offering.make_offers(request_ids=[asked["request_id"]], at=NOON, by=None)

    ordered = say(trial, message="order", reference="R-1", order_reference="O-1")

    assert (ordered["http"], ordered["state"]) == (201, "ordered")
    assert MarketOrder.objects.count() == 1
    assert not Campaign.objects.exists()


def test_a_buyer_is_told_what_was_declared_to_it_and_no_other(operator: Operator) -> None:
    party = MarketParty.objects.get(client=operator.client)
    for each, power_w in ((party, 9_000), (make_buyer(), 1_000)):
        declaring.declare(
            party=each,
            direction="turn_down",
            zone_kind="cmz",
            zone="Calder",
            starts_at=STARTS_AT,
            ends_at=ENDS_AT,
            available_w=power_w,
            at=NOON,
            by=None,
        )

    answer = told(operator.send("/market/availability/"))

    assert [each["available_w"] for each in answer["availability"]] == [9_000]
