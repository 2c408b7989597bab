"""The co-op's certificate authority: P-256 keys in files outside the database.

`ca.key` (encrypted when OPENDSR_CA_PASSPHRASE is set, 0600 always), `ca.pem`,
`server.key` and `server.pem` under VTN_PKI_DIR. All dates are wall time. A hub's
own key never comes here: it sends a signing request.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings

from oadr.fingerprint import full_fingerprint
from opendsr.kernel.env import env_secret
from opendsr.kernel.errors import Invalid

CA_YEARS = 20
LEAF_LIFE = timedelta(days=365)
RENEW_SERVER_BEFORE = timedelta(days=60)
CLOCK_SLACK = timedelta(minutes=5)
"""Certificates start a little early, for hubs whose clock runs late."""
LARGEST_CSR_BYTES = 16 * 1024


class CsrInvalid(Invalid):
    """A signing request that cannot be honoured: `reason`."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    pem: str
    fingerprint: str
    serial: str
    issuer: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """What a listener needs for mutual TLS."""

    certificate: Path
    key: Path
    client_ca: Path


class Authority:
    """The certificate authority kept in one folder; made there on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def certificate_path(self) -> Path:
        return self.folder / "ca.pem"

    def ca_pem(self, *, at: datetime) -> str:
        """Return the CA certificate, making the CA when there is none."""
        self._ensure(at=at)
        return self.certificate_path.read_text()

    def sign_csr(self, *, csr_pem: str, ven_id: str, at: datetime) -> IssuedCertificate:
        """Sign a hub's request for one year, as a TLS client named `ven_id`.

        Whatever names and extensions the request asks for are ignored. Raises
        CsrInvalid without proof of possession (the request's own signature) or with
        a key that is neither P-256, P-384 nor RSA of 2048 to 4096 bits.
        """
        certificate = self._issue(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ven_id)]),
            _proven_key(csr_pem),
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            names=[],
            at=at,
        )
        return IssuedCertificate(
            pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
            fingerprint=full_fingerprint(certificate.public_bytes(serialization.Encoding.DER)),
            serial=f"{certificate.serial_number:x}",
            issuer=certificate.issuer.rfc4514_string(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )

    def server_files(self, *, host: str, at: datetime) -> ServerFiles:
        """Return the listener's files, issuing its certificate when absent, misnamed or near its end."""
        names = _server_names(host)
        certificate_path, key_path = self.folder / "server.pem", self.folder / "server.key"
        self._ensure(at=at)
        with self._alone():
            if not self._serves(certificate_path, key_path, names, at=at):
                key = ec.generate_private_key(ec.SECP256R1())
                certificate = self._issue(
                    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host or "localhost")]),
                    key.public_key(),
                    usage=ExtendedKeyUsageOID.SERVER_AUTH,
                    names=names,
                    at=at,
                )
                _write(key_path, _key_pem(key, passphrase=""), mode=0o600)
                _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
        return ServerFiles(certificate_path, key_path, self.certificate_path)

    def _serves(
        self, certificate_path: Path, key_path: Path, names: list[x509.GeneralName], *, at: datetime
    ) -> bool:
        if not (certificate_path.exists() and key_path.exists()):
            return False
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        authority = self._certificate()
        return (
            certificate.not_valid_after_utc - at > RENEW_SERVER_BEFORE
            and set(names) <= set(held)
            and certificate.issuer == authority.subject
            and _is_signed_by(certificate, authority)
        )

    def _ensure(self, *, at: datetime) -> None:
        if self.certificate_path.exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            if not self.certificate_path.exists():
                self._create(at=at)

    def _create(self, *, at: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        serial = x509.random_serial_number()
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "OpenDSR"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"OpenDSR hub authority {serial & 0xFFFFFFFF:08x}"),
            ]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(at - CLOCK_SLACK)
            .not_valid_after(at + timedelta(days=365 * CA_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self.folder / "ca.key", _key_pem(key, passphrase=_passphrase()), mode=0o600)
        _write(self.certificate_path, certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        *,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        at: datetime,
    ) -> x509.Certificate:
        self._ensure(at=at)
        authority = self._certificate()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - CLOCK_SLACK)
            .not_valid_after(at + LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key(), hashes.SHA256())

    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_path.read_bytes())

    def _key(self) -> ec.EllipticCurvePrivateKey:
        passphrase = _passphrase().encode() or None
        key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), passphrase)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.folder / 'ca.key'} is no elliptic-curve key")
        return key

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two processes that start together make one authority."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def authority() -> Authority:
    """This installation's certificate authority (VTN_PKI_DIR)."""
    return Authority(Path(settings.VTN_PKI_DIR))


def _proven_key(csr_pem: str) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """Return the key a request proves possession of."""
    data = csr_pem.encode("ascii", "replace")
    if len(data) > LARGEST_CSR_BYTES:
        raise CsrInvalid(reason="larger than 16 KiB")
    try:
        csr = x509.load_pem_x509_csr(data)
        is_proven = csr.is_signature_valid
        key = csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CsrInvalid(reason="not a certificate signing request in PEM form") from error
    if not is_proven:
        raise CsrInvalid(reason="its signature does not prove possession of the key")
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise CsrInvalid(reason=f"curve {key.curve.name}: use P-256 or P-384")
    elif isinstance(key, rsa.RSAPublicKey):
        if not 2048 <= key.key_size <= 4096:
            raise CsrInvalid(reason=f"RSA of {key.key_size} bits: use 2048 to 4096, or P-256")
    else:
        raise CsrInvalid(reason="the key is neither elliptic-curve nor RSA")
    return key


def _server_names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host:
            names.append(x509.DNSName(host))
    else:
        if not address.is_unspecified:
            names.append(x509.IPAddress(address))
    return list(dict.fromkeys(names))


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _passphrase() -> str:
    return env_secret("OPENDSR_CA_PASSPHRASE", default="")


def _key_pem(key: ec.EllipticCurvePrivateKey, *, passphrase: str) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write the whole file or nothing, never readable by more than `mode` says."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
