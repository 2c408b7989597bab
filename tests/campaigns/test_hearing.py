"""What many hubs fetched and answered, told in one fact: each taken as if told alone, the odd one apart."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.models import Participation
from campaigns.monitoring import receive_delivery
from opendsr.kernel import outbox
from opendsr.kernel.models import OutboxDelivery, OutboxFact
from tests.campaigns.staging import NOON, PaperVtn, make_dispatched, make_ready_home, opts_of, part_of
from vtn.services import telling

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def parts(paper_vtn: PaperVtn) -> list[Participation]:
    assets = [make_ready_home()[1].assets[0] for _ in range(3)]
    campaign = make_dispatched(assets)
    return [part_of(campaign, asset) for asset in assets]


def delivery(part: Participation) -> dict[str, object]:
    return {"event_id": part.vtn_event_id, "delivered_at": NOON + MINUTE}


def opt(part: Participation, sequence: int, said: str = "in") -> dict[str, object]:
    return {
        "event_id": part.vtn_event_id,
        "opt": said,
        "reason": "",
        "sequence": sequence,
        "received_at": NOON + MINUTE,
    }


def test_deliveries_told_together_count_as_those_told_alone(parts: list[Participation]) -> None:
    alone, *together = parts
    receive_delivery(event_id=alone.vtn_event_id, at=NOON + MINUTE)
    telling.tell(telling.DELIVERED, [("", delivery(part)) for part in together], at=NOON)
    outbox.drain()

    seen = Participation.objects.filter(pk__in=[part.pk for part in parts])
    assert set(seen.values_list("state", "delivered_at")) == {("delivered_to_hub", NOON + MINUTE)}


def test_opts_told_together_are_taken_once_each(parts: list[Participation]) -> None:
    first, second, silent = parts
    for _ in range(2):
        telling.tell(telling.RECEIVED, [("", opt(first, 1)), ("", opt(second, 2, "out"))], at=NOON)
    outbox.drain()

    assert opts_of(first) == [("in", "hub")]
    assert opts_of(second) == [("out", "hub")]
    assert opts_of(silent) == []


def test_an_opt_that_cannot_be_taken_keeps_none_of_the_others(parts: list[Participation]) -> None:
    first, odd, last = parts
    told = [opt(first, 1), opt(odd, 2, "perhaps, if it does not rain"), opt(last, 3)]
    telling.tell(telling.RECEIVED, [("", each) for each in told], at=NOON)
    outbox.sweep()

    assert opts_of(first) == opts_of(last) == [("in", "hub")]
    assert opts_of(odd) == []
    apart = OutboxFact.objects.get(topic=telling.RECEIVED)
    assert apart.payload["event_id"] == odd.vtn_event_id
    assert OutboxDelivery.objects.exclude(state="done").get().fact_id == apart.pk
