"""Shapes of XML that hurt parsers, each within the size that is let in: refused by name, or harmless."""

from __future__ import annotations

import gzip
import zlib

import pytest

from oadr import codec
from oadr import messages as m
from oadr.errors import HasDoctype, NotWellFormed, SchemaInvalid, TooLarge, WireError

POLL = codec.serialise(m.Poll("VEN-1"))
DECLARATION, ROOT = POLL.split(b"\n", 1)
ROOM = codec.LARGEST_BYTES - len(POLL) - 2_000


def in_poll(inserted: bytes) -> bytes:
    return ROOT.replace(b"<ei:venID>", inserted + b"<ei:venID>")


def many(piece: bytes) -> bytes:
    return piece * (ROOM // len(piece))


HOSTILE = {
    "elements without end": in_poll(many(b"<a/>")),
    "siblings of the message": ROOT.replace(
        b"</oadr:oadrSignedObject>", many(b"<a/>") + b"</oadr:oadrSignedObject>"
    ),
    "deep": in_poll(b"<a>" * 20_000 + b"</a>" * 20_000),
    "deep within the parser's limit": in_poll(b"<a>" * 200 + b"</a>" * 200),
    "a namespace a level": in_poll(b"".join(b'<n%d:a xmlns:n%d="u%d">' % (n, n, n) for n in range(200)))[:-1],
    "thousands of namespaces on one element": in_poll(
        b"<a " + b" ".join(b'xmlns:n%d="u%d"' % (n, n) for n in range(6_000)) + b"/>"
    ),
    "thousands of attributes": in_poll(b"<a " + b" ".join(b'a%d=""' % n for n in range(15_000)) + b"/>"),
    "the same attribute twice": in_poll(b'<a b="1" b="2"/>'),
    "one prefix for two namespaces": in_poll(b'<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>'),
    "an undeclared prefix": in_poll(b"<nobody:a/>"),
    "a huge text where none belongs": in_poll(many(b"x")),
    "a huge attribute": ROOT.replace(b'"2.0b"', b'"' + many(b"x") + b'"'),
    "a huge element name": in_poll(b"<" + b"a" * 60_000 + b"/>"),
    "a huge namespace": in_poll(b'<a xmlns="' + many(b"u") + b'"/>'),
    "an entity in an attribute": ROOT.replace(b'"2.0b"', b'"&version;"'),
    "a character reference to nothing": ROOT.replace(b"VEN-1", b"&#0;"),
    "a character reference past the end": ROOT.replace(b"VEN-1", b"&#x110000;"),
    "half a surrogate": ROOT.replace(b"VEN-1", b"&#xD800;"),
    "xsi:type for another": ROOT.replace(
        b"<ei:venID>",
        b'<ei:venID xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ei:EiEventType">',
    ),
    "xsi:nil": ROOT.replace(
        b"<ei:venID>VEN-1</ei:venID>",
        b'<ei:venID xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>',
    ),
    "an XInclude": in_poll(
        b'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'
    ),
    "text beside the message": ROOT.replace(b"<oadr:oadrPoll", b"or else<oadr:oadrPoll"),
    "a second venID": ROOT.replace(b"</ei:venID>", b"</ei:venID><ei:venID>VEN-2</ei:venID>"),
    "gzip": gzip.compress(POLL),
    "gzip, a thousandfold": gzip.compress(b"0" * 100_000_000, 9)[: codec.LARGEST_BYTES],
    "deflate": zlib.compress(POLL),
    "XML 1.1": b'<?xml version="1.1" encoding="UTF-8"?>' + ROOT.replace(b"VEN-1", b"&#1;"),
    "NUL": ROOT.replace(b"VEN-1", b"VEN\x00-1"),
    "a declaration twice": DECLARATION + DECLARATION + ROOT,
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "SOAP around it": b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    + ROOT
    + b"</s:Body></s:Envelope>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_by_name(name: str) -> None:
    with pytest.raises(WireError):
        codec.parse(HOSTILE[name])


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (b"<!DOCTYPE x>", HasDoctype),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>', HasDoctype),
        (b"<!doctype x>", NotWellFormed),
        (b"<! DOCTYPE x>", NotWellFormed),
        (b"<!ENTITY a 'b'>", NotWellFormed),
    ],
)
def test_a_document_type_in_any_spelling(place: bytes, error: type[WireError]) -> None:
    with pytest.raises(error):
        codec.parse(DECLARATION + place + ROOT)


def test_a_document_type_in_a_comment_or_text_is_refused_all_the_same() -> None:
    """Judged on the bytes, before there is a parser to ask what they mean."""
    with pytest.raises(HasDoctype):
        codec.parse(in_poll(b"<!-- <!DOCTYPE x> -->"))


@pytest.mark.parametrize(
    "body",
    [
        ROOT.replace(b"VEN-1", b"<![CDATA[VEN-1]]>"),
        ROOT.replace(b"VEN-1", b"V<![CDATA[EN]]>-1"),
        ROOT.replace(b"VEN-1", b"&#86;EN-1"),
        in_poll(b"<!-- " + many(b"x") + b" -->"),
        in_poll(b"<?robots no?>"),
        b"<?xml-stylesheet href='file:///etc/passwd'?>" + ROOT,
        ROOT.replace(b"oadr:", b"o:").replace(b"xmlns:oadr", b"xmlns:o"),
        DECLARATION + b"\n" * 10_000 + ROOT,
    ],
)
def test_spellings_of_the_same_message_mean_the_same(body: bytes) -> None:
    assert codec.parse(body) == m.Poll("VEN-1")


def test_one_byte_over_is_not_even_decoded() -> None:
    with pytest.raises(TooLarge):
        codec.parse(b"\xff" * (codec.LARGEST_BYTES + 1))


def test_a_refusal_names_the_first_thing_wrong() -> None:
    with pytest.raises(SchemaInvalid, match="line 1"):
        codec.parse(HOSTILE["a second venID"])
