"""What hubs draw within the spread: told with their answer, kept on the parts, taken out of the legs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from campaigns import changing, queries, reporting, staggering
from campaigns.models import Campaign, Participation
from campaigns.opting import opt_back_in, skip
from campaigns.stopping import stop_campaign
from hems.book import Book
from oadr import messages as m
from opendsr.kernel import outbox
from tests.campaigns.conftest import PaperVtn
from tests.campaigns.staging import (
    DURING,
    ENDS_AT,
    NOON,
    STARTS_AT,
    make_approved,
    make_dispatched,
    make_programme,
    make_ready_home,
    part_of,
)
from tests.campaigns.test_changing import tell
from tests.campaigns.test_river import hub_of
from tests.factories import HubKit
from tests.hems.test_book import Thing

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
ItIs = Callable[[datetime], None]


def acts(book: Book, kit: HubKit, hub: object, *, at: datetime) -> Book:
    """The book of a hub of ours after it has polled, taken what came and answered it."""
    message = hub.polls(at=at)  # type: ignore[attr-defined]
    assert isinstance(message, m.DistributeEvent)
    things = [Thing(asset.resource_id, 3_000) for asset in kit.assets]
    book, answers = book.take(message, at=at, ven_id=kit.ven_id, assets=things)
    said = m.CreatedEvent(m.EiResponse(request_id="R"), kit.ven_id, tuple(answers))
    hub.says("EiEvent", said, at=at)  # type: ignore[attr-defined]
    outbox.drain()
    return book


def moves(book: Book, kit: HubKit) -> dict[str, tuple[datetime, datetime]]:
    """When each asset is really turned down."""
    things = [Thing(asset.resource_id, 3_000) for asset in kit.assets]
    return {order.resource_id: (order.starts_at, order.ends_at) for order in book.orders(things)}


def kept(campaign: Campaign, kit: HubKit) -> dict[str, tuple[int | None, int | None]]:
    found = campaign.participations.filter(asset__in=kit.assets).select_related("asset")
    return {part.asset.resource_id: (part.start_delay_seconds, part.end_delay_seconds) for part in found}


def test_what_a_hub_does_is_what_is_on_record_at_start_and_end(it_is: ItIs) -> None:
    kits = [make_ready_home("ev_charger", "immersion_heater", through_vtn=True)[1] for _ in range(3)]
    programme = make_programme(start_tolerance_seconds=1_800)
    campaign = make_approved([asset for kit in kits for asset in kit.assets], programme=programme)
    hubs, books = [hub_of(kit) for kit in kits], [Book(f"seed {number}") for number in range(3)]
    it_is(NOON)
    outbox.drain()

    for number, (kit, hub) in enumerate(zip(kits, hubs, strict=True)):
        books[number] = acts(books[number], kit, hub, at=NOON)
        done = {
            name: (int((begun - STARTS_AT).total_seconds()), int((ended - ENDS_AT).total_seconds()))
            for name, (begun, ended) in moves(books[number], kit).items()
        }
        assert kept(campaign, kit) == done
    draws = [draw for kit in kits for both in kept(campaign, kit).values() for draw in both]
    assert all(draw is not None and 0 <= draw <= 1_800 for draw in draws)
    assert len(set(draws)) > 3, "drawn for each asset, not for all"

    it_is(DURING)
    stop_campaign(campaign_id=campaign.pk, at=DURING, by=None, reason="enough")
    book = acts(books[0], kits[0], hubs[0], at=DURING)

    left, ends = moves(book, kits[0]), set()
    for name, (start, end) in kept(campaign, kits[0]).items():
        assert end is not None
        assert 0 <= end <= 1_800
        begun, ended = left.get(name, (STARTS_AT + start * SECOND, DURING))
        assert start == int((begun - STARTS_AT).total_seconds())
        assert end == int((ended - DURING).total_seconds())
        ends.add(end)
    assert len(ends) == 2, "drawn for each asset, not for the home"
    assert all(end is None for kit in kits[1:] for _, end in kept(campaign, kit).values())


@pytest.fixture
def part(paper_vtn: PaperVtn) -> Participation:
    """An asset asked for 1 kW less from STARTS_AT, its hub having fetched and agreed before."""
    _, kit = make_ready_home(through_vtn=False)
    campaign = make_dispatched(kit.assets)
    campaign.participations.update(state="opted_in", delivered_at=NOON, responded_at=NOON)
    return part_of(campaign, kit.assets[0])


def note(
    part: Participation, start: int | None = None, end: int | None = None
) -> tuple[int | None, int | None]:
    name = part.asset.resource_id
    told = [{} if each is None else {name: each, "another": 7} for each in (start, end)]
    staggering.note_delays(event_id=part.vtn_event_id, start_seconds=told[0], end_seconds=told[1])
    part.refresh_from_db()
    return part.start_delay_seconds, part.end_delay_seconds


def test_the_newest_telling_holds_and_what_is_beyond_the_spread_is_not_kept(part: Participation) -> None:
    assert note(part, 300, 300) == (300, 300)
    assert note(part, end=12) == (300, 12)
    assert note(part, 301, 0) == (300, 0)
    assert staggering.note_delays(event_id="somebody else's", start_seconds={"a": 1}, end_seconds={}) == 0


def test_the_devices_leg_begins_when_it_was_drawn_to(part: Participation) -> None:
    tell(part, (-60, 2_000, None), (239, 2_000, None), (244, 0, None))
    changing.note_changes(at=ENDS_AT)
    assert queries.leg_seconds(part.campaign)[-1] == (5, 1, 245, 245)

    note(part, 240, 240)
    changing.note_changes(at=ENDS_AT)

    assert queries.leg_seconds(part.campaign)[-1] == (5, 1, 5, 5)


def test_a_change_before_the_drawn_start_is_the_devices_own(part: Participation) -> None:
    note(part, 240, 240)
    tell(part, (-60, 2_000, None), (100, 0, None), (110, 2_000, None), (244, 0, None))

    changing.note_changes(at=ENDS_AT)

    part.refresh_from_db()
    assert part.changed_at == STARTS_AT + 245 * SECOND


@pytest.mark.parametrize("at", [NOON, DURING])
def test_the_planned_end_of_what_is_called_off_is_on_record_no_more(
    part: Participation, at: datetime
) -> None:
    note(part, 240, 240)
    stop_campaign(campaign_id=part.campaign_id, at=at, by=None, reason="enough")
    part.refresh_from_db()
    assert (part.start_delay_seconds, part.end_delay_seconds) == (240, None)

    assert note(part, 240, 240) == (240, None), "told before, heard late"
    assert note(part, end=12) == (240, 12)


@pytest.mark.parametrize(
    ("after_seconds", "told_end", "begins"),
    [(239, 0, False), (239, None, False), (239, 9, True), (241, 0, True)],
)
def test_what_was_called_off_before_its_drawn_start_never_began(
    part: Participation, after_seconds: int, told_end: int | None, begins: bool
) -> None:
    note(part, 240, 240)
    stop_campaign(
        campaign_id=part.campaign_id, at=STARTS_AT + after_seconds * SECOND, by=None, reason="enough"
    )
    note(part, end=told_end)

    draw = reporting.draw_of(part)

    assert (draw.start_delay_seconds, draw.end_delay_seconds) == (240, told_end)
    assert (draw.starts_at, draw.ends_at) == (STARTS_AT + 240 * SECOND if begins else None, None)


def test_a_home_asked_anew_draws_anew(part: Participation) -> None:
    note(part, 240, 240)
    skip(participation=part, at=NOON, by=None)
    opt_back_in(participation=part, at=NOON + SECOND, by=None)

    part.refresh_from_db()
    assert (part.start_delay_seconds, part.end_delay_seconds) == (None, None)
