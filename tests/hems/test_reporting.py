"""What the hub reports: on time, once, kept through an outage, and not what was not asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.backlog import Backlog
from hems.devices import DeviceState
from hems.drivers.manners import MEMBERS_OVERRIDE
from hems.reporting import (
    MOST_TOLD_BYTES,
    STATUS,
    USAGE,
    Reporting,
    Wanted,
    offers,
    values_of,
    wanted_of,
)
from oadr import codec
from oadr.messages import (
    ActivePeriod,
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    ResourceStatus,
    SpecifierPayload,
    UpdatedReport,
    UpdateReport,
)
from tests.hems.conftest import FIVE, NAME

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
STATES = [
    DeviceState("r1", "ev_charger", 7200),
    DeviceState("r2", "immersion_heater", 0, is_available=False, interlock=MEMBERS_OVERRIDE),
]


def request(
    specifier: str = USAGE, *r_ids: str, granularity: int = 60, back: int = 300, **more: Any
) -> ReportRequest:
    payloads = tuple(SpecifierPayload(r_id, "Direct Read") for r_id in (r_ids or ("r1",)))
    return ReportRequest("q1", specifier, granularity, back, payloads, **more)


Running = Callable[..., Reporting]


@pytest.fixture
def running(tmp_path: Path) -> Running:
    def made(**more: Any) -> Reporting:
        wanted = wanted_of(request(**more), at=FIVE, r_ids=["r1", "r1/status"])
        assert wanted is not None
        reporting = Reporting(backlog=Backlog(tmp_path))
        reporting.run(wanted)
        return reporting

    return made


def play(made: Reporting, seconds: int, *, step: int = 5, told: bool = True) -> list[Any]:
    """Look every few seconds; what is due is told, or not."""
    reports = []
    for offset in range(0, seconds, step):
        at = FIVE + offset * SECOND
        made.look(values_of(STATES, rated_w={"r1": 7360}), at)
        due = made.due(at)
        if told and due:
            reports += due
            made.heard(due, at)
    return reports


def test_offers_are_valid_and_name_every_asset_twice():
    offered = offers(STATES, at=FIVE)
    assert codec.serialise(RegisterReport("q", offered, "VEN-1"))
    assert [(each.report_specifier_id, each.report_name) for each in offered] == [
        (USAGE, "METADATA_TELEMETRY_USAGE"),
        (STATUS, "METADATA_TELEMETRY_STATUS"),
    ]
    assert [[point.r_id for point in each.descriptions] for each in offered] == [
        ["r1", "r2"],
        ["r1/status", "r2/status"],
    ]
    assert offers([], at=FIVE) == ()


def test_values_say_what_is_known_and_no_more():
    values = values_of(STATES, rated_w={"r1": 7360, "r2": 3000})
    assert values["r1"] == 7200.0
    assert "r2" not in values
    status = values["r2/status"]
    assert isinstance(status, ResourceStatus)
    assert (status.is_online, status.is_manual_override) == (False, True)


def test_samples_come_at_their_granularity_and_are_told_at_the_report_back(running: Running):
    reports = play(running(), 901)
    assert [report.created_at for report in reports] == [FIVE + number * 5 * MINUTE for number in (1, 2, 3)]
    stamps = [interval.starts_at for report in reports for interval in report.intervals]
    assert stamps == [FIVE + number * MINUTE for number in range(16)]
    assert {interval.duration_seconds for report in reports for interval in report.intervals} == {60}
    assert codec.serialise(UpdateReport("q", tuple(reports), "VEN-1"))


def test_one_shot_is_told_once_and_over(running: Running):
    made = running(granularity=0, back=0)
    reports = play(made, 300)
    assert [len(report.intervals) for report in reports] == [1]
    assert made.wanted == ()


def test_one_shot_with_a_time_is_told_when_that_is_over(running: Running):
    made = running(granularity=60, back=0, interval=ActivePeriod(FIVE, 180))
    reports = play(made, 400)
    assert [(report.created_at, len(report.intervals)) for report in reports] == [(FIVE + 3 * MINUTE, 3)]
    assert made.wanted == ()


def test_a_request_whose_time_passed_unseen_is_dropped(running: Running):
    made = running(granularity=60, back=0, interval=ActivePeriod(FIVE, 60))
    made.look(values_of(STATES, rated_w={}), FIVE + 5 * MINUTE)
    assert made.wanted == ()


@pytest.mark.parametrize("is_saved", [False, True])
def test_what_could_not_be_told_is_kept_and_told_in_pieces_oldest_first(running: Running, is_saved: bool):
    made = running(granularity=10, back=3600)
    play(made, 7200, step=10, told=False)
    if is_saved:
        made.save(is_last=True)
    at = FIVE + 7200 * SECOND
    (first,) = made.due(at)
    assert first.starts_at == FIVE
    assert made.due(at) == (first,), "the same again until it was heard"
    stamps = []
    while due := made.due(at):  # without waiting for the next report back
        stamps += [interval.starts_at for interval in due[0].intervals]
        assert len(codec.serialise(UpdateReport("q", due, "VEN-1"))) < 1.1 * MOST_TOLD_BYTES
        made.heard(due, at)
    assert stamps == [FIVE + number * 10 * SECOND for number in range(720)]
    assert made.waiting == 0


@pytest.mark.parametrize(
    "asked", [request("another"), request(USAGE, "r9"), request(USAGE, "r1", "r9"), request(STATUS, "r1/x")]
)
def test_what_is_not_offered_is_not_run(asked: ReportRequest):
    assert wanted_of(asked, at=FIVE, r_ids=["r1", "r1/status"]) is None
    assert wanted_of(replace(asked, payloads=()), at=FIVE, r_ids=["r1"]) is None


@given(
    granularity=st.integers(0, 400),
    back=st.integers(0, 900),
    lasting=st.integers(0, 1200),
    looks=st.lists(st.integers(1, 90), min_size=1, max_size=60),
    heard=st.lists(st.booleans(), min_size=60, max_size=60),
    saved=st.lists(st.sampled_from(["", "", "", "saved", "restarted"]), min_size=60, max_size=60),
)
def test_every_sample_is_told_once_in_order_and_within_the_request(
    granularity: int, back: int, lasting: int, looks: list[int], heard: list[bool], saved: list[str]
):
    wanted = Wanted("q1", USAGE, ("r1",), granularity, back, FIVE,
                    FIVE + lasting * SECOND if lasting else None)  # fmt: skip
    with TemporaryDirectory() as folder:
        made = Reporting([wanted], backlog=Backlog(Path(folder)))
        at, told, sampled = FIVE, [], set()
        for wait, is_heard, what in zip(looks, heard, saved, strict=False):
            made.look({"r1": 1.0}, at)
            sampled |= {sample.at for queue in made._samples.values() for sample in queue}
            due = made.due(at)
            if due and is_heard:
                told += [interval.starts_at for report in due for interval in report.intervals]
                made.heard(due, at)
            if what:
                made.save(is_last=True)
            if what == "restarted":
                newest = made._sampled_at
                made = Reporting(made.wanted, backlog=Backlog(Path(folder)))
                made._sampled_at |= (
                    newest  # or one step could be sampled twice, which is not what is shown here
                )
            at += wait * SECOND
        left = [interval.starts_at for each in made.due(at, of=["q1"]) for interval in each.intervals]
    assert told == sorted(set(told))
    assert not set(left) & set(told)
    assert set(told) | set(left) == sampled
    assert all(stamp >= FIVE and (not lasting or stamp < FIVE + lasting * SECOND) for stamp in told + left)
    steps = [(second - first) % wanted.step for first, second in pairwise(told)]
    assert all(step == timedelta() for step in steps)


class TestOverTheWire:
    def answers(self, vtn: Any) -> None:
        vtn.reply[UpdateReport] = lambda name, message: UpdatedReport(
            EiResponse(request_id=message.request_id), None, f"VEN-{name}"
        )

    def test_asked_in_the_answer_to_the_offer_told_and_cancelled(self, start, vtn, clock):
        self.answers(vtn)
        asked = request(USAGE, "res-ev", granularity=60, back=120)
        vtn.reply[RegisterReport] = lambda name, message: RegisteredReport(
            EiResponse(request_id=message.request_id), (asked,), f"VEN-{name}"
        )
        agent = start()
        agent.contact()
        (created,) = vtn.heard_of(NAME, CreatedReport)
        assert (created.response.code, created.pending_report_ids) == (200, ("q1",))
        for _ in range(5):
            agent.step(clock.at)
            agent.contact()
            clock.at += MINUTE
        told = vtn.heard_of(NAME, UpdateReport)
        assert [len(update.reports[0].intervals) for update in told] == [3, 2]
        vtn.queues[NAME].append(CancelReport("c1", ("q1",), True, f"VEN-{NAME}"))
        agent.step(clock.at)
        agent.contact()
        assert len(vtn.heard_of(NAME, UpdateReport)) == 3, "the report to follow"
        (cancelled,) = vtn.heard_of(NAME, CanceledReport)
        assert cancelled.pending_report_ids == ()
        assert agent.state.reports == ()

    def test_an_outage_and_a_restart_lose_no_request_and_the_outage_no_sample(self, start, vtn, clock):
        self.answers(vtn)
        agent = start()
        agent.contact()
        vtn.queues[NAME].append(CreateReport("c1", (request(USAGE, "res-ev", back=60),), f"VEN-{NAME}"))
        agent.contact()
        vtn.reply[UpdateReport] = lambda name, message: 503
        for _ in range(4):
            clock.at += MINUTE
            agent.step(clock.at)
            agent.contact()
        self.answers(vtn)
        agent.contact()
        update = vtn.heard_of(NAME, UpdateReport)[-1]
        assert len(update.reports[0].intervals) == 4
        assert update.reports[0].intervals[0].values[0].r_id == "res-ev"

        again = start()
        assert [wanted.report_request_id for wanted in again.state.reports] == ["q1"]
        again.contact()
        clock.at += MINUTE
        again.step(clock.at)
        clock.at += MINUTE
        again.step(clock.at)
        again.contact()
        assert vtn.heard_of(NAME, UpdateReport)[-1].reports[0].intervals

    def test_after_an_outage_and_a_restart_all_of_it_comes_in_one_message(self, start, vtn, clock):
        self.answers(vtn)
        agent = start()
        agent.contact()
        asked = (
            request(USAGE, "res-ev", granularity=10, back=60),
            replace(request(STATUS, "res-ev/status", granularity=60, back=60), report_request_id="q2"),
        )
        vtn.queues[NAME].append(CreateReport("c1", asked, f"VEN-{NAME}"))
        agent.contact()
        vtn.reply[UpdateReport] = lambda name, message: 503
        for _ in range(60):
            clock.at += 10 * SECOND
            agent.step(clock.at)
        agent.contact()
        waiting = agent.status(clock.at)["samples_waiting"]
        assert waiting == 60 + 11

        again = start()
        assert again.status(clock.at)["samples_waiting"] == waiting
        self.answers(vtn)
        before = len(vtn.heard_of(NAME, UpdateReport))
        again.contact()
        (update,) = vtn.heard_of(NAME, UpdateReport)[before:]
        assert {each.report_request_id: len(each.intervals) for each in update.reports} == {
            "q1": 60,
            "q2": 11,
        }
        assert again.status(clock.at)["samples_waiting"] == 0
        assert list((again.folder / "backlog").iterdir()) == []

    def test_a_vtn_that_breaks_over_several_gets_them_one_by_one(self, start, vtn, clock):
        def picky(name, message):
            if len(message.reports) > 1:
                return 500
            return UpdatedReport(EiResponse(request_id=message.request_id), None, f"VEN-{name}")

        vtn.reply[UpdateReport] = picky
        agent = start()
        agent.contact()
        asked = [replace(request(USAGE, "res-ev", back=60), report_request_id=name) for name in ("q1", "q2")]
        vtn.queues[NAME].append(CreateReport("c1", tuple(asked), f"VEN-{NAME}"))
        agent.contact()
        for _ in range(2):
            clock.at += MINUTE
            agent.step(clock.at)
            agent.contact()
            assert agent.status(clock.at)["failure"] == ""
        assert [len(each.reports) for each in vtn.heard_of(NAME, UpdateReport)] == [2, 1, 1, 1, 1]

    def test_a_report_that_the_vtn_breaks_over_holds_up_nothing_for_long(self, start, vtn, clock):
        agent = start()
        agent.contact()
        vtn.queues[NAME].append(CreateReport("c1", (request(USAGE, "res-ev", back=60),), f"VEN-{NAME}"))
        agent.contact()
        vtn.reply[UpdateReport] = lambda name, message: 500
        clock.at += MINUTE
        agent.step(clock.at)
        for state in ("no_contact", "no_contact", "online"):
            agent.contact()
            assert agent.status(clock.at)["state"] == state
        assert [wanted.report_request_id for wanted in agent.state.reports] == ["q1"], "it is asked for still"

    def test_metadata_may_be_asked_for_again(self, start, vtn):
        agent = start()
        agent.contact()
        vtn.queues[NAME].append(CreateReport("c1", (request("METADATA", "x"),), f"VEN-{NAME}"))
        agent.contact()
        first, again = vtn.heard_of(NAME, RegisterReport)
        assert len(first.reports) == len(again.reports) == 2
        assert again.report_request_id == "q1"

    def test_a_vtn_that_wants_no_more_says_so_in_its_answer(self, start, vtn, clock):
        vtn.reply[UpdateReport] = lambda name, message: UpdatedReport(
            EiResponse(request_id=message.request_id), CancelReport("c", ("q1",)), f"VEN-{name}"
        )
        agent = start()
        agent.contact()
        vtn.queues[NAME].append(CreateReport("c1", (request(USAGE, "res-ev", back=0),), f"VEN-{NAME}"))
        agent.contact()
        agent.step(clock.at)
        agent.contact()
        assert agent.state.reports == ()
