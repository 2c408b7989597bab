"""What the first start of a process would wait for, done before it comes."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from campaigns import rules, selecting, sending
from campaigns.models import Campaign, Direction, Programme, ServicingContract, UseCase
from campaigns.selecting import Offer
from campaigns.servicing import sending_at_once
from campaigns.servicing.sending_at_once import NobodyToAsk, Order
from campaigns.vtn_door import EventNotice

NOWHERE = ""


@transaction.atomic
def rehearse(*, at: datetime) -> EventNotice:
    """Go through a start for nobody, and choose among two made-up assets; what a hub would be told.

    Reads, and writes nothing.
    """
    programme = Programme(code="", use_case=UseCase.LOAD_CONTROL, market_context="http://localhost/")
    contract = ServicingContract(
        programme=programme, zone_kind="gsp_group", zone=NOWHERE, stagger_seconds=0, max_w=1, approved_w=1
    )
    starts_at = at.replace(microsecond=0)
    order = Order(
        contract=contract,
        client_name="",
        direction=Direction.TURN_DOWN.value,
        size_w=1,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=30),
        reference="",
        is_rehearsal=True,
        is_approved=False,
    )
    with suppress(NobodyToAsk):
        sending_at_once.start(order, at=at)
    offers = [Offer(UUID(int=number), 1_000, 0.1) for number in (1, 2)]
    selecting.select(offers, size_w=1_000, rule=rules.in_force(), stagger_seconds=0)
    campaign = Campaign(
        programme=programme,
        direction=order.direction,
        zone_kind=contract.zone_kind,
        zone=contract.zone,
        size_w=order.size_w,
        stagger_seconds=0,
        starts_at=order.starts_at,
        ends_at=order.ends_at,
        created_at=at,
    )
    return sending.notice_for(campaign, ven_id="VEN", expected_w=0, least_pct=0, resource_ids=())
