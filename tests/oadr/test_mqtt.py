"""MQTT 5 packets: what is written is read back, however the stream is cut, and garbage is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from oadr import mqtt, topics

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@given(
    topic=TEXT,
    payload=st.binary(max_size=400),
    packet_id=st.none() | st.integers(1, 65_535),
    response_topic=TEXT,
    correlation=st.binary(max_size=40),
    expiry=st.none() | st.integers(0, 2**32 - 1),
    user=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    cut=st.integers(1, 50),
)
def test_a_message_is_read_as_written_however_it_is_cut(
    topic, payload, packet_id, response_topic, correlation, expiry, user, cut
):
    data = mqtt.publish(
        topic,
        payload,
        packet_id=packet_id,
        response_topic=response_topic,
        correlation=correlation,
        content_type="application/xml",
        expiry_seconds=expiry,
        user=user,
    )
    reader = mqtt.Reader()
    stream = data + mqtt.puback(7) + data
    read = [each for at in range(0, len(stream), cut) for each in reader.feed(stream[at : at + cut])]

    message = mqtt.Publish(
        topic,
        payload,
        packet_id,
        response_topic=response_topic,
        correlation=correlation,
        content_type="application/xml",
        expiry_seconds=expiry,
        user=user,
    )
    assert read == [message, mqtt.Ack(mqtt.PUBACK, 7, (0,)), message]


def test_another_client_library_reads_our_properties() -> None:
    data = mqtt.publish("t", b"p", packet_id=1, response_topic="r", correlation=b"c", user=[("a", "b")])
    theirs = Properties(PacketTypes.PUBLISH)
    at = 2 + 2 + 1 + 2
    theirs.unpack(data[at:])

    assert (theirs.ResponseTopic, theirs.CorrelationData, theirs.UserProperty) == ("r", b"c", [("a", "b")])


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    with suppress(mqtt.BadPacket):
        list(mqtt.Reader().feed(data))


def test_a_packet_that_is_too_large_is_refused_by_its_length() -> None:
    with pytest.raises(mqtt.BadPacket):
        list(mqtt.Reader(largest_bytes=100).feed(mqtt.publish("t", b"x" * 200)[:10]))


def test_topics_there_and_back() -> None:
    text = topics.topic("COOP-VTN", "VEN-1", "up", "EiEvent")

    assert topics.taken_apart(text) == topics.Address("COOP-VTN", "ven", "VEN-1", "up", "EiEvent")
    assert text.count("/") <= 7
    assert topics.taken_apart(topics.topic("V", "VEN-1", "presence")) == topics.Address(
        "V", "ven", "VEN-1", "presence"
    )


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a#", "$SYS", "a\0"])
def test_a_name_with_wildcards_or_slashes_is_no_topic(name: str) -> None:
    with pytest.raises(topics.BadName):
        topics.topic("COOP-VTN", name, "up", "EiEvent")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "oadr2b/V/ven/N",
        "oadr2b/V/ven/N/up",
        "oadr2b/V/ven/N/up/E/x",
        "oadr2b/V/x/N/up/E",
        f"oadr2b/V/ven/N/up/{'E' * topics.LONGEST_TOPIC}",
    ],
)
def test_what_is_no_topic_of_ours_is_none(text: str) -> None:
    assert topics.taken_apart(text) is None


def test_a_ven_fills_no_memory_with_topics_of_its_own() -> None:
    """What is remembered of a topic is bounded by its length too: sixty thousand of 64 kB would be 4 GB."""
    before = topics._taken_apart.cache_info().currsize

    topics.taken_apart(f"oadr2b/V/ven/N/up/{'x' * 65_000}")

    assert topics._taken_apart.cache_info().currsize == before
