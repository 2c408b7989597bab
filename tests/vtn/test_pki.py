"""The co-op's CA: what it signs, what it refuses, how it keeps its keys."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from oadr.fingerprint import full_fingerprint
from tests.vtn.hubs import csr_of, new_key
from vtn.pki import Authority, CsrInvalid

WALL = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def sign(authority: Authority, csr_pem: str, ven_id: str = "VEN-1") -> x509.Certificate:
    issued = authority.sign_csr(csr_pem=csr_pem, ven_id=ven_id, at=WALL)
    certificate = x509.load_pem_x509_certificate(issued.pem.encode())
    assert issued.fingerprint == full_fingerprint(certificate.public_bytes(serialization.Encoding.DER))
    return certificate


def test_a_certificate_names_the_ven_and_nobody_else(authority: Authority) -> None:
    certificate = sign(authority, csr_of(new_key(), name="VEN-somebody-else"))

    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "VEN-1"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_after_utc == WALL + timedelta(days=365)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.ca_pem(at=WALL).encode()))


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA"],
)
def test_other_sound_keys_are_signed(
    authority: Authority, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    assert sign(authority, csr_of(key)).public_key() == key.public_key()


def test_weak_or_unknown_keys_are_refused(authority: Authority) -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505
    for key in (weak, ec.generate_private_key(ec.SECP224R1())):
        with pytest.raises(CsrInvalid):
            sign(authority, csr_of(key))


def test_a_key_of_another_kind_is_refused(authority: Authority) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    with pytest.raises(CsrInvalid, match="neither"):
        sign(authority, csr.public_bytes(serialization.Encoding.PEM).decode())


def test_a_request_without_proof_of_possession_is_refused(authority: Authority) -> None:
    lines = csr_of(new_key()).splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[-3] ^= 1
    forged = "\n".join([lines[0], base64.b64encode(bytes(der)).decode(), lines[-1]])
    with pytest.raises(CsrInvalid):
        sign(authority, forged)


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN CERTIFICATE REQUEST-----", "x" * 20_000, "é"])
def test_what_is_no_request_is_refused(authority: Authority, text: str) -> None:
    with pytest.raises(CsrInvalid):
        sign(authority, text)


def test_keys_are_closed_to_others(authority: Authority) -> None:
    files = authority.server_files(host="vtn.coop.example", at=WALL)

    assert stat.S_IMODE((authority.folder / "issuing.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


def test_the_ca_key_is_encrypted_when_there_is_a_passphrase(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENDSR_CA_PASSPHRASE", "a long one")

    sign(authority, csr_of(new_key()))

    assert b"ENCRYPTED" in (authority.folder / "issuing.key").read_bytes()


def test_the_server_certificate_covers_its_names_and_is_kept(authority: Authority) -> None:
    first = authority.server_files(host="vtn.coop.example", at=WALL)
    held = first.certificate.read_bytes()
    names = (
        x509.load_pem_x509_certificate(held)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )

    assert {"localhost", "vtn.coop.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert authority.server_files(host="vtn.coop.example", at=WALL).certificate.read_bytes() == held
    assert authority.server_files(host="localhost", at=WALL).certificate.read_bytes() == held


def test_the_server_certificate_is_renewed_before_its_end_and_for_new_names(authority: Authority) -> None:
    held = authority.server_files(host="localhost", at=WALL).certificate.read_bytes()

    late = authority.server_files(host="localhost", at=WALL + timedelta(days=320)).certificate.read_bytes()
    named = authority.server_files(host="192.0.2.7", at=WALL + timedelta(days=320)).certificate.read_bytes()

    assert len({held, late, named}) == 3


def test_the_ca_is_made_once(authority: Authority) -> None:
    assert authority.ca_pem(at=WALL) == Authority(authority.folder).ca_pem(at=WALL)
