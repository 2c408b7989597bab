"""The hub's own key, made on the hub and never leaving it, and the request the co-op signs.

hub.json         the hub's serial number
key.pem          P-256 private key, 0600
csr.pem          certificate request: CN = serial; the installer carries it to the site
certificate.pem  put here by the installer: the site's answer
ca.pem           likewise: whom to trust as VTN
"""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path

from hems.errors import BadFolder
from hems.files import write_atomically

KEY, REQUEST, CERTIFICATE, CA = "key.pem", "csr.pem", "certificate.pem", "ca.pem"
HUB = "hub.json"
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def enrol(folder: Path, *, serial: str) -> Path:
    """Make the hub's folder, key and certificate request; return the request's path.

    Safe to run again: an existing key is kept and the same request made anew from it. Raises BadFolder when
    the folder already is another hub's.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if not _SERIAL.fullmatch(serial):
        raise BadFolder(f"serial {serial!r}: use 1 to 40 letters, digits, dots, dashes and underscores")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / HUB).exists() and serial_of(folder) != serial:
        raise BadFolder(f"{folder} belongs to hub {serial_of(folder)}, not {serial}: choose another --dir")
    key_path = folder / KEY
    if key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadFolder(f"{key_path} is no elliptic-curve key: move it away and enrol again")
        key_path.chmod(0o600)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_atomically(key_path, pem, mode=0o600)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, serial)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    write_atomically(folder / HUB, json.dumps({"serial": serial}, indent=2).encode() + b"\n")
    write_atomically(folder / REQUEST, request.public_bytes(serialization.Encoding.PEM))
    return folder / REQUEST


def serial_of(folder: Path) -> str:
    """Return the serial of the hub this folder belongs to."""
    path = folder / HUB
    try:
        serial = json.loads(path.read_text())["serial"]
    except FileNotFoundError:
        raise BadFolder(
            f"{folder} is no hub: run `python -m hems enrol --dir {folder} --serial SERIAL`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadFolder(f"{path} names no serial: enrol again") from error
    if not isinstance(serial, str):
        raise BadFolder(f"{path} names no serial: enrol again")
    return serial


def require_identity(folder: Path) -> None:
    """Raise BadFolder unless key, certificate and CA are all there, and the key is the hub's alone."""
    for name in (KEY, CERTIFICATE, CA):
        if not (folder / name).is_file():
            raise BadFolder(
                f"{folder / name} is missing: enrol, have {REQUEST} signed, and put the answer there"
            )
    mode = (folder / KEY).stat().st_mode & 0o077
    if mode:
        raise BadFolder(f"{folder / KEY} can be read by others (mode {mode:03o}): chmod 600 it")


def certificate_der(folder: Path) -> bytes:
    """Return the hub's own certificate, the first in its file."""
    pem = (folder / CERTIFICATE).read_text()
    begins, ends = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    body = pem.partition(begins)[2].partition(ends)[0]
    return ssl.PEM_cert_to_DER_cert(f"{begins}{body}{ends}")
