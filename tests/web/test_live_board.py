"""The board of a running campaign: counts, power against plan, legs, the log, and letting go early."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import opting
from campaigns.models import Campaign, OptRecord, Participation
from opendsr.web import live_board, wording
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene, freeze
from tests.web.test_campaigns import do, look

pytestmark = pytest.mark.django_db


@pytest.fixture
def sams(scene: Scene, visit: Visit) -> Client:
    """Sam's browser."""
    return visit(scene.sam)


def say(part: Participation, state: str, *, fetched: int | None = None, answered: int | None = None) -> None:
    """Put a part where it would be after so many seconds."""
    assert part.sent_at is not None
    Participation.objects.filter(pk=part.pk).update(
        state=state,
        delivered_at=None if fetched is None else part.sent_at + timedelta(seconds=fetched),
        responded_at=None if answered is None else part.sent_at + timedelta(seconds=answered),
    )


def test_counts_power_and_legs_are_of_what_came_back(scene: Scene) -> None:
    alice, bob_or_carol, third = scene.next.participations.order_by("pk")
    say(alice, "opted_in", fetched=2, answered=3)
    say(bob_or_carol, "overridden", fetched=4, answered=9)
    seen_at = scene.next.starts_at + timedelta(seconds=7)
    Participation.objects.filter(pk=alice.pk).update(changed_at=seen_at)

    board = live_board.board(scene.next)

    counts = {bar.label: bar.value for bar in board["bars"]}
    assert board["asked"] == "3"
    assert counts == {
        "Fetched by the hub": "2",
        "Answered": "2",
        "Seen to change at the device": "1",
        "Taking part": "1",
        "Opted out": "0",
        "Overridden at the device": "1",
        "Silent": "1",
    }
    assert board["bars"][0].pct == 66
    alone = next(bar for bar in board["powers"] if bar.label == "Taking part")
    planned = next(bar for bar in board["powers"] if bar.label == "Planned")
    assert alone.value == wording.power(alice.expected_w)
    assert planned.value == wording.power(alice.expected_w + bob_or_carol.expected_w + third.expected_w)
    legs = {leg.label: (leg.assets, leg.half, leg.most) for leg in board["legs"]}
    assert legs["From published to fetched by the hub"] == ("2", "3.0 s", "3.9 s")
    assert legs["From fetched to the hub's answer"] == ("2", "3.0 s", "4.8 s")
    assert legs["From the start to the change seen at the device"] == ("1", "7.0 s", "7.0 s")
    assert "spread" not in board["device_note"]
    scene.next.stagger_seconds = 600
    assert "Hubs spread start and end over 600.0 s themselves. Where a hub tells no draw" in (
        live_board.device_note(scene.next)
    )
    Participation.objects.filter(pk=alice.pk).update(start_delay_seconds=240, end_delay_seconds=240)
    assert "Of 1 of 3 assets they told what they drew, 240.0 s at most: not in it." in (
        live_board.device_note(scene.next)
    )


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (240, 240, ["start and end 4 min 0 s later, as drawn"]),
        (61, 0, ["start 1 min 1 s later, as drawn", "end 0 s later, as drawn"]),
        (None, 59, ["end 59 s later, as drawn"]),
        (None, None, []),
    ],
)
def test_a_home_says_when_it_was_drawn_to_act(start: int | None, end: int | None, words: list[str]) -> None:
    assert live_board.drawn(Participation(start_delay_seconds=start, end_delay_seconds=end)) == words


def test_silent_hubs_come_first_and_those_that_run_last(scene: Scene, sams: Client) -> None:
    first, second, _third = scene.next.participations.order_by("pk")
    say(first, "opted_in", fetched=2, answered=3)
    say(second, "delivered_to_hub", fetched=4)

    rows = look(sams, scene.next).cells("taking-part")

    assert [row[3].split()[0] for row in rows] == ["Sent", "With", "Opted"]
    assert "answered" in rows[2][4]


def test_a_campaign_that_runs_is_stopped_early_and_what_was_done_counts(
    scene: Scene, sams: Client, visit: Visit
) -> None:
    assert "Stop early" not in look(sams, scene.next).text()
    during = scene.next.starts_at + timedelta(minutes=25)
    freeze(during)
    assert "What was done until now counts" in look(sams, scene.next).text("//main//details")
    assert visit(scene.fay).post(reverse("campaign_action", args=[scene.next.pk, "stop"])).status_code == 403

    page = do(sams, scene.next, "stop", reason="the operator rang")

    scene.next.refresh_from_db()
    assert (scene.next.state, scene.next.ends_at) == ("dispatched", during)
    assert "Stopped early: what was done until then counts. Reason: the operator rang." in page.text()
    assert set(scene.next.participations.values_list("ends_at", flat=True)) == {during}


