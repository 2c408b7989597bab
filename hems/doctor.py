"""`python -m hems doctor`: look at clock, certificate, broker and every device, and say the fix."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion

from hems import versions
from hems.clock import MOST_SKEW_SECONDS, skew_seconds
from hems.config import Config, read_config
from hems.drivers.bus import Bus, LocalBroker
from hems.drivers.catalogue import MAKES, Around
from hems.errors import HubError
from hems.home import CONFIG, SIMULATION, read_home
from hems.keys import CERTIFICATE, KEY, serial_of
from hems.link import tls_context
from hems.manifest import mark_of
from hems.updates import KEY as UPDATE_KEY

DEVICE_SECONDS: Final = 8.0
BROKER_SECONDS: Final = 5.0
VTN_SECONDS: Final = 10.0
LEAST_SHARE_LEFT: Final = 0.25
"""A certificate is renewed at two thirds of its life; one with less left than this was not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `fix` is what to do when it is not good."""

    what: str
    is_good: bool
    said: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{'ok ' if self.is_good else 'FIX'}  {self.what:<24} {self.said}"
        return line if self.is_good or not self.fix else f"{line}\n     {'':<24} -> {self.fix}"


def examine(folder: Path, *, vtn: str | None = None, device_seconds: float = DEVICE_SECONDS) -> list[Finding]:
    """Return what was found, in the order in which to put it right; a device is waited for so long."""
    try:
        serial = serial_of(folder)
    except HubError as error:
        fix = f"python -m hems enrol --dir {folder} --serial SERIAL"
        return [Finding("folder", False, str(error), fix)]
    findings = [Finding("folder", True, f"{folder}, hub {serial}")]
    findings += _identity(folder)
    findings += _updates(folder)
    if vtn is not None:
        findings += _way_to(vtn, folder)
    if not (folder / CONFIG).exists():
        return [*findings, _simulated(folder)]
    try:
        config = read_config(folder)
    except HubError as error:
        return [
            *findings,
            Finding(CONFIG, False, str(error), "put it right in the file; nothing else needed"),
        ]
    findings.append(Finding(CONFIG, True, f"{len(config.assets)} assets"))
    if config.broker is not None:
        findings += _broker(config.broker, serial)
    return [*findings, *_devices(config, serial, device_seconds)]


def _identity(folder: Path) -> Iterator[Finding]:
    try:
        is_kept = not (folder / KEY).stat().st_mode & 0o077
        said = "kept to the hub" if is_kept else "others may read it"
        yield Finding("key", is_kept, said, f"chmod 600 {folder / KEY}")
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        if is_kept:
            tls_context(folder)
    except (OSError, ValueError, HubError) as error:
        yield Finding("certificate", False, str(error), "enrol again with a new one-time code")
        return
    now = datetime.now(UTC)
    left = certificate.not_valid_after_utc - now
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    said = f"good for {left.days} days" if left.days > 1 else f"good for {left.total_seconds() / 3600:.0f} h"
    if left.total_seconds() <= 0:
        yield Finding("certificate", False, "expired", "enrol again with a new one-time code")
    elif left < life * LEAST_SHARE_LEFT:
        fix = "it should have been renewed: let the hub run in contact with the VTN, and look at its log"
        yield Finding("certificate", False, said, fix)
    else:
        yield Finding("certificate", True, said)


def _updates(folder: Path) -> Iterator[Finding]:
    """Which key updates are verified by: a key that came over the line is compared with the jobsheet's."""
    held = versions.read(folder)
    software = f"{held.version}{', on trial' if held.is_trial else ''}"
    yield Finding("software", True, software)
    try:
        mark = mark_of((folder / UPDATE_KEY).read_text(encoding="ascii"))
    except FileNotFoundError:
        yield Finding("update key", True, "none yet: it comes from the co-op")
    except (OSError, ValueError) as error:
        fix = f"remove {folder / UPDATE_KEY}: the co-op's comes anew"
        yield Finding("update key", False, str(error), fix)
    else:
        yield Finding("update key", True, f"{mark}: the same as on the co-op's page of updates?")


