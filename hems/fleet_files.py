"""The files of a generated fleet: keys made here, requests for the site to sign, and its answers.

keys/<serial>.pem   a hub's private key, 0600; the site never sees it
requests.jsonl      {"serial", "csr"}: for `manage.py vtn_enrol_fleet DIR`
answers.jsonl       {"serial", "ven_id", "certificate", "is_revoked"}: what the site answered
ca.pem              whom to trust as VTN
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hems.errors import BadFolder

KEYS, REQUESTS, ANSWERS, CA = "keys", "requests.jsonl", "answers.jsonl", "ca.pem"
IDENTITIES = "identities"


@dataclass(frozen=True, slots=True)
class Identity:
    """One hub of the fleet: `pem` holds its key and certificate."""

    serial: str
    ven_id: str
    pem: Path
    is_revoked: bool = False


def request_identities(folder: Path, *, homes: int, prefix: str = "FLEET") -> Path:
    """Make keys and certificate requests for a fleet; keys that are there already are kept."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = folder / KEYS
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / REQUESTS).open("w") as requests:
        for number in range(homes):
            serial = f"{prefix}-{number:05d}"
            path = keys / f"{serial}.pem"
            if path.exists():
                key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            else:
                key = ec.generate_private_key(ec.SECP256R1())
                write_private(
                    path,
                    key.private_bytes(
                        serialization.Encoding.PEM,
                        serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption(),
                    ),
                )
            name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, serial)])
            request = x509.CertificateSigningRequestBuilder().subject_name(name)
            csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]
            requests.write(json.dumps({"serial": serial, "csr": csr.decode()}) + "\n")
    return folder / REQUESTS


def identities_of(folder: Path, *, first: int = 0, count: int | None = None) -> list[Identity]:
    """Return the fleet's hubs that the site has answered; raises BadFolder with the next step."""
    if not (folder / ANSWERS).exists() or not (folder / CA).exists():
        raise BadFolder(
            f"{folder} has no answer yet: run `python -m hems.fleet enrol --dir {folder} --homes N`, then on"
            f" the site `manage.py vtn_enrol_fleet {folder}`"
        )
    (folder / IDENTITIES).mkdir(mode=0o700, exist_ok=True)
    answers = list(_lines(folder / ANSWERS))
    chosen = answers[first : None if count is None else first + count]
    return [_identity(folder, answer) for answer in chosen]


def write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _identity(folder: Path, answer: dict[str, object]) -> Identity:
    serial = str(answer["serial"])
    pem = folder / IDENTITIES / f"{serial}.pem"
    if not pem.exists():
        key = (folder / KEYS / f"{serial}.pem").read_bytes()
        write_private(pem, key + str(answer["certificate"]).encode())
    return Identity(serial, str(answer["ven_id"]), pem, bool(answer.get("is_revoked")))


def _lines(path: Path) -> Iterator[dict[str, object]]:
    with path.open() as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BadFolder(f"{path} line {number} is no JSON") from error
