"""MQTT intake: what a message of a CAD costs the worker, and whether anything is lost when it is killed.

Run it as `python benchmarks/metering_mqtt.py` (BENCH_CADS, BENCH_MESSAGES change its size). A real Mosquitto
carries Glow messages of 10,000 CADs through `manage.py metering_mqtt` into a scratch database; halfway the
worker is killed with -9 and another takes over. CPU is the workers' own, so load on the machine moves it
little; beside it the same messages through bare paho with JSON decoding.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from import_rows import make_streams, scratch_database

ROOT = Path(__file__).resolve().parent.parent
CADS = int(os.environ.get("BENCH_CADS", "10000"))
MESSAGES = int(os.environ.get("BENCH_MESSAGES", "60000"))
RATE = 1_000
GOAL_CORE = 0.25
PATIENCE_SECONDS = 300
PASSWORD = "bench"  # noqa: S105 - of a broker that lives for a minute


def main() -> None:
    """Measure, then print a table and a line a figure for scripts."""
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        raise SystemExit("This benchmark needs Mosquitto (Debian: apt-get install mosquitto).")
    with scratch_database(), tempfile.TemporaryDirectory() as folder:
        figures = measure(program, Path(folder))
    write = sys.stdout.write
    write(f"{CADS:,} CADs, {MESSAGES:,} messages, one worker killed half way\n")
    for name, (value, unit, goal) in figures.items():
        write(f"BENCH {name} {value:.4g} {unit}{f' goal {goal}' if goal else ''}\n")


def measure(program: str, folder: Path) -> dict[str, tuple[float, str, str]]:
    """Send everything through two workers, then look at what the database holds."""
    from metering import broker
    from metering.intake_models import Register

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"mqtt://intake:{PASSWORD}@127.0.0.1:{port}"
    config = broker.write_files(folder, url=url, user="root")
    hashed = broker.password_hash(PASSWORD)
    with (folder / "passwords").open("a") as out:
        out.write(f"bench:{hashed}\n")
    with (folder / "access").open("a") as out:
        out.write("\nuser bench\ntopic write glow/#\ntopic read glow/#\n")
    make_cads()
    start = slot_start()
    served = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        bare = bare_paho(port, start)
        first = worker(url, folder / "first.log")
        half = MESSAGES // 2
        publish(port, start, 0, half)
        wait_for(lambda: Register.objects.count() >= min(CADS, half) // 2)
        killed_cpu = cpu_of(first.pid)
        first.kill()
        first.wait()
        publish(port, start, half, MESSAGES)
        second = worker(url, folder / "second.log")
        wanted = last_wh(start)
        wait_for(lambda: held(Register) == wanted)
        stored = held(Register)
        lost = sum(stored.get(name) != wh for name, wh in wanted.items())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        second.terminate()
        second.wait(30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        served.terminate()
        served.wait(10)
    start_up = start_up_cpu(url, folder)
    second_cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    taken = MESSAGES - half
    a_message = max(second_cpu - start_up, 0) / taken
    return {
        "mqtt_cpu_a_message": (1e6 * a_message, "us", str(int(1e6 * GOAL_CORE / RATE))),
        "mqtt_core_at_1000_messages_a_second": (a_message * RATE, "core", str(GOAL_CORE)),
        "mqtt_bare_paho_cpu_a_message": (1e6 * bare, "us", ""),
        "mqtt_killed_worker_cpu": (killed_cpu, "s", ""),
        "mqtt_cads_with_a_lost_message_after_kill": (float(lost), "cads", "0"),
    }


def make_cads() -> None:
    """A home that consents for each CAD, by bulk insert."""
    from assets.models import Cad
    from members.models import Home

    make_streams(CADS)
    homes = Home.objects.order_by("pk").values_list("pk", flat=True)
    paired = datetime.now(UTC) - timedelta(days=30)
    Cad.objects.bulk_create(
        Cad(home_id=home, serial=mac(number), paired_at=paired) for number, home in enumerate(homes)
    )


def mac(number: int) -> str:
    """The name of a CAD."""
    return f"BCDD{number:08X}"


def slot_start() -> datetime:
    """A half-hour start long enough ago for every reading to be of the past."""
    ago = datetime.now(UTC) - timedelta(hours=6)
    return ago.replace(minute=0, second=0, microsecond=0)


def reading(start: datetime, number: int) -> tuple[str, bytes, int]:
    """Topic, message and register of a message by its number: CAD after CAD, ten seconds a round."""
    cad, turn = number % CADS, number // CADS
    wh = 1_000_000 + cad + turn * 3
    at = start + timedelta(seconds=10 * turn)
    body = {
        "electricitymeter": {
            "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "energy": {
                "export": {"cumulative": 0.0, "units": "kWh"},
                "import": {
                    "cumulative": wh / 1000,
                    "day": 3.717,
                    "week": 3.717,
                    "month": 60.439,
                    "units": "kWh",
                    "mpan": f"{cad:013d}",
                    "supplier": "Bench Energy",
                    "price": {"unitrate": 0.16401, "standingcharge": 0.19383},
                },
            },
            "power": {"value": 0.425, "units": "kW"},
        }
    }
    return f"glow/{mac(cad)}/SENSOR/electricitymeter", json.dumps(body).encode(), wh


def last_wh(start: datetime) -> dict[str, int]:
    """The latest register of each stream, by its stream id."""
    from metering import routing

    routes = routing.routes_of_cads()
    found = {}
    for number in range(max(0, MESSAGES - CADS), MESSAGES):
        topic, _, wh = reading(start, number)
        stream = routes.stream_at(topic.split("/")[1], "electricity", start)
        found[str(stream)] = wh
    return found


def held(register: Any) -> dict[str, int]:
    """What the database holds as the latest register of each stream."""
    from metering.registers import MOST_WH

    return {
        str(stream): latest & MOST_WH
        for stream, latest in register.objects.values_list("stream_id", "latest")
    }


def publish(port: int, start: datetime, first: int, past: int) -> None:
    """Send messages at QoS 1 over one raw connection, and wait until the broker has them all."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        name, secret = text(b"bench"), text(PASSWORD.encode())
        link.sendall(packet(0x10, text(b"MQTT") + b"\x04\xc2\x00\x00" + text(b"publisher") + name + secret))
        link.recv(4)
        acknowledged = threading.Thread(target=drain, args=(link, 4 * (past - first)), daemon=True)
        acknowledged.start()
        for begin in range(first, past, 500):
            parts = []
            for number in range(begin, min(begin + 500, past)):
                topic, body, _ = reading(start, number)
                parts.append(
                    packet(0x32, text(topic.encode()) + struct.pack(">H", number % 65_535 + 1) + body)
                )
            link.sendall(b"".join(parts))
        acknowledged.join(PATIENCE_SECONDS)


