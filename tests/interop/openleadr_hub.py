"""A hub made of the `openleadr` client, in an environment of its own: joins, reports, answers optIn.

An event whose comment asks it to say no is answered optOut.

Arguments: the VTN's URL, the certificate, its key, the CA, a file that gets one line of JSON an
event, and (to accept only what that VTN has signed) the VTN's fingerprint. It signs whatever it
says. Not a test: `tests/interop/test_openleadr.py` starts it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from openleadr import OpenADRClient, enable_default_logging


def tell(said_path: Path, kind: str, event: dict[str, Any]) -> str:
    """Write the event down and decide."""
    descriptor = event["event_descriptor"]
    said = {
        "kind": kind,
        "event_id": descriptor["event_id"],
        "modification_number": descriptor["modification_number"],
        "status": descriptor["event_status"],
        "signals": [
            {
                "name": signal["signal_name"],
                "values": [interval["signal_payload"] for interval in signal["intervals"]],
            }
            for signal in event["event_signals"]
        ],
    }
    with said_path.open("a") as file:
        file.write(json.dumps(said) + "\n")
    return "optOut" if descriptor.get("vtn_comment") == "say no" else "optIn"


async def take_part(
    url: str, certificate: str, key: str, ca: str, said: str, vtn_fingerprint: str | None = None
) -> None:
    """Register and poll until stopped."""
    client = OpenADRClient(
        ven_name="openleadr-hub",
        vtn_url=url,
        cert=certificate,
        key=key,
        ca_file=ca,
        show_fingerprint=False,
        vtn_fingerprint=vtn_fingerprint,
        allow_jitter=False,
    )

    async def on_event(event: dict[str, Any]) -> str:
        return tell(Path(said), "new", event)

    async def on_update_event(event: dict[str, Any]) -> str:
        return tell(Path(said), "changed", event)

    async def power() -> float:
        return 1.0

    client.add_handler("on_event", on_event)
    client.add_handler("on_update_event", on_update_event)
    client.add_report(power, resource_id="home", measurement="RealPower", sampling_rate=timedelta(seconds=1))
    await client.run()
    await asyncio.Event().wait()


if __name__ == "__main__":
    enable_default_logging(level=logging.INFO)
    asyncio.run(take_part(*sys.argv[1:7]))
