"""The book of events, whatever may come: the past stands, the member's word holds, every order ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import correlation
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from hems import state
from hems.book import Book
from hems.devices import Order
from hems.ev_charger import Stay
from hems.home import Home, make_asset
from hems.signals import LONGEST, LONGEST_PLAN
from hems.simulation import SimulatedHome
from oadr import delays
from oadr.messages import ActivePeriod, DistributeEvent, Signal, SignalInterval, Target, Unit
from oadr.ven import Registration
from tests.hems.conftest import DAY, FIVE, make_event

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Thing:
    resource_id: str
    rated_w: int = 7360


ASSETS = (Thing("a"), Thing("b", 3000))


def take(book: Book, *events, at: datetime, says_no: bool = False):
    message = DistributeEvent("q", "COOP-VTN", tuple(events))
    return book.take(message, at=at, ven_id="VEN-HUB-0001", assets=ASSETS, says_no=says_no)


class Away(NamedTuple):
    """An absence that begins so many minutes after it is said."""

    begins_in: int
    minutes: int
    resource_ids: tuple[str, ...]


def after_what(book: Book, what, *, at: datetime, says_no: bool = False) -> Book:
    """The book after a set of events, an absence, or a word; an unknown word changes nothing."""
    if isinstance(what, Away):
        since = at + what.begins_in * MINUTE
        until = since + what.minutes * MINUTE
        return book.leave(since, until, resource_ids=what.resource_ids, assets=ASSETS, at=at)[0]
    if isinstance(what, tuple):
        return take(book, *what, at=at, says_no=says_no)[0]
    if what == "override":
        return book.override(at)[0]
    if what == "resume":
        return book.resume(at)[0]
    if what == "back":
        return book.come_back(at)[0]
    return book.stop_all(at, "registration cancelled") if what == "let go" else book


def covered(orders, resource_id: str, at: datetime) -> bool:
    return any(o.resource_id == resource_id and o.starts_at <= at < o.ends_at for o in orders)


@st.composite
def events(draw):
    starts_at = FIVE + draw(st.integers(-60, 200)) * MINUTE
    return make_event(
        draw(st.sampled_from(["E1", "E2", "E3"])),
        starts_at=starts_at,
        minutes=draw(st.integers(0, 400)),
        number=draw(st.integers(0, 3)),
        status=draw(st.sampled_from(["far", "active", "cancelled", "completed"])),
        levels=draw(st.sampled_from([(), ((10, 1.0), (20, 0.0), (30, 2.0)), ((0, 3.0),)])),
        tolerance_seconds=draw(st.sampled_from([0, 0, 600])),
        priority=draw(st.integers(0, 2)),
        target=Target(resource_ids=draw(st.sampled_from([(), ("a",), ("b",), ("z",)]))),
    )


steps = st.lists(
    st.tuples(
        st.integers(0, 45),
        st.one_of(
            st.lists(events(), max_size=3, unique_by=lambda event: event.event_id).map(tuple),
            st.sampled_from(["override", "resume", "back", "let go", "restart"]),
            st.tuples(st.integers(-30, 240), st.integers(1, 400), st.sampled_from([(), ("a",)])).map(
                Away._make
            ),
        ),
    ),
    max_size=12,
)


@given(steps, st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_comes_the_past_stands_and_every_order_ends(steps, says_no):
    book, at = Book("HUB-0001"), FIVE - 60 * MINUTE
    for minutes, what in steps:
        at += minutes * MINUTE
        before = book.orders(ASSETS)
        known = {event_id for event_id, entry in book.entries.items() if entry.known_at <= at}
        if what == "restart":
            kept = state.State(Registration(), book)
            book = state._from_json(json.loads(json.dumps(state._to_json(kept))), "HUB-0001").book
            assert book == kept.book
        else:
            book = after_what(book, what, at=at, says_no=says_no)
        after = book.orders(ASSETS)

        for moment in (FIVE - 60 * MINUTE + n * 5 * MINUTE for n in range(60)):
            if moment < at:
                for asset in ASSETS:
                    assert covered(before, asset.resource_id, moment) == covered(
                        after, asset.resource_id, moment
                    )
        for order in after:
            entry = book.entries[order.event_id]
            assert order.starts_at < order.ends_at <= order.planned_ends_at
            assert order.ends_at - entry.starts_at <= LONGEST + timedelta(seconds=600) or entry.past
            assert order.event_id in known or order.starts_at >= at
        if what == "override":
            running = [o for o in after if o.starts_at <= at < o.ends_at]
            assert running == []
        if isinstance(what, Away):
            until = at + (what.begins_in + what.minutes) * MINUTE
            since = max(at, at + what.begins_in * MINUTE)
            held = [o for o in after if not what.resource_ids or o.resource_id in what.resource_ids]
            assert all(order.ends_at <= since or order.starts_at >= until for order in held)
        if what == "let go":
            assert all(order.ends_at <= at for order in after)


def test_an_order_cut_short_remembers_the_end_it_was_given():
    book, _ = take(Book("h"), make_event(target=Target(), levels=((30, 1.0), (60, 2.0))), at=FIVE - MINUTE)
    book, _ = book.override(FIVE + 10 * MINUTE)

    (order,) = [order for order in book.orders(ASSETS) if order.resource_id == "a"]
    assert (order.ends_at, order.planned_ends_at) == (FIVE + 10 * MINUTE, FIVE + 90 * MINUTE)


@given(steps, st.integers(20, 300), st.integers(2_000, 20_000), st.floats(0, 60))
@settings(max_examples=60, deadline=None)
def test_what_the_meter_has_logged_never_changes(steps, stay_minutes, energy_wh, arrives_with_pct):
    """A car in a hurry decides by what it knows; whatever is said later, its past stands."""
    stay = Stay(
        FIVE - 45 * MINUTE,
        FIVE + stay_minutes * MINUTE,
        energy_wh,
        arrives_with_pct=arrives_with_pct,
    )
    car = replace(make_asset("a", "ev_charger"), stays={DAY: (stay,), DAY - timedelta(days=1): ()})
    water = make_asset("b", "immersion_heater", seed="3")
    home = SimulatedHome(Home("CAD", {DAY: (100,) * 48}, (car, water)))
    book, at, logged = Book("HUB-0001"), FIVE - 60 * MINUTE, home.readings_csv(FIVE - 60 * MINUTE)
    for minutes, what in steps:
        at += minutes * MINUTE
        logged = home.readings_csv(at)
        book = after_what(book, what, at=at)
        home.plan(book.orders(home.drivers))

        assert home.readings_csv(at) == logged


instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
wild_events = st.builds(
    lambda event, period, value, priority: replace(
        event,
        active_period=period,
        priority=priority,
        signals=tuple(
            replace(signal, intervals=tuple(replace(part, value=value) for part in signal.intervals))
            for signal in event.signals
        ),
    ),
    events(),
    st.builds(
        ActivePeriod,
        instants,
        st.integers(-(10**9), 3 * 10**9),
        st.integers(-(10**9), 3 * 10**9),
    ),
    st.floats(),
    st.integers(-(2**31), 2**31),
)


@given(st.lists(wild_events, max_size=4), st.lists(wild_events, max_size=4))
@settings(max_examples=200, deadline=None)
def test_nothing_a_vtn_can_write_breaks_the_hub(first, second):
    book, at = Book("HUB-0001"), FIVE
    for message in (first, second):
        book, _ = take(book, *message, at=at)
        book.orders(ASSETS)
        state._to_json(state.State(Registration(), book))
        at += 10 * MINUTE
        book, _ = book.override(at)
        book, _ = book.resume(at)


def test_an_open_ended_event_ends_after_the_longest_time():
    event = replace(make_event(levels=((0, 1.0),)), active_period=ActivePeriod(FIVE, 0))
    book, _ = take(Book("h"), event, at=FIVE - MINUTE)

    assert {order.ends_at for order in book.orders(ASSETS)} == {FIVE + LONGEST}


def night_plan(*powers, minutes=300):
    """Setpoints of five hours each."""
    told = tuple(SignalInterval(minutes * 60, power_w, str(n)) for n, power_w in enumerate(powers))
    signal = Signal("LOAD_DISPATCH", "setpoint", "s1", told, unit=Unit("powerReal", scale="none"))
    made = make_event(minutes=minutes * len(powers))
    target = replace(made.target, resource_ids=(ASSETS[0].resource_id,))
    return replace(made, signals=(signal,), target=target)


def test_a_plan_of_the_night_is_followed_to_its_end_in_stretches_that_each_end():
    book, (answer,) = take(Book("h"), night_plan(0.0, 7360.0, 0.0), at=FIVE - MINUTE)
    kept = state._from_json(json.loads(json.dumps(state._to_json(state.State(Registration(), book)))), "h")

    assert answer.opt_type == "optIn"
    for each in (book, kept.book):
        car = each.orders(ASSETS)
        assert [(order.starts_at - FIVE, order.ends_at - FIVE, order.limit_w) for order in car] == [
            (timedelta(hours=5 * n), timedelta(hours=5 * n + 5), limit_w)
            for n, limit_w in enumerate((0, 7360, 0))
        ]
        assert all(order.is_plan and order.planned_ends_at == order.ends_at for order in car)


def test_one_power_throughout_is_no_plan_and_a_plan_lasts_a_day_at_most():
    held, _ = take(Book("h"), night_plan(0.0, 0.0, 0.0), at=FIVE - MINUTE)
    endless, _ = take(Book("h"), night_plan(0.0, 7360.0, 0.0, minutes=1_000), at=FIVE - MINUTE)

    assert max(order.ends_at for order in held.orders(ASSETS)) == FIVE + LONGEST
    assert max(order.ends_at for order in endless.orders(ASSETS)) == FIVE + LONGEST_PLAN


def test_each_interval_of_a_signal_is_its_own_order():
    book, _ = take(Book("h"), make_event(levels=((30, 1.0), (30, 0.0), (30, 2.0))), at=FIVE - MINUTE)

    mine = [(o.starts_at, o.ends_at) for o in book.orders(ASSETS) if o.resource_id == "a"]
    assert mine == [(FIVE, FIVE + 30 * MINUTE), (FIVE + 60 * MINUTE, FIVE + 90 * MINUTE)]


def test_an_amendment_that_leaves_an_asset_out_lets_go_of_it_alone():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)
    amended = make_event(number=1, target=Target(resource_ids=("a",)))

    book, _ = take(book, amended, at=FIVE + 10 * MINUTE)

    orders = book.orders(ASSETS)
    assert covered(orders, "a", FIVE + 20 * MINUTE)
    assert covered(orders, "b", FIVE + 9 * MINUTE)
    assert not covered(orders, "b", FIVE + 10 * MINUTE)


def test_an_amendment_that_changes_nothing_for_an_asset_is_one_order():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)
    once = book.orders(ASSETS)

    book, _ = take(book, make_event(number=1, target=Target(), vtn_comment="hello"), at=FIVE + 10 * MINUTE)

    assert book.orders(ASSETS) == once


def test_assets_and_hubs_are_spread_within_the_tolerance():
    starts = set()
    for number in range(50):
        book, _ = take(
            Book(f"hub-{number}"), make_event(tolerance_seconds=600, target=Target()), at=FIVE - MINUTE
        )
        starts |= {order.starts_at for order in book.orders(ASSETS)}

    offsets = [(start - FIVE).total_seconds() for start in starts]
    assert 0 <= min(offsets) < 60
    assert 540 < max(offsets) <= 600
    assert 240 < sum(offsets) / len(offsets) < 360


@given(
    st.integers(0, 1_800),
    st.integers(0, 50),
    st.one_of(st.none(), st.integers(1, 89)),
    st.sampled_from(["a", ""]),
)
def test_what_is_told_of_the_draws_is_what_is_done(tolerance, number, called_off_after, only):
    target = Target(resource_ids=(only,) if only else ())
    asked = make_event(tolerance_seconds=tolerance, target=target)
    book, (answer,) = take(Book(f"hub-{number}"), asked, at=FIVE - MINUTE)
    told, done = delays.read(answer.description), book.orders(ASSETS)
    if not tolerance:
        assert (answer.description, told) == ("", None)
        return
    assert told.start_seconds == {o.resource_id: (o.starts_at - FIVE).total_seconds() for o in done}
    assert told.start_seconds == told.end_seconds
    assert all(0 <= each <= tolerance for each in told.start_seconds.values())
    if called_off_after is None:
        return

    at = FIVE + called_off_after * MINUTE
    off = make_event(number=1, status="cancelled", tolerance_seconds=tolerance, target=target)
    book, (answer,) = take(book, off, at=at)

    told, left = delays.read(answer.description), book.orders(ASSETS)
    assert told.start_seconds == {}
    assert told.end_seconds.keys() == ({"a"} if only else {"a", "b"})
    assert all(0 <= each <= tolerance for each in told.end_seconds.values())
    assert all(order.ends_at <= order.planned_ends_at for order in left)
    assert {o.resource_id for o in left} == {o.resource_id for o in done if o.starts_at < at}
    ends = {o.resource_id: int((o.ends_at - at).total_seconds()) for o in left}
    assert told.end_seconds == dict.fromkeys(told.end_seconds, 0) | ends
    _, (again,) = take(book, off, at=at + MINUTE)
    assert again.description == ""


def called_off(seed: str, *, at: datetime, tolerance_seconds: int = 600) -> Book:
    asked = make_event(tolerance_seconds=tolerance_seconds, target=Target())
    book, _ = take(Book(seed), asked, at=FIVE - MINUTE)
    return take(book, replace(asked, modification_number=1, status="cancelled"), at=at)[0]


def ends_after(book: Book, at: datetime, assets=ASSETS) -> dict[str, float]:
    """Seconds from `at` until each asset's last order ends."""
    return {order.resource_id: (order.ends_at - at).total_seconds() for order in book.orders(assets)}


