"""Keys and certificates as files: whole or not there, keys readable by their owner alone and encrypted.

Passphrases come from the environment (`NAME` or `NAME_FILE`), never from a command line.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from opendsr.kernel.env import env_secret
from opendsr.kernel.errors import DomainError

ISSUING_PASSPHRASE: Final = "OPENDSR_CA_PASSPHRASE"  # noqa: S105 - the variable's name
ROOT_PASSPHRASE: Final = "OPENDSR_ROOT_PASSPHRASE"  # noqa: S105 - the variable's name


class KeyUnreadable(DomainError):
    """A private key cannot be opened: `path`, `fix`."""

    status = 500


def passphrase(variable: str) -> str:
    """Return the passphrase, "" when none is set."""
    return env_secret(variable, default="")


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, phrase: str) -> bytes:
    """Return PKCS #8, encrypted when there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if phrase:
        encryption = serialization.BestAvailableEncryption(phrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def is_encrypted(path: Path) -> bool:
    """Return whether the key in the file needs a passphrase."""
    return b"ENCRYPTED" in path.read_bytes()[:200]


def read_key(path: Path, *, variable: str) -> CertificateIssuerPrivateKeyTypes:
    """Return the key in the file, opened with the passphrase in `variable` if it needs one.

    Raises KeyUnreadable, saying what to set, and never with anything secret in it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KeyUnreadable(path=str(path), fix="it is not here: put it back or install another") from error
    phrase = passphrase(variable)
    if b"ENCRYPTED" in data[:200] and not phrase:
        raise KeyUnreadable(path=str(path), fix=f"set {variable} or {variable}_FILE to its passphrase")
    try:
        key = serialization.load_pem_private_key(
            data, phrase.encode() if b"ENCRYPTED" in data[:200] else None
        )
    except (ValueError, TypeError) as error:
        raise KeyUnreadable(path=str(path), fix=f"{variable} is not its passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyUnreadable(path=str(path), fix="it is neither elliptic-curve nor RSA")
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """Return the first certificate in the file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def pem_of(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write the whole file or nothing, never readable by more than `mode` says."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
