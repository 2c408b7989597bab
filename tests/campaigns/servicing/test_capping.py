"""Caps of a zone: what each asks of homes, how little it moves, and what holds on silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import freezing, opting
from campaigns.models import Campaign, Direction, Participation, ServicingSignal
from campaigns.servicing import capping, telling
from campaigns.servicing.capping import Step, step
from members import opting_out
from members.models import Role
from tests.campaigns.servicing.operating import Operator, make_habits, make_operator, told
from tests.campaigns.staging import NOON, PaperVtn, make_ready_home
from tests.factories import HubKit, Resident, make_staff

ItIs = Callable[[datetime], None]
Street = list[tuple[Resident, HubKit]]
MINUTE = timedelta(minutes=1)
WATTS = st.integers(0, 10_000_000)


@given(flow=WATTS, cap=WATTS, lower=WATTS, given_w=WATTS, room=WATTS, band=st.integers(0, 500_000))
def test_a_lower_cap_never_asks_less_and_nothing_exceeds_the_room(
    flow: int, cap: int, lower: int, given_w: int, room: int, band: int
) -> None:
    cap, lower = max(cap, lower), min(cap, lower)
    at_cap, at_lower = (
        step(wanted_w=max(0, flow - each), given_w=given_w, room_w=room, band_w=band) for each in (cap, lower)
    )

    assert at_lower.ask_w >= at_cap.ask_w
    assert at_lower.let_go_w <= at_cap.let_go_w
    for made in (at_cap, at_lower):
        assert 0 <= made.ask_w <= room
        assert 0 <= made.let_go_w <= given_w
        assert not (made.ask_w and made.let_go_w)


@given(wanted=st.integers(1, 1_000_000), band=st.integers(1, 50_000), moves=st.lists(st.integers(-9, 9)))
def test_a_cap_that_moves_by_less_than_a_band_changes_nothing_twice(
    wanted: int, band: int, moves: list[int]
) -> None:
    held = step(wanted_w=wanted, given_w=0, room_w=10**9, band_w=band).ask_w

    for move in moves:
        moved = max(1, wanted + band * move // 10)
        assert step(wanted_w=moved, given_w=held, room_w=10**9, band_w=band) == Step()


@pytest.fixture
def street(paper_vtn: PaperVtn, it_is: ItIs) -> Street:
    """Six homes that usually take 3 kW each, with a charger each; it is noon."""
    it_is(NOON)
    homes = [make_ready_home(cmz="Calder") for _ in range(6)]
    make_habits(*(resident for resident, _ in homes))
    return homes


@pytest.fixture
def operator(street: Street) -> Operator:
    return make_capped()


def make_capped(**terms: Any) -> Operator:
    """A contract whose import cap on silence is 16 kW of the street's 18."""
    agreed = {"import_cap_w": 16_000, "silence_minutes": 5, "hold_minutes": 15, "approved_w": 10_000}
    return make_operator(**{**agreed, **terms})


def cap(operator: Operator, cap_w: int, sequence: int, **fields: Any) -> dict[str, Any]:
    body = {"signal": "cap", "zone": "Calder", "cap": "import", "cap_w": cap_w, "sequence": sequence}
    return told(operator.send("/signals/", {**body, **fields}))


def asked_homes() -> set[Any]:
    return set(Participation.objects.values_list("occupancy_id", flat=True))


@pytest.mark.django_db
def test_a_cap_asks_what_the_zone_is_taken_to_be_over_it(operator: Operator, paper_vtn: PaperVtn) -> None:
    answer = cap(operator, 16_000, 1)

    assert (answer["http"], answer["state"], answer["did"]) == (201, "dispatched", "asked")
    assert (answer["flow_w"], answer["metered_homes"], answer["wanted_w"]) == (18_000, 6, 2_000)
    assert answer["asked_w"] == 2_000 + 500
    campaign = Campaign.objects.get()
    assert (campaign.direction, campaign.size_w) == (Direction.TURN_DOWN, 2_500)
    assert len(paper_vtn.live()) == answer["events"] > 0
    status = told(operator.send(f"/signals/{answer['signal_id']}/"))
    assert status["campaign"]["assets"] == answer["assets"]