def restarted(book: Book, *, forgets: str = "") -> Book:
    """The book as a new process reads it from the hub's file, without a field it did not have before."""
    document = json.loads(json.dumps(state._to_json(state.State(Registration(), book))))
    for entry in document["events"]:
        entry.pop(forgets, None)
    return state._from_json(document, book.seed).book


def test_called_off_each_asset_draws_its_own_end_evenly_over_the_spread():
    at = FIVE + 30 * MINUTE
    books = [called_off(f"hub-{number}", at=at) for number in range(500)]
    ends = [ends_after(book, at) for book in books]
    starts = [
        {o.resource_id: (o.starts_at - FIVE).total_seconds() for o in book.orders(ASSETS)} for book in books
    ]
    drawn = sorted(each for both in ends for each in both.values())

    assert (len(drawn), min(drawn) >= 0, max(drawn) <= 600) == (1_000, True, True)
    # Kolmogorov and Smirnov: 1.63 / sqrt(n) is passed by chance once in a hundred.
    furthest = max(abs(each / 600 - (number + 0.5) / 1_000) for number, each in enumerate(drawn))
    assert furthest < 1.63 / 1_000**0.5
    for left, right in (
        ([each["a"] for each in ends], [each["b"] for each in ends]),
        ([each["a"] for each in starts], [each["a"] for each in ends]),
    ):
        assert abs(correlation(left, right)) < 2.6 / 500**0.5
        assert sum(one == other for one, other in zip(left, right, strict=True)) < 10


