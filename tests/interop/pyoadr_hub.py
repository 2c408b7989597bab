"""A hub made of the `pyoadr-ven` client, in an environment of its own: registers, reports, answers events.

Arguments: the VTN's URL without a path, the VEN's id, its certificate and key in one file, the CA, and a
file that gets one line of JSON for each thing it has. Not a test: `tests/interop/test_pyoadr.py` starts it.
REQUESTS_CA_BUNDLE names the CA too: the client checks the server by `requests`' own settings.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from pyoadr_ven import OpenADRVenAgent

POLL_SECONDS = 5  # the least it takes
REPORTS = {
    "home": {
        "report_name_metadata": "METADATA_TELEMETRY_USAGE",
        "report_interval_secs_default": 1,
        "telemetry_parameters": {
            "power": {
                "r_id": "power",
                "report_type": "reading",
                "reading_type": "Direct Read",
                "units": "powerReal",
                "method_name": "power",
                "min_frequency": 1,
                "max_frequency": 60,
            }
        },
    }
}


def take_part(url: str, ven_id: str, pem: str, ca: str, said: str) -> None:
    """Register once, then tick until stopped."""
    agent = OpenADRVenAgent(
        ven_id=ven_id,
        vtn_id="COOP-VTN",
        vtn_address=url,
        client_pem_bundle=pem,
        vtn_ca_cert=ca,
        poll_interval_secs=POLL_SECONDS,
        opt_timeout_secs=1,
        report_parameters=REPORTS,
    )
    agent.register("pyoadr-hub")
    # It keeps the interval it was told as an object that it cannot compare.
    agent.poll_interval_secs = POLL_SECONDS
    agent.request_events()
    told: set[str] = set()
    while True:
        now = datetime.utcnow()
        agent.add_telemetry_json("home", {"power": 1500.0}, now - timedelta(seconds=1), now)
        agent.tick()
        for event in agent.active_or_pending_events:
            line = json.dumps(
                {"event_id": event["event_id"], "status": event["status"], "opt": event["opt_type"]}
            )
            if line not in told:
                told.add(line)
                with Path(said).open("a") as file:
                    file.write(line + "\n")
        time.sleep(0.5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    logging.getLogger("pony").setLevel(logging.WARNING)
    take_part(*sys.argv[1:6])
