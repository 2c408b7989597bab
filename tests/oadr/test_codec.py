"""Messages to bytes and back; and what the sample files others wrote are judged to be."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from oadr import codec, schema
from oadr import messages as m
from oadr.errors import InvalidValue, NotUtf8, SchemaInvalid, WireError
from tests.oadr import samples

VERDICTS = samples.verdicts()
NOT_MESSAGES = "currency"
"""Fragments the samples hold beside messages: valid against the schema, but nothing one party says."""
IN_UTF16 = "avob/xmlsignature__oadrPayload.xml"


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(message=samples.messages)
def test_what_is_written_is_read_again(message: m.Message) -> None:
    body = codec.serialise(message)

    assert codec.parse(body) == message


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(message=samples.messages)
def test_a_bare_message_stays_bare(message: m.Message) -> None:
    parsed = codec.parse_body(codec.serialise(message, is_enveloped=False))

    assert parsed.message == message
    assert not parsed.is_enveloped


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(message=samples.messages)
def test_what_is_written_passes_the_schema_read_afresh(message: m.Message) -> None:
    tree = etree.fromstring(codec.serialise(message))

    schema.require_valid(tree)


@pytest.mark.skipif(not VERDICTS, reason="the OpenADR sample files are not on this machine")
@pytest.mark.parametrize(("name", "is_valid"), VERDICTS)
def test_samples_are_judged_as_their_readme_says(name: str, is_valid: bool) -> None:
    body = (samples.SAMPLES / name).read_bytes()

    if name == IN_UTF16:
        with pytest.raises(NotUtf8):
            codec.parse(body)
    elif is_valid and NOT_MESSAGES not in name:
        message = codec.parse(body)
        assert codec.parse(codec.serialise(message)) == message
    else:
        with pytest.raises(WireError):
            codec.parse(body)


def test_an_event_says_every_duration_of_its_active_period() -> None:
    body = codec.serialise(m.DistributeEvent("R", "VTN", (samples.an_event(),)))

    for name in (b"x-eiNotification", b"x-eiRampUp", b"x-eiRecovery"):
        assert name in body
    assert b"modificationDateTime" not in body


def test_what_the_schema_refuses_is_never_sent() -> None:
    with pytest.raises(SchemaInvalid, match="oadrDistributeEvent cannot be sent"):
        codec.serialise(m.DistributeEvent("R", "VTN", (samples.an_event(signals=()),)))


def test_characters_xml_cannot_carry_are_never_sent() -> None:
    with pytest.raises(InvalidValue):
        codec.serialise(m.Poll("VEN\x00"))


def test_opt_type_none_is_read_and_never_written() -> None:
    with pytest.raises(SchemaInvalid):
        codec.serialise(
            m.CreatedEvent(
                m.EiResponse(), "VEN-1", (m.EventResponse(m.QualifiedEventId("E", 0), "none", "R"),)
            )
        )


def test_priority_absent_is_the_lowest() -> None:
    body = codec.serialise(m.DistributeEvent("R", "VTN", (samples.an_event(priority=7),)))
    without = body.replace(b"<ei:priority>7</ei:priority>", b"")

    message = codec.parse(without)

    assert isinstance(message, m.DistributeEvent)
    assert message.events[0].priority == 0


@pytest.mark.parametrize(
    ("text", "is_test"), [("false", False), ("False ", False), ("", False), ("true", True), ("drill 7", True)]
)
def test_any_text_but_false_marks_a_test(text: str, is_test: bool) -> None:
    assert samples.an_event(test_event=text).is_test is is_test