@pytest.mark.django_db
def test_little_moves_change_nothing_and_what_was_asked_is_held_before_it_is_let_go(
    operator: Operator, paper_vtn: PaperVtn, it_is: ItIs
) -> None:
    cap(operator, 16_000, 1)
    for number, cap_w in enumerate((15_800, 16_200, 15_600, 18_000), start=1):
        it_is(NOON + number * MINUTE)
        answer = cap(operator, cap_w, 1 + number)
        assert (answer["http"], answer["state"], answer["did"]) == (201, "in_force", "kept")
    assert Campaign.objects.count() == 1
    held = {event.notice.ven_id for event in paper_vtn.live()}
    it_is(NOON + 15 * MINUTE)

    answer = cap(operator, 18_000, 9)

    assert (answer["did"], answer["campaigns"], paper_vtn.live()) == ("let_go", 1, [])
    it_is(NOON + 16 * MINUTE)
    assert cap(operator, 16_000, 10)["did"] == "asked"
    assert held.isdisjoint(event.notice.ven_id for event in paper_vtn.live()), "let go a minute ago"


@pytest.mark.django_db
def test_a_cap_never_asks_more_than_the_contract(operator: Operator) -> None:
    for sequence, cap_w in enumerate((14_000, 9_000, 3_000, 0), start=1):
        cap(operator, cap_w, sequence)

    sizes = Campaign.objects.values_list("size_w", flat=True)
    assert 0 < sum(sizes) <= operator.contract.max_w


@pytest.mark.django_db
def test_silence_ends_in_the_agreed_cap(operator: Operator, it_is: ItIs) -> None:
    cap(operator, 18_000, 1)
    assert not Campaign.objects.exists()
    it_is(NOON + 4 * MINUTE)
    assert capping.follow(at=NOON + 4 * MINUTE) == 0
    it_is(NOON + 5 * MINUTE)

    changes = [capping.follow(at=NOON + 5 * MINUTE) for _ in range(2)]

    assert changes == [1, 0]
    signal = ServicingSignal.objects.get(key_id="")
    assert (signal.answer["from"], signal.answer["cap_w"], signal.answer["did"]) == (
        "silence",
        16_000,
        "asked",
    )
    assert signal.campaign == Campaign.objects.get()
    it_is(NOON + 6 * MINUTE)
    assert cap(operator, 17_000, 2)["from"] == "operator"


@pytest.mark.django_db
def test_what_ends_soon_is_followed_as_it_ends(operator: Operator, it_is: ItIs) -> None:
    cap(operator, 16_000, 1)
    first = Campaign.objects.get()
    at = first.ends_at - 2 * MINUTE
    it_is(at)

    capping.follow(at=at)
    capping.follow(at=at)

    campaigns = list(Campaign.objects.order_by("starts_at"))
    assert [each.starts_at for each in campaigns] == [first.starts_at, first.ends_at]


@pytest.mark.django_db
def test_who_said_no_is_not_asked_by_the_next_cap(
    operator: Operator, street: Street, paper_vtn: PaperVtn, it_is: ItIs
) -> None:
    away = street[0][0]
    opting_out.start_standing_opt_out(occupancy=away.occupancy, at=NOON, starts_at=NOON)
    cap(operator, 16_500, 1)
    part = Participation.objects.order_by("pk").first()
    assert part is not None
    opting.skip(participation=part, at=NOON, by=None)
    it_is(NOON + MINUTE)

    answer = cap(operator, 6_000, 2)

    assert answer["did"] == "asked"
    assert away.occupancy.pk not in asked_homes()
    assert Participation.objects.filter(occupancy=part.occupancy).count() == 1


@pytest.mark.django_db
def test_a_sandbox_sends_nothing_whatever_its_cap(street: Street, paper_vtn: PaperVtn, it_is: ItIs) -> None:
    trial = make_capped(is_sandbox=True)

    answer = cap(trial, 10_000, 1)
    it_is(NOON + 10 * MINUTE)
    changes = [capping.follow(at=NOON + 10 * MINUTE) for _ in range(2)]

    assert (answer["state"], answer["did"], changes) == ("rehearsed", "asked", [1, 0])
    assert answer["homes"] > 0
    assert paper_vtn.events == {}
    assert not Campaign.objects.exists()


@pytest.mark.django_db
def test_more_than_is_approved_in_advance_waits_and_is_not_asked_twice(
    street: Street, paper_vtn: PaperVtn
) -> None:
    operator = make_capped(approved_w=1_000)

    answers = [cap(operator, 16_000, number) for number in (1, 2)]

    assert [(each["http"], each["did"]) for each in answers] == [(202, "asked"), (201, "kept")]
    assert (Campaign.objects.get().state, paper_vtn.live()) == ("planned", [])


