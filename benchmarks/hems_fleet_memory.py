"""What a home of a generated fleet takes of memory: two fleets against a small VTN, the difference a home.

Run it as `python benchmarks/hems_fleet_memory.py [--homes 400]`. The homes register, poll over mutual TLS and
report the power of their tanks and cars.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FEW, MOST_KB = 20, 50


def main() -> None:
    """Measure, then print a line."""
    from hems.fleet_files import ANSWERS, CA, REQUESTS, request_identities
    from oadr.messages import (
        EiResponse,
        RegisteredReport,
        RegisterReport,
        ReportRequest,
        SpecifierPayload,
        UpdatedReport,
        UpdateReport,
    )
    from tests.hems.small_vtn import Authority, SmallVtn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=400)
    homes = parser.parse_args().homes
    with tempfile.TemporaryDirectory(prefix="opendsr-fleet-") as name:
        folder = Path(name)
        authority = Authority()
        request_identities(folder, homes=homes)
        (folder / CA).write_bytes(authority.pem)
        with (folder / ANSWERS).open("w") as answers:
            for line in (folder / REQUESTS).read_text().splitlines():
                asked = json.loads(line)
                pem = authority.sign_request(asked["csr"].encode()).decode()
                answer = {"serial": asked["serial"], "ven_id": f"VEN-{asked['serial']}", "certificate": pem}
                answers.write(json.dumps(answer) + "\n")
        (folder / "vtn").mkdir()
        with SmallVtn(authority, folder / "vtn", poll_seconds=2) as vtn:
            wanted = ReportRequest("q1", "TELEMETRY", 60, 60, (SpecifierPayload("power", "Direct Read"),))
            vtn.reply[RegisterReport] = lambda ven, message: RegisteredReport(
                EiResponse(request_id=message.request_id), (wanted,), f"VEN-{ven}"
            )
            vtn.reply[UpdateReport] = lambda ven, message: UpdatedReport(
                EiResponse(request_id=message.request_id), None, f"VEN-{ven}"
            )
            few, many = (figures(folder, vtn.url, count) for count in (FEW, homes))
    reports = many["counts"].get("reports", 0)
    if reports < homes:
        sys.exit(f"only {reports} reports of {homes} homes: too busy a machine to say anything")
    kb = (many["memory_mib"] - few["memory_mib"]) * 1024 / (homes - FEW)
    sys.stdout.write(f"BENCH hems_fleet_home_memory {kb:.1f} kB goal {MOST_KB}\n")


def figures(folder: Path, url: str, homes: int) -> dict[str, Any]:
    """Return what a fleet of so many homes says of itself."""
    words = [sys.executable, "-m", "hems.fleet", "run", "--dir", str(folder), "--homes", str(homes)]
    words += ["--vtn", url, "--seconds", "15", "--ramp-seconds", "4", "--telemetry-seconds", "3", "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
