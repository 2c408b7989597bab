"""A buyer's settlement is answered by what the run that stands measured."""

from __future__ import annotations

import pytest

from campaigns.models import MarketOffer, MarketOrder, MarketRequest, MarketStretch, UftpMessage
from campaigns.uftp import arranging, wire
from opendsr.kernel import clock, waking
from opendsr.kernel.periods import period_of
from settlement import queries
from tests.campaigns.uftp.dso import POINT, PaperDso, make_dso
from tests.settlement.staging import AFTER, EVENT, Stage, make_measured, settle

pytestmark = pytest.mark.django_db
DAY, FIRST = period_of(EVENT[0])


@pytest.fixture
def dso(monkeypatch: pytest.MonkeyPatch) -> PaperDso:
    """A DSO that speaks UFTP, the day after the event."""
    clock.configure(AFTER, speed=0)
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)
    made = make_dso()
    monkeypatch.setattr(arranging, "call", made.call)
    return made


def order_of(dso: PaperDso, stage: Stage, ordered_w: int) -> None:
    """An order of the DSO's that the stage's campaign was made for."""
    profile = [ordered_w] * len(EVENT)
    request = MarketRequest.objects.create(
        party=dso.party,
        reference="R-1",
        source="uftp",
        preset_id="local",
        direction="turn_down",
        zone_kind="everywhere",
        starts_at=EVENT[0],
        ends_at=EVENT[-1] + (EVENT[1] - EVENT[0]),
        profile_w=profile,
        peak_w=ordered_w,
        price_mp_per_kwh=50_000,
        deadline_at=EVENT[0],
        state="ordered",
        received_at=EVENT[0],
    )
    money = {"price_mp": 700_000, "income_mp": 0}
    offer = MarketOffer.objects.create(
        request=request, offered_w=profile, good_until=EVENT[0], state="ordered", made_at=EVENT[0], **money
    )
    UftpMessage.objects.create(
        party=dso.party,
        is_ours=True,
        kind="FlexOffer",
        message_id="7a1f5c1e-0000-4000-8000-000000000001",
        conversation_id="7a1f5c1e-0000-4000-8000-000000000002",
        offer=offer,
        xml=f'<FlexOffer CongestionPoint="{POINT}"/>',
        digest="",
        state="accepted",
        at=EVENT[0],
        wall_at=EVENT[0],
    )
    order = MarketOrder.objects.create(
        offer=offer, reference="O-1", ordered_w=profile, price_mp=700_000, received_at=EVENT[0]
    )
    MarketStretch.objects.create(order=order, campaign=stage.campaign)


def test_what_meters_showed_decides(dso: PaperDso) -> None:
    stage = make_measured(700, 300)
    settle(stage)
    order_of(dso, stage, 2_000)
    measured = queries.delivered_wh([stage.campaign.pk])[stage.campaign.pk]
    assert list(measured) == EVENT
    assert sum(measured.values()) == 1_000

    answers = []
    for delivered_w in ([2 * measured[start] for start in EVENT], [2_000] * len(EVENT)):
        isps = [
            wire.part(
                "ISP",
                {
                    "Start": str(FIRST + number),
                    "BaselinePower": "4000",
                    "OrderedFlexPower": "-2000",
                    "ActualPower": str(4_000 - power),
                    "DeliveredFlexPower": str(-power),
                },
            )
            for number, power in enumerate(delivered_w)
        ]
        order = {"OrderReference": "O-1", "Period": DAY.isoformat(), "CongestionPoint": POINT}
        money = {"Price": "7.0000", "NetSettlement": "7.0000"}
        month = {"PeriodStart": "2026-11-01", "PeriodEnd": "2026-11-30", "Currency": "GBP"}
        dso.say("FlexSettlement", month, [wire.part("FlexOrderSettlement", {**order, **money}, isps)])
        status = dso.latest("FlexSettlementResponse").find("FlexOrderSettlementStatus")
        answers.append((status.get("Disposition"), status.get("DisputeReason", "")[:24]))

    assert answers == [("Accepted", ""), ("Disputed", f"ISP {FIRST + 1}: delivered 0 W by")]