def _way_to(vtn: str, folder: Path) -> Iterator[Finding]:
    parts = urlsplit(vtn)
    if parts.scheme != "https" or not parts.hostname:
        yield Finding(
            "VTN", False, f"{vtn!r} is no https:// address", "give https://HOST:PORT/OpenADR2/Simple/2.0b"
        )
        return
    try:
        context = tls_context(folder)
    except HubError as error:
        yield Finding("VTN", False, "not tried", f"first put right: {error}")
        return
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port or 443, timeout=VTN_SECONDS, context=context
    )
    try:
        asked = time.time()
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read(1000)
        heard = time.time()
    except (OSError, http.client.HTTPException) as error:
        fix = "is the house on line, the address right, and the hub's certificate signed by this co-op?"
        yield Finding("VTN", False, str(error) or type(error).__name__, fix)
        return
    finally:
        connection.close()
    yield Finding("VTN", True, f"answers in {(heard - asked) * 1000:.0f} ms, the certificate is taken")
    skew = skew_seconds(response.headers.get("Date"), asked_at=asked, heard_at=heard)
    if skew is None:
        yield Finding("clock", True, "the VTN does not tell its time: not compared")
        return
    yield Finding(
        "clock",
        abs(skew) <= MOST_SKEW_SECONDS,
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the VTN's",
        "timedatectl set-ntp true",
    )


def _simulated(folder: Path) -> Finding:
    try:
        home = read_home(folder / SIMULATION)
    except HubError as error:
        return Finding("home", False, f"neither {CONFIG} nor a simulated home: {error}", f"write {CONFIG}")
    return Finding("home", True, f"simulated, {len(home.assets)} assets: nothing real is driven")


def _broker(broker: LocalBroker, serial: str) -> Iterator[Finding]:
    bus = Bus(broker, name=f"{serial}-doctor"[:60])
    bus.start()
    is_in = _comes_true(lambda: bus.is_connected, BROKER_SECONDS)
    bus.close()
    said = f"{broker.host}:{broker.port} lets {broker.username} in"
    if not is_in:
        said = bus.refusal or f"{broker.host}:{broker.port} does not answer"
    fix = "is mosquitto running there, and are username and password_file those of its password_file?"
    yield Finding("broker", is_in, said, fix)
    if is_in and _lets_strangers_in(broker):
        yield Finding("broker's door", False, "lets anybody in", "allow_anonymous false in mosquitto.conf")
    elif is_in:
        yield Finding("broker's door", True, "strangers are refused")


def _lets_strangers_in(broker: LocalBroker) -> bool:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    if broker.ca is not None:
        client.tls_set(str(broker.ca))
    answers: list[bool] = []
    client.on_connect = lambda _c, _d, _f, reason, _p: answers.append(not reason.is_failure)
    try:
        client.connect(broker.host, broker.port, 10)
        client.loop_start()
        _comes_true(lambda: bool(answers), BROKER_SECONDS)
    except OSError:
        return False
    finally:
        client.disconnect()
        client.loop_stop()
    return bool(answers and answers[0])


def _devices(config: Config, serial: str, seconds: float) -> Iterator[Finding]:
    # Of a group the heaters are asked one by one; its thermometers speak when they like.
    for each in [device for asset in config.assets for device in (asset.heaters or (asset,))]:
        settings = each.settings
        if MAKES[each.driver].needs_local_vtn:
            said = f"{each.driver}: asks the hub itself while that runs: look in status.json"
            yield Finding(settings.resource_id, True, said)
            continue
        around = Around(f"{serial}-doctor", config.broker, each.secret)
        driver = MAKES[each.driver].build(settings, around)

        def looks() -> bool:
            driver.apply(datetime.now(UTC))  # noqa: B023 - called before the next one
            return driver.available  # noqa: B023

        is_there = _comes_true(looks, seconds)
        state = driver.telemetry(datetime.now(UTC))
        driver.close()
        said = f"{each.driver}: " + ("is there" if is_there else "is away")
        said += f", {state.power_w} W" if is_there else ""
        said += f" ({state.detail})" if state.detail else ""
        options = ", ".join(f"{name} {value}" for name, value in settings.options.items())
        fix = f"is it plugged in and on the home's network, and is this right: {options}?"
        yield Finding(settings.resource_id, is_there, said, fix)


def _comes_true(look: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True
