"""The CA's ceremonies, on files alone: a root that may live elsewhere, and the issuing CA that works here.

    python -m vtn.ceremony root DIR                     on a machine off the network
    python -m vtn.ceremony request DIR                  here: a new issuing key, and its request
    python -m vtn.ceremony sign ROOT_DIR REQUEST        there: the root signs the request
    python -m vtn.ceremony install DIR ISSUING ROOT     here: the issuing CA goes to work
    python -m vtn.ceremony drop DIR SERIAL              here: an earlier issuing CA is trusted no more
    python -m vtn.ceremony status DIR

`root.key` needs OPENDSR_ROOT_PASSPHRASE, `issuing.key` OPENDSR_CA_PASSPHRASE (or `..._FILE`).
No database and no site is needed. See docs/security.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from opendsr.kernel.errors import DomainError
from vtn import keyfiles, requests

ROOT, ROOT_KEY = "root.pem", "root.key"
ISSUING, ISSUING_KEY = "issuing.pem", "issuing.key"
PENDING_KEY, REQUEST = "issuing.next.key", "issuing.csr"
TRUST = "ca.pem"
EARLIER = "earlier"
ROOT_YEARS: Final = 20
ISSUING_YEARS: Final = 5
CLOCK_SLACK: Final = timedelta(minutes=5)
"""Certificates start a little early, for hubs whose clock runs late."""


class CeremonyRefused(DomainError):
    """A step that would break the chain, or overwrite what cannot be made again: `reason`."""


def make_root(folder: Path, *, at: datetime, phrase: str) -> x509.Certificate:
    """Make the root's key and certificate, for twenty years; refuses where there is one.

    P-256, as strong as the SHA-256 it signs with: each full handshake checks the root's signature on both
    sides, and P-384 would make that ten times as dear, a half of all that a handshake costs.
    """
    if (folder / ROOT).exists() or (folder / ROOT_KEY).exists():
        raise CeremonyRefused(reason=f"{folder} has a root already")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _authority_certificate(
        _name("root", key), _name("root", key), key.public_key(), key, None, at=at, days=365 * ROOT_YEARS
    )
    keyfiles.write(folder / ROOT_KEY, keyfiles.key_pem(key, phrase=phrase), mode=0o600)
    keyfiles.write(folder / ROOT, keyfiles.pem_of(certificate))
    return certificate


def request_issuing(folder: Path, *, phrase: str) -> bytes:
    """Make a key for the next issuing CA, which stays here, and return the request for the root (PEM)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_name("issuing", key))
    pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    keyfiles.write(folder / PENDING_KEY, keyfiles.key_pem(key, phrase=phrase), mode=0o600)
    keyfiles.write(folder / REQUEST, pem)
    return pem


def sign_issuing(
    root_folder: Path, request_pem: str, *, at: datetime, variable: str = keyfiles.ROOT_PASSPHRASE
) -> bytes:
    """Return the issuing CA's certificate (PEM), signed by the root for five years."""
    public_key = requests.proven_key(request_pem)
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise CeremonyRefused(reason="an issuing CA has an elliptic-curve key")
    root = keyfiles.read_certificate(root_folder / ROOT)
    key = keyfiles.read_key(root_folder / ROOT_KEY, variable=variable)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != root.public_key():
        raise CeremonyRefused(reason="root.key is not the key of root.pem")
    subject = x509.load_pem_x509_csr(request_pem.encode()).subject
    issuing = _authority_certificate(
        subject, root.subject, public_key, key, root, at=at, days=365 * ISSUING_YEARS
    )
    return keyfiles.pem_of(issuing)


