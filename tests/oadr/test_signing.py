"""XML signatures: made, verified, and every way we know of to have one vouch for something else."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from oadr import codec, schema, signing
from oadr import messages as m
from oadr.errors import SignatureInvalid, WireError
from oadr.signing import ReplayProtect
from tests.oadr import samples
from tests.oadr.signatures import fresh, identity, wrapped

POLL = codec.serialise(m.Poll("VEN-1"))
FORGED = codec.serialise(m.CancelPartyRegistration("R", "REG", "VEN-1"))


def signed(body: bytes = POLL, kind: str = "ec", protect: ReplayProtect | None = None) -> bytes:
    return signing.sign(body, identity=identity(kind=kind), replay_protect=protect or fresh())


def read(body: bytes, *, kind: str = "ec") -> codec.Parsed:
    return codec.parse_body(body, certificates=[identity(kind=kind).certificate_der])


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_what_is_signed_is_read_back(kind: str) -> None:
    protect = ReplayProtect(datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC), "abc")

    parsed = read(signed(kind=kind, protect=protect), kind=kind)

    assert parsed == codec.Parsed(m.Poll("VEN-1"), True, True, (), protect)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(message=samples.messages)
def test_any_message_can_be_signed_and_passes_the_schema(message: m.Message) -> None:
    body = signed(codec.serialise(message))

    schema.require_valid(etree.fromstring(body))
    assert read(body).message == message


def test_the_signature_comes_first_with_two_references() -> None:
    root = etree.fromstring(signed())

    assert [etree.QName(child).localname for child in root] == ["Signature", "oadrSignedObject"]
    uris = [reference.get("URI") for reference in root.iter("{*}Reference")]
    assert uris == ["#oadrSignedObject", "#prop"]
    methods = {element.get("Algorithm") for element in root.iter("{*}DigestMethod", "{*}Transform")}
    assert methods == {signing.SHA256, signing.C14N}


def test_an_unsigned_body_has_nothing_to_verify() -> None:
    assert read(POLL) == codec.Parsed(m.Poll("VEN-1"), True, False)


def test_a_signature_after_its_object_is_read() -> None:
    root = etree.fromstring(signed())
    root.append(root[0])

    assert read(etree.tostring(root)).message == m.Poll("VEN-1")


def test_another_certificate_is_refused_whatever_the_message_shows() -> None:
    other = identity("VEN-2")
    body = signing.sign(POLL, identity=other, replay_protect=fresh())
    ours = x509.load_der_x509_certificate(identity().certificate_der)
    theirs = x509.load_der_x509_certificate(other.certificate_der)
    swapped = body.replace(*map(_base64_of, (theirs, ours)))
    assert swapped != body

    for each in (body, swapped):
        with pytest.raises(SignatureInvalid):
            read(each)


def test_one_of_several_expected_certificates_is_picked() -> None:
    both = [identity("VEN-2").certificate_der, identity().certificate_der]

    assert codec.parse_body(signed(), certificates=both).is_signed
    with pytest.raises(SignatureInvalid, match="another certificate"):
        codec.parse_body(signed(), certificates=[])


def test_without_a_certificate_in_it_the_expected_one_decides() -> None:
    root = etree.fromstring(signed())
    key_info = next(root.iter("{*}KeyInfo"))
    key_info.getparent().remove(key_info)  # type: ignore[union-attr]

    assert read(etree.tostring(root)).message == m.Poll("VEN-1")


@pytest.mark.parametrize("name", sorted(wrapped(signed(), FORGED)))
def test_a_wrapped_signature_vouches_for_nothing(name: str) -> None:
    with pytest.raises(WireError):
        read(wrapped(signed(), FORGED)[name])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"VEN-1", b"VEN-2"),
        (b"<dsp:nonce>n<", b"<dsp:nonce>m<"),
        (b"<dsp:nonce>n</dsp:nonce>", b""),
        (b"#ecdsa-sha256", b"#rsa-sha256"),
        (b'Target="#oadrSignedObject"', b'Target="#x"'),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA"),
        (b'oadr:Id="oadrSignedObject"', b'oadr:Id="prop"'),
        (b"dsp:ReplayProtect", b"dsp:ReplayProtects"),
    ],
)
def test_one_change_and_it_does_not_hold(old: bytes, new: bytes) -> None:
    body = signed()
    assert old in body
    with pytest.raises(SignatureInvalid):
        read(body.replace(old, new))


def test_a_bare_message_with_a_signature_in_it_is_refused() -> None:
    signature = etree.tostring(etree.fromstring(signed())[0], with_tail=False)
    bare = codec.serialise(m.Poll("VEN-1"), is_enveloped=False)

    with pytest.raises(WireError):
        read(bare.replace(b"</oadr:oadrPoll>", signature + b"</oadr:oadrPoll>"))


def test_nonces_are_bounded_and_present() -> None:
    for nonce in ("", "x" * 257):
        with pytest.raises(SignatureInvalid, match="nonce"):
            read(signed(protect=fresh(nonce)))


def test_only_an_unsigned_envelope_is_signed() -> None:
    for body in (signed(), codec.serialise(m.Poll("VEN-1"), is_enveloped=False)):
        with pytest.raises(ValueError, match="unsigned"):
            signing.sign(body, identity=identity(), replay_protect=fresh())
    naive = ReplayProtect(datetime(2026, 1, 1), "n")
    with pytest.raises(ValueError, match="aware"):
        signing.sign(POLL, identity=identity(), replay_protect=naive)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0, 1), inserted=st.binary(max_size=5), dropped=st.integers(0, 8))
def test_a_mutated_signed_body_says_the_same_or_is_refused(
    place: float, inserted: bytes, dropped: int
) -> None:
    body = signed(protect=ReplayProtect(datetime.now(UTC) - timedelta(seconds=1), "n"))
    at = int(place * len(body))
    try:
        parsed = read(body[:at] + inserted + body[at + dropped :])
    except WireError:
        return
    assert parsed.message == m.Poll("VEN-1")


@pytest.mark.skipif(not shutil.which("xmlsec1"), reason="xmlsec1 is not on this machine")
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_xmlsec_agrees(kind: str, tmp_path: Path) -> None:
    """An independent implementation, with its own canonicalisation."""
    body, certificate = tmp_path / "signed.xml", tmp_path / "certificate.pem"
    body.write_bytes(signed(kind=kind))
    loaded = x509.load_der_x509_certificate(identity(kind=kind).certificate_der)
    certificate.write_bytes(loaded.public_bytes(serialization.Encoding.PEM))
    words = ["xmlsec1", "--verify", "--trusted-pem", str(certificate)]
    for element in (
        "http://openadr.org/oadr-2.0b/2012/07:oadrSignedObject",
        "http://www.w3.org/2000/09/xmldsig#:SignatureProperty",
    ):
        words += ["--id-attr:Id", element]

    done = subprocess.run([*words, str(body)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def _base64_of(certificate: x509.Certificate) -> bytes:
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return b"".join(pem.splitlines()[1:-1])
