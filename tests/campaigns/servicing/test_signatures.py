"""HTTP message signatures: the RFC's own vector, and nothing else than what was signed."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from campaigns.servicing import signatures
from campaigns.servicing.signatures import Message, SignatureRefused

# RFC 9421, appendices B.1.4, B.2 and B.2.6.
RFC_PUBLIC = base64.b64decode("MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")[-32:]
RFC_PRIVATE = Ed25519PrivateKey.from_private_bytes(
    base64.b64decode("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")[-32:]
)
RFC_PARAMETERS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
RFC_MESSAGE = Message(
    "POST",
    "https://example.com/foo?param=Value&Pet=dog",
    {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-digest": (
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm"
            "+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
        ),
        "content-length": "18",
        "signature-input": f"sig-b26={RFC_PARAMETERS}",
        "signature": (
            "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1"
            "u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
        ),
    },
    b'{"hello": "world"}',
)
NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
MESSAGE = Message("POST", "https://coop.example/api/x?y=1", {"idempotency-key": "a1"}, b'{"a":1}')


def signed(message: Message = MESSAGE, **fields: object) -> Message:
    """The message with headers of a good signature, made at NOON unless told otherwise."""
    wanted = {"key": KEY, "key_id": "k1", "created_at": NOW, "nonce": "n1", **fields}
    added = signatures.sign(message, **wanted)  # type: ignore[arg-type]
    return replace(message, headers={**message.headers, **added})


def check(message: Message, *, wall: datetime = NOW) -> None:
    """All that the door asks."""
    found = signatures.read(message)
    found.require(["@method", "@target-uri", "content-digest"])
    found.require_current(wall=wall, seconds=60)
    found.require_by(PUBLIC)
    signatures.require_digest(message)


def test_the_rfcs_vector_fits() -> None:
    found = signatures.read(RFC_MESSAGE)

    assert found.base.decode().splitlines() == [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@method": POST',
        '"@path": /foo',
        '"@authority": example.com',
        '"content-type": application/json',
        '"content-length": 18',
        f'"@signature-params": {RFC_PARAMETERS}',
    ]
    found.require_by(RFC_PUBLIC)
    signatures.require_digest(RFC_MESSAGE)
    assert RFC_PRIVATE.sign(found.base) == found.signature
    assert (found.key_id, found.created_at) == (
        "test-key-ed25519",
        datetime(2021, 4, 20, 2, 7, 53, tzinfo=UTC),
    )


def test_derived_components_as_the_rfc_has_them() -> None:
    message = Message("get", "https://WWW.Example.com:443/path?a=b", {})

    told = {name: signatures._component(message, name) for name in signatures.DERIVED}

    assert told == {
        "@method": "GET",
        "@target-uri": "https://WWW.Example.com:443/path?a=b",
        "@authority": "www.example.com",
        "@scheme": "https",
        "@request-target": "/path?a=b",
        "@path": "/path",
        "@query": "?a=b",
    }


def test_what_was_signed_is_taken() -> None:
    check(signed())


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"url": "https://coop.example/api/x?y=2"},
        {"url": "https://other.example/api/x?y=1"},
        {"body": b'{"a":2}'},
        {"body": b""},
    ],
)
def test_a_changed_message_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SignatureRefused):
        check(replace(signed(), **change))  # type: ignore[arg-type]


def test_a_changed_header_that_is_covered_is_refused() -> None:
    message = signed()

    with pytest.raises(SignatureRefused):
        check(replace(message, headers={**message.headers, "idempotency-key": "a2"}))


def test_another_key_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))

    with pytest.raises(SignatureRefused, match="does not fit"):
        check(signed(key=stranger))


@pytest.mark.parametrize(("seconds", "is_taken"), [(60, True), (61, False), (-60, True), (-61, False)])
def test_the_clock_may_be_a_minute_off(seconds: int, is_taken: bool) -> None:
    message = signed(created_at=NOW + timedelta(seconds=seconds))
    if is_taken:
        check(message)
    else:
        with pytest.raises(SignatureRefused, match="clock"):
            check(message)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"signature-input": ""}, "send Signature-Input"),
        ({"signature": ""}, "send Signature"),
        ({"signature": "other=:AAAA:"}, "same label"),
        ({"signature": "sig=1"}, "byte sequence"),
        ({"signature": "sig=:A:"}, "not base64"),
        ({"signature-input": "sig"}, "cannot be read"),
        ({"signature-input": 'sig=("@method";req)'}, "parameters"),
        ({"signature-input": 'sig=("@method" "@method")'}, "once"),
        ({"signature-input": 'sig=("nothing-like-it")'}, "not in the message"),
        ({"signature-input": 'sig=("@status")'}, "not in the message"),
        ({"signature-input": "sig=(" + '"x" ' * 2000 + ")"}, "too long"),
        ({"signature-input": 'sig=("@method");keyid="k1";nonce="n"'}, "no created|is not signed"),
        ({"content-digest": "md5=:AAAA:"}, "Content-Digest|does not fit"),
    ],
)
def test_what_cannot_be_read_is_refused_with_why(headers: dict[str, str], words: str) -> None:
    message = signed()

    with pytest.raises(SignatureRefused) as refused:
        check(replace(message, headers={**message.headers, **headers}))

    assert re.search(words, str(refused.value.data["reason"]))


def test_an_expired_signature_is_refused() -> None:
    message = signed()
    late = message.headers["signature-input"] + f";expires={int(NOW.timestamp())}"

    found = signatures.read(replace(message, headers={**message.headers, "signature-input": late}))

    with pytest.raises(SignatureRefused, match="expired"):
        found.require_current(wall=NOW, seconds=60)


@given(text=st.text(max_size=200), body=st.binary(max_size=50))
def test_no_header_makes_it_fail_otherwise(text: str, body: bytes) -> None:
    for name in ("signature-input", "signature", "content-digest"):
        message = signed(replace(MESSAGE, body=body))
        try:
            check(replace(message, headers={**message.headers, name: text}))
        except SignatureRefused:
            continue
        assert name == "content-digest"
        assert body == b""


@given(
    body=st.binary(max_size=200),
    path=st.text("abc/%?&=", max_size=20),
    place=st.integers(0, 63),
    bit=st.integers(0, 7),
)
def test_a_signature_with_any_bit_changed_is_refused(body: bytes, path: str, place: int, bit: int) -> None:
    message = signed(Message("POST", f"https://coop.example/{path}", {}, body))
    raw = bytearray(base64.b64decode(message.headers["signature"][5:-1]))
    raw[place] ^= 1 << bit
    forged = f"sig=:{base64.b64encode(bytes(raw)).decode()}:"

    signatures.read(message).require_by(PUBLIC)
    with pytest.raises(SignatureRefused):
        signatures.read(replace(message, headers={**message.headers, "signature": forged})).require_by(PUBLIC)
