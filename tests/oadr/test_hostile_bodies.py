"""Bodies meant to harm: refused by name, by the earliest check that can see them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oadr import codec
from oadr import messages as m
from oadr.errors import (
    HasDoctype,
    InvalidValue,
    NotUtf8,
    NotWellFormed,
    SchemaInvalid,
    TooLarge,
    UnknownMessage,
    WireError,
)
from tests.oadr import samples

POLL = codec.serialise(m.Poll("VEN-1"))
EVENTS = codec.serialise(m.DistributeEvent("R", "VTN", (samples.an_event(),)))
DECLARATION, ROOT = POLL.split(b"\n", 1)


def test_more_than_256_kib_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        codec.parse(b" " * (256 * 1024 + 1))


def test_256_kib_exactly_is_read() -> None:
    assert codec.parse(POLL + b" " * (256 * 1024 - len(POLL))) == m.Poll("VEN-1")


@pytest.mark.parametrize(
    "doctype",
    [
        b'<!DOCTYPE x [<!ENTITY e "v">]>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE lol [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>',
        b"<!DOCTYPE x>",
    ],
)
def test_a_doctype_is_refused_with_its_line(doctype: bytes) -> None:
    with pytest.raises(HasDoctype) as refused:
        codec.parse(DECLARATION + b"\n" + doctype + b"\n" + ROOT)

    assert refused.value.line == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding: str) -> None:
    text = POLL.decode().replace("UTF-8", encoding).replace("VEN-1", "VEN-é")
    with pytest.raises(WireError) as refused:
        codec.parse(text.encode(encoding))

    assert isinstance(refused.value, NotUtf8 | NotWellFormed)


def test_a_doctype_in_another_encoding_is_not_smuggled_past() -> None:
    hidden = '<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<x/>'
    with pytest.raises(NotUtf8):
        codec.parse(hidden.encode())


def test_a_byte_order_mark_is_no_harm() -> None:
    assert codec.parse(b"\xef\xbb\xbf" + POLL) == m.Poll("VEN-1")


@pytest.mark.parametrize("body", [b"", b"poll", b"<a>", b"<a></b>", POLL[:-5], b"<a/><a/>", b"&lt;"])
def test_what_is_not_xml_is_refused(body: bytes) -> None:
    with pytest.raises(NotWellFormed):
        codec.parse(body)


def test_an_undeclared_entity_is_refused() -> None:
    with pytest.raises(NotWellFormed):
        codec.parse(POLL.replace(b"VEN-1", b"&who;"))


def test_deep_nesting_is_refused_without_recursion() -> None:
    with pytest.raises(NotWellFormed):
        codec.parse(b"<a>" * 40_000)


def test_many_attributes_are_refused_by_the_schema() -> None:
    attributes = b" ".join(b'a%d="1"' % number for number in range(20_000))
    with pytest.raises(SchemaInvalid):
        codec.parse(ROOT.replace(b"<oadr:oadrPoll ", b"<oadr:oadrPoll " + attributes + b" "))


def test_a_schema_error_names_line_and_element() -> None:
    with pytest.raises(SchemaInvalid) as refused:
        codec.parse(POLL.replace(b"ei:venID", b"ei:vtnID"))

    assert refused.value.line == 2
    assert "vtnID" in refused.value.reason
    assert "{" not in refused.value.reason


@pytest.mark.parametrize("root", ["x", "oadrSignedObject", "currency"])
def test_a_root_that_is_no_message_is_refused(root: str) -> None:
    with pytest.raises(UnknownMessage):
        codec.parse(f'<{root} xmlns="http://openadr.org/oadr-2.0b/2012/07"/>'.encode())


def test_an_empty_envelope_is_refused() -> None:
    with pytest.raises(SchemaInvalid):
        codec.parse(b'<oadrPayload xmlns="http://openadr.org/oadr-2.0b/2012/07"/>')


def test_two_messages_in_one_envelope_are_refused() -> None:
    start = ROOT.index(b"<oadr:oadrPoll")
    end = ROOT.index(b"</oadr:oadrSignedObject>")
    with pytest.raises(SchemaInvalid):
        codec.parse(ROOT[:end] + ROOT[start:end] + ROOT[end:])


def test_a_comment_or_an_instruction_cannot_split_a_value() -> None:
    assert codec.parse(POLL.replace(b"VEN-1", b"VE<!-- x -->N-<?y z?>1")) == m.Poll("VEN-1")


def test_a_schema_location_is_never_fetched() -> None:
    hint = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="x http://127.0.0.1:9/x.xsd"'
    body = ROOT.replace(b"<oadr:oadrPayload ", b"<oadr:oadrPayload " + hint + b" ")

    assert codec.parse(body) == m.Poll("VEN-1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<xcal:date-time>2026", b"<xcal:date-time>-2026"),
        (b"PT2H", b"PT99999999999999999999S"),
        (b"PT2H", b"P" + b"9" * 5000 + b"Y"),
        (b"PT2H", b"P999999999Y"),
    ],
)
def test_values_without_meaning_are_refused(old: bytes, new: bytes) -> None:
    assert old in EVENTS
    with pytest.raises((InvalidValue, SchemaInvalid)):
        codec.parse(EVENTS.replace(old, new))


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=400))
def test_random_bytes_are_refused_by_name(body: bytes) -> None:
    with pytest.raises(WireError):
        codec.parse(body)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    message=samples.messages,
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 8)), min_size=1, max_size=3
    ),
)
def test_mutated_messages_are_read_or_refused_by_name(
    message: m.Message, cuts: list[tuple[float, bytes, int]]
) -> None:
    body = codec.serialise(message)
    for place, inserted, dropped in cuts:
        at = int(place * len(body))
        body = body[:at] + inserted + body[at + dropped :]

    with suppress(WireError):
        codec.parse(body)


def test_a_reason_is_short_whatever_was_sent() -> None:
    with pytest.raises(SchemaInvalid) as refused:
        codec.parse(POLL.replace(b'"2.0b"', b'"' + b"2" * 5000 + b'"'))

    assert len(refused.value.reason) <= 240
