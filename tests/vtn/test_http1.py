"""Requests from bytes: what two readers could understand differently is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtn.transports import http1

LINE = b"POST /OpenADR2/Simple/2.0b/OadrPoll HTTP/1.1"


def test_a_head_is_read() -> None:
    head = http1.head_of(LINE + b"\r\nHost: vtn\r\ncontent-LENGTH:  12 \r\nAccept: a\r\nAccept: b")

    assert (head.method, head.path, head.minor_version) == ("POST", "/OpenADR2/Simple/2.0b/OadrPoll", 1)
    assert head.fields == {"host": "vtn", "content-length": "12", "accept": "a, b"}
    assert (head.length, head.is_chunked, head.is_kept_open) == (12, False, True)


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b"POST  / HTTP/1.1"),
        (400, b"POST vtn HTTP/1.1"),
        (400, b"post / HTTP/1.1"),
        (505, b"POST / HTTP/2.0"),
        (505, b"POST / HTTP/1.1 "[:-1] + b"1"),
        (400, LINE + b"\nHost: vtn"),
        (400, LINE + b"\r\nHost: vtn\r"),
        (400, LINE + b"\r\nHost: vtn\0"),
        (400, LINE + b"\r\nHost : vtn"),
        (400, LINE + b"\r\nHost: vtn\r\n folded"),
        (400, LINE + b"\r\nHost"),
        (400, LINE + b"\r\n: nameless"),
        (400, LINE + b"\r\nContent-Length: 1\r\nContent-Length: 1"),
        (400, LINE + b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
        (431, LINE + b"\r\nA: b" * 61),
    ],
)
def test_what_could_be_read_two_ways_is_refused(status: int, data: bytes) -> None:
    with pytest.raises(http1.BadHead) as refused:
        http1.head_of(data)
    assert refused.value.status == status


@pytest.mark.parametrize("length", [b"", b"-1", b"+1", b"1_0", b"0x1", b"1, 1", b"9" * 11])
def test_a_length_that_is_none_is_none(length: bytes) -> None:
    assert http1.head_of(LINE + b"\r\nContent-Length: " + length).length is None


@pytest.mark.parametrize(
    ("version", "said", "is_kept"),
    [
        (b"1", b"", True),
        (b"1", b"Connection: close\r\n", False),
        (b"1", b"Connection: Keep-Alive, Close\r\n", False),
        (b"0", b"", False),
        (b"0", b"Connection: keep-alive\r\n", True),
        (b"1", b"Transfer-Encoding: chunked\r\n", False),
    ],
)
def test_how_long_the_connection_lasts(version: bytes, said: bytes, is_kept: bool) -> None:
    head = http1.head_of(b"POST / HTTP/1." + version + b"\r\n" + said + b"Host: vtn")

    assert head.is_kept_open is is_kept


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_a_refusal(data: bytes) -> None:
    with suppress(http1.BadHead):
        assert http1.head_of(data).target.startswith("/")


def test_an_answer_whole() -> None:
    data = http1.answer(503, [("Retry-After", "5"), ("Content-Length", "2")], b"no", is_last=True)

    assert data == (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 2\r\n"
        b"Connection: close\r\n\r\nno"
    )


def proxied(certificate: bytes, *, rest: bytes = b"") -> bytes:
    return LINE + b"\r\nHost: vtn\r\nX-Client-Certificate: " + certificate + b"\r\nContent-Length: 7" + rest


def outcome(data: bytes) -> http1.Head | int:
    try:
        return http1.head_of(data)
    except http1.BadHead as refused:
        return refused.status


def afresh(data: bytes) -> http1.Head | int:
    http1._heads.clear()
    return outcome(data)


@pytest.mark.parametrize(
    "data",
    [
        proxied(b"two"),
        proxied(b""),
        proxied(b"  spaces\t"),
        proxied(b"bare\nline"),
        proxied(b"bare\rreturn"),
        proxied(b"nul\0"),
        proxied(b"two\r\nContent-Length: 8"),
        proxied(b"two", rest=b"\r\nX-Client-Certificate: again"),
        proxied(b"two", rest=b"\r\nx-client-certificate: again"),
        LINE + b"\r\nX-Client-Certificate: last of all",
    ],
)
def test_a_head_met_with_another_certificate_is_read_as_ever(data: bytes) -> None:
    expected = afresh(data)
    for certificate in (b"one", b"three"):
        outcome(data.replace(b"two", certificate))
        outcome(proxied(certificate))

    assert outcome(data) == expected
    assert outcome(data) == expected


@given(st.lists(st.binary(max_size=30), min_size=2, max_size=4))
def test_any_certificate_after_another_is_read_as_ever(certificates: list[bytes]) -> None:
    expected = [afresh(proxied(each)) for each in certificates]

    assert [outcome(proxied(each)) for each in certificates * 2] == expected * 2


def test_what_is_remembered_of_one_head_is_not_another_s() -> None:
    first, second = http1.head_of(proxied(b"one")), http1.head_of(proxied(b"two"))
    first.fields["host"] = "changed"

    assert (second.fields["host"], http1.head_of(proxied(b"one")).fields["host"]) == ("vtn", "vtn")


def test_no_more_heads_are_remembered_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_MOST_HEADS", 3)
    for number in range(20):
        http1.head_of(proxied(b"one", rest=b"\r\nA: %d" % number))
        assert len(http1._heads) <= 3
