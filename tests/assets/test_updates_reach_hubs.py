"""An update from the co-op's key to hubs in processes, over the real listener; and two that fail."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assets import commissioning, installing, rolling_out, updating, vtn_door
from assets.models import Hub, Release, Rollout, RolloutHub
from hems import release as hub_release
from hems import versions
from hems.home import home_to_json
from hems.keys import enrol
from opendsr.kernel import clock
from tests.factories import make_home, new_serial
from tests.hems.conftest import evening_home
from tests.hems.local_broker import wait_for
from tests.vtn.listening import Listener, listening

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process, pytest.mark.slow]
TRIAL_SECONDS = 12


@pytest.fixture
def listener(tmp_path: Path, settings) -> Iterator[Listener]:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_PKI_DIR.mkdir()
    settings.UPDATE_KEY_FILE = settings.VTN_PKI_DIR / "update-key.pem"
    with listening(settings.VTN_PKI_DIR) as running:
        yield running


@dataclass
class Running:
    hub: Hub
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def version(self) -> str:
        return versions.read(self.folder).version

    def said(self) -> dict:
        """What it reported last, taken in as the outbox's consumer does."""
        rolling_out.hub_reported(ven_id=str(self.hub.ven_id), at=clock.now())
        shadow = vtn_door.shadows_of([str(self.hub.ven_id)]).get(str(self.hub.ven_id))
        return {} if shadow is None else dict(shadow.reported.get("software", {}))


@pytest.fixture
def start(listener: Listener, tmp_path: Path) -> Iterator[Callable[[], Running]]:
    started: list[Running] = []

    def one() -> Running:
        planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=clock.now())
        folder = tmp_path / planned.hub.serial
        request = enrol(folder, serial=planned.hub.serial)
        (folder / "home.json").write_text(json.dumps(home_to_json(evening_home())))
        made = commissioning.commission_hub(
            serial=planned.hub.serial,
            enrolment_code=planned.enrolment_code,
            csr_pem=request.read_text(),
            at=clock.now(),
        )
        (folder / "certificate.pem").write_text(made.certificate_pem)
        (folder / "ca.pem").write_text(made.ca_pem)
        address = f"https://localhost:{listener.port}/OpenADR2/Simple/2.0b"
        command = [
            *(sys.executable, "-m", "hems.launcher", "--dir", str(folder)),
            *("--trial-seconds", str(TRIAL_SECONDS), "--vtn", address),
            *("--poll-seconds", "0.5", "--shadow-seconds", "0.5"),
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
        started.append(Running(made.hub, folder, process))
        return started[-1]

    yield one
    for each in started:
        each.process.terminate()
    for each in started:
        each.process.wait(30)


def released(key: Ed25519PrivateKey, zip_file: Path, version: str) -> Release:
    body = zip_file.read_bytes()
    manifest = updating.manifest_of(component="hub", version=version, body=body)
    signature = base64.b64encode(key.sign(updating.PREAMBLE + manifest.encode())).decode()
    return updating.add_release(
        body=body, manifest=manifest, signature=signature, at=clock.now(), by="staff:1"
    )


def spoiled(good: Path, bad: Path, module: str, pattern: bytes, put: bytes) -> Path:
    """A release with one fault in it."""
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            if name == module:
                content, count = re.subn(pattern, put, content, count=1)
                assert count == 1
            other.writestr(name, content)
    return bad


def test_one_hub_first_then_the_other_and_bad_ones_are_taken_back(settings, start, tmp_path):
    key = Ed25519PrivateKey.generate()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    settings.UPDATE_KEY_FILE.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    hubs = [start(), start()]
    for each in hubs:
        wait_for("a first word", lambda each=each: each.said().get("hub") == "1.0.0", seconds=40)

    # A good one: one hub at first, the other a stage later.
    good = tmp_path / "1.1.0.zip"
    hub_release.build(good, version="1.1.0")
    rollout = rolling_out.begin(release=released(key, good, "1.1.0"), at=clock.now(), by="staff:1")
    first = next(each for each in hubs if each.hub.pk == rollout.hubs.get().hub_id)
    other = next(each for each in hubs if each is not first)

    def has(each: Running, version: str) -> bool:
        each.said()
        told = RolloutHub.objects.filter(rollout__release__version=version, hub=each.hub)
        return told.filter(state=updating.INSTALLED).exists()

    wait_for("the first hub's update", lambda: has(first, "1.1.0"), seconds=40)
    assert other.version == "1.0.0"
    assert len(rolling_out.advance(at=clock.now(), stage_hours=0)) == 1  # a tenth of two hubs is one
    assert len(rolling_out.advance(at=clock.now(), stage_hours=0)) == 1
    wait_for("the other hub's update", lambda: has(other, "1.1.0"), seconds=40)
    rolling_out.advance(at=clock.now(), stage_hours=0)
    assert Rollout.objects.get().state == Rollout.State.FINISHED

    # One that does not start: taken back, halted, and nobody else is offered it.
    def is_halted(version: str) -> bool:
        for each in hubs:
            each.said()
        return Rollout.objects.get(release__version=version).state == Rollout.State.HALTED

    bad = spoiled(
        good, tmp_path / "1.2.0.zip", "hems/agent.py", rb"\nlog = ", b"\nraise SystemExit(3)\nlog = "
    )
    bad = spoiled(bad, tmp_path / "1.2.0b.zip", "hems/__init__.py", rb'"1\.1\.0"', b'"1.2.0"')
    rolling_out.begin(release=released(key, bad, "1.2.0"), at=clock.now(), by="staff:1")
    wait_for("the halt", lambda: is_halted("1.2.0"), seconds=60)
    assert [each.version for each in hubs] == ["1.1.0", "1.1.0"]
    assert "died 3 times" in Rollout.objects.get(release__version="1.2.0").halted_why

    # One that runs and never speaks to its VTN: it does not prove itself in time.
    mute = spoiled(
        good, tmp_path / "1.3.0.zip", "hems/agent.py", rb"self\._ven\.contact\(\)", b"raise LinkError('mute')"
    )
    mute = spoiled(mute, tmp_path / "1.3.0b.zip", "hems/__init__.py", rb'"1\.1\.0"', b'"1.3.0"')
    rolling_out.begin(release=released(key, mute, "1.3.0"), at=clock.now(), by="staff:1")
    wait_for("the halt", lambda: is_halted("1.3.0"), seconds=60)
    assert [each.version for each in hubs] == ["1.1.0", "1.1.0"]
    assert "did not prove itself" in Rollout.objects.get(release__version="1.3.0").halted_why
    assert all(each.process.poll() is None for each in hubs)