def test_stop_pressed_on_a_page_of_before_says_what_it_did(scene: Scene, sams: Client) -> None:
    over = "It was over already, so nothing was stopped."
    assert over in do(sams, scene.past, "stop").text()

    early = do(sams, scene.next, "stop").text()

    assert "It had not begun, so it was cancelled." in early
    assert "Stopped" not in early
    assert over in do(sams, scene.next, "stop").text()


def test_staff_leave_a_home_out_of_what_runs(scene: Scene, sams: Client, visit: Visit) -> None:
    part = scene.part_of(scene.alice)
    home = str(part.occupancy_id)

    page = do(sams, scene.next, "leave-out", occupancy=home)

    assert "Left out. Its hub is being told." in page.text()
    part.refresh_from_db()
    assert (part.state, part.dropped_at is not None) == ("opted_out", True)
    assert OptRecord.objects.get(participation=part).source == "staff"
    assert "Ask again" in page.text("//main")
    assert "Asked again." in do(sams, scene.next, "ask-again", occupancy=home).text()
    assert "It is asked already." in do(sams, scene.next, "ask-again", occupancy=home).text()
    part.refresh_from_db()
    assert (part.state, part.dropped_at) == ("sent", None)
    address = reverse("campaign_action", args=[scene.next.pk, "leave-out"])
    assert visit(scene.fay).post(address, {"occupancy": home}).status_code == 403
    opting.skip(participation=part, at=NOW + timedelta(minutes=1), by=scene.alice.user)
    assert sams.post(address.replace("leave-out", "ask-again"), {"occupancy": home}).status_code == 404
    for wrong in ("", "nonsense\x00", str(uuid4())):
        assert sams.post(address, {"occupancy": wrong}).status_code == 404


def test_the_log_says_who_did_what_in_words(scene: Scene, sams: Client) -> None:
    do(sams, scene.planned, "approve")

    page = look(sams, scene.planned)

    assert page.cells("log")[0][0].startswith("Approved: 3 assets are held for it.")
    assert page.cells("log")[0][2] == str(scene.sam)
    assert any(row[0].startswith("Planned:") for row in page.cells("log"))


@pytest.mark.parametrize(
    ("verb", "detail", "words"),
    [
        (
            "campaign.planned",
            {"chosen": 2, "expected_w": 1_000, "shortfall_w": 500},
            "1 kW expected, 0.5 kW short.",
        ),
        ("campaign.approved", {"in_advance": "x"}, "by the operator's contract"),
        ("campaign.approved", {"participations": 2, "busy": 1}, "1 were taken by another campaign meanwhile"),
        ("campaign.dispatched", {"events": 1, "sent": 2, "left_out": {"faulty": 1}}, "kept 1 back"),
        (
            "campaign.dispatched",
            {"left_out": {"ramp": 1}, "ramp_held_w": 700, "ramp_shared_with": ["Sent before"]},
            "1 of them, 0.7 kW, would have changed more at once than the rules allow, beside Sent before.",
        ),
        ("campaign.displaced", {"assets": 4}, "4 assets were given to direct load control"),
        ("campaign.cancelled", {"events": 3, "reason": ""}, "Cancelled: 3 events called off."),
        ("campaign.something_new", {}, "Something new"),
    ],
)
def test_each_step_is_explained(verb: str, detail: dict[str, object], words: str) -> None:
    assert words in live_board.explained(verb, detail)


def test_a_board_of_nobody_divides_by_nothing(scene: Scene) -> None:
    empty = Campaign.objects.get(pk=scene.planned.pk)

    board = live_board.board(empty)

    assert {bar.pct for bar in board["bars"]} == {0}
    assert board["legs"] == []


def test_the_switch_pressed_twice_says_what_stands(scene: Scene, sams: Client) -> None:
    def press(verb: str, **data: str) -> str:
        return seen(sams.post(reverse("sending_action", args=[verb]), data, follow=True)).text()

    assert "Frozen: nothing new leaves" in press("freeze", reason="odd readings")
    assert "the reason given then stands" in press("freeze", reason="another")
    assert "Thawed: what waited" in press("thaw")
    assert "It was not frozen any more." in press("thaw")
