"""Who may speak on the MQTT broker: one user a device, which writes below its own name.

`manage.py metering_broker FOLDER` writes Mosquitto's configuration, password file and access list from the
senders here; passwords are kept only as Mosquitto's own PBKDF2 hash. The intake's user reads all.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from django.db import transaction

from metering.intake_models import Sender
from metering.routing import plain_mac
from opendsr.kernel import outbox
from opendsr.kernel.errors import Invalid, NotFound

ISSUED: Final = "metering.sender.issued"
REVOKED: Final = "metering.sender.revoked"
INTAKE_TOPICS: Final = ("glow/#", "homes/#")
ITERATIONS: Final = 101
USER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.A)
MAC: Final = re.compile(r"[0-9A-F]{12}", re.A)
ACCESS: Final = """\
# A device writes below its own name; + and # in a user name are refused when it is registered.
user {intake}
topic read glow/#
topic read homes/#

pattern write glow/%u/#
pattern write homes/%u/#
pattern read homes/%u/in/#
"""
CONFIGURATION: Final = """\
# Written by `manage.py metering_broker`; persistence and the queue limits keep what the intake has not
# acknowledged, so that nothing is lost while it is away.
per_listener_settings false
listener {port} {host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/access
persistence true
persistence_location {folder}/
autosave_interval 60
max_inflight_messages 20000
max_queued_messages 0
max_queued_bytes 0
max_packet_size 20000
persistent_client_expiration 14d
log_dest stderr
log_type error
log_type warning
"""


class BadSender(Invalid):
    """A name that no device of the kind can have: `name`, `expected`."""

    name: str
    expected: str


class SenderNotFound(NotFound):
    """No such sender."""

    name: str


def password_hash(password: str, *, salt: bytes | None = None) -> str:
    """The password as Mosquitto 2 keeps it: PBKDF2-SHA512."""
    salt = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${_base64(salt)}${_base64(digest)}"


@transaction.atomic
def issue_password(*, kind: Sender.Kind, name: str, at: datetime) -> tuple[Sender, str]:
    """Make or replace a device's password; it is told once, here. Raises BadSender."""
    known = plain_mac(name) if kind == Sender.Kind.GLOW else name.strip()
    if not (MAC if kind == Sender.Kind.GLOW else USER).fullmatch(known):
        expected = "12 hexadecimal digits" if kind == Sender.Kind.GLOW else "letters, digits and _ . -"
        raise BadSender(name=name, expected=expected)
    password = secrets.token_urlsafe(18)
    sender, _ = Sender.objects.update_or_create(
        kind=kind,
        name=known,
        defaults={"password_hash": password_hash(password), "password_set_at": at, "revoked_at": None},
    )
    outbox.record(ISSUED, at=at, kind=kind.value, name=known)
    return sender, password


@transaction.atomic
def revoke(*, kind: Sender.Kind, name: str, at: datetime) -> Sender:
    """Take a device's password away; the broker shuts it out once its files are written again."""
    known = plain_mac(name) if kind == Sender.Kind.GLOW else name.strip()
    sender = Sender.objects.select_for_update().filter(kind=kind, name=known).first()
    if sender is None:
        raise SenderNotFound(name=name)
    sender.password_hash, sender.revoked_at = "", at
    sender.save(update_fields=["password_hash", "revoked_at"])
    outbox.record(REVOKED, at=at, kind=kind.value, name=known)
    return sender


def write_files(folder: Path, *, url: str, host: str = "127.0.0.1", user: str = "") -> Path:
    """Write configuration, passwords and access list; returns the configuration's path.

    `url` is the intake's own `mqtt://user:password@host:port`. The two secret files are readable by the owner
    only; Mosquitto reads them again on SIGHUP. `user` is whom Mosquitto runs as when root starts it.
    """
    told = urlsplit(url)
    if not told.username or not told.password or not USER.fullmatch(unquote(told.username)):
        raise BadSender(name=told.username or "", expected="mqtt://user:password@host:port for the intake")
    folder.mkdir(parents=True, exist_ok=True)
    intake = unquote(told.username)
    lines = [f"{intake}:{password_hash(unquote(told.password))}"]
    senders = Sender.objects.exclude(password_hash="").filter(revoked_at__isnull=True).order_by("name")
    lines += [
        f"{name}:{hashed}" for name, hashed in senders.values_list("name", "password_hash") if name != intake
    ]
    _write(folder / "passwords", lines)
    _write(folder / "access", ACCESS.format(intake=intake).splitlines())
    text = CONFIGURATION.format(port=told.port or 1883, host=host, folder=folder.resolve())
    path = folder / "mosquitto.conf"
    path.write_text(text + (f"user {user}\n" if user else ""))
    return path


def _write(path: Path, lines: Iterable[str]) -> None:
    """Replace a file whole, never readable by others."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text("\n".join(lines) + "\n")
    fresh.replace(path)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
