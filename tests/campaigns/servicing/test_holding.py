"""Staff stop what a cap asked: it stays stopped for as long as they said, and the operator is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from campaigns.models import Campaign, ServicingSignal
from campaigns.servicing import capping, holding
from members.models import Role
from tests.campaigns.servicing.operating import Operator
from tests.campaigns.servicing.test_capping import cap, make_capped, operator, street
from tests.campaigns.staging import NOON, PaperVtn
from tests.factories import make_staff

__all__ = ["operator", "street"]
pytestmark = pytest.mark.django_db
ItIs = Callable[[datetime], None]
MINUTE = timedelta(minutes=1)


def stop(hold: str, *, at: datetime = NOON + MINUTE, is_cancelled: bool = False) -> Campaign:
    """The campaign of the cap, asked at NOON and ended by Sam a minute later."""
    campaign = Campaign.objects.latest("created_at")
    sam = make_staff("sam@example.org", Role.DISPATCHER)
    holding.stop(campaign_id=campaign.pk, hold=hold, is_cancelled=is_cancelled, at=at, by=sam, reason="")
    return campaign


def asks(it_is: ItIs, *minutes: int) -> list[int]:
    """How many campaigns there are in all, after each of these minutes past noon."""
    counts = []
    for minute in minutes:
        it_is(NOON + minute * MINUTE)
        capping.follow(at=NOON + minute * MINUTE)
        counts.append(Campaign.objects.count())
    return counts


@pytest.fixture
def asked(operator: Operator) -> Operator:
    """An operator that hears nothing fall silent for an hour, whose cap asked at noon."""
    operator.contract.silence_minutes = 60
    operator.contract.save()
    assert cap(operator, 16_000, 1)["did"] == "asked"
    return operator


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_until_the_cap_changes_it_asks_nobody(
    asked: Operator, paper_vtn: PaperVtn, it_is: ItIs, is_cancelled: bool
) -> None:
    stop(holding.UNTIL_CHANGED, is_cancelled=is_cancelled)

    assert asks(it_is, 2, 20, 40) == [1, 1, 1]
    same = cap(asked, 16_000, 2)
    assert (same["did"], same["why"], same["wanted_w"]) == ("unmet", "held_by_staff", 2_000)
    assert paper_vtn.live() == []

    assert cap(asked, 15_000, 3)["did"] == "asked"
    assert cap(asked, 16_000, 4)["why"] != "held_by_staff", "changed and back again is changed"


def test_for_a_while_it_asks_nobody_whatever_the_cap(asked: Operator, it_is: ItIs) -> None:
    stop("30")

    assert asks(it_is, 2, 30) == [1, 1]
    assert cap(asked, 15_000, 2)["why"] == "held_by_staff"
    assert asks(it_is, 31) == [2]


def test_not_at_all_is_as_before(asked: Operator, it_is: ItIs) -> None:
    stop(holding.NOT_AT_ALL)

    assert asks(it_is, 2) == [2]


def test_silence_that_ends_in_another_cap_changes_it(operator: Operator, it_is: ItIs) -> None:
    cap(operator, 15_000, 1)
    stop(holding.UNTIL_CHANGED)

    assert asks(it_is, 4) == [1]
    assert asks(it_is, 5) == [2], "16 kW on silence"


def test_it_may_be_let_ask_again_and_the_log_says_so(asked: Operator, it_is: ItIs) -> None:
    campaign = stop("240")
    hold = holding.hold_over(campaign, at=NOON + 2 * MINUTE)
    assert hold is not None
    assert (hold.since, hold.until, hold.cap_w) == (NOON + MINUTE, NOON + 241 * MINUTE, 16_000)

    holding.let_ask(campaign_id=campaign.pk, at=NOON + 2 * MINUTE, by=None)

    assert asks(it_is, 3) == [2]
    with pytest.raises(holding.NotHeld):
        holding.let_ask(campaign_id=campaign.pk, at=NOON + 3 * MINUTE, by=None)
    own = ServicingSignal.objects.filter(key_id="", kind="stop").order_by("received_at")
    assert [each.state for each in own] == ["stopped", "in_force"]


def test_another_kind_of_cap_and_another_contract_are_not_held(asked: Operator, it_is: ItIs) -> None:
    stop("240")
    other = make_capped(zone="Ribble", zone_kind="cmz")

    at = NOON + 2 * MINUTE
    assert holding.hold_of(asked.contract, "export", cap_w=16_000, at=at) is None
    assert holding.hold_of(other.contract, "import", cap_w=16_000, at=at) is None
    assert holding.hold_of(asked.contract, "import", cap_w=16_000, at=at) is not None


@pytest.mark.parametrize("hold", ["", "31", "-30", "٣٠", "until_changed "])
def test_no_such_hold_is_refused_and_nothing_is_stopped(asked: Operator, hold: str) -> None:
    with pytest.raises(holding.HoldInvalid):
        stop(hold)

    assert Campaign.objects.get().state == "dispatched"


def test_what_is_over_already_holds_nothing(asked: Operator) -> None:
    campaign = stop(holding.NOT_AT_ALL)

    again = holding.stop(
        campaign_id=campaign.pk, hold="60", is_cancelled=False, at=NOON + 2 * MINUTE, by=None, reason=""
    )

    assert not again
    assert holding.hold_over(campaign, at=NOON + 3 * MINUTE) is None


def test_a_campaign_that_no_cap_asked_is_just_stopped(operator: Operator) -> None:
    operator.start()

    assert not stop("nonsense").signals.filter(kind="stop").exists()
    assert Campaign.objects.get().ends_at == NOON + MINUTE