def install_issuing(folder: Path, issuing_pem: bytes, root_pem: bytes, *, at: datetime) -> None:
    """Put the requested issuing CA to work; the one before stays trusted, and its key signs its CRLs.

    Refuses a certificate of another key, of another root, or out of date; and another
    root than the one in place.
    """
    issuing, root = x509.load_pem_x509_certificate(issuing_pem), x509.load_pem_x509_certificate(root_pem)
    _require_chain(issuing, root, at=at)
    if (folder / ROOT).exists() and keyfiles.read_certificate(folder / ROOT) != root:
        raise CeremonyRefused(reason="another root is in place: hubs trust that one")
    pending = folder / PENDING_KEY
    if not pending.exists():
        raise CeremonyRefused(reason=f"no request is open in {folder}: make one first")
    key = keyfiles.read_key(pending, variable=keyfiles.ISSUING_PASSPHRASE)
    if key.public_key() != issuing.public_key():
        raise CeremonyRefused(reason="the certificate is not for the key requested here")
    if (folder / ISSUING).exists():
        _put_aside(folder)
    keyfiles.write(folder / ROOT, keyfiles.pem_of(root))
    pending.replace(folder / ISSUING_KEY)
    keyfiles.write(folder / ISSUING, keyfiles.pem_of(issuing))
    (folder / REQUEST).unlink(missing_ok=True)
    write_trust(folder, at=at)


def drop_earlier(folder: Path, serial: str, *, at: datetime) -> None:
    """Trust an earlier issuing CA no more: every certificate it signed fails the next handshake."""
    path = folder / EARLIER / f"{serial}.pem"
    if not path.exists():
        raise CeremonyRefused(reason=f"no earlier issuing CA has serial {serial}")
    path.replace(path.with_suffix(".dropped"))
    write_trust(folder, at=at)


def write_trust(folder: Path, *, at: datetime) -> None:
    """Write ca.pem, what listeners and hubs trust: the issuing CA, those before it in date, and the root."""
    parts = [keyfiles.read_certificate(folder / ISSUING)]
    parts += [each for each in earlier(folder) if each.not_valid_after_utc > at]
    parts.append(keyfiles.read_certificate(folder / ROOT))
    keyfiles.write(folder / TRUST, keyfiles.pem_of(*dict.fromkeys(parts)))


def earlier(folder: Path) -> list[x509.Certificate]:
    """Return the issuing CAs before this one that are still trusted."""
    return [keyfiles.read_certificate(path) for path in sorted((folder / EARLIER).glob("*.pem"))]


def serial_of(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


def _put_aside(folder: Path) -> None:
    aside = folder / EARLIER
    aside.mkdir(mode=0o700, exist_ok=True)
    serial = serial_of(keyfiles.read_certificate(folder / ISSUING))
    if (folder / ISSUING_KEY).exists():
        (folder / ISSUING_KEY).replace(aside / f"{serial}.key")
    (folder / ISSUING).replace(aside / f"{serial}.pem")


def _require_chain(issuing: x509.Certificate, root: x509.Certificate, *, at: datetime) -> None:
    for certificate, signer, name in ((root, root, "root"), (issuing, root, "issuing CA")):
        try:
            certificate.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise CeremonyRefused(reason=f"the {name} is not signed by the root") from error
        if not certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc:
            raise CeremonyRefused(reason=f"the {name} is out of its dates")
        try:
            basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            basic = x509.BasicConstraints(ca=False, path_length=None)
        if not basic.ca:
            raise CeremonyRefused(reason=f"the {name} is no certificate authority")


def _name(kind: str, key: ec.EllipticCurvePrivateKey) -> x509.Name:
    """Names differ by key, so that no two authorities are taken for each other."""
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "OpenDSR"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"OpenDSR hub {kind} CA {mark}"),
        ]
    )


def _authority_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    signing_key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate | None,
    *,
    at: datetime,
    days: int,
) -> x509.Certificate:
    signer_key = x509.SubjectKeyIdentifier.from_public_key(signing_key.public_key())
    ends_at = at + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCK_SLACK)
        .not_valid_after(ends_at if root is None else min(ends_at, root.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1 if root is None else 0), critical=True)
        .add_extension(key_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer_key), critical=False
        )
        .sign(signing_key, hashes.SHA256())
    )


