"""The hub against a small VTN over real HTTPS with mutual TLS, world time moved by hand."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from hems import state, updates
from hems.__main__ import main
from hems.agent import Agent
from hems.button import press
from hems.errors import BadFolder
from hems.instants import written
from oadr.messages import (
    AvailablePeriod,
    CanceledPartyRegistration,
    CancelOpt,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedOpt,
    CreatedPartyRegistration,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    RequestEvent,
    RequestReregistration,
    Response,
    SpecifierPayload,
    Target,
)
from tests.hems.conftest import DAY, FIVE, NAME, evening_home, make_event
from tests.hems.small_vtn import Authority

MINUTE = timedelta(minutes=1)


def power_w(agent: Agent, at) -> int:
    return agent.place.drivers[0].telemetry(at).power_w


def curtailed(agent: Agent) -> dict[str, int]:
    """Wh held back, by half-hour, where any."""
    loads = agent.place.drivers[0].half_hours([DAY])[DAY]
    return {f"{load.starts_at:%H:%M}": load.curtailed_wh for load in loads if load.curtailed_wh}


def test_registers_asks_for_events_and_polls(start, vtn):
    agent = start()

    agent.contact()

    kinds = [type(message) for message in vtn.heard[NAME]]
    assert kinds == [QueryRegistration, CreatePartyRegistration, RegisterReport, RequestEvent, Poll]
    assert agent.state.registration.ven_id == f"VEN-{NAME}"
    assert agent.status(FIVE)["state"] == "online"


def test_a_known_registration_is_not_made_again(start, vtn):
    start().contact()

    start().contact()

    assert len(vtn.heard_of(NAME, CreatePartyRegistration)) == 1
    assert len(vtn.heard_of(NAME, QueryRegistration)) == 2


def test_registering_survives_a_lost_answer(start, vtn):
    vtn.break_next = CreatePartyRegistration
    agent = start()

    agent.contact()
    agent.contact()

    assert vtn.registrations[NAME] == (f"VEN-{NAME}", f"REG-{NAME}")
    assert agent.state.registration.registration_id == f"REG-{NAME}"
    assert agent.status(FIVE)["state"] == "online"


def test_a_registration_the_vtn_forgot_is_made_anew(start, vtn):
    start().contact()
    vtn.registrations.clear()

    def only_newcomers(name: str, message: CreatePartyRegistration) -> CreatedPartyRegistration:
        if message.registration_id:
            return CreatedPartyRegistration(EiResponse(452, "unknown"), "COOP-VTN")
        return CreatedPartyRegistration(EiResponse(), "COOP-VTN", "REG-2", "VEN-2")

    vtn.reply[CreatePartyRegistration] = only_newcomers
    vtn.reply[Poll] = lambda name, message: Response(EiResponse(), message.ven_id)
    agent = start()

    agent.contact()

    assert agent.state.registration.ven_id == "VEN-2"


def test_takes_an_event_answers_yes_and_acts_to_the_second(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())

    agent.contact()

    assert ("E1", 0, "optIn", 200) in vtn.answers(NAME)
    assert power_w(agent, FIVE - timedelta(seconds=1)) == 7360
    assert power_w(agent, FIVE) == 0
    assert power_w(agent, FIVE + 90 * MINUTE) == 7360
    assert curtailed(agent) == {"17:00": 3680, "17:30": 3680, "18:30": -3680, "19:00": -3680}


def test_the_answer_names_the_set_it_answers(start, vtn):
    agent = start()
    vtn.put(NAME, make_event(), announce=False)

    agent.contact()

    answer = vtn.heard_of(NAME, CreatedEvent)[0]
    assert answer.response.request_id == answer.event_responses[0].request_id != ""
    assert answer.ven_id == f"VEN-{NAME}"


def test_an_event_that_wants_no_answer_gets_none(start, vtn):
    agent = start()
    vtn.put(NAME, make_event(response=False))

    agent.contact()

    assert vtn.answers(NAME) == []
    assert power_w(agent, FIVE) == 0


def test_a_home_that_says_no_answers_opt_out_and_does_nothing(start, vtn):
    agent = start(opt_out_events=True)
    vtn.put(NAME, make_event())

    agent.contact()

    assert set(vtn.answers(NAME)) == {("E1", 0, "optOut", 200)}
    assert curtailed(agent) == {}


def test_a_test_event_is_answered_and_not_acted_on(start, vtn):
    agent = start()
    vtn.put(NAME, make_event(test_event="drill"))

    agent.contact()

    assert set(vtn.answers(NAME)) == {("E1", 0, "optIn", 200)}
    assert curtailed(agent) == {}


@pytest.mark.parametrize(
    ("target", "is_ours"),
    [
        (Target(ven_ids=("VEN-OTHER",)), False),
        (Target(ven_ids=(f"VEN-{NAME}",), resource_ids=("res-of-another",)), False),
        (Target(resource_ids=("res-ev", "res-x")), True),
        (Target(), True),
    ],
)
def test_only_what_is_meant_for_this_hub_is_done(start, vtn, target, is_ours):
    agent = start()
    vtn.put(NAME, make_event(target=target))

    agent.contact()

    assert set(vtn.answers(NAME)) == {("E1", 0, "optIn", 200) if is_ours else ("E1", 0, "optOut", 462)}
    assert bool(curtailed(agent)) == is_ours


def test_one_unknown_signal_does_not_spoil_the_other_event(start, vtn):
    agent = start()
    plain = make_event("E2", starts_at=FIVE + 60 * MINUTE, minutes=30)
    strange = make_event()
    strange = replace(strange, signals=(replace(strange.signals[0], name="BID_PRICE", type="price"),))
    vtn.put(NAME, strange, plain)

    agent.contact()

    assert set(vtn.answers(NAME)) == {("E1", 0, "optOut", 460), ("E2", 0, "optIn", 200)}
    assert curtailed(agent) == {}  # the car is full by 18:00


def test_the_events_own_button_press_is_told_to_the_vtn(start, vtn, clock):
    agent = start(override_at=FIVE + 40 * MINUTE)
    vtn.put(NAME, make_event(number=3))
    agent.contact()

    clock.at = FIVE + 47 * MINUTE
    agent.step(clock.at)
    agent.contact()

    (opt,) = vtn.heard_of(NAME, CreateOpt)
    assert (opt.opt_type, opt.opt_reason) == ("optOut", "overrideStatus")
    assert (opt.event.event_id, opt.event.modification_number) == ("E1", 3)
    assert opt.created_at == FIVE + 40 * MINUTE
    assert agent.state.opts == ()
    assert power_w(agent, FIVE + 39 * MINUTE) == 0
    assert power_w(agent, FIVE + 40 * MINUTE) == 7360  # as scripted, not when the hub came to look


def test_override_by_hand_and_taking_part_again(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()

    clock.at = FIVE + 10 * MINUTE
    press(agent.folder, "override")
    agent.step(clock.at)
    clock.at = FIVE + 20 * MINUTE
    press(agent.folder, "resume")
    agent.step(clock.at)
    agent.contact()

    assert [opt.opt_type for opt in vtn.heard_of(NAME, CreateOpt)] == ["optOut", "optIn"]
    assert [power_w(agent, FIVE + n * MINUTE) for n in (9, 10, 19, 20, 89, 90)] == [0, 7360, 7360, 0, 0, 7360]
    assert list((agent.folder / "button").iterdir()) == []


def test_a_press_that_was_carried_out_but_not_cleared_away_counts_once(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    first = press(agent.folder, "override")
    agent.step(clock.at)
    press(agent.folder, "resume")
    agent.step(clock.at)

    first.touch()  # as a crash just before clearing it away leaves it
    agent = start()
    agent.step(clock.at)

    assert agent.state.book.entries["E1"].opt == "optIn"


def test_override_before_the_event_opts_out_of_the_next_one(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event(), make_event("E2", starts_at=FIVE + 5 * 60 * MINUTE))
    agent.contact()

    press(agent.folder, "override")
    agent.step(clock.at)
    agent.contact()

    assert [opt.event.event_id for opt in vtn.heard_of(NAME, CreateOpt)] == ["E1"]
    assert curtailed(agent) == {}


def test_an_opt_about_a_changed_event_is_said_again_about_the_new_version(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    vtn.put(NAME, make_event(number=1), announce=False)
    vtn.reply[CreateOpt] = lambda name, message: CreatedOpt(
        EiResponse(200 if message.event.modification_number == 1 else 450), message.opt_id
    )

    press(agent.folder, "override")
    agent.step(clock.at)
    agent.contact()

    assert [opt.event.modification_number for opt in vtn.heard_of(NAME, CreateOpt)] == [0, 1]
    assert vtn.answers(NAME)[-1] == ("E1", 1, "optOut", 200)
    assert agent.state.opts == ()


@pytest.mark.parametrize("code", [450, 452, 454])
def test_an_opt_the_vtn_will_not_have_is_not_said_for_ever(start, vtn, clock, code):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    vtn.reply[CreateOpt] = lambda name, message: CreatedOpt(EiResponse(code), message.opt_id)

    press(agent.folder, "override")
    agent.step(clock.at)
    for _ in range(3):
        agent.contact()

    assert len(vtn.heard_of(NAME, CreateOpt)) == 1
    assert power_w(agent, FIVE) == 7360


def test_an_absence_said_ahead_is_told_kept_and_ended(start, vtn, clock, capsys):
    agent = start()
    agent.contact()
    words = [
        "away",
        "--dir",
        str(agent.folder),
        "--from",
        written(FIVE),
        "--until",
        written(FIVE + 90 * MINUTE),
    ]
    assert main([*words, "--asset", "res-ev"]) == 0
    agent.step(clock.at)
    assert agent.status(clock.at)["opts_waiting"] == 1
    agent.contact()
    (told,) = vtn.heard_of(NAME, CreateOpt)
    assert (told.opt_type, told.opt_reason, told.event) == ("optOut", "notParticipating", None)
    assert told.target.resource_ids == ("res-ev",)
    assert told.availability == (AvailablePeriod(FIVE, 5400),)

    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    assert set(vtn.answers(NAME)) == {("E1", 0, "optOut", 200)}
    assert agent.status(clock.at)["absences"][0]["resource_ids"] == ["res-ev"]
    assert main(["back", "--dir", str(agent.folder)]) == 0
    agent.step(clock.at)
    agent.contact()
    (cancelled,) = vtn.heard_of(NAME, CancelOpt)
    assert cancelled.opt_id == told.opt_id
    assert agent.status(clock.at)["absences"] == []
    assert agent.status(clock.at)["opts_waiting"] == 0


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("tomorrow", "2026-11-20T18:00:00Z", "--from 'tomorrow'"),
        ("2026-11-20T17:00:00", "2026-11-20T18:00:00Z", "with an offset"),
        ("2026-11-20T17:00:00Z", "2026-11-20T16:00:00Z", "--until: after --from"),
        ("2026-11-20T17:00:00Z", "2027-11-20T16:00:00Z", "at most 60 days"),
    ],
)
def test_an_absence_that_makes_no_sense_is_refused(tmp_path, capsys, since, until, said):
    assert main(["away", "--dir", str(tmp_path), "--from", since, "--until", until]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "button").exists()


def test_override_with_no_event_is_harmless(start, vtn, clock):
    agent = start()
    agent.contact()

    press(agent.folder, "override")
    agent.step(clock.at)
    agent.contact()

    assert vtn.heard_of(NAME, CreateOpt) == []


def test_an_opted_out_home_stays_out_when_the_event_is_told_again_or_changed(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    press(agent.folder, "override")
    agent.step(clock.at)

    vtn.put(NAME, make_event())
    agent.contact()
    vtn.put(NAME, make_event(number=1, minutes=120))
    agent.contact()

    assert vtn.answers(NAME)[-2:] == [("E1", 0, "optOut", 200), ("E1", 1, "optOut", 200)]
    assert curtailed(agent) == {}


def test_an_event_runs_to_its_end_without_contact_and_the_opt_is_told_later(start, vtn, clock):
    down = ((FIVE - 60 * MINUTE, FIVE + 120 * MINUTE),)
    agent = start(offline=down, override_at=FIVE + 60 * MINUTE)
    vtn.put(NAME, make_event())
    agent.contact()
    heard = len(vtn.heard[NAME])
    vtn.drop(NAME, "E1")
    vtn.put(NAME, make_event("E9", starts_at=FIVE + 30 * MINUTE))

    for minutes in range(-60, 120, 10):
        clock.at = FIVE + minutes * MINUTE
        agent.step(clock.at)
        agent.contact()
        assert agent.status(clock.at)["state"] == "offline"
    assert len(vtn.heard[NAME]) == heard
    assert curtailed(agent) == {"17:00": 3680, "17:30": 3680, "18:00": -3680, "18:30": -3680}

    clock.at = FIVE + 125 * MINUTE
    agent.step(clock.at)
    agent.contact()

    assert [opt.event.event_id for opt in vtn.heard_of(NAME, CreateOpt)] == ["E1"]
    assert all(answer[0] != "E9" or answer[2] == "optIn" for answer in vtn.answers(NAME))


def test_it_keeps_how_often_it_switched_and_when_it_had_no_contact(start, vtn, clock, monkeypatch):
    monkeypatch.setattr("hems.tally.LOOK_SECONDS", 0.0)
    agent = start(offline=((FIVE - 60 * MINUTE, FIVE),))
    for minutes in range(-60, 120, 10):
        clock.at = FIVE + minutes * MINUTE
        agent.step(clock.at)
        agent.contact()

    told = agent.reported()

    assert told["counts"]["cycles"]["res-ev"] == 1
    (spell,) = told["journal"]
    assert spell["cause"] in ("no_internet", "no_lan")
    assert (spell["starts_at"], spell["ends_at"]) == (written(FIVE - 60 * MINUTE), written(FIVE))
    agent.close()
    assert start().reported()["counts"]["cycles"]["res-ev"] == 1


def test_a_hub_that_was_away_never_starts_an_event_it_has_not_heard_of(start, vtn, clock):
    agent = start(offline=((FIVE - 100 * MINUTE, FIVE + 300 * MINUTE),))
    agent.contact()
    vtn.put(NAME, make_event())

    clock.at = FIVE + 30 * MINUTE
    agent.contact()
    agent.step(clock.at)
    clock.at = FIVE + 300 * MINUTE
    agent.contact()

    assert curtailed(agent) == {}
    assert vtn.answers(NAME) == []  # it is over: silence, not a yes


def test_a_late_hub_joins_for_what_is_left(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event(status="active"))
    clock.at = FIVE + 45 * MINUTE

    agent.contact()

    assert ("E1", 0, "optIn", 200) in vtn.answers(NAME)
    assert power_w(agent, FIVE + 44 * MINUTE) == 7360
    assert power_w(agent, FIVE + 45 * MINUTE) == 0


@pytest.mark.parametrize("is_implied", [True, False])
def test_a_cancelled_event_lets_go_at_once(start, vtn, clock, is_implied):
    agent = start()
    vtn.put(NAME, make_event(), make_event("E2", starts_at=FIVE + 200 * MINUTE))
    agent.contact()

    clock.at = FIVE + 15 * MINUTE
    if is_implied:
        vtn.drop(NAME, "E1")
    else:
        vtn.put(NAME, make_event(number=1, status="cancelled"))
    agent.contact()

    assert power_w(agent, FIVE + 14 * MINUTE) == 0
    assert power_w(agent, FIVE + 15 * MINUTE) == 7360
    assert agent.state.book.entries["E1"].phase(clock.at) == "cancelled"
    assert agent.state.book.entries["E2"].phase(clock.at) == "pending"
    if not is_implied:
        assert ("E1", 1, "optIn", 200) in vtn.answers(NAME)


def test_an_event_that_comes_cancelled_is_ignored(start, vtn):
    agent = start()
    vtn.put(NAME, make_event(number=1, status="cancelled"))

    agent.contact()

    assert agent.state.book.entries == {}
    assert set(vtn.answers(NAME)) == {("E1", 1, "optIn", 200)}


def test_a_completed_event_dropped_by_the_vtn_is_no_cancel(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event(tolerance_seconds=600))
    agent.contact()
    clock.at = FIVE + 90 * MINUTE + timedelta(seconds=1)
    vtn.drop(NAME, "E1")

    agent.contact()

    assert agent.state.book.entries["E1"].stopped_at is None


def test_a_higher_number_replaces_and_keeps_what_was(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()

    clock.at = FIVE + 30 * MINUTE
    vtn.put(NAME, make_event(number=1, minutes=45))
    agent.contact()

    assert [power_w(agent, FIVE + n * MINUTE) for n in (0, 29, 44, 45)] == [0, 0, 0, 7360]
    assert vtn.answers(NAME)[-1] == ("E1", 1, "optIn", 200)


def test_a_lower_number_is_out_of_sequence(start, vtn):
    agent = start()
    vtn.put(NAME, make_event(number=2))
    agent.contact()

    vtn.put(NAME, make_event(number=1, minutes=10))
    agent.contact()

    assert vtn.answers(NAME)[-1] == ("E1", 1, "optIn", 450)
    assert curtailed(agent)["17:30"] == 3680


def test_startafter_moves_start_and_end_alike_and_stays_the_same(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event(tolerance_seconds=600))
    agent.contact()
    before = agent.state.book.orders(agent.place.drivers)

    again = start()

    (order,) = before
    assert again.state.book.orders(again.place.drivers) == before
    assert timedelta() < order.starts_at - FIVE <= timedelta(seconds=600)
    assert order.ends_at - order.starts_at == 90 * MINUTE


def test_an_error_in_place_of_events_cancels_nothing(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()

    vtn.queues[NAME].append(DistributeEvent("q", "COOP-VTN", (), EiResponse(454, "trouble")))
    agent.contact()

    assert agent.state.book.entries["E1"].stopped_at is None
    assert "454" in agent.status(clock.at)["failure"]


def test_hostile_and_broken_answers_change_nothing(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    kept = agent.state

    hostile = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    for answer in (hostile, b"", b"<html/>", b"\xff" * 99, b"<a>" * 99, b" " * (300 * 1024), 403, 500, 503):
        vtn.reply[Poll] = lambda name, message, answer=answer: answer
        agent.contact()
        assert agent.status(clock.at)["state"] == "no_contact"
    del vtn.reply[Poll]

    assert agent.state == kept
    agent.contact()
    assert agent.status(clock.at)["state"] == "online"


def test_one_connection_carries_many_polls_and_is_opened_anew_when_cut(start, vtn, clock):
    agent = start()
    for _ in range(5):
        agent.contact()
    assert vtn.connections == 1

    vtn.break_next = Poll
    agent.contact()

    assert vtn.connections == 2
    assert agent.status(clock.at)["state"] == "online"


def test_asked_to_register_again_it_does(start, vtn):
    agent = start()
    agent.contact()
    vtn.queues[NAME].append(RequestReregistration(f"VEN-{NAME}"))

    agent.contact()

    assert len(vtn.heard_of(NAME, Response)) == 1
    assert len(vtn.heard_of(NAME, QueryRegistration)) == 2


def test_a_cancelled_registration_lets_go_of_every_asset_and_starts_over(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    clock.at = FIVE + 10 * MINUTE
    vtn.queues[NAME].append(CancelPartyRegistration("r1", f"REG-{NAME}", f"VEN-{NAME}"))

    agent.contact()

    assert vtn.heard_of(NAME, CanceledPartyRegistration)[0].response.code == 200
    assert power_w(agent, clock.at) == 7360
    vtn.registrations.clear()
    vtn.events[NAME].clear()
    agent.contact()
    assert len(vtn.heard_of(NAME, CreatePartyRegistration)) == 2


def test_cancelling_another_registration_is_refused(start, vtn):
    agent = start()
    agent.contact()
    vtn.queues[NAME].append(CancelPartyRegistration("r1", "REG-OTHER", f"VEN-{NAME}"))

    agent.contact()

    assert vtn.heard_of(NAME, CanceledPartyRegistration)[0].response.code == 452
    assert agent.state.registration.is_known


def test_report_requests_are_answered_with_regret(start, vtn):
    agent = start()
    agent.contact()
    request = ReportRequest("rr1", "spec", 60, 60, (SpecifierPayload("r1", "Direct Read"),))
    vtn.queues[NAME] += [CreateReport("q1", (request,), f"VEN-{NAME}"), RegisterReport("q2")]

    agent.contact()

    assert vtn.heard_of(NAME, CreatedReport)[0].response.code == 461
    assert vtn.heard_of(NAME, RegisteredReport)[0].response.code == 200


def test_a_hub_the_vtn_no_longer_knows_registers_again(start, vtn, clock):
    agent = start()
    agent.contact()
    vtn.registrations.clear()

    agent.contact()
    assert agent.status(clock.at)["state"] == "no_contact"
    agent.contact()

    assert agent.status(clock.at)["state"] == "online"
    assert len(vtn.heard_of(NAME, CreatePartyRegistration)) == 2


def test_a_restart_keeps_the_event_the_opt_and_the_press(start, vtn, clock):
    agent = start(offline=((FIVE, FIVE + 600 * MINUTE),))
    vtn.put(NAME, make_event())
    agent.contact()
    clock.at = FIVE + 20 * MINUTE
    press(agent.folder, "override")
    agent.step(clock.at)
    kept = agent.state

    again = start()

    assert again.state == kept
    assert len(kept.opts) == 1
    assert curtailed(again) == {"17:00": 2453, "18:00": -2453}


def test_a_full_disk_keeps_the_co_ops_wishes_waiting_and_the_hub_goes_round(start, monkeypatch, caplog):
    (start().folder / "shadow.json").write_text('{"version": 1, "desired": {"update_key_pem": "a key"}}')
    agent = start()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(updates, "write_atomically", full)
        agent.contact()
    assert "what the co-op wants of it is not kept" in caplog.text
    assert agent.status(FIVE)["failure"] == ""
    agent.contact()
    assert (agent.folder / "update-key.pem").read_text() == "a key"


def test_a_full_disk_takes_no_event_but_the_members_word(start, vtn, clock, monkeypatch):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    clock.at = FIVE + 10 * MINUTE

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "save", full)
    vtn.put(NAME, make_event("E2", starts_at=FIVE + 100 * MINUTE))
    agent.contact()
    press(agent.folder, "override")
    agent.step(clock.at)

    assert "E2" not in agent.state.book.entries
    assert ("E2", 0, "optIn", 200) not in vtn.answers(NAME)
    assert "No space left" in agent.status(clock.at)["failure"]
    assert power_w(agent, clock.at) == 7360

    monkeypatch.undo()
    agent.contact()
    assert ("E2", 0, "optIn", 200) in vtn.answers(NAME)


def test_a_state_file_that_cannot_be_read_is_set_aside(start, vtn, clock):
    agent = start()
    agent.contact()
    (agent.folder / "state.json").write_text('{"version": 1, "registration": ')

    again = start()
    again.contact()

    assert (again.folder / "state.unreadable").exists()
    assert again.state.registration.ven_id == f"VEN-{NAME}"


def test_a_vtn_of_another_authority_is_not_spoken_to(make_folder, vtn, clock):
    folder = make_folder()
    (folder / "ca.pem").write_bytes(Authority("Stranger").pem)

    with Agent(folder, vtn=vtn.url, clock=clock) as agent:
        agent.contact()

        assert agent.status(clock.at)["state"] == "no_contact"
        assert "certificate verify failed" in agent.status(clock.at)["failure"]
    assert vtn.heard == {}


def test_a_hub_with_a_strangers_certificate_is_not_heard(make_folder, vtn, clock):
    folder = make_folder(signed_by=Authority("Stranger"))

    with Agent(folder, vtn=vtn.url, clock=clock) as agent:
        agent.contact()

        assert agent.status(clock.at)["state"] == "no_contact"
    assert vtn.heard == {}


def test_two_agents_do_not_share_a_folder(start, vtn, clock):
    agent = start()

    with pytest.raises(BadFolder, match="already has a hub running"):
        Agent(agent.folder, vtn=vtn.url, clock=clock)


def test_a_key_that_others_can_read_is_refused(make_folder, vtn, clock):
    folder = make_folder()
    (folder / "key.pem").chmod(0o644)

    with pytest.raises(BadFolder, match="chmod 600"):
        Agent(folder, vtn=vtn.url, clock=clock)


def test_files_tell_what_happened(start, vtn, clock):
    agent = start()
    vtn.put(NAME, make_event())
    agent.contact()
    clock.at = FIVE + 200 * MINUTE

    agent.step(clock.at)
    agent._show(clock.at)

    readings = (agent.folder / "readings.csv").read_text().splitlines()
    assert readings[0] == "meter,starts_at,import_wh,export_wh"
    assert readings[1:][-1] == "CAD-1,2026-11-20T19:30:00Z,100,0"
    rows = [line.split(",") for line in (agent.folder / "curtailed.csv").read_text().splitlines()[1:]]
    for row, line in zip(rows, readings[1:], strict=True):
        assert row[1] == line.split(",")[1]
        assert int(line.split(",")[2]) == 100 + int(row[3])
        assert int(row[2]) - int(row[3]) == int(row[4])
    status = json.loads((agent.folder / "status.json").read_text())
    assert status["readings_until"] == "2026-11-20T20:00:00Z"
    assert status["events"][0]["phase"] == "completed"


def test_the_home_of_this_file_charges_as_the_tests_say():
    assert evening_home().assets[0].stays[DAY][0].energy_wh == 11_040
