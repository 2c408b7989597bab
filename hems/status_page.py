"""What the hub is doing, as a page on the home's network: to look at, nothing to press.

Served from the last status that was shown, never from the devices; `/status.json` is the same for programs.
Controllers fetch from here the firmware that the co-op signed and the hub verified.
"""

from __future__ import annotations

import html
import json
import logging
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from hems.instants import LONDON, read_instant

REFRESH_SECONDS: Final = 10
FILES: Final = "/firmware/"
SOCKET_SECONDS: Final = 10
STATES: Final = {
    "online": "In contact with the co-op",
    "no_contact": "No contact with the co-op: known events run on, your devices keep their own schedule",
    "offline": "Off line",
    "starting": "Starting",
    "stopped": "Stopped: your devices keep their own schedule",
}
ASKS: Final = {"down": "An event is running: use less", "up": "An event is running: use more", "": "As usual"}
PHASES: Final = {
    "pending": "to come",
    "active": "running",
    "completed": "over",
    "cancelled": "called off",
    "opted_out": "you are out of it",
}
_STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;margin:1rem auto;max-width:42rem;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;"
    "width:100%}th,td{text-align:left;padding:.4rem .6rem .4rem 0;border-bottom:1px solid #767676;"
    "vertical-align:top}.asks{font-size:1.3rem;border-left:.4rem solid #1d5c3a;padding-left:.8rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}}"
)

log = logging.getLogger("hems")


class StatusPage:
    """The server; `show` it the hub's status."""

    def __init__(self, host: str, port: int) -> None:
        self._status: dict[str, Any] | None = None
        self.files: dict[str, bytes] = {}
        page = self

        class Handler(_Handler):
            status_page = page

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="status-page", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def show(self, status: Mapping[str, Any]) -> None:
        self._status = dict(status)

    def content(self, path: str) -> tuple[str, bytes] | None:
        """Return content type and body for a path; None where nothing is."""
        status = self._status
        if path == "/status.json":
            return "application/json", json.dumps(status, indent=1).encode()
        if path.startswith(FILES) and (body := self.files.get(path.removeprefix(FILES))) is not None:
            return "application/octet-stream", body
        if path == "/":
            return "text/html; charset=utf-8", page_of(status).encode()
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def page_of(status: Mapping[str, Any] | None) -> str:
    """Return the page for a status; before the first there is little to say."""
    if status is None:
        return _page("<h1>Energy hub</h1><p>Starting.</p>")
    events = "".join(
        f"<tr><td>{_text(_when(event))}</td><td>{_text(PHASES.get(event['phase'], event['phase']))}</td></tr>"
        for event in sorted(status["events"], key=lambda event: str(event["starts_at"]), reverse=True)
    )
    assets = "".join(
        f"<tr><td>{_text(_name(asset))}<br><small>{_text(asset['resource_id'])}</small></td>"
        f"<td>{_power(asset)}</td><td>{_text(_doing(asset))}</td></tr>"
        for asset in status["assets"]
    )
    failure = f"<p>{_text(status['failure'])}</p>" if status["failure"] else ""
    ahead = status["clock_ahead_seconds"]
    if ahead:
        failure += (
            f"<p>This hub's clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the co-op's: the "
            "hub goes by the co-op's. To put it right: timedatectl set-ntp true</p>"
        )
    return _page(
        f"<h1>Energy hub {_text(status['serial'])}</h1>"
        f"<p class='asks'>{_text(ASKS.get(status['asks'], status['asks']))}</p>"
        f"<p>{_text(STATES.get(status['state'], status['state']))}.</p>{failure}"
        "<h2>Devices</h2><table><thead><tr><th scope='col'>Device</th><th scope='col'>Now</th>"
        f"<th scope='col'>Doing</th></tr></thead><tbody>{assets}</tbody></table>"
        + (
            "<h2>Events</h2><table><thead><tr><th scope='col'>When</th><th scope='col'>State</th></tr>"
            f"</thead><tbody>{events}</tbody></table>"
            if events
            else "<h2>Events</h2><p>None yet: the co-op will tell this hub of one, and you before it.</p>"
        )
    )


def _name(asset: Mapping[str, Any]) -> str:
    return str(asset["kind"]).replace("_", " ").capitalize().replace("Ev ", "EV ")


def _power(asset: Mapping[str, Any]) -> str:
    """Return the power now, kept on one line; a device that is away tells none."""
    return f"{_text(asset['power_w'])}&nbsp;W" if asset["is_available"] else "?"


def _when(event: Mapping[str, Any]) -> str:
    """Return the event's time as clocks in the home show it."""
    starts, ends = (read_instant(event[name]).astimezone(LONDON) for name in ("starts_at", "ends_at"))
    until = f"{ends:%H:%M}" if ends.date() == starts.date() else f"{ends:%a %d %b %H:%M}"
    return f"{starts:%a %d %b %H:%M} to {until}"


def _doing(asset: Mapping[str, Any]) -> str:
    if not asset["is_available"]:
        return f"away: is it plugged in? {asset['detail']}".strip()
    if asset["interlock"]:
        return f"not held back: {asset['interlock']}"
    if asset["is_ordered"]:
        return "in the event"
    return str(asset["detail"]) or "its own schedule"


def _page(body: str) -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Energy hub</title>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<meta http-equiv='refresh' content='{REFRESH_SECONDS}'><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


class _Handler(BaseHTTPRequestHandler):
    status_page: StatusPage
    timeout = SOCKET_SECONDS

    def do_GET(self) -> None:
        found = self.status_page.content(self.path.partition("?")[0])
        content_type, body = found or ("text/plain; charset=utf-8", b"Nothing here: look at /")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        log.debug(format, *arguments)