@pytest.mark.django_db
def test_what_cannot_be_met_is_in_force_and_says_why(operator: Operator, it_is: ItIs) -> None:
    freezing.freeze(at=NOON, by=make_staff("ice@example.org", Role.DISPATCHER), reason="a storm")

    answer = cap(operator, 16_000, 1)

    assert (answer["http"], answer["state"], answer["did"]) == (201, "in_force", "unmet")
    assert answer["why"] == "frozen"
    assert [capping.follow(at=NOON + MINUTE), Campaign.objects.count()] == [0, 0]


@pytest.mark.django_db
def test_after_an_emergency_stop_caps_ask_nothing_until_the_next(operator: Operator, it_is: ItIs) -> None:
    cap(operator, 16_000, 1)
    it_is(NOON + MINUTE)
    operator.send("/signals/", {"signal": "emergency_stop"})
    it_is(NOON + 10 * MINUTE)

    capping.follow(at=NOON + 10 * MINUTE)

    assert ServicingSignal.objects.get(key_id="").answer["why"] == "emergency_stop"
    assert Campaign.objects.filter(ends_at__gt=NOON + 10 * MINUTE).exclude(state="cancelled").count() == 0
    it_is(NOON + 20 * MINUTE)
    assert cap(operator, 16_000, 2)["did"] == "asked"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "http", "code"),
    [
        ({"cap": "export"}, 422, "cap_not_agreed"),
        ({"sequence": 1}, 422, "stale_cap"),
        ({"zone": "Ribble"}, 422, "unknown_zone"),
        ({"cap": "both"}, 422, "request_invalid"),
        ({"cap_w": -1}, 422, "request_invalid"),
        ({"cap_w": True}, 422, "request_invalid"),
        ({"sequence": 2**60}, 422, "request_invalid"),
        ({"minutes": 5}, 422, "request_invalid"),
    ],
)
def test_what_is_no_cap_of_the_contract_is_refused(
    operator: Operator, fields: dict[str, Any], http: int, code: str
) -> None:
    cap(operator, 18_000, 1)

    answer = cap(operator, **{"cap_w": 10_000, "sequence": 2, **fields})

    assert (answer["http"], answer.get("reason") or answer["code"]) == (http, code)
    assert not Campaign.objects.exists()


@pytest.mark.django_db
def test_an_export_cap_turns_up_by_what_meters_told(
    street: Street, monkeypatch: pytest.MonkeyPatch, paper_vtn: PaperVtn
) -> None:
    operator = make_capped(export_cap_w=1_000, longest_minutes=60)
    assert cap(operator, 500, 1, cap="export")["why"] == "few_meters"
    monkeypatch.setattr(telling, "told_by_minute", lambda *_, **__: [(NOON - MINUTE, [-150] * 20)])

    answer = cap(operator, 1_000, 2, cap="export")

    assert (answer["flow_w"], answer["wanted_w"], answer["why"]) == (3_000, 2_000, "")
    assert answer["did"] == "asked"
    assert Campaign.objects.get().direction == Direction.TURN_UP


@given(watts=st.lists(st.integers(-20_000, 20_000), min_size=1, max_size=40))
def test_what_may_not_be_told_is_of_few_or_hangs_on_one(watts: list[int]) -> None:
    total_w = telling.minute_total(watts)
    whole = sum(map(abs, watts))
    assert (total_w is None) == (len(watts) < 15 or any(100 * abs(each) > 15 * whole for each in watts))
    assert total_w in (None, telling.rounded(watts))
    assert abs(telling.rounded(watts) - sum(watts)) <= 50


@given(ask_w=st.integers(1, 100_000), band_w=st.integers(0, 5_000), room_w=st.integers(0, 100_000))
def test_what_is_not_told_is_asked_in_bands(ask_w: int, band_w: int, room_w: int) -> None:
    ask_w = min(ask_w, room_w)
    asked_w = capping._in_bands(ask_w, band_w, room_w=room_w)
    assert ask_w <= asked_w <= room_w
    assert asked_w - ask_w < max(1, band_w)
    assert not band_w or asked_w == room_w or asked_w % band_w == 0
