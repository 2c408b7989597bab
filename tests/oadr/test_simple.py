"""The 2.0a wire: the samples others wrote, what it leaves out, and back again."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oadr import codec, simple
from oadr import messages as m
from oadr.errors import SchemaInvalid, UnknownMessage, WireError
from tests.oadr import samples

FOLDER = samples.SAMPLES / "openadr-20a"
NAMES = ("oadrCreatedEvent", "oadrDistributeEvent", "oadrRequestEvent", "oadrResponse")
present = pytest.mark.skipif(not FOLDER.exists(), reason="the OpenADR sample files are not on this machine")
simple_signals = st.builds(
    m.Signal,
    name=st.sampled_from(["SIMPLE", "simple"]),
    type=st.just("level"),
    signal_id=samples.ids,
    intervals=st.lists(
        st.builds(m.SignalInterval, samples.durations, st.sampled_from([0.0, 1.0, 2.0, 3.0]), st.just("0")),
        min_size=1,
        max_size=2,
    ).map(tuple),
    target=st.none() | samples.targets,
    unit=samples.units,
    current_value=st.none() | samples.floats,
)
events = st.builds(
    m.Event,
    event_id=samples.ids,
    modification_number=samples.unsigned,
    market_context=st.just("https://coop.example/market"),
    created_at=samples.datetimes,
    status=st.sampled_from(["far", "near", "active", "completed", "cancelled"]),
    active_period=samples.periods,
    signals=st.tuples(samples.signals.filter(lambda signal: signal.name != "SIMPLE"), simple_signals),
    target=samples.targets,
    is_response_required=st.booleans(),
    priority=samples.unsigned,
    vtn_comment=samples.plain_texts,
    modified_at=st.none() | samples.datetimes,
    modification_reason=samples.plain_texts,
)


@present
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_read_and_written_again(name: str) -> None:
    parsed = simple.parse_body((FOLDER / f"{name}.xml").read_bytes())

    assert codec.message_name(parsed.message) == name
    assert not parsed.is_enveloped
    if not isinstance(parsed.message, m.DistributeEvent):  # its signal is called ei:signalName
        assert simple.parse_body(simple.serialise(parsed.message)).message == parsed.message


@present
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_no_messages_of_2_0b(name: str) -> None:
    with pytest.raises(WireError):
        codec.parse((FOLDER / f"{name}.xml").read_bytes())


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(events=st.lists(events, max_size=2).map(tuple), response=st.none() | samples.responses)
def test_what_is_written_is_what_2_0a_can_say(
    events: tuple[m.Event, ...], response: m.EiResponse | None
) -> None:
    body = simple.serialise(m.DistributeEvent("R", "COOP-VTN", events, response))

    assert b"2.0b" not in body.partition(b"<ei:")[0]
    read = simple.parse_body(body).message
    assert isinstance(read, m.DistributeEvent)
    assert len(read.events) == len(events)
    for event, told in zip(read.events, events, strict=True):
        (signal,) = event.signals
        assert (signal.name, signal.type, signal.unit, signal.target) == ("SIMPLE", "level", None, None)
        assert [each.value for each in signal.intervals] == [each.value for each in told.signals[1].intervals]
        assert event.target.resource_ids == told.target.resource_ids
        assert event.active_period == told.active_period


def test_an_event_without_a_level_is_left_out() -> None:
    price = m.Signal("ELECTRICITY_PRICE", "price", "0", (m.SignalInterval(7200, 0.3, "0"),))
    event = samples.an_event(signals=(price,))

    assert simple.reduced(event) is None
    assert b"oadrEvent>" not in simple.serialise(m.DistributeEvent("R", "COOP-VTN", (event,)))


def test_the_envelope_and_messages_of_2_0b_are_none_of_2_0a() -> None:
    with pytest.raises(UnknownMessage):
        simple.parse_body(codec.serialise(m.RequestEvent("R", "VEN-1")))
    with pytest.raises(UnknownMessage):
        simple.serialise(m.Poll("VEN-1"))


def test_what_2_0b_has_added_is_refused() -> None:
    body = simple.serialise(m.DistributeEvent("R", "COOP-VTN", (samples.an_event(),)))
    newer = body.replace(b"<ei:venID>", b"<ei:groupName>g</ei:groupName><ei:venID>")

    with pytest.raises(SchemaInvalid, match="groupName is not"):
        simple.parse_body(newer)


@pytest.mark.parametrize(
    "change",
    [
        (b"<pyld:requestID>", b"<pyld:other>"),
        (b"<ei:modificationNumber>0<", b"<ei:modificationNumber>many<"),
        (b"<ei:eventStatus>far<", b"<ei:eventStatus>distant<"),
    ],
)
def test_what_is_out_of_shape_is_refused(change: tuple[bytes, bytes]) -> None:
    body = simple.serialise(m.DistributeEvent("R", "COOP-VTN", (samples.an_event(),)))

    with pytest.raises(WireError):
        simple.parse_body(body.replace(*change))
