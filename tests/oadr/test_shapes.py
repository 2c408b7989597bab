"""What is recalled of a form met before is what parsing gives, or nothing; never what parsing refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from oadr import codec, shapes
from oadr import messages as m
from oadr.errors import WireError
from tests.oadr import samples

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).filter(
    lambda text: not {"\ufffe", "\uffff"} & set(text)
)
responses = st.builds(m.EiResponse, st.sampled_from([200, 452]), texts, texts)
answers = st.builds(
    m.EventResponse,
    st.builds(m.QualifiedEventId, texts, st.integers(0, 3)),
    st.sampled_from(["optIn", "optOut"]),
    texts,
    st.sampled_from([200, 454]),
    texts,
)
created = st.builds(m.CreatedEvent, responses, texts, st.lists(answers, max_size=3).map(tuple))


@pytest.fixture(autouse=True)
def _nothing_learned() -> Iterator[None]:
    shapes.forget()
    yield
    shapes.forget()


def answer_of(ven_id: str, event_id: str = "E1", request_id: str = "R1", description: str = "OK") -> bytes:
    event = m.EventResponse(m.QualifiedEventId(event_id, 2), "optIn", request_id, 200, description)
    return codec.serialise(m.CreatedEvent(m.EiResponse(200, "OK", request_id), ven_id, (event,)))


def event_in(unit: m.Unit, *, request_id: str) -> bytes:
    period = m.ActivePeriod(datetime(2026, 7, 1, 17, tzinfo=UTC), 3600)
    signal = m.Signal("LOAD_DISPATCH", "delta", "S1", (m.SignalInterval(3600, 1.0),), unit=unit)
    event = m.Event("E1", 0, "http://x/y", period.starts_at, "far", period, (signal,), m.Target())
    return codec.serialise(m.DistributeEvent(request_id, "VTN", (event,), m.EiResponse(200, "OK", "R1")))


def outcome(body: bytes) -> codec.Parsed | tuple[type, str]:
    try:
        return codec.parse_body(body)
    except WireError as error:
        return type(error), str(error)


def afresh(body: bytes) -> codec.Parsed | tuple[type, str]:
    """As one that knows no form reads it; what is learned stays."""
    learned, met = dict(shapes._learned), dict(shapes._met)
    shapes.forget()
    try:
        return outcome(body)
    finally:
        shapes.forget()
        shapes._learned.update(learned)
        shapes._met.update(met)


def test_a_form_is_learned_when_it_comes_again() -> None:
    codec.parse_body(answer_of("VEN-1"))
    assert not shapes._learned
    codec.parse_body(answer_of("VEN-2"))
    assert len(shapes._learned) == 1

    parsed = codec.parse_body(answer_of("VEN-3", "E 3", "R<3"[:1] + "3", "start 12 s"))

    assert parsed.message == m.CreatedEvent(
        m.EiResponse(200, "OK", "R3"),
        "VEN-3",
        (m.EventResponse(m.QualifiedEventId("E 3", 2), "optIn", "R3", 200, "start 12 s"),),
    )
    assert (parsed.is_enveloped, parsed.is_signed, parsed.tolerances) == (True, False, ())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(messages=st.lists(created, min_size=1, max_size=3), is_enveloped=st.booleans())
def test_recalled_is_what_parsing_gives(messages: list[m.CreatedEvent], is_enveloped: bool) -> None:
    for message in [*messages * 3, *messages]:
        parsed = codec.parse_body(codec.serialise(message, is_enveloped=is_enveloped))

        assert (parsed.message, parsed.is_enveloped) == (message, is_enveloped)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(event=samples.events, ids=st.lists(texts.filter(bool), min_size=2, max_size=4))
def test_events_are_recalled_too(event: m.Event, ids: list[str]) -> None:
    for ven_id in ids * 2:
        body = codec.serialise(m.DistributeEvent(f"R{ven_id}", "VTN", (event,), m.EiResponse()))
        assert codec.parse_body(body) == afresh(body)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    place=st.integers(0, 2000),
    length=st.integers(0, 12),
    put=st.sampled_from(
        [b"", b"<", b"&", b"&amp;", b"\0", b"\xff", b"x", b"ID>", b"ption>", b"<!-- ID>a</ -->", b"]]>", b" "]
    ),
)
def test_a_body_near_a_form_that_is_learned_is_judged_as_ever(place: int, length: int, put: bytes) -> None:
    for ven_id in ("VEN-1", "VEN-2"):
        codec.parse_body(answer_of(ven_id))
    body = answer_of("VEN-3")
    place %= len(body)
    body = body[:place] + put + body[place + length :]

    assert outcome(body) == afresh(body)
    assert outcome(body) == afresh(body)  # met again, perhaps learned meanwhile


@pytest.mark.parametrize(
    "around",
    [
        lambda body: body.replace(b"<ei:venID>", b"<!-- <ei:venID>VEN-0</ei:venID> --><ei:venID>"),
        lambda body: body.replace(b">VEN-1<", b"><![CDATA[<a:ID>VEN-1</a:ID>]]><"),
        lambda body: body.replace(b"</ei:venID>", b"</ei:venID>  "),
        lambda body: body.replace(b"ei:", b"x:").replace(b"xmlns:ei", b"xmlns:x"),
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: etree.tostring(etree.fromstring(body), pretty_print=True),
    ],
    ids=["comment", "cdata", "spaces", "prefix", "mark", "indented"],
)
def test_odd_ways_to_write_it(around: object) -> None:
    for ven_id in ("VEN-1", "VEN-2", "VEN-1", "VEN--1", "VEN-1"):
        body = around(answer_of("VEN-1")).replace(b"VEN-1", ven_id.encode())  # type: ignore[operator]
        assert outcome(body) == afresh(body)


def test_a_text_where_the_schema_wants_another_kind_is_never_open() -> None:
    response = m.Response(m.EiResponse(200, "OK", "R"), "VEN-1")
    body = codec.serialise(response).replace(b"</pyld:requestID>", b"</pyld:requestID><ei:qID>1</ei:qID>")
    for _ in range(3):
        assert outcome(body) == afresh(body)
        assert isinstance(outcome(body), tuple)
    assert not shapes._learned


def test_blanks_around_a_text_are_read_as_ever() -> None:
    """An itemDescription is read without them, an id as it was written."""
    body = event_in(m.Unit("customUnit", "widgets", "w"), request_id="R1")
    for _ in range(3):
        codec.parse_body(body)
    assert shapes._learned

    for text in (b"E1", b"R1", b"OK", b"widgets", b"S1"):
        padded = body.replace(b">%b<" % text, b">  %b <" % text)
        assert outcome(padded) == afresh(padded)
        assert outcome(padded) == afresh(padded)


def test_a_form_that_is_not_open_is_tried_once() -> None:
    """A comment with an id in it: each message is read once, not a second time with marks."""
    body = answer_of("VEN-1").replace(b"<ei:venID>", b"<!-- <ei:venID>VEN-0</ei:venID> --><ei:venID>")
    for _ in range(2):
        codec.parse_body(body)
    cut = shapes.cut(body)
    assert cut is not None

    shapes.learn(cut, lambda marked: pytest.fail("read again with marks"))

    assert not shapes._learned


@pytest.mark.parametrize(
    "unit",
    [m.Unit("powerReal", "RealPower", "W", "k", "50", "230", True), m.Unit("energyReal", "RealEnergy", "Wh")],
    ids=lambda unit: unit.name,
)
def test_events_with_a_unit_are_learned(unit: m.Unit) -> None:
    """Its itemDescription is the one word that the schema takes."""
    for number in range(2):
        codec.parse_body(event_in(unit, request_id=f"R{number}"))

    assert len(shapes._learned) == 1


def test_signed_and_large_bodies_are_not_looked_at() -> None:
    assert shapes.cut(b"<oadrCreatedEvent/>" + b" " * shapes.LARGEST_BYTES) is None
    assert shapes.cut(codec.serialise(m.Poll("VEN-1"))) is None


def test_no_more_is_remembered_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MOST_FORMS", 3)
    monkeypatch.setattr(shapes, "MOST_MET", 5)
    for number in range(20):
        body = answer_of("VEN-1").replace(b"<ei:modificationNumber>2", b"<ei:modificationNumber>%d" % number)
        for _ in range(2):
            assert outcome(body) == afresh(body)
        assert len(shapes._learned) <= 3
        assert len(shapes._met) <= 5
