"""The MQTT broker's side: its configuration, its access list, and the certificate this VTN shows it.

Written for Mosquitto; the access list says in its words what any broker must hold to:
a VEN is its certificate's name, speaks on its own topics, and has that name for client
id, so that nobody ends another's session. This VTN has a listener of its own, on this
machine, where it may take a session over to end it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from oadr import topics
from vtn import keyfiles
from vtn.models import VenCertificate
from vtn.pki import Authority
from vtn.revoking import REVOKED_LISTS
from vtn.transports.mqtt import Broker

RENEW_BEFORE: Final = timedelta(days=30)
PACKET_SLACK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Site:
    """What differs between installations; `folder` is where the broker keeps what must survive it."""

    authority: Authority
    vtn_id: str
    folder: Path
    host: str
    port: int
    own_port: int
    user: str = ""


def name_of(vtn_id: str) -> str:
    """Return what this VTN is called at the broker; no VEN is ever called so."""
    return f"vtn.{vtn_id}"


def own_files(authority: Authority, *, vtn_id: str, at: datetime) -> tuple[Path, Path]:
    """Return the certificate and key that this VTN shows the broker, made anew when near their end.

    The certificate is on no VEN's record: over HTTPS it speaks for nobody.
    """
    certificate_path, key_path = authority.folder / "mqtt.pem", authority.folder / "mqtt.key"
    if certificate_path.exists() and key_path.exists():
        held = keyfiles.read_certificate(certificate_path)
        if held.not_valid_after_utc - at > RENEW_BEFORE:
            return certificate_path, key_path
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name_of(vtn_id))])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    csr_pem = request.public_bytes(serialization.Encoding.PEM).decode()
    issued = authority.sign_csr(csr_pem=csr_pem, ven_id=name_of(vtn_id), at=at)
    keyfiles.write(key_path, keyfiles.key_pem(key, phrase=""), mode=0o600)
    keyfiles.write(certificate_path, issued.pem.encode())
    return certificate_path, key_path


def reached_at(url: str, authority: Authority, *, vtn_id: str, worker: str, at: datetime) -> Broker:
    """Return the broker at `url` as the bridge called `worker` sees it; raises mqtt.CannotReach."""
    certificate, key = own_files(authority, vtn_id=vtn_id, at=at)
    return Broker.at(
        url,
        certificate=certificate,
        key=key,
        ca=authority.certificate_path,
        client_id=f"{name_of(vtn_id)}.{worker}",
    )


def access_list(vtn_id: str, *, joining: Iterable[tuple[str, str]] = ()) -> str:
    """Return who may read and write where; `joining` are VENs by name with a certificate's fingerprint.

    A VEN that knows its venID needs no line of its own: the patterns hold for every name.
    """
    root = f"{topics.ROOT}/{vtn_id}"
    lines = [
        f"user {name_of(vtn_id)}",
        f"topic readwrite {root}/#",
        "",
        *(f"pattern write {root}/ven/%u/{kind}" for kind in ("up/#", "down-reply", "presence")),
        *(f"pattern read {root}/ven/%u/{kind}" for kind in ("down/#", "up-reply", "wake")),
    ]
    for name, fingerprint in joining:
        lines += [
            "",
            f"user {name}",
            f"topic write {root}/join/{fingerprint}/up/#",
            f"topic read {root}/join/{fingerprint}/up-reply",
        ]
    return "\n".join([*lines, ""])


def joining(*, wall: datetime) -> list[tuple[str, str]]:
    """Return the certificates in force of VENs that have not registered yet, for the access list."""
    rows = VenCertificate.objects.filter(
        revoked_at=None, not_before__lte=wall, not_after__gt=wall, ven__registration_id=""
    )
    return list(rows.order_by("pk").values_list("ven__ven_id", "fingerprint"))


def configuration(site: Site, *, at: datetime) -> str:
    """Return Mosquitto's configuration: `mosquitto -c FILE`."""
    files = site.authority.server_files(host=site.host, at=at)
    lists = site.authority.folder / REVOKED_LISTS
    tls = [
        f"cafile {files.client_ca}",
        f"certfile {files.certificate}",
        f"keyfile {files.key}",
        *([f"crlfile {lists}"] if lists.exists() else []),
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
    ]
    lines = [
        *([f"user {site.user}"] if site.user else []),
        "persistence true",
        f"persistence_location {site.folder}/",
        "autosave_interval 30",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        f"acl_file {site.folder / 'access'}",
        "max_inflight_messages 0",
        "max_queued_messages 200000",
        f"max_packet_size {topics.LARGEST_MESSAGE_BYTES + PACKET_SLACK_BYTES}",
        "persistent_client_expiration 14d",
        "set_tcp_nodelay true",
        "",
        "# for VENs: a client's id is its certificate's name",
        f"listener {site.port}",
        *tls,
        "use_username_as_clientid true",
        "",
        "# for this VTN alone",
        f"listener {site.own_port} 127.0.0.1",
        *tls,
        "",
    ]
    return "\n".join(lines)


def write(site: Site, *, at: datetime) -> Path:
    """Write both files into the broker's folder; returns the configuration's path."""
    site.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    access = site.folder / "access"
    keyfiles.write(access, access_list(site.vtn_id, joining=joining(wall=at)).encode(), mode=0o600)
    path = site.folder / "mosquitto.conf"
    keyfiles.write(path, configuration(site, at=at).encode())
    return path