@given(
    st.integers(0, 1_000),
    st.integers(1, 1_800),
    st.integers(-60, 6_000),
    st.lists(st.integers(0, 1_800), max_size=3),
)
def test_a_hub_restarted_while_its_assets_are_let_go_lets_them_go_as_drawn(number, tolerance, after, later):
    at = FIVE + timedelta(seconds=after)
    book = called_off(f"hub-{number}", at=at, tolerance_seconds=tolerance)
    before = book.orders(ASSETS)

    for seconds in later:
        book = restarted(book)
        # The full set comes again, the event called off in it.
        off = make_event(number=1, status="cancelled", tolerance_seconds=tolerance, target=Target())
        book, _ = take(book, off, at=at + timedelta(seconds=seconds))

    assert book.orders(ASSETS) == before
    last = max((order.ends_at for order in before), default=at)
    assert {each.stopped_at for each in book.entries.values()} <= {None, max(at, last)}


def test_what_was_called_off_by_an_earlier_version_of_the_hub_ends_when_that_said():
    at = FIVE + 30 * MINUTE
    book = called_off("h", at=at)
    (entry,) = book.entries.values()
    assert len(set(ends_after(book, at).values())) == 2

    old = restarted(book, forgets="called_off_at")

    assert {order.ends_at for order in old.orders(ASSETS)} == {entry.stopped_at}
    assert old == restarted(old)


