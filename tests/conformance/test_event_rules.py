"""The rules of the 2.0b profile for EiEvent, one test each, named by number.

Rules that bind a VEN are shown from this side: that the VTN sends what the rule lets a VEN rely on, and takes
what a VEN that keeps it answers.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db.models import F
from lxml import etree

from oadr import codec, schema
from oadr import messages as m
from opendsr.kernel.interval import Interval
from tests.vtn import hubs
from tests.vtn.hubs import AT, HOUR, STARTS_AT, notice_to, only_event
from vtn import publishing
from vtn.content import EventContent, SignalContent
from vtn.models import Event, EventOpt, QueuedMessage
from vtn.port import START, EventNotice, NoticeInvalid, Signal, SignalInterval, Vtn, VtnEventId

pytestmark = pytest.mark.django_db

END = STARTS_AT + timedelta(hours=2)
MINUTE = timedelta(minutes=1)


def told(vtn: Vtn, hub: hubs.TestHub, *, at: datetime = AT, **changes: object) -> m.Event:
    """The event as the hub reads it at `at`."""
    vtn.publish(notice_to(hub.ven_id, **changes), key="k", at=AT)
    return only_event(fetched(hub, at=at))


def fetched(hub: hubs.TestHub, *, at: datetime = AT) -> m.DistributeEvent:
    reply = hub.says("EiEvent", m.RequestEvent("R7", hub.ven_id), at=at)
    assert isinstance(reply, m.DistributeEvent)
    return reply


def let_wall_pass() -> None:
    day = timedelta(days=1)
    Event.objects.update(delivered_wall_at=F("delivered_wall_at") - day)
    QueuedMessage.objects.update(next_try_wall_at=F("next_try_wall_at") - day)


def levels(*values: float) -> tuple[Signal, ...]:
    return (Signal("SIMPLE", "level", tuple(SignalInterval(HOUR, value) for value in values)),)


def test_rule_006_any_text_but_false_in_test_event_is_a_test(vtn: Vtn, hub: hubs.TestHub) -> None:
    event = told(vtn, hub, test=True)

    assert event.test_event != "false"
    assert event.is_test
    assert not replace(event, test_event="false").is_test
    assert replace(event, test_event="drill").is_test


def test_rule_008_interval_durations_sum_to_the_active_period(vtn: Vtn, hub: hubs.TestHub) -> None:
    event = told(vtn, hub, signals=levels(1.0, 3.0))

    for signal in event.signals:
        lasting = sum(interval.duration_seconds for interval in signal.intervals)
        assert lasting == event.active_period.duration_seconds
    short = (Signal("SIMPLE", "level", (SignalInterval(HOUR, 1.0),)),)
    with pytest.raises(NoticeInvalid, match="intervals last 3600 s"):
        vtn.publish(notice_to(hub.ven_id, signals=short), key="k2", at=AT)


def test_rule_008_uids_count_from_nought(vtn: Vtn, hub: hubs.TestHub) -> None:
    event = told(vtn, hub, signals=levels(1.0, 3.0))

    assert [interval.uid for interval in event.signals[0].intervals] == ["0", "1"]


@pytest.mark.parametrize("value", [-1.0, 0.5, 4.0])
def test_rule_009_simple_is_nought_to_three(vtn: Vtn, hub: hubs.TestHub, value: float) -> None:
    with pytest.raises(NoticeInvalid, match="SIMPLE is a level of 0, 1, 2 or 3"):
        vtn.publish(notice_to(hub.ven_id, signals=levels(value, 1.0)), key="k", at=AT)


def test_rule_012_response_required_is_always_or_never(vtn: Vtn, hub: hubs.TestHub) -> None:
    assert told(vtn, hub).is_response_required
    body = codec.serialise(fetched(hub))
    assert b"<oadr:oadrResponseRequired>always<" in body
    vtn.amend(only_id(vtn), notice_to(hub.ven_id, response_required=False), at=AT)
    assert b"<oadr:oadrResponseRequired>never<" in codec.serialise(fetched(hub))


def only_id(vtn: Vtn) -> VtnEventId:
    return VtnEventId(Event.objects.get().event_id)


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (STARTS_AT - 11 * MINUTE, "far"),
        (STARTS_AT - 10 * MINUTE, "near"),
        (STARTS_AT - timedelta(seconds=1), "near"),
        (STARTS_AT, "active"),
        (END - timedelta(seconds=1), "active"),
    ],
)
def test_rule_013_status_agrees_with_the_clock(
    vtn: Vtn, hub: hubs.TestHub, at: datetime, status: str
) -> None:
    event = told(vtn, hub, at=at, ramp_up_seconds=600, recovery_seconds=600)

    assert event.status == status
    assert event.modification_number == 0  # the passing of time is no modification


def test_rule_013_recovery_is_after_the_event(vtn: Vtn, hub: hubs.TestHub) -> None:
    told(vtn, hub, recovery_seconds=600)

    assert fetched(hub, at=END + MINUTE).events == ()


@pytest.mark.parametrize(
    ("at", "current"), [(AT, 0.0), (STARTS_AT, 1.0), (STARTS_AT + timedelta(hours=1), 3.0)]
)
def test_rule_014_current_value_is_nought_until_active_then_the_running_interval(
    vtn: Vtn, hub: hubs.TestHub, at: datetime, current: float
) -> None:
    assert told(vtn, hub, at=at, signals=levels(1.0, 3.0)).signals[0].current_value == current


@pytest.mark.parametrize("number", ["019", "048"])
def test_rules_019_and_048_sound_answers_beside_unsound_ones_count(
    vtn: Vtn, hub: hubs.TestHub, number: str
) -> None:
    event = told(vtn, hub)
    answer = hub.answer_to(event)
    unknown = replace(answer.event_responses[0], event=m.QualifiedEventId("EV-made-up", 0))

    reply = hub.says("EiEvent", replace(answer, event_responses=(unknown, *answer.event_responses)))

    assert isinstance(reply, m.Response)
    assert reply.response.code == m.INVALID_ID
    assert EventOpt.objects.get().opt == "in"


def test_rule_022_the_target_names_the_ven_it_is_sent_to_and_no_other(
    vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    notices = {"a": notice_to(hub.ven_id), "b": notice_to(stranger.ven_id)}
    vtn.publish_many(notices, at=AT)

    assert only_event(fetched(hub)).target.ven_ids == (hub.ven_id,)
    assert only_event(fetched(stranger)).target.ven_ids == (stranger.ven_id,)


@pytest.mark.parametrize("number", ["025", "035"])
def test_rules_025_and_035_a_failure_needs_no_event_responses(hub: hubs.TestHub, number: str) -> None:
    failed = m.CreatedEvent(m.EiResponse(454, "cannot read it", "R"), hub.ven_id)

    reply = hub.says("EiEvent", failed)

    assert reply == m.Response(m.EiResponse(200, "OK", "R"), hub.ven_id)


def test_rule_030_start_after_bounds_the_randomisation_of_start_and_end(vtn: Vtn, hub: hubs.TestHub) -> None:
    event = told(vtn, hub, start_tolerance_seconds=300)

    assert event.active_period.start_tolerance_seconds == 300
    assert only_event(fetched(hub, at=END + 4 * MINUTE)).status == "active"
    assert fetched(hub, at=END + 5 * MINUTE).events == ()


def test_rule_036_a_cancellation_is_acknowledged_with_opt_in(vtn: Vtn, hub: hubs.TestHub) -> None:
    told(vtn, hub)
    vtn.cancel(only_id(vtn), at=AT)

    hub.answers(only_event(hub.polls()), "optIn")

    assert vtn.acknowledgement(only_id(vtn), at=AT).acknowledged_at == AT
    assert vtn.opts_since(START)[0] == []  # no opt into a cancelled event
    assert fetched(hub).events == ()


def test_rule_041_every_payload_has_a_request_id_of_its_own(vtn: Vtn, hub: hubs.TestHub) -> None:
    told(vtn, hub)
    first, second = fetched(hub), fetched(hub)

    assert first.response == m.EiResponse(200, "OK", "R7")
    assert first.request_id not in ("", "R7", second.request_id)


def test_rule_042_an_answer_that_echoes_the_payloads_request_id_counts(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    payload = hub.polls()
    assert isinstance(payload, m.DistributeEvent)
    (event,) = payload.events
    qualified = m.QualifiedEventId(event.event_id, event.modification_number)
    answer = m.EventResponse(qualified, "optIn", payload.request_id)

    reply = hub.says(
        "EiEvent", m.CreatedEvent(m.EiResponse(request_id=payload.request_id), hub.ven_id, (answer,))
    )

    assert reply == m.Response(m.EiResponse(200, "OK", payload.request_id), hub.ven_id)
    assert vtn.acknowledgement(only_id(vtn), at=AT).state == "acknowledged"


def test_rule_058_a_stale_modification_number_is_450(vtn: Vtn, hub: hubs.TestHub) -> None:
    event = told(vtn, hub)
    vtn.amend(only_id(vtn), notice_to(hub.ven_id, comment="changed"), at=AT)

    assert hub.answers(event).response.code == m.OUT_OF_SEQUENCE
    assert hub.opts(event).response.code == m.OUT_OF_SEQUENCE
    assert not EventOpt.objects.exists()


def test_rule_058_every_change_counts_one_up(vtn: Vtn, hub: hubs.TestHub) -> None:
    assert told(vtn, hub).modification_number == 0
    assert vtn.amend(only_id(vtn), notice_to(hub.ven_id, comment="changed"), at=AT) == 1
    assert vtn.amend(only_id(vtn), notice_to(hub.ven_id, comment="changed"), at=AT) == 1
    vtn.cancel(only_id(vtn), at=AT)
    assert only_event(fetched(hub)).modification_number == 2


def test_rule_060_a_new_event_is_never_first_seen_cancelled(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    vtn.cancel(only_id(vtn), at=AT)

    assert isinstance(hub.polls(), m.Response)
    assert fetched(hub).events == ()


def test_rule_061_every_payload_carries_the_full_set(vtn: Vtn, hub: hubs.TestHub) -> None:
    ids = {vtn.publish(notice_to(hub.ven_id), key=key, at=AT) for key in "abc"}
    hub.polls()
    ids.add(vtn.publish(notice_to(hub.ven_id), key="d", at=AT))

    for reply in (hub.polls(), fetched(hub)):
        assert isinstance(reply, m.DistributeEvent)
        assert {event.event_id for event in reply.events} == ids
    limited = hub.says("EiEvent", m.RequestEvent("R8", hub.ven_id, reply_limit=1))
    assert isinstance(limited, m.DistributeEvent)
    assert {event.event_id for event in limited.events} == ids  # one left out would be cancelled by that


def test_rule_062_silence_that_was_asked_for_is_no_missing_answer(vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id, response_required=False), key="k", at=AT)
    for _ in range(2):
        only_event(hub.polls())
        let_wall_pass()

    assert isinstance(hub.polls(), m.Response)
    assert vtn.acknowledgement(only_id(vtn), at=AT).state == "delivered"


def test_rule_062_an_answer_nobody_wanted_is_taken_all_the_same(vtn: Vtn, hub: hubs.TestHub) -> None:
    event = told(vtn, hub, response_required=False)

    assert hub.answers(event, "optOut").response.code == m.OK
    assert vtn.acknowledgement(only_id(vtn), at=AT).opt == "out"


def test_rule_065_a_cancelled_event_still_says_how_its_end_is_randomised(vtn: Vtn, hub: hubs.TestHub) -> None:
    told(vtn, hub, start_tolerance_seconds=300)
    vtn.cancel(only_id(vtn), at=AT)

    event = only_event(fetched(hub))
    assert (event.status, event.active_period.start_tolerance_seconds) == ("cancelled", 300)


def test_rule_105_the_active_period_always_says_notification_ramp_up_and_recovery(
    vtn: Vtn, hub: hubs.TestHub
) -> None:
    told(vtn, hub)

    body = codec.serialise(fetched(hub))

    for name in (b"x-eiNotification", b"x-eiRampUp", b"x-eiRecovery"):
        assert b"<ei:" + name + b"><xcal:duration>PT0S<" in body


def test_rule_116_simple_is_a_level(vtn: Vtn, hub: hubs.TestHub) -> None:
    for name in ("SIMPLE", "simple"):
        signals = (Signal(name, "delta", (SignalInterval(2 * HOUR, 1.0),)),)
        with pytest.raises(NoticeInvalid):
            vtn.publish(notice_to(hub.ven_id, signals=signals), key=name, at=AT)


# ---- order and urgency


def test_active_events_by_priority_then_pending_by_start_then_cancelled(vtn: Vtn, hub: hubs.TestHub) -> None:
    later = Interval(STARTS_AT + timedelta(hours=3), END + timedelta(hours=3))
    wanted = [
        vtn.publish(notice_to(hub.ven_id, priority=1), key="1", at=AT),
        vtn.publish(notice_to(hub.ven_id, priority=9), key="9", at=AT),
        vtn.publish(notice_to(hub.ven_id, priority=0), key="none", at=AT),  # 0 is the lowest
        vtn.publish(notice_to(hub.ven_id, interval=later, priority=1), key="later", at=AT),
        vtn.publish(notice_to(hub.ven_id), key="called off", at=AT),
    ]
    hub.polls()
    vtn.cancel(wanted[-1], at=AT)

    assert [event.event_id for event in fetched(hub, at=STARTS_AT).events] == wanted


# ---- every signal, every target, no end


def content(hub: hubs.TestHub, **changes: object) -> EventContent:
    settings: dict[str, object] = {
        "ven_id": hub.ven_id,
        "market_context": "https://coop.example/turn-down",
        "starts_at": STARTS_AT,
        "duration_seconds": 2 * HOUR,
        "signals": (SignalContent("SIMPLE", "level", ((2 * HOUR, 1.0),)),),
    }
    return EventContent(**(settings | changes))  # type: ignore[arg-type]


EVERY_SIGNAL = [
    ("SIMPLE", "level", "", None),
    ("ELECTRICITY_PRICE", "price", "gbp_per_kwh", ("currencyPerKWh", "GBP", "none")),
    ("ELECTRICITY_PRICE", "priceRelative", "eur_per_kwh", ("currencyPerKWh", "EUR", "none")),
    ("ELECTRICITY_PRICE", "priceMultiplier", "", None),
    ("ENERGY_PRICE", "price", "gbp_per_kwh", ("currencyPerKWh", "GBP", "none")),
    ("DEMAND_CHARGE", "price", "gbp_per_kw", ("currencyPerKW", "GBP", "none")),
    ("BID_PRICE", "price", "gbp_per_kwh", ("currencyPerKWh", "GBP", "none")),
    ("BID_LOAD", "setpoint", "kw", ("powerReal", "W", "k")),
    ("BID_ENERGY", "setpoint", "kwh", ("energyReal", "Wh", "k")),
    ("CHARGE_STATE", "setpoint", "kwh", ("energyReal", "Wh", "k")),
    ("CHARGE_STATE", "delta", "wh", ("energyReal", "Wh", "none")),
    ("CHARGE_STATE", "multiplier", "", None),
    ("LOAD_DISPATCH", "setpoint", "kw", ("powerReal", "W", "k")),
    ("LOAD_DISPATCH", "delta", "w", ("powerReal", "W", "none")),
    ("LOAD_DISPATCH", "setpoint", "var", ("powerReactive", "VAR", "none")),
    ("LOAD_DISPATCH", "setpoint", "va", ("powerApparent", "VA", "none")),
    ("LOAD_DISPATCH", "multiplier", "", None),
    ("LOAD_DISPATCH", "level", "", None),
    ("LOAD_CONTROL", "x-loadControlCapacity", "pct", ("customUnit", "%", "none")),
    ("LOAD_CONTROL", "x-loadControlLevelOffset", "", None),
    ("LOAD_CONTROL", "x-loadControlPercentOffset", "", None),
    ("LOAD_CONTROL", "x-loadControlSetpoint", "celsius", ("temperature", "celsius", "none")),
    ("x-tariff", "price", "gbp", ("currency", "GBP", "none")),
    ("x-own", "level", "v", ("voltage", "V", "none")),
    ("x-own", "level", "a", ("current", "A", "none")),
    ("x-own", "level", "hz", ("frequency", "Hz", "none")),
    ("x-own", "level", "therm", ("Therm", "thm", "none")),
    ("x-own", "level", "pulse", ("pulseCount", "count", "none")),
    ("x-own", "level", "mwh", ("energyReal", "Wh", "M")),
    ("x-own", "level", "varh", ("energyReactive", "VARh", "none")),
    ("x-own", "level", "vah", ("energyApparent", "VAh", "none")),
]


@pytest.mark.parametrize(("name", "kind", "unit", "item"), EVERY_SIGNAL)
def test_every_signal_is_sent_with_its_unit(
    hub: hubs.TestHub, name: str, kind: str, unit: str, item: tuple[str, str, str] | None
) -> None:
    signal = SignalContent(name, kind, ((HOUR, 1.0), (HOUR, 2.0)), unit)
    publishing.publish_events({"k": content(hub, signals=(signal,))}, at=AT)

    reply = hub.polls()

    schema.require_valid(etree.fromstring(codec.serialise(reply)))
    (sent,) = only_event(reply).signals
    assert (sent.name, sent.type) == (name, kind)
    found = sent.unit and (sent.unit.name, sent.unit.units, sent.unit.scale)
    assert found == item


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("ELECTRICITY_PRICE", "level", ""),
        ("ELECTRICITY_PRICE", "price", "kw"),
        ("ELECTRICITY_PRICE", "price", ""),
        ("DEMAND_CHARGE", "price", "gbp_per_kwh"),
        ("CHARGE_STATE", "price", "gbp"),
        ("LOAD_DISPATCH", "setpoint", "kwh"),
        ("LOAD_CONTROL", "level", ""),
        ("SIMPLE", "level", "kw"),
        ("NO_SUCH", "level", ""),
    ],
)
def test_a_signal_no_ven_could_act_on_is_refused(hub: hubs.TestHub, name: str, kind: str, unit: str) -> None:
    signal = SignalContent(name, kind, ((2 * HOUR, 1.0),), unit)

    with pytest.raises(NoticeInvalid):
        publishing.publish_events({"k": content(hub, signals=(signal,))}, at=AT)


def test_targets_of_every_kind_reach_the_ven(hub: hubs.TestHub) -> None:
    ring = "52.1 -1.2 52.3 -1.2 52.3 -1.4 52.1 -1.2"
    targets = (
        ("group_id", "g1"),
        ("group_name", "Bethesda"),
        ("party_id", "p1"),
        ("pnode", "n1"),
        ("aggregated_pnode", "a1"),
        ("meter_asset", "m1"),
        ("end_device_asset", "Water_Heater"),
        ("service_delivery_point", "s1"),
        ("service_area", ring),
        ("service_location", ring),
        ("transport_interface", "north -> south"),
    )
    signal = SignalContent("SIMPLE", "level", ((2 * HOUR, 1.0),), device_classes=("Thermostat",))
    publishing.publish_events(
        {"k": content(hub, targets=targets, resource_ids=("r1", "r2"), signals=(signal,))}, at=AT
    )

    event = only_event(codec.parse(codec.serialise(hub.polls())))

    assert event.target == m.Target(
        ven_ids=(hub.ven_id,),
        group_ids=("g1",),
        group_names=("Bethesda",),
        resource_ids=("r1", "r2"),
        party_ids=("p1",),
        end_device_assets=("Water_Heater",),
        meter_assets=("m1",),
        pnodes=("n1",),
        aggregated_pnodes=("a1",),
        service_delivery_points=("s1",),
        service_areas=(ring,),
        service_locations=(ring,),
        transport_interfaces=(("north", "south"),),
    )
    assert event.signals[0].target == m.Target(end_device_assets=("Thermostat",))


@pytest.mark.parametrize("target", [("planet", "x"), ("group_id", ""), ("transport_interface", "north")])
def test_a_target_that_is_none_is_refused(hub: hubs.TestHub, target: tuple[str, str]) -> None:
    with pytest.raises(NoticeInvalid, match="targets"):
        publishing.publish_events({"k": content(hub, targets=(target,))}, at=AT)


def test_an_open_ended_event_runs_until_it_is_called_off(vtn: Vtn, hub: hubs.TestHub) -> None:
    signal = SignalContent("SIMPLE", "level", ((0, 2.0),))
    ids = publishing.publish_events({"k": content(hub, duration_seconds=0, signals=(signal,))}, at=AT)
    a_year_on = STARTS_AT + timedelta(days=365)

    event = only_event(hub.polls(at=a_year_on))
    assert (event.status, event.active_period.duration_seconds) == ("active", 0)
    assert event.signals[0].current_value == 2.0
    hub.answers(event, at=a_year_on)
    vtn.cancel(ids["k"], at=a_year_on)
    assert only_event(fetched(hub, at=a_year_on)).status == "cancelled"
    assert fetched(hub, at=a_year_on + timedelta(days=2)).events == ()


def test_the_many_at_once_are_told_what_one_would_be(
    vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    from vtn.services import distributing

    notices: dict[str, EventNotice] = {
        "a": notice_to(hub.ven_id, signals=levels(1.0, 3.0), resource_ids=("r & d",)),
        "b": notice_to(stranger.ven_id, signals=levels(1.0, 3.0)),
    }
    vtn.publish_many(notices, at=AT)
    at = STARTS_AT + timedelta(hours=1)

    bodies = distributing.distribute_many([hub.ven, stranger.ven], at=at, by="mqtt")

    for each in (hub, stranger):
        message = codec.parse(bodies[each.ven.pk])
        assert isinstance(message, m.DistributeEvent)
        again = fetched(each, at=at)
        assert message.events == again.events
        assert message.events[0].signals[0].current_value == 3.0
        schema.require_valid(etree.fromstring(bodies[each.ven.pk]))
    assert distributing.distribute_many([hub.ven, stranger.ven], at=at, by="mqtt") == {}
