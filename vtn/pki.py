"""The co-op's certificate authority at work: an issuing CA under a root that may live elsewhere.

In VTN_PKI_DIR: `issuing.pem`, `issuing.key` (encrypted by OPENDSR_CA_PASSPHRASE, 0600 always),
`root.pem`, `ca.pem` (what listeners and hubs trust), `server.pem`, `server.key`. The root's
key is only there when this installation made its own; `vtn.ceremony` moves and replaces
them. All dates are wall time. A hub's own key never comes here: it sends a request.
"""

from __future__ import annotations

import fcntl
import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings

from oadr.fingerprint import full_fingerprint
from vtn import ceremony, keyfiles
from vtn.ceremony import CLOCK_SLACK
from vtn.requests import CsrInvalid as CsrInvalid
from vtn.requests import proven_key

LEAF_DAYS: Final = 365
RENEW_SERVER_BEFORE: Final = timedelta(days=60)
SERVER_KINDS: Final = ("", "-rsa")


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
    """What a listener needs for mutual TLS; the certificate's file holds its chain too."""

    certificate: Path
    key: Path
    client_ca: Path


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuing CA whose certificates are still about, and the key that signs its revocation lists."""

    certificate: x509.Certificate
    key_path: Path

    @property
    def name(self) -> str:
        return self.certificate.subject.rfc4514_string()


class Authority:
    """The certificate authority kept in one folder; made there on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def certificate_path(self) -> Path:
        """What to trust: the issuing CA first, the root last."""
        return self.folder / ceremony.TRUST

    def ca_pem(self, *, at: datetime) -> str:
        """Return what hubs trust the listener by, making the CA when there is none."""
        self._ensure(at=at)
        return self.certificate_path.read_text()

    def sign_csr(self, *, csr_pem: str, ven_id: str, at: datetime) -> IssuedCertificate:
        """Sign a hub's request (for VTN_CERTIFICATE_DAYS), as a TLS client named `ven_id`.

        Whatever names and extensions the request asks for are ignored. Raises
        CsrInvalid without proof of possession (the request's own signature) or with
        a key that is neither P-256, P-384 nor RSA of 2048 to 4096 bits.
        """
        certificate = self._issue(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ven_id)]),
            proven_key(csr_pem),
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            names=[],
            life=timedelta(days=getattr(settings, "VTN_CERTIFICATE_DAYS", LEAF_DAYS)),
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

    def server_files(self, *, host: str, at: datetime, is_rsa: bool = False) -> ServerFiles:
        """Return the listener's files, issuing its certificate when absent, misnamed or near its end.

        `is_rsa`: a second pair, for peers that know RSA suites only.
        """
        names = _server_names(host)
        stem = f"server{SERVER_KINDS[is_rsa]}"
        certificate_path, key_path = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        self._ensure(at=at)
        with self._alone():
            if not self._serves(certificate_path, key_path, names, at=at):
                key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
                key = (
                    rsa.generate_private_key(65537, 2048)
                    if is_rsa
                    else ec.generate_private_key(ec.SECP256R1())
                )
                certificate = self._issue(
                    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host or "localhost")]),
                    key.public_key(),
                    usage=ExtendedKeyUsageOID.SERVER_AUTH,
                    names=names,
                    life=timedelta(days=LEAF_DAYS),
                    at=at,
                )
                keyfiles.write(key_path, keyfiles.key_pem(key, phrase=""), mode=0o600)
                keyfiles.write(certificate_path, keyfiles.pem_of(certificate, self.issuing()))
        return ServerFiles(certificate_path, key_path, self.certificate_path)

    def issuing(self) -> x509.Certificate:
        """Return the issuing CA's certificate."""
        return keyfiles.read_certificate(self.folder / ceremony.ISSUING)

    def issuers(self, *, at: datetime) -> Sequence[Issuer]:
        """Return the issuing CA and those before it whose keys are still here, the present one first."""
        self._ensure(at=at)
        aside = self.folder / ceremony.EARLIER
        before = [
            Issuer(each, aside / f"{ceremony.serial_of(each)}.key") for each in ceremony.earlier(self.folder)
        ]
        present = Issuer(self.issuing(), self.folder / ceremony.ISSUING_KEY)
        return [present, *(each for each in before if each.key_path.exists())]

    def _serves(
        self, certificate_path: Path, key_path: Path, names: list[x509.GeneralName], *, at: datetime
    ) -> bool:
        if not (certificate_path.exists() and key_path.exists()):
            return False
        certificate = keyfiles.read_certificate(certificate_path)
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            certificate.not_valid_after_utc - at > RENEW_SERVER_BEFORE
            and set(names) <= set(held)
            and _is_signed_by(certificate, self.issuing())
        )

    def _ensure(self, *, at: datetime) -> None:
        if self.certificate_path.exists() and (self.folder / ceremony.ISSUING).exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            if not (self.folder / ceremony.ISSUING).exists():
                self._create(at=at)
            if not self.certificate_path.exists():
                ceremony.write_trust(self.folder, at=at)

    def _create(self, *, at: datetime) -> None:
        """Make a root and an issuing CA here, or carry on with a CA that is both at once.

        Where keys must be encrypted (VTN_ENCRYPTED_KEYS) and no passphrase is set, nothing
        is made: KeyUnreadable says what to set.
        """
        if (self.folder / "ca.key").exists():
            (self.folder / "ca.key").replace(self.folder / ceremony.ISSUING_KEY)
            keyfiles.write(self.folder / ceremony.ROOT, self.certificate_path.read_bytes())
            keyfiles.write(self.folder / ceremony.ISSUING, self.certificate_path.read_bytes())
            return
        phrase = keyfiles.passphrase(keyfiles.ISSUING_PASSPHRASE)
        if not phrase and getattr(settings, "VTN_ENCRYPTED_KEYS", False):
            raise keyfiles.KeyUnreadable(
                path=str(self.folder / ceremony.ISSUING_KEY),
                fix=f"set {keyfiles.ISSUING_PASSPHRASE}_FILE: here keys are kept encrypted",
            )
        root_phrase = keyfiles.passphrase(keyfiles.ROOT_PASSPHRASE) or phrase
        if not (self.folder / ceremony.ROOT).exists():
            ceremony.make_root(self.folder, at=at, phrase=root_phrase)
        request = ceremony.request_issuing(self.folder, phrase=phrase)
        has_own = bool(keyfiles.passphrase(keyfiles.ROOT_PASSPHRASE))
        variable = keyfiles.ROOT_PASSPHRASE if has_own else keyfiles.ISSUING_PASSPHRASE
        issuing = ceremony.sign_issuing(self.folder, request.decode(), at=at, variable=variable)
        root = (self.folder / ceremony.ROOT).read_bytes()
        ceremony.install_issuing(self.folder, issuing, root, at=at)

    def _issue(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        *,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        life: timedelta,
        at: datetime,
    ) -> x509.Certificate:
        self._ensure(at=at)
        authority = self.issuing()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - CLOCK_SLACK)
            .not_valid_after(min(at + life, authority.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(ceremony.key_usage(is_authority=False), critical=True)
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
        if url := crl_url(authority):
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return builder.sign(self._key(), hashes.SHA256())

    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = keyfiles.read_key(self.folder / ceremony.ISSUING_KEY, variable=keyfiles.ISSUING_PASSPHRASE)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise keyfiles.KeyUnreadable(path=ceremony.ISSUING_KEY, fix="it is no elliptic-curve key")
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


def issuer_mark(certificate: x509.Certificate) -> str:
    """Return what an issuing CA's revocation list is called by: the start of its key's identifier."""
    held = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return held.digest.hex()[:16]


def crl_url(issuing: x509.Certificate) -> str:
    """Return where the issuing CA's revocation list is published, "" when no VTN_PKI_URL is set."""
    base = getattr(settings, "VTN_PKI_URL", "")
    return f"{base.rstrip('/')}/{issuer_mark(issuing)}.crl" if base else ""


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