def key_usage(*, is_authority: bool) -> x509.KeyUsage:
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


# ---- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 done, 2 refused (said on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m vtn.ceremony", description="The CA's ceremonies.")
    steps = parser.add_subparsers(required=True, metavar="STEP", dest="step")
    for step, what, names in (
        ("root", "make the root key and certificate in DIR", ("dir",)),
        ("request", "make the next issuing key in DIR and write its request", ("dir",)),
        ("sign", "sign REQUEST with the root in DIR; the certificate goes to stdout", ("dir", "request")),
        ("install", "put the signed ISSUING certificate to work in DIR", ("dir", "issuing", "root")),
        ("status", "say what DIR holds and what is wrong with it", ("dir",)),
    ):
        command = steps.add_parser(step, help=what)
        for name in names:
            command.add_argument(name, type=Path)
    drop = steps.add_parser("drop", help="trust an earlier issuing CA no more")
    drop.add_argument("dir", type=Path)
    drop.add_argument("serial")
    options = parser.parse_args(arguments)
    try:
        return _carry_out(options, at=datetime.now(UTC))
    except (DomainError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _carry_out(options: argparse.Namespace, *, at: datetime) -> int:
    folder: Path = options.dir
    if options.step == "root":
        make_root(folder, at=at, phrase=_required(keyfiles.ROOT_PASSPHRASE))
        sys.stdout.write(f"{folder / ROOT_KEY}: keep it off the network. {folder / ROOT}: take it along.\n")
    elif options.step == "request":
        request_issuing(folder, phrase=_required(keyfiles.ISSUING_PASSPHRASE))
        sys.stdout.write(f"{folder / REQUEST}: have the root sign it.\n")
    elif options.step == "sign":
        sys.stdout.write(sign_issuing(folder, options.request.read_text(), at=at).decode())
    elif options.step == "install":
        install_issuing(folder, options.issuing.read_bytes(), options.root.read_bytes(), at=at)
        sys.stdout.write("Installed. Start the VTN again, so that its certificate is of this CA too.\n")
    elif options.step == "drop":
        drop_earlier(folder, options.serial, at=at)
        sys.stdout.write("Dropped. Start the VTN and the broker again.\n")
    else:
        troubles = 0
        for line, is_trouble in status(folder, at=at):
            troubles += is_trouble
            sys.stdout.write(f"{'! ' if is_trouble else '  '}{line}\n")
        return 1 if troubles else 0
    return 0


def _required(variable: str) -> str:
    phrase = keyfiles.passphrase(variable)
    if not phrase:
        raise CeremonyRefused(reason=f"set {variable} or {variable}_FILE: this key is kept encrypted")
    return phrase


def status(folder: Path, *, at: datetime) -> list[tuple[str, bool]]:
    """Return lines on what the folder holds; True marks one that somebody should act on."""
    lines: list[tuple[str, bool]] = []
    for name, warn_days in ((ROOT, 365), (ISSUING, 180)):
        if not (folder / name).exists():
            lines.append((f"{name}: none", True))
            continue
        certificate = keyfiles.read_certificate(folder / name)
        days = (certificate.not_valid_after_utc - at).days
        lines.append((f"{name}: {serial_of(certificate)}, {days} days left", days < warn_days))
    if (folder / ROOT_KEY).exists():
        lines.append((f"{ROOT_KEY} is here: a root is safer kept off the network", True))
    for name in (ROOT_KEY, ISSUING_KEY):
        if (folder / name).exists() and not keyfiles.is_encrypted(folder / name):
            lines.append((f"{name} is not encrypted", True))
    lines += [
        (f"earlier issuing CA {serial_of(each)}, trusted until {each.not_valid_after_utc:%Y-%m-%d}", False)
        for each in earlier(folder)
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