@given(st.integers(0, 1_000), st.integers(0, 900))
def test_the_button_ends_at_once_what_is_still_being_let_go(number, seconds):
    at = FIVE + 30 * MINUTE
    book = called_off(f"hub-{number}", at=at, tolerance_seconds=900)
    before = ends_after(book, at)

    book, _ = book.override(at + timedelta(seconds=seconds))

    assert ends_after(restarted(book), at) == {name: min(end, seconds) for name, end in before.items()}


def test_an_asset_that_had_not_begun_when_it_was_called_off_does_not_begin():
    kept = [called_off(f"hub-{n}", at=FIVE + 2 * MINUTE, tolerance_seconds=600) for n in range(50)]
    starts = [order.starts_at for book in kept for order in book.orders(ASSETS)]

    assert 5 < len(starts) < 40
    assert max(starts) < FIVE + 2 * MINUTE


def test_who_says_no_tells_no_draw():
    asked = make_event(tolerance_seconds=600, target=Target())
    _, (answer,) = take(Book("h"), asked, at=FIVE - MINUTE, says_no=True)

    assert (answer.opt_type, answer.description) == ("optOut", "")


def test_a_cancelled_event_with_tolerance_ends_within_it_but_the_button_ends_it_now():
    book, _ = take(Book("h"), make_event(tolerance_seconds=600, target=Target()), at=FIVE - MINUTE)
    book, _ = take(
        book, make_event(number=1, status="cancelled", tolerance_seconds=600), at=FIVE + 30 * MINUTE
    )
    ends = {order.ends_at for order in book.orders(ASSETS)}
    assert all(FIVE + 30 * MINUTE <= end <= FIVE + 40 * MINUTE for end in ends)

    book, notes = book.override(FIVE + 30 * MINUTE)

    assert {order.ends_at for order in book.orders(ASSETS)} == {FIVE + 30 * MINUTE}
    assert notes == []


