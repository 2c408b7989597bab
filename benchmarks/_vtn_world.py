"""Shared by the VTN's benchmarks: a scratch database of registered VENs, servers to measure, their CPU."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
INTEROP = ROOT / ".venv-interop" / "bin" / "python"
CLOCK_TICK = os.sysconf("SC_CLK_TCK")
START_SECONDS = 90
WELL_BEFORE = timedelta(minutes=5)


@contextmanager
def scratch_database() -> Iterator[None]:
    """Point DATABASE_URL at a new database, migrated; drop it afterwards."""
    import psycopg

    from opendsr.run.bootstrap import local_environment

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
    with local_environment():
        given = os.environ["DATABASE_URL"]
        name = f"opendsr_bench_{os.getpid()}"
        with psycopg.connect(given, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}"')
        os.environ["DATABASE_URL"] = urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
        try:
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            yield
        finally:
            from django.db import connections

            connections.close_all()
            os.environ["DATABASE_URL"] = given
            with psycopg.connect(given, autocommit=True) as server:
                server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass(slots=True)
class World:
    """A folder with the fleet's identities, and the site's keys; the VENs are in the database."""

    folder: Path
    ven_ids: list[str]

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"


@contextmanager
def world(vens: int) -> Iterator[World]:
    """Make so many registered VENs with certificates of their own, in a scratch database.

    Told to stop, the benchmark ends what it began.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with scratch_database(), tempfile.TemporaryDirectory(prefix="opendsr-vtn-") as name:
        folder = Path(name)
        folder.chmod(0o750)
        os.environ["OPENDSR_PKI_DIR"] = str(folder / "pki")
        from django.conf import settings

        settings.VTN_PKI_DIR = folder / "pki"
        made = World(folder, [])
        _make_vens(made, vens)
        yield made


