"""What others ask of members: against a plain oracle over random histories, and in how many statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members import consenting, joining, moving, queries
from members.models import Granularity, Purpose
from opendsr.kernel import encryption
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval
from tests.factories import (
    JOINED_AT,
    Resident,
    make_consent,
    make_consent_texts,
    make_home,
    make_member,
    make_resident,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
FINENESS = ["none", "monthly", "daily", "half_hourly", "live"]


@dataclass
class Given:
    """A consent as the oracle remembers it."""

    stay: UUID
    stream: UUID
    purpose: str
    granularity: str
    source: str
    starts_at: datetime
    ends_at: datetime | None = None
    consent_id: UUID | None = None

    def holds(self, at: datetime) -> bool:
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


@dataclass
class Oracle:
    """Plays the same history in plain lists; `attempt` also checks that the services refuse what it would."""

    consents: list[Given] = field(default_factory=list)

    def may_give(self, stay: UUID, purpose: str, source: str, at: datetime) -> bool:
        rivals = (c for c in self.consents if (c.stay, c.purpose, c.source) == (stay, purpose, source))
        return all(rival.ends_at is not None and rival.ends_at <= at for rival in rivals)

    def consenting(self, purpose: str, at: datetime, granularity: str | None) -> set[UUID]:
        finest = FINENESS.index(granularity) if granularity else 0
        return {
            c.stay
            for c in self.consents
            if c.purpose == purpose and c.holds(at) and FINENESS.index(c.granularity) >= finest
        }

    def may_store(self, stream: UUID, purpose: str, granularity: str, at: datetime) -> bool:
        finest = FINENESS.index(granularity)
        return any(
            c.stream == stream
            and c.purpose == purpose
            and c.holds(at)
            and FINENESS.index(c.granularity) >= finest
            for c in self.consents
        )


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),  # hours since the step before; 0 puts two at the same instant
        st.sampled_from(["give", "give", "withdraw", "move"]),
        st.integers(0, 1),  # which home
        st.sampled_from(["settlement", "advice", "flexibility"]),
        st.sampled_from(["daily", "half_hourly", "live"]),
        st.sampled_from(["cad", "hems"]),
        st.integers(0, 9),  # which consent to withdraw
    ),
    max_size=14,
)


QUESTIONS = [
    ("flexibility", None),
    ("settlement", None),
    ("settlement", "half_hourly"),
    ("settlement", "live"),
    ("advice", "daily"),
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_is_consented_at_any_instant_is_what_a_plain_list_says(db, steps):
    assert_history(steps)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_same_over_a_hundred_histories(db, steps):
    assert_history(steps)


def assert_history(steps) -> None:
    """Live the steps, compare every answer at every instant, and undo it all."""
    with transaction.atomic():
        oracle, streams, instants = play(steps)
        for at in instants:
            for purpose, granularity in QUESTIONS:
                held = queries.consenting_occupancies(purpose, at, granularity)
                assert held == oracle.consenting(purpose, at, granularity)
        for granularity in ("daily", "half_hourly", "live"):
            windows = queries.consent_windows(streams, purpose="settlement", granularity=granularity)
            for stream in streams:
                assert_apart(windows[stream])
                for at in instants:
                    is_inside = any(
                        start <= at and (end is None or at < end) for start, end in windows[stream]
                    )
                    assert is_inside == oracle.may_store(stream, "settlement", granularity, at)
        transaction.set_rollback(True)


def play(steps) -> tuple[Oracle, list[UUID], list[datetime]]:
    """Live the steps through the services and the oracle; instants lie on and between all of them."""
    make_consent_texts()
    oracle = Oracle()
    residents = [make_resident(consents=()), make_resident(consents=())]
    streams = [resident.stream_id for resident in residents]
    at, instants = JOINED_AT + HOUR, [JOINED_AT, JOINED_AT + HOUR]
    for hours, step, which, purpose, granularity, source, pick in steps:
        at += hours * HOUR
        instants += [at - timedelta(microseconds=1), at]
        if step == "give":
            give(oracle, residents[which], purpose, granularity, source, at)
        elif step == "withdraw":
            withdraw(oracle, residents, pick, at)
        elif residents[which].occupancy.starts_at < at:
            residents[which] = move(oracle, residents[which], at)
            streams.append(residents[which].stream_id)
    return oracle, streams, sorted({*instants, at + 100 * HOUR})


def give(
    oracle: Oracle, resident: Resident, purpose: str, granularity: str, source: str, at: datetime
) -> None:
    granularity = "none" if purpose == "flexibility" else granularity
    is_free = oracle.may_give(resident.occupancy.pk, purpose, source, at)
    try:
        consent = consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose=purpose,
            granularity=granularity,
            source=source,
            channel="web",
            at=at,
        )
    except consenting.ConsentAlreadyLive:
        assert not is_free
        return
    assert is_free
    oracle.consents.append(
        Given(
            resident.occupancy.pk,
            resident.stream_id,
            purpose,
            granularity,
            source,
            at,
            consent_id=consent.pk,
        )
    )


def withdraw(oracle: Oracle, residents: list[Resident], pick: int, at: datetime) -> None:
    if not oracle.consents:
        return
    chosen = oracle.consents[pick % len(oracle.consents)]
    for resident in residents:
        try:
            consenting.withdraw_consent(consent_id=chosen.consent_id, member=resident.member, at=at)
        except DomainError:
            assert resident.occupancy.pk != chosen.stay
        else:
            if chosen.ends_at is None:
                chosen.ends_at = at


def move(oracle: Oracle, resident: Resident, at: datetime) -> Resident:
    """One household leaves, another comes the same moment."""
    moving.move_out(occupancy=resident.occupancy, at=at)
    for consent in oracle.consents:
        if consent.stay == resident.occupancy.pk and consent.ends_at is None:
            consent.ends_at = at
    return make_resident(home=resident.home, consents=(), at=at)


def assert_apart(windows) -> None:
    for (start, end), (next_start, _) in pairwise(windows):
        assert end is not None
        assert start < end < next_start


def test_an_unknown_stream_has_no_window(alice, carol):
    unknown = UUID(int=7)

    windows = queries.consent_windows([alice.stream_id, unknown])

    assert windows == {alice.stream_id: [(JOINED_AT, None)], unknown: []}


def test_consents_of_two_sources_make_one_window(alice):
    consent = alice.occupancy.consents.get(purpose="settlement")
    middle = JOINED_AT + 5 * HOUR
    consenting.give_consent(
        member=alice.member,
        occupancy=alice.occupancy,
        purpose="settlement",
        granularity="half_hourly",
        source="supplier",
        channel="paper",
        at=middle,
    )
    consenting.withdraw_consent(consent_id=consent.pk, member=alice.member, at=middle + HOUR)

    assert queries.consent_windows([alice.stream_id])[alice.stream_id] == [(JOINED_AT, None)]
    assert queries.consent_windows([alice.stream_id], source="cad")[alice.stream_id] == [
        (JOINED_AT, middle + HOUR)
    ]
    assert queries.consent_windows([alice.stream_id], source="dcc")[alice.stream_id] == []


def test_asking_about_some_answers_about_those(alice, carol):
    assert queries.consenting_occupancies("flexibility", JOINED_AT, among=[carol.occupancy.pk]) == {
        carol.occupancy.pk
    }
    assert queries.consenting_occupancies("flexibility", JOINED_AT, among=[]) == set()


def test_streams_by_name_and_moment(alice, carol):
    both = [alice.occupancy.pk, carol.occupancy.pk]

    assert queries.streams_of(both, JOINED_AT) == {
        alice.occupancy.pk: alice.stream_id,
        carol.occupancy.pk: carol.stream_id,
    }
    assert queries.streams_of(both, JOINED_AT - HOUR) == {}
    assert queries.streams_of(both, JOINED_AT, name="gas") == {}


def test_a_person_with_two_homes_sees_both(alice):
    second = joining.move_in(household=alice.household, home=make_home(), at=JOINED_AT + HOUR)

    assert queries.occupancies_of(alice.member, JOINED_AT + HOUR) == [alice.occupancy, second]


def test_accounts_and_members(alice, sam):
    assert queries.member_of(alice.user) == alice.member
    assert queries.member_of(sam) is None
    assert queries.member_of(AnonymousUser()) is None


def test_a_thousand_homes_are_asked_about_in_one_statement(alice, carol, django_assert_num_queries):
    ids = [UUID(int=n) for n in range(1000)] + [alice.occupancy.pk]
    week = Interval(JOINED_AT, JOINED_AT + timedelta(days=7))
    asked = [
        lambda: queries.consenting_occupancies("settlement", JOINED_AT, Granularity.HALF_HOURLY, among=ids),
        lambda: queries.standing_opt_outs(week, among=ids),
        lambda: queries.streams_of(ids, JOINED_AT),
        lambda: queries.consent_windows(ids),
        lambda: queries.current_occupancies(ids, JOINED_AT),
    ]

    for ask in asked:
        with django_assert_num_queries(1):
            ask()


def test_who_lives_there_comes_with_household_and_home(alice, django_assert_num_queries):
    names = alice.household.name, alice.home.name
    with encryption.remembering(), django_assert_num_queries(2):  # the second for both their keys
        stay = queries.current_occupancies([alice.home.pk], JOINED_AT)[alice.home.pk]
        assert (stay.household.name, stay.home.name) == names


def test_flexibility_is_not_settlement():
    only_control = make_resident(consents=())
    make_consent(only_control, Purpose.FLEXIBILITY)

    assert queries.consenting_occupancies("settlement", JOINED_AT) == set()
    assert queries.consenting_occupancies("flexibility", JOINED_AT) == {only_control.occupancy.pk}
    assert make_member().household.occupancies.count() == 0