def drain(link: socket.socket, size: int) -> None:
    """Read so many bytes of acknowledgements."""
    while size > 0 and (data := link.recv(65_536)):
        size -= len(data)


def packet(kind: int, body: bytes) -> bytes:
    """An MQTT packet."""
    size, length = len(body), b""
    while True:
        part, size = size & 127, size >> 7
        length += bytes([part | (128 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


def text(data: bytes) -> bytes:
    """An MQTT string."""
    return struct.pack(">H", len(data)) + data


def bare_paho(port: int, start: datetime, count: int = 10_000) -> float:
    """CPU seconds a message of paho and json alone, in this process."""
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    seen = 0

    def received(client: Any, userdata: Any, message: Any) -> None:
        nonlocal seen
        json.loads(message.payload)
        seen += 1

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bare")
    client.username_pw_set("bench", PASSWORD)
    client.on_message = received
    client.connect("127.0.0.1", port)
    client.subscribe("glow/#", 1)
    for _ in range(10):
        client.loop(0.1)
    publish(port, start, 0, count)
    before = time.process_time()
    deadline = time.monotonic() + 60
    while seen < count and time.monotonic() < deadline:
        client.loop(0.2)
    cost = time.process_time() - before
    client.disconnect()
    return cost / max(seen, 1)


def worker(url: str, log: Path) -> subprocess.Popen[bytes]:
    """`manage.py metering_mqtt`, listening."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "metering_mqtt"],
            cwd=ROOT,
            env=os.environ | {"METERING_MQTT_URL": url},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    wait_for(lambda: "listening on" in log.read_text())
    return process


def start_up_cpu(url: str, folder: Path) -> float:
    """CPU seconds of a worker that starts against no broker and is stopped at once: imports and set-up."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "metering_mqtt"],
        cwd=ROOT,
        env=os.environ | {"METERING_MQTT_URL": url},
        stderr=subprocess.DEVNULL,
    )
    time.sleep(6)
    process.terminate()
    process.wait(30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def cpu_of(pid: int) -> float:
    """CPU seconds of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(holds: Any) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.2)
    raise SystemExit("The benchmark measured something else: it never came to an end.")


if __name__ == "__main__":
    main()