def _make_vens(made: World, vens: int) -> None:
    """Sign in one go what enrolment signs one by one; the rows are those it would write."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from django.db import connection

    from hems.fleet_files import ANSWERS, IDENTITIES
    from hems.fleet_files import CA as FLEET_CA
    from oadr.fingerprint import full_fingerprint
    from vtn import pki
    from vtn.models import Ven, VenCertificate

    wall = datetime.now(UTC)
    authority = pki.authority()
    ca_pem = authority.ca_pem(at=wall)
    authority.server_files(host="localhost", at=wall)
    ca = authority.issuing()
    ca_key: Any = authority._key()
    (made.fleet / IDENTITIES).mkdir(parents=True)
    (made.fleet / FLEET_CA).write_text(ca_pem)
    rows, certificates = [], []
    with (made.fleet / ANSWERS).open("w") as answers:
        for number in range(vens):
            serial, ven_id = f"FLEET-{number:05d}", f"VEN-BENCH-{number:05d}"
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = (
                x509.CertificateBuilder()
                .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ven_id)]))
                .issuer_name(ca.subject)
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(wall - WELL_BEFORE)
                .not_valid_after(wall + timedelta(days=365))
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(
                    x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
                )
                .sign(ca_key, hashes.SHA256())
            )
            pem = certificate.public_bytes(serialization.Encoding.PEM)
            key_pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            (made.fleet / IDENTITIES / f"{serial}.pem").write_bytes(key_pem + pem)
            answers.write(
                json.dumps({"serial": serial, "ven_id": ven_id, "certificate": pem.decode()}) + "\n"
            )
            made.ven_ids.append(ven_id)
            rows.append(
                Ven(
                    ven_id=ven_id,
                    ven_name=serial,
                    registration_id=f"REG-{number}",
                    enrolled_at=wall,
                    registered_at=wall,
                )
            )
            certificates.append(
                (full_fingerprint(certificate.public_bytes(serialization.Encoding.DER)), certificate)
            )
    Ven.objects.bulk_create(rows, batch_size=2000)
    VenCertificate.objects.bulk_create(
        (
            VenCertificate(
                ven=row,
                fingerprint=fingerprint,
                serial=f"{certificate.serial_number:x}",
                issuer=certificate.issuer.rfc4514_string(),
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
                issued_at=wall,
                first_used_wall_at=wall,
            )
            for row, (fingerprint, certificate) in zip(rows, certificates, strict=True)
        ),
        batch_size=2000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ven, ven_certificate")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Server:
    """Something that answers polls: where, and the processes whose CPU is counted."""

    name: str
    url: str
    pids: tuple[int, ...]
    has_database: bool = True
    front: tuple[str, ...] = ()
    log: Path | None = None


@contextmanager
def running(
    words: Sequence[str], *, ready: Any, log: Path, env: dict[str, str] | None = None
) -> Iterator[int]:
    """Run a program for the block, from when `ready()` is true; yields its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{words[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def embedded(made: World, *, workers: int = 1) -> Iterator[Server]:
    """The listener that ends TLS itself."""
    port = free_port()
    words = [sys.executable, "manage.py", "vtn", "--host", "localhost", "--port", str(port)]
    words += ["--workers", str(workers)]
    with running(words, ready=lambda: answers(port), log=made.folder / "embedded.log") as pid:
        yield Server("embedded", f"https://localhost:{port}/OpenADR2/Simple/2.0b", (pid,))


@contextmanager
def production(made: World, *, vens: int, workers: int = 1) -> Iterator[Server | None]:
    """nginx in front of the listener; None where nginx is not installed."""
    from vtn import pki
    from vtn.transports import nginx

    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    path = made.folder / "vtn.sock"
    site = nginx.Site(
        files=pki.authority().server_files(host="localhost", at=datetime.now(UTC)),
        tickets=nginx.ticket_keys(made.pki),
        socket=path,
        port=port,
        connections=2 * vens + 1000,
        workers="1",
        log_level="info",
    )
    config = made.folder / "nginx.conf"
    user = "user root root;\n" if os.geteuid() == 0 else ""
    config.write_text(user + nginx.whole_file(site))
    with ExitStack() as stack:
        words = [sys.executable, "manage.py", "vtn", "--socket", str(path), "--workers", str(workers)]
        listener = running(words, ready=path.exists, log=made.folder / "production.log")
        behind = stack.enter_context(listener)
        log = made.folder / "nginx.log"
        words = [program, "-c", str(config), "-e", "stderr", "-p", str(made.folder)]
        front = stack.enter_context(running(words, ready=lambda: answers(port), log=log))
        url = f"https://localhost:{port}/OpenADR2/Simple/2.0b"
        yield Server("production", url, (front, behind), front=tuple(words), log=log)


@contextmanager
def openleadr(made: World, *, event_after: Path | None = None, intervals: int = 1) -> Iterator[Server | None]:
    """The peer, which publishes an event to every VEN once the file `event_after` is there.

    None where its environment is not installed (`make bench-vtn` installs it).
    """
    if not INTEROP.exists():
        yield None
        return
    port = free_port()
    script = Path(__file__).with_name("_openleadr_vtn.py")
    words: list[Any] = [INTEROP, script, "--answers", made.fleet / "answers.jsonl", "--pki", made.pki]
    words += ["--port", port, "--intervals", intervals]
    words += [] if event_after is None else ["--event-after", event_after]
    log = made.folder / "openleadr.log"
    with running([str(word) for word in words], ready=lambda: answers(port), log=log) as pid:
        time.sleep(0.5)
        url = f"https://localhost:{port}/OpenADR2/Simple/2.0b"
        yield Server("openleadr", url, (pid,), has_database=False)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU the processes and their living and dead children have taken."""
    total = 0.0
    for pid in _with_children(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:13])) / CLOCK_TICK
    return total


def memory_mib(pids: Sequence[int]) -> float:
    """Return the resident memory of the processes and their children."""
    pages = 0
    for pid in _with_children(pids):
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def database_cpu_seconds() -> float:
    """Return the CPU of every process of the PostgreSQL server in use, so far; 0 when it is not here."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0.0
    fields = Path(f"/proc/{parent}/stat").read_text().rsplit(")", 1)[1].split()
    dead_children = sum(map(int, fields[13:15])) / CLOCK_TICK
    return cpu_seconds([parent]) + dead_children


def _with_children(pids: Sequence[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:
                continue
    return found


def fleet(made: World, *words: str, homes: int) -> subprocess.Popen[str]:
    """Start the load generator; its figures come as a line of JSON."""
    command = [sys.executable, "-m", "hems.fleet", "--json", "--dir", str(made.fleet), "--homes", str(homes)]
    return subprocess.Popen(
        [*command, "--registered", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_word(process: subprocess.Popen[str], word: str) -> None:
    """Return once the load generator has said the word on its standard error."""
    assert process.stderr is not None  # noqa: S101 - a pipe, see `fleet`
    for line in process.stderr:
        if line.strip() == word:
            return
    raise SystemExit(f"the load generator ended before it was {word}")


def wait_for_everybody(process: subprocess.Popen[str], *, homes: int) -> None:
    """Return once each hub has been answered: a campaign to a fleet still on its way says nothing."""
    from hems.fleet_main import HOMES_A_PROCESS

    for _ in range(-(-homes // HOMES_A_PROCESS)):
        wait_for_word(process, "met")


def figures_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, complaint = process.communicate()
    if process.returncode or not said.strip():
        raise SystemExit(
            f"the load generator gave no figures (exit {process.returncode}): {complaint[-2000:]}"
        )
    figures: dict[str, Any] = json.loads(said)
    return figures
