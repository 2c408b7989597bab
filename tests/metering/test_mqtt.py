"""A real Mosquitto carries Glow messages: each speaks for itself only, and a killed worker loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection

from assets import installing
from metering import broker, registers
from metering.intake_models import Message, Register, Sender
from opendsr.kernel import clock
from tests import cast
from tests.metering.brokers import Broker, Device, mosquitto, wait_for
from tests.metering.meters import wh_of
from tests.metering.test_intake import MAC, OTHER, body

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "broker"


@contextmanager
def worker(at: Broker, log: Path, **options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py metering_mqtt` on the test database."""
    name = connection.settings_dict["NAME"]
    env = os.environ | {
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl(),
        "METERING_MQTT_URL": at.url,
    }
    command = [
        sys.executable,
        "manage.py",
        "metering_mqtt",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: log.read_text().count("listening on") > 0 or process.poll() is not None, log)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.mark.slow
def test_messages_of_a_killed_worker_come_to_the_next_and_count_once(folder, tmp_path):
    alice = cast.alice()
    now = clock.now()
    installing.pair_cad(home=alice.home, serial=MAC, at=now - timedelta(days=1))
    _, password = broker.issue_password(kind=Sender.Kind.GLOW, name=MAC, at=now)
    start = now - timedelta(hours=2)
    start -= timedelta(minutes=start.minute % 30, seconds=start.second, microseconds=start.microsecond)
    messages = [
        json.dumps(body(start + timedelta(seconds=30 * number), 100 + number / 100)).encode()
        for number in range(121)
    ]
    topic = f"glow/{MAC}/SENSOR/electricitymeter"
    with mosquitto(folder) as running:
        cad = Device(running, MAC, password)
        with worker(running, tmp_path / "first.log", **{"batch-seconds": "0.3"}) as first:
            for message in messages[:30]:
                cad.say(topic, message)
            wait_for(lambda: Register.objects.exists(), tmp_path / "first.log")
            first.send_signal(signal.SIGSTOP)
            for message in messages[30:60]:
                cad.say(topic, message)
            first.kill()
            first.wait(60)
        for message in messages[60:]:
            cad.say(topic, message)
        with worker(running, tmp_path / "second.log", **{"batch-seconds": "0.3"}):
            wait_for(lambda: Register.objects.count() == 3, tmp_path / "second.log")
        cad.close()
    while registers.convert(at=now):
        pass
    assert not Message.objects.exists(), list(Message.objects.values())
    assert wh_of(alice.stream_id) == [600, 600]


@pytest.mark.slow
def test_a_device_speaks_below_its_own_name_only(folder, tmp_path):
    alice, carol = cast.alice(), cast.carol()
    now = clock.now()
    for resident, mac in ((alice, MAC), (carol, OTHER)):
        installing.pair_cad(home=resident.home, serial=mac, at=now - timedelta(days=1))
    _, own = broker.issue_password(kind=Sender.Kind.GLOW, name=MAC, at=now)
    _, other = broker.issue_password(kind=Sender.Kind.GLOW, name=OTHER, at=now)
    with mosquitto(folder) as running:
        wrong = Device(running, MAC, other)
        assert wrong.refused
        wrong.close()
        mallory, honest = Device(running, MAC, own), Device(running, OTHER, other)
        with worker(running, tmp_path / "log", **{"batch-seconds": "0.2"}):
            forged = json.dumps(body(now, 999)).encode()
            mallory.say(f"glow/{OTHER}/SENSOR/electricitymeter", forged)
            mallory.close()  # some versions of the broker hang up on a forger
            mallory = Device(running, MAC, own)
            mallory.say(f"glow/{MAC}/SENSOR/electricitymeter", json.dumps(body(now, 5)).encode())
            honest.say(f"glow/{OTHER}/SENSOR/electricitymeter", json.dumps(body(now, 7)).encode())
            wait_for(lambda: Register.objects.count() == 2, tmp_path / "log")
        mallory.close()
        honest.close()
        broker.revoke(kind=Sender.Kind.GLOW, name=OTHER, at=now)
        running.read_again()
        wait_for(lambda: _refused(running, OTHER, other))
    held = dict(Register.objects.values_list("stream_id", "latest"))
    assert {stream: packed & registers.MOST_WH for stream, packed in held.items()} == {
        alice.stream_id: 5_000,
        carol.stream_id: 7_000,
    }


def _refused(at: Broker, user: str, password: str) -> bool:
    device = Device(at, user, password)
    device.close()
    return device.refused


def test_the_command_issues_passwords_and_writes_private_files(folder, monkeypatch, capsys):
    monkeypatch.setenv("METERING_MQTT_URL", "mqtt://intake:secret@127.0.0.1:1883")

    call_command("metering_broker", str(folder), "--issue=glow:bc:dd:c2:c6:a9:1c")

    name, password = capsys.readouterr().out.split()
    assert name == MAC
    lines = (folder / "passwords").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["intake", MAC]
    assert password not in (folder / "passwords").read_text()
    assert (folder / "passwords").stat().st_mode & 0o077 == 0