def test_an_event_left_out_by_mistake_comes_back_without_changing_what_was():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)
    book, _ = take(book, at=FIVE + 10 * MINUTE)
    book, answers = take(book, make_event(target=Target()), at=FIVE + 20 * MINUTE)

    orders = book.orders(ASSETS)
    at = [covered(orders, "a", FIVE + n * MINUTE) for n in (5, 15, 25)]
    assert at == [True, False, True]
    assert answers[0].opt_type == "optIn"


def test_a_cancelled_event_does_not_come_back_under_the_same_number():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)
    book, _ = take(book, make_event(number=1, status="cancelled"), at=FIVE + 10 * MINUTE)
    book, _ = take(book, make_event(number=1, target=Target()), at=FIVE + 20 * MINUTE)

    assert not covered(book.orders(ASSETS), "a", FIVE + 30 * MINUTE)


def test_telling_an_opt_twice_is_telling_it_once():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)
    out, first = book.override(FIVE + MINUTE)

    again, second = out.override(FIVE + 2 * MINUTE)

    assert second == []
    assert again == out
    back, third = out.resume(FIVE + 3 * MINUTE)
    _, fourth = back.override(FIVE + 4 * MINUTE)
    assert len({note.opt_id for note in (*first, *third, *fourth)}) == 3


def begins(book: Book) -> set[tuple[str, datetime]]:
    return {(order.event_id, order.starts_at) for order in book.orders(ASSETS)}


def test_an_absence_is_out_of_what_falls_into_it_and_takes_the_rest():
    book, schedules, _ = Book("HUB").leave(FIVE, FIVE + 120 * MINUTE, assets=ASSETS, at=FIVE - 60 * MINUTE)
    assert [note.is_cancelled for note in schedules] == [False]
    inside, beyond = make_event("E1", minutes=60), make_event("E2", starts_at=FIVE + 90 * MINUTE, minutes=60)
    book, answers = take(book, inside, beyond, at=FIVE - 30 * MINUTE)
    assert [(each.event.event_id, each.opt_type) for each in answers] == [("E1", "optOut"), ("E2", "optIn")]
    assert {(order.event_id, order.starts_at) for order in book.orders(ASSETS)} == {
        ("E2", FIVE + 120 * MINUTE)
    }

    again, schedules, _ = book.leave(FIVE, FIVE + 120 * MINUTE, assets=ASSETS, at=FIVE - 20 * MINUTE)
    assert (again, schedules) == (book, []), "said twice"
    back, schedules = book.come_back(FIVE + 100 * MINUTE)
    assert [note.is_cancelled for note in schedules] == [True]
    assert {(order.event_id, order.starts_at) for order in back.orders(ASSETS)} == {
        ("E2", FIVE + 100 * MINUTE)
    }
    assert back.come_back(FIVE + 101 * MINUTE) == (back, [])


def test_an_absence_said_late_opts_out_of_what_was_promised():
    book, _ = take(Book("HUB"), make_event("E1", minutes=60), at=FIVE - 60 * MINUTE)
    book, _, notes = book.leave(FIVE - 5 * MINUTE, FIVE + 90 * MINUTE, assets=ASSETS, at=FIVE - 30 * MINUTE)
    assert [(note.event_id, note.opt) for note in notes] == [("E1", "optOut")]
    one, _, notes = book.leave(FIVE, FIVE + 9 * MINUTE, resource_ids=("a",), assets=ASSETS, at=FIVE)
    assert notes == [], "the other asset is still there"
    assert one.leave(FIVE - 60 * MINUTE, FIVE - MINUTE, assets=ASSETS, at=FIVE) == (one, [], [])


def test_old_events_are_forgotten():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)

    book, _ = take(book, at=FIVE + timedelta(days=9))

    assert book.entries == {}


def test_orders_are_plain_values():
    book, _ = take(Book("h"), make_event(target=Target()), at=FIVE - MINUTE)

    assert all(isinstance(order, Order) for order in book.orders(ASSETS))
