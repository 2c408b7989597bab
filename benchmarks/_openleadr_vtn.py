"""openleadr's own VTN with N known VENs over mutual TLS; run with the interpreter of `.venv-interop`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from openleadr import OpenADRServer
from openleadr.utils import certificate_fingerprint

parser = argparse.ArgumentParser()
parser.add_argument("--answers", type=Path, required=True)
parser.add_argument("--pki", type=Path, required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--event-after", type=Path, help="publish one event to every VEN once this file is there")
parser.add_argument("--intervals", type=int, default=1, help="half-hours of the event")
options = parser.parse_args()
logging.getLogger("openleadr").setLevel(logging.ERROR)

HALF_HOUR = timedelta(minutes=30)
known = {}
for line in options.answers.read_text().splitlines():
    answer = json.loads(line)
    known[answer["ven_id"]] = {
        "ven_id": answer["ven_id"],
        "ven_name": answer["serial"],
        "fingerprint": certificate_fingerprint(answer["certificate"]),
        "registration_id": answer["serial"],
    }


async def main() -> None:
    server = OpenADRServer(
        vtn_id="BENCH-VTN",
        http_host="localhost",
        http_port=options.port,
        http_cert=str(options.pki / "server.pem"),
        http_key=str(options.pki / "server.key"),
        http_ca_file=str(options.pki / "ca.pem"),
        ven_lookup=lambda ven_id: known.get(ven_id),
        verify_message_signatures=False,
    )
    await server.run_async() if hasattr(server, "run_async") else await server.run()
    published = False
    while True:
        await asyncio.sleep(0.05)
        if options.event_after and not published and options.event_after.exists():
            published = True
            starts_at = datetime.now(UTC) + timedelta(hours=1)
            for ven_id in known:
                server.add_event(
                    ven_id=ven_id,
                    signal_name="simple",
                    signal_type="level",
                    intervals=[
                        {
                            "dtstart": starts_at + number * HALF_HOUR,
                            "duration": HALF_HOUR,
                            "signal_payload": 1.0 + number % 2,
                        }
                        for number in range(options.intervals)
                    ],
                    callback=lambda ven_id, event_id, opt_type: None,
                    event_id=f"ev-{ven_id}",
                )


assert ssl.HAS_TLSv1_3  # noqa: S101 - both servers are measured with the same TLS
asyncio.run(main())
