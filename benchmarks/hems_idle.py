"""One hub at rest: its memory, and what it takes of a core, with real devices on a real broker.

Run it as `python benchmarks/hems_idle.py [--seconds 60]`. The hub polls a small VTN over mutual TLS every 10
seconds, and watches a charger, a relay and a meter that speak as often.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CLOCK_TICK = os.sysconf("SC_CLK_TCK")
MOST_MIB, MOST_PERCENT = 60, 1


def main() -> None:
    """Measure, then print a line a figure."""
    from hems.keys import enrol
    from tests.hems.local_broker import PASSWORD, FakeEvse, FakeShelly, mosquitto
    from tests.hems.small_vtn import Authority, SmallVtn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opendsr-hub-")))
        broker = stack.enter_context(mosquitto(folder / "broker"))
        authority = Authority()
        (folder / "vtn").mkdir()
        vtn = stack.enter_context(SmallVtn(authority, folder / "vtn", poll_seconds=10))
        hub = folder / "hub"
        request = enrol(hub, serial="HUB-0001")
        (hub / "certificate.pem").write_bytes(authority.sign_request(request.read_bytes()))
        (hub / "ca.pem").write_bytes(authority.pem)
        (hub / "broker.password").write_text(PASSWORD)
        (hub / "broker.password").chmod(0o600)
        (hub / "hub.toml").write_text(CONFIG.format(host=broker.host, port=broker.port))
        evse = stack.enter_context(FakeEvse(broker))
        stack.enter_context(FakeShelly(broker))
        process = subprocess.Popen(
            [sys.executable, "-m", "hems", "run", "--dir", str(hub), "--vtn", vtn.url],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(5)
            before, began = cpu_seconds(process.pid), time.monotonic()
            while (left := began + seconds - time.monotonic()) > 0:
                evse.charges(amperes=30)
                now = datetime.now(UTC)
                energy = {"import": {"cumulative": now.timestamp() / 1e5, "units": "kWh", "mpan": "a"}}
                told = {"timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}", "energy": energy}
                evse.device.says("glow/BCDDC2C6A91C/SENSOR/electricitymeter", {"electricitymeter": told})
                time.sleep(min(10, left))
            spent = cpu_seconds(process.pid) - before
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            lasting = time.monotonic() - began
        finally:
            process.terminate()
            process.wait(15)
    write = sys.stdout.write
    write(f"BENCH hems_idle_memory {pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.1f} MiB goal {MOST_MIB}\n")
    write(f"BENCH hems_idle_cpu {100 * spent / lasting:.2f} percent goal {MOST_PERCENT}\n")


CONFIG = """
[broker]
host = "{host}"
port = {port}
username = "hub"
password_file = "broker.password"
[meter]
name = "CAD-1"
glow = "BCDDC2C6A91C"
[home_assistant]
[[assets]]
resource_id = "res-ev"
kind = "ev_charger"
driver = "openevse"
base = "openevse-7b2c"
[[assets]]
resource_id = "res-water"
kind = "immersion_heater"
driver = "shelly_gen2"
prefix = "shellyplus1pm-aabb"
"""


def cpu_seconds(pid: int) -> float:
    """Return the CPU a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICK


if __name__ == "__main__":
    main()
