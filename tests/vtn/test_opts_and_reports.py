"""EiOpt and EiReport."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from oadr import messages as m
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to, only_event
from vtn.models import EventOpt, OptSchedule
from vtn.port import START, Vtn

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(vtn: Vtn, hub: hubs.TestHub) -> m.Event:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    return only_event(hub.polls())


def schedule(hub: hubs.TestHub, **changes: object) -> m.CreateOpt:
    settings: dict[str, object] = {
        "request_id": "R3",
        "opt_id": "S1",
        "opt_type": "optOut",
        "opt_reason": "x-schedule",
        "ven_id": hub.ven_id,
        "created_at": AT,
        "availability": (m.AvailablePeriod(AT, 3600),),
    }
    return m.CreateOpt(**(settings | changes))  # type: ignore[arg-type]


def code_of(reply: m.Message) -> int:
    response = getattr(reply, "response", None)
    assert isinstance(response, m.EiResponse)
    return response.code


def test_an_override_supersedes_the_answer(vtn: Vtn, hub: hubs.TestHub, event: m.Event) -> None:
    hub.answers(event, "optIn")

    reply = hub.opts(event, "optOut", at=AT + timedelta(hours=6))

    assert reply == m.CreatedOpt(m.EiResponse(200, "OK", "R3"), "O1")
    assert [opt.opt for opt in vtn.opts_since(START)[0]] == ["in", "out"]


def test_an_opt_counts_as_an_answer(vtn: Vtn, hub: hubs.TestHub, event: m.Event) -> None:
    hub.opts(event, "optOut")

    (acknowledgement,) = vtn.acknowledgements([vtn.opts_since(START)[0][0].event_id], at=AT).values()
    assert (acknowledgement.state, acknowledgement.opt) == ("acknowledged", "out")


def test_an_override_outlives_the_answers_a_client_repeats(
    vtn: Vtn, hub: hubs.TestHub, event: m.Event
) -> None:
    hub.answers(event, "optIn")
    hub.opts(event, "optOut")

    hub.answers(event, "optIn")
    held = vtn.opts_since(START)[0][-1]
    hub.opts(event, "optIn", opt_id="O2", reason="participating")

    assert held.opt == "out"
    assert vtn.opts_since(START)[0][-1].opt == "in"


def test_an_opt_that_says_the_same_under_another_id_is_kept_too(
    vtn: Vtn, hub: hubs.TestHub, event: m.Event
) -> None:
    hub.answers(event, "optIn")
    hub.opts(event, "optOut", opt_id="A")
    hub.opts(event, "optOut", opt_id="B")
    hub.opts(event, "optOut", opt_id="B")

    assert code_of(hub.takes_back("A")) == m.OK
    held = vtn.opts_since(START)[0][-1].opt
    assert code_of(hub.takes_back("B")) == m.OK

    assert held == "out"
    assert vtn.opts_since(START)[0][-1].opt == "in"
    assert code_of(hub.takes_back("B")) == m.INVALID_ID


def test_when_the_last_of_its_opts_is_cancelled_none_of_them_holds(
    vtn: Vtn, hub: hubs.TestHub, event: m.Event
) -> None:
    hub.opts(event, "optOut", opt_id="A")
    hub.opts(event, "optIn", opt_id="B")
    hub.takes_back("B")
    after_b = vtn.opts_since(START)[0][-1].opt
    hub.takes_back("A")
    after_both = vtn.opts_since(START)[0][-1].opt
    hub.opts(event, "optIn", opt_id="C")
    hub.takes_back("C")

    assert (after_b, after_both) == ("out", "none")
    assert vtn.opts_since(START)[0][-1].opt == "none"


def test_an_answer_counts_again_once_the_opt_is_cancelled(
    vtn: Vtn, hub: hubs.TestHub, event: m.Event
) -> None:
    hub.opts(event, "optOut", opt_id="A")
    hub.takes_back("A")

    hub.answers(event, "optIn")

    assert vtn.opts_since(START)[0][-1].opt == "in"


def test_the_same_opt_with_another_reason_replaces_the_reason(
    vtn: Vtn, hub: hubs.TestHub, event: m.Event
) -> None:
    hub.opts(event, "optOut", reason="economic")
    hub.opts(event, "optOut", reason="emergency")

    assert [opt.reason for opt in vtn.opts_since(START)[0]] == ["economic", "emergency"]


def test_a_resource_whose_own_opt_is_cancelled_follows_the_event_again(
    hub: hubs.TestHub, event: m.Event
) -> None:
    hub.answers(event, "optIn")
    hub.opts(event, "optOut", opt_id="A", resource_ids=("R1",))
    hub.takes_back("A")

    hub.answers(event, "optOut")

    facts = OutboxFact.objects.filter(topic="vtn.opt.received").values_list("payload", flat=True)
    latest = max(facts, key=lambda fact: fact["sequence"])
    assert (latest["opt"], "resources_apart" in latest) == ("out", False)


def test_an_answer_to_a_new_version_counts_again(vtn: Vtn, hub: hubs.TestHub, event: m.Event) -> None:
    hub.opts(event, "optOut")
    (opt,) = vtn.opts_since(START)[0]
    vtn.amend(opt.event_id, notice_to(hub.ven_id, comment="shorter"), at=AT)

    hub.answers(only_event(hub.polls()), "optIn")

    assert vtn.opts_since(START)[0][-1].opt == "in"


def test_a_stale_or_unknown_event_is_refused(vtn: Vtn, hub: hubs.TestHub, event: m.Event) -> None:
    assert hub.opts(replace(event, modification_number=3)).response.code == m.OUT_OF_SEQUENCE
    assert hub.opts(replace(event, event_id="EV-made-up")).response.code == m.INVALID_ID
    assert not EventOpt.objects.exists()


def test_a_neighbour_cannot_opt_for_this_hub(
    hub: hubs.TestHub, stranger: hubs.TestHub, event: m.Event
) -> None:
    assert stranger.opts(event).response.code == m.INVALID_ID
    assert not EventOpt.objects.exists()


def test_a_schedule_is_kept_replaced_and_cancelled(hub: hubs.TestHub) -> None:
    assert code_of(hub.says("EiOpt", schedule(hub))) == m.OK
    assert code_of(hub.says("EiOpt", schedule(hub, opt_type="optIn"))) == m.OK
    kept = OptSchedule.objects.get()
    assert (kept.opt, kept.periods) == (
        "in",
        [{"starts_at": "2026-11-24T12:00:00Z", "duration_seconds": 3600}],
    )

    assert code_of(hub.says("EiOpt", m.CancelOpt("R4", "S1", hub.ven_id))) == m.OK
    assert code_of(hub.says("EiOpt", m.CancelOpt("R4", "S1", hub.ven_id))) == m.INVALID_ID
    kept.refresh_from_db()
    assert kept.cancelled_at == AT


def test_the_same_opt_id_of_another_hub_is_another_schedule(
    hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    hub.says("EiOpt", schedule(hub))

    assert code_of(stranger.says("EiOpt", m.CancelOpt("R4", "S1", stranger.ven_id))) == m.INVALID_ID
    assert OptSchedule.objects.get().cancelled_at is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"availability": None}, m.INVALID_DATA),
        ({"opt_id": "o" * 65}, m.INVALID_ID),
        ({"target": m.Target(ven_ids=("VEN-other",))}, m.TARGET_MISMATCH),
        ({"availability": (m.AvailablePeriod(AT, 1),) * 400}, m.INVALID_DATA),
        ({"availability": (m.AvailablePeriod(AT, -3600),)}, m.INVALID_DATA),
        ({"availability": (m.AvailablePeriod(AT.replace(year=1), 3600),)}, m.INVALID_DATA),
        ({"availability": (m.AvailablePeriod(AT.replace(year=9999), 3600),)}, m.INVALID_DATA),
    ],
)
def test_what_makes_no_sense_is_refused(hub: hubs.TestHub, changes: dict[str, object], code: int) -> None:
    assert code_of(hub.says("EiOpt", schedule(hub, **changes))) == code
    assert not OptSchedule.objects.exists()


def test_offered_reports_are_acknowledged_and_none_asked_for(hub: hubs.TestHub) -> None:
    report = m.Report("0", "RS1", AT, "METADATA_TELEMETRY_USAGE")

    reply = hub.says("EiReport", m.RegisterReport("R5", (report,), hub.ven_id))

    assert reply == m.RegisteredReport(m.EiResponse(200, "OK", "R5"), (), hub.ven_id)


def test_data_nobody_asked_for_is_452(hub: hubs.TestHub) -> None:
    report = m.Report("RR1", "RS1", AT, "TELEMETRY_USAGE")

    reply = hub.says("EiReport", m.UpdateReport("R6", (report,), hub.ven_id))

    assert isinstance(reply, m.UpdatedReport)
    assert reply.response.code == m.INVALID_ID


def test_this_vtn_has_no_reports_of_its_own(hub: hubs.TestHub) -> None:
    def ask(specifier: str) -> m.CreateReport:
        payload = (m.SpecifierPayload("r", "x-notApplicable"),)
        return m.CreateReport("R8", (m.ReportRequest("RR", specifier, 0, 0, payload),), hub.ven_id)

    assert hub.says("EiReport", ask("METADATA")) == m.CreatedReport(
        m.EiResponse(200, "OK", "R8"), (), hub.ven_id
    )
    assert code_of(hub.says("EiReport", ask("power"))) == m.REPORT_NOT_SUPPORTED
    assert code_of(hub.says("EiReport", m.CancelReport("R9", ("RR",)))) == m.INVALID_ID
