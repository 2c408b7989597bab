"""`openleadr`'s VTN, in an environment of its own: registers one hub, tells it an event, takes its reports.

Arguments: port, server certificate, its key, the CA, the hub's certificate, a file that gets one line of JSON
for whatever the hub says, a file whose appearance cancels the event, how many seconds after the registration
the event begins, and `signed` to sign and to take nothing unsigned. Not a test: `tests/interop/test_hub.py`
and `test_operator_vtn.py` start it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from openleadr import OpenADRServer, enable_default_logging
from openleadr.utils import certificate_fingerprint

VEN_ID, REGISTRATION_ID, EVENT_ID = "foreign-ven-id", "foreign-registration", "foreign-event"


async def serve(
    port: int,
    certificate: str,
    key: str,
    ca: str,
    hub: str,
    said: Path,
    cancel: Path,
    *,
    begins_in: timedelta,
    is_signed: bool,
) -> None:
    """Serve until stopped."""
    known: dict[str, dict[str, str]] = {}

    def tell(kind: str, **more: Any) -> None:
        with said.open("a") as file:
            file.write(json.dumps({"kind": kind, **more}, default=str) + "\n")

    def on_registration(payload: dict[str, Any]) -> tuple[str, str]:
        tell("registered", ven_name=payload["ven_name"])
        known[VEN_ID] = {
            "ven_id": VEN_ID,
            "ven_name": payload["ven_name"],
            "fingerprint": certificate_fingerprint(Path(hub).read_text()),
            "registration_id": REGISTRATION_ID,
        }
        starts_at = datetime.now(UTC) + begins_in
        tell("planned", starts_at=starts_at.isoformat())
        server.add_event(
            ven_id=VEN_ID,
            event_id=EVENT_ID,
            signal_name="simple",
            signal_type="level",
            intervals=[
                {
                    "dtstart": starts_at,
                    "duration": timedelta(hours=1),
                    "signal_payload": 1,
                }
            ],
            callback=lambda ven_id, event_id, opt_type: tell("opt", event_id=event_id, opt=opt_type),
        )
        return VEN_ID, REGISTRATION_ID

    def on_register_report(
        ven_id: str, resource_id: str, measurement: str, unit: str, scale: str,
        min_sampling_interval: timedelta, max_sampling_interval: timedelta,
    ) -> tuple[Any, timedelta]:  # fmt: skip
        tell("offered", resource_id=resource_id, measurement=measurement, unit=unit)

        def take(values: list[tuple[datetime, Any]]) -> None:
            tell("reported", resource_id=resource_id, measurement=measurement, values=values)

        return take, max(min_sampling_interval, timedelta(seconds=10))

    server = OpenADRServer(
        vtn_id="foreign-vtn",
        http_host="localhost",
        http_port=port,
        http_cert=certificate,
        http_key=key,
        http_ca_file=ca,
        ven_lookup=lambda ven_id: known.get(ven_id),
        requested_poll_freq=timedelta(seconds=1),
        cert=certificate if is_signed else None,
        key=key if is_signed else None,
        verify_message_signatures=is_signed,
        show_fingerprint=False,
    )
    server.add_handler("on_create_party_registration", on_registration)
    server.add_handler("on_register_report", on_register_report)
    await server.run_async()
    is_cancelled = False
    while True:
        await asyncio.sleep(0.1)
        if not is_cancelled and cancel.exists():
            is_cancelled = True
            server.cancel_event(VEN_ID, EVENT_ID)


enable_default_logging()
port, certificate, key, ca, hub, said, cancel, begins_in, *more = sys.argv[1:]
asyncio.run(
    serve(
        int(port),
        certificate,
        key,
        ca,
        hub,
        Path(said),
        Path(cancel),
        begins_in=timedelta(seconds=int(begins_in)),
        is_signed=more == ["signed"],
    )
)
