"""The hub as a VEN over MQTT: Debian's Mosquitto with certificates, the VTN's own bridge and listener."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems import lines, mqtt_line
from hems.agent import Agent
from hems.button import press, press_away
from hems.lines import Way
from hems.mqtt_session import Ready, Replied, Said, Session, Woken
from oadr import mqtt, topics
from opendsr.kernel import clock as kernel_clock
from opendsr.kernel.interval import Interval
from tests.hems.local_broker import wait_for
from tests.hems.test_with_our_vtn import WorldClock, enrol, notice, two_assets, url
from tests.redises import free_port
from tests.vtn import brokering
from tests.vtn.brokering import VTN, Running
from tests.vtn.listening import ROOT, Listener, listening
from vtn import enrolling, registering, reporting
from vtn.models import EventOpt, OptSchedule, SeenNonce, Ven
from vtn.port import START
from vtn.service import EmbeddedVtn

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def hub(make_folder, tmp_path: Path, settings: Any) -> Path:
    """An enrolled hub with two assets, not registered yet."""
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_PKI_DIR.mkdir()
    folder: Path = make_folder(two_assets())
    enrol(folder, at=kernel_clock.now())
    return folder


@pytest.fixture
def broker(hub: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with brokering.running(settings.VTN_PKI_DIR, tmp_path / "broker") as running:
        settings.VTN_MQTT_URL = running.url
        settings.VTN_MQTT_PUBLIC_URL = public(running)
        monkeypatch.setenv("MQTT_URL", running.url)
        monkeypatch.setenv("MQTT_PUBLIC_URL", public(running))
        yield running


@pytest.fixture
def listener(broker: Running, settings: Any) -> Iterator[Listener]:
    with listening(settings.VTN_PKI_DIR) as running:
        yield running


def public(running: Running) -> str:
    return f"mqtts://localhost:{running.port}"


@contextmanager
def living(folder: Path, vtn: str, way: Way, **more: Any) -> Iterator[Agent]:
    with Agent(folder, vtn=vtn, clock=WorldClock(), way=way, **more) as agent:
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            yield agent
        finally:
            agent.stop()
            thread.join(60)


def publish(key: str, *, hours: int = 1) -> str:
    """Tell the one VEN of an event that begins in so many hours."""
    starts_at = kernel_clock.now().replace(microsecond=0) + timedelta(hours=hours)
    interval = Interval(starts_at, starts_at + 90 * MINUTE)
    event = notice(Ven.objects.get().ven_id, interval=interval)
    return str(EmbeddedVtn().publish(event, key=key, at=kernel_clock.now()))


def is_answered(event_id: str) -> bool:
    return str(EmbeddedVtn().acknowledgement(event_id, at=kernel_clock.now()).state) == "acknowledged"


def test_a_ven_of_high_security_from_registration_to_cancellation_that_never_speaks_http(
    hub: Path, broker: Running
) -> None:
    enrolling.set_security(
        ven_id=Ven.objects.get().ven_id, security="high", at=kernel_clock.now(), by="staff:7"
    )
    nowhere = f"https://localhost:{free_port()}/OpenADR2/Simple/2.0b"
    with (
        brokering.bridging(broker),
        living(hub, nowhere, Way("mqtt", public(broker), VTN), quiet_seconds=0.5) as agent,
    ):
        vtn = EmbeddedVtn()
        wait_for("the registration", lambda: agent.status(kernel_clock.now())["state"] == "online")
        ven = Ven.objects.get()
        assert (ven.transport_name, ven.transport_address) == ("xmpp", f"mqtt:{ven.ven_id}")
        assert ven.has_xml_signature

        event_id = publish("first")
        wait_for("the answer", lambda: is_answered(event_id))
        assert agent.status(kernel_clock.now())["transport"] == "mqtt"

        press(hub, "override")
        wait_for("the override", lambda: EventOpt.objects.filter(opt="out").exists())
        press(hub, "resume")
        wait_for("the return", lambda: len(vtn.opts_since(START)[0]) == 3)
        assert [opt.opt for opt in vtn.opts_since(START)[0]] == ["in", "out", "in"]

        tomorrow = kernel_clock.now().replace(microsecond=0) + timedelta(days=1)
        press_away(hub, tomorrow, tomorrow + timedelta(days=2))
        wait_for("the schedule", lambda: OptSchedule.objects.filter(opt="out", cancelled_at=None).exists())
        press(hub, "back")
        wait_for("its end", lambda: not OptSchedule.objects.filter(cancelled_at=None).exists())

        reporting.ask_for_report(
            ven_id=ven.ven_id, specifier_id="assets-usage", granularity_seconds=0, report_back_seconds=0,
            at=kernel_clock.now(), by="test",
        )  # fmt: skip
        wait_for("a report", lambda: vtn.reports_since(START)[0])
        assert SeenNonce.objects.filter(ven=ven).count() > 5
        (told, *_), _ = vtn.reports_since(START)
        assert {point.r_id for point in told.points} == {"res-ev", "res-water"}

        vtn.cancel(event_id, at=kernel_clock.now())
        wait_for("the cancellation", lambda: event_of(agent, event_id)["phase"] == "cancelled")

        registration_id = Ven.objects.get().registration_id
        registering.cancel_registration(ven_id=ven.ven_id, at=kernel_clock.now(), by="test")
        wait_for("a new registration", lambda: Ven.objects.get().registration_id not in ("", registration_id))


def event_of(agent: Agent, event_id: str) -> dict[str, Any]:
    events = agent.status(kernel_clock.now())["events"]
    return next(event for event in events if event["event_id"] == event_id)


def test_kill_9_of_broker_and_hub_loses_and_doubles_nothing(
    hub: Path, broker: Running, listener: Listener, tmp_path: Path
) -> None:
    def start() -> subprocess.Popen[bytes]:
        words = ["run", "--dir", hub, "--vtn", url(listener), "--transport", "mqtt"]
        words += ["--poll-seconds", "0.5", "--quiet-seconds", "1"]
        command = [sys.executable, "-m", "hems", *map(str, words)]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.DEVNULL)
        stack.callback(lambda: process.poll() is None and (process.kill(), process.wait()))
        return process

    def transport() -> str:
        try:
            status = json.loads((hub / "status.json").read_text())
        except FileNotFoundError:
            return ""
        return str(status["transport"]) if status["state"] == "online" else ""

    def held() -> set[tuple[str, str]]:
        events = json.loads((hub / "status.json").read_text())["events"]
        return {(each["event_id"], each["phase"]) for each in events}

    with ExitStack() as stack:
        stack.enter_context(brokering.bridging(broker))
        process = start()
        wait_for("MQTT", lambda: transport() == "mqtt")
        events = [publish("over the broker")]
        wait_for("the answer", lambda: is_answered(events[0]))

        broker.process.send_signal(signal.SIGKILL)
        broker.process.wait()
        events.append(publish("without the broker", hours=3))
        wait_for("the answer over HTTPS", lambda: is_answered(events[1]))
        wait_for("HTTPS", lambda: transport() == "https")

        program = [broker.process.args[0], "-c", str(broker.folder / "mosquitto.conf")]  # type: ignore[index]
        again = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(lambda: (again.terminate(), again.wait(60)))
        wait_for("MQTT again", lambda: transport() == "mqtt", seconds=120)
        events.append(publish("over the broker again", hours=5))
        wait_for("its answer", lambda: is_answered(events[2]))

        process.send_signal(signal.SIGKILL)
        process.wait()
        events.append(publish("without the hub", hours=7))
        start()
        wait_for("the answer of the hub that came back", lambda: is_answered(events[3]))
        wait_for("MQTT", lambda: transport() == "mqtt")

        opts, _ = EmbeddedVtn().opts_since(START)
        assert sorted((opt.event_id, opt.opt) for opt in opts) == sorted((each, "in") for each in events)
        expected = {(each, "pending") for each in events}
        wait_for("its word on all four", lambda: held() == expected)


def test_a_broker_that_nobody_serves_is_left_for_https_until_somebody_does(
    hub: Path, broker: Running, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_line, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(lines, "FIRST_DOUBT_SECONDS", 1.0)
    monkeypatch.setattr(lines, "SILENCE_SECONDS", 1.0)

    def transport() -> str:
        status = agent.status(kernel_clock.now())
        return str(status["transport"]) if status["state"] == "online" else ""

    with living(hub, url(listener), Way("mqtt"), poll_seconds=0.5, quiet_seconds=0.5) as agent:
        with brokering.bridging(broker):
            wait_for("MQTT", lambda: transport() == "mqtt")
        wait_for("HTTPS", lambda: transport() == "https")
        event_id = publish("behind nobody's back")
        wait_for("the answer", lambda: is_answered(event_id))
        with brokering.bridging(broker):
            wait_for("MQTT again", lambda: transport() == "mqtt")
    assert EventOpt.objects.count() == 1


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_what_comes_means_the_same_however_it_is_cut(cuts: list[int]) -> None:
    sent = bytearray()
    session = Session(VTN, "VEN-1", sent.extend)
    session.greet(keep_alive_seconds=60)
    correlation = session.ask("EiEvent", b"<x/>")

    def said(kind: str, service: str = "", **more: Any) -> bytes:
        return mqtt.publish(topics.topic(VTN, "VEN-1", kind, service), b"<y/>", packet_id=7, **more)

    stream = b"\x20\x03\x00\x00\x00" + b"\x90\x06\x00\x01\x00\x01\x01\x01"
    stream += said("up-reply", correlation=correlation, user=[("oadr-error", "400")])
    stream += said("down", "EiReport", response_topic="r", correlation=b"c") + said("wake")
    stream += said("down", "EiEvent", is_retained=True)
    heard, rest = [], stream
    for length in [*cuts, len(stream)]:
        heard += session.feed(rest[:length])
        rest = rest[length:]

    assert heard == [
        Ready(), Replied(correlation, 400, b"<y/>"), Said("EiReport", b"<y/>", "r", b"c"), Woken(),
    ]  # fmt: skip
