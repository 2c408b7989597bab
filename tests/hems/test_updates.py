"""Updates: only what the co-op signed, never during an event, one at a time, taken back when they fail."""

from __future__ import annotations

import base64
import json
import zipfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hems import VERSION, release, versions
from hems.errors import NoContact
from hems.manifest import PREAMBLE, UpdateRefused, manifest_in, parts_of, verified
from hems.updates import CONTROLLER_MINUTES, Updates, heard_of
from hems.versions import LAUNCHED, Versions

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BODY = b"the next version"
KEY = Ed25519PrivateKey.generate()
NUMBERS = st.lists(st.integers(0, 999_999), min_size=1, max_size=4)


def pem_of(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def update(
    version: str = "1.2.0", *, component: str = "hub", body: bytes = BODY, key: Any = KEY, **more: Any
):
    document = {
        "component": component,
        "version": version,
        "sha256": sha256(body).hexdigest(),
        "size": len(body),
        **more,
    }
    text = json.dumps(document)
    signature = base64.b64encode(key.sign(PREAMBLE + text.encode())).decode()
    return {"component": component, "manifest": text, "signature": signature}


class Device:
    """A controller that takes firmware, as a Tasmota does."""

    make = "tasmota"

    def __init__(self, name: str = "r1", firmware: str = "13.1.0(tasmota)") -> None:
        self.resource_id, self.firmware, self.available = name, firmware, True
        self.told: list[str] = []

    def take_firmware(self, url: str) -> bool:
        self.told.append(url)
        return True


class Home:
    def __init__(self, folder: Path) -> None:
        self.files = {sha256(body).hexdigest(): body for body in (BODY, b"old firmware", b"new firmware")}
        self.served: dict[str, bytes] = {}
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "update-key.pem").write_text(pem_of(KEY))
        self.devices: list[Device] = []
        self.begin()

    def begin(self) -> None:
        self.updates = Updates(self.folder, fetch=self.fetch, serve=self.serve)

    def fetch(self, name: str) -> bytes:
        if name not in self.files:
            raise NoContact("nothing there")
        return self.files[name]

    def serve(self, name: str, body: bytes) -> str:
        self.served[name] = body
        return f"http://192.168.1.10:8080/firmware/{name}"

    def consider(self, *wanted: dict[str, Any], at: datetime = AT, is_busy: bool = False) -> None:
        self.updates.consider(wanted, drivers=self.devices, at=at, is_busy=is_busy)

    def note(self, name: str = "hub") -> tuple[str, str]:
        note = self.updates.reported(self.devices)["updates"].get(name, {})
        return note.get("state", ""), note.get("why", "")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv(LAUNCHED, "1")
    return Home(tmp_path / "hub")


class TestManifest:
    def test_what_the_co_op_signed(self):
        assert verified(update(), key_pem=pem_of(KEY)).version == "1.2.0"

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"manifest": 3, "signature": "x"},
            update(key=Ed25519PrivateKey.generate()),
            update() | {"signature": "not base64!"},
            update() | {"signature": base64.b64encode(bytes(64)).decode()},
            update() | {"manifest": update()["manifest"].replace("1.2.0", "1.3.0")},
            update(version="latest"),
            update(size=0),
            update(size=10**9),
            update(sha256="../../etc/passwd"),
        ],
    )
    def test_nothing_else(self, wrong):
        with pytest.raises(UpdateRefused):
            verified(wrong, key_pem=pem_of(KEY))

    def test_no_key_or_another_kind_of_key(self):
        for pem in ("", "no PEM", pem_of(generate_private_key(SECP256R1()))):
            with pytest.raises(UpdateRefused):
                verified(update(), key_pem=pem)

    @given(st.text(max_size=40))
    def test_any_text_is_a_manifest_or_refused(self, text):
        with pytest.raises(UpdateRefused):
            manifest_in(text)

    @given(NUMBERS, NUMBERS)
    def test_versions_are_compared_by_number(self, one, other):
        def padded(numbers):
            return [*numbers, 0, 0, 0][:4]

        left, right = (".".join(map(str, numbers)) for numbers in (one, other))
        assert (parts_of(left) < parts_of(right)) == (padded(one) < padded(other))
        assert parts_of(f"{left}(release-tasmota)") == parts_of(left)


class TestHub:
    def test_put_beside_the_old_and_on_trial(self, home):
        home.consider(update())
        held = versions.read(home.folder)
        assert (held.version, held.is_trial, held.previous_version) == ("1.2.0", True, VERSION)
        assert (home.folder / "versions" / held.file).read_bytes() == BODY
        assert home.updates.wants_restart

    @pytest.mark.parametrize(
        ("wanted", "is_busy", "state"),
        [
            (update(), True, "waiting"),
            (update(version="0.9"), False, "refused"),
            (update(body=b"not kept"), False, "waiting"),
            (update(key=Ed25519PrivateKey.generate()), False, "refused"),
        ],
    )
    def test_what_does_not_begin(self, home, wanted, is_busy, state):
        home.consider(wanted, is_busy=is_busy)
        assert home.note()[0] == state
        assert not home.updates.wants_restart
        assert versions.read(home.folder).version == VERSION

    def test_other_bytes_than_were_signed_are_thrown_away(self, home):
        home.files[sha256(BODY).hexdigest()] = b"something else"
        home.consider(update())
        assert home.note() == ("refused", "what was fetched is not what was signed")
        assert not list((home.folder / "versions").glob("*")) if (home.folder / "versions").exists() else True

    def test_an_older_version_only_when_it_is_said_so(self, home):
        home.consider(update(version="0.9", may_go_back=True))
        assert versions.read(home.folder).version == "0.9"

    def test_without_its_launcher_it_says_so(self, home, monkeypatch):
        monkeypatch.delenv(LAUNCHED)
        home.consider(update())
        assert home.note()[0] == "failed"

    def test_what_was_taken_back_is_not_tried_again(self, home):
        versions.write(home.folder, Versions(VERSION, failed={"1.2.0": "it died 3 times"}))
        home.begin()
        home.consider(update())
        assert home.note() == ("taken_back", "it died 3 times")
        assert not home.updates.wants_restart

    def test_it_is_proved_by_a_contact_and_by_every_device_heard_before(self, home, monkeypatch):
        device = Device()
        home.devices = [device]
        versions.write(home.folder, Versions("1.0.0").begun(VERSION, "x.zip", heard=["r1"]))
        home.begin()
        device.available = False
        home.updates.prove(home.devices)
        assert versions.read(home.folder).is_trial
        device.available = True
        home.updates.prove(home.devices)
        held = versions.read(home.folder)
        assert (held.is_trial, held.highest) == (False, VERSION)
        assert heard_of([device, object()]) == ["r1"]

    def test_the_key_is_taken_once_and_never_changed(self, home):
        (home.folder / "update-key.pem").unlink()
        home.updates.trust(pem_of(KEY))
        home.updates.trust(pem_of(Ed25519PrivateKey.generate()))
        assert home.updates.key_pem == pem_of(KEY)


class TestControllers:
    def wanted(self, version: str = "14.2.0", body: bytes = b"new firmware", **more: Any) -> dict[str, Any]:
        return update(version, component="tasmota", body=body, **more)

    def test_told_where_it_is_and_believed_when_it_tells_its_version(self, home):
        home.devices = [device] = [Device()]
        home.consider(self.wanted())
        assert home.note("r1")[0] == "under_way"
        [url] = device.told
        assert home.served[url.rpartition("/")[2]] == b"new firmware"
        home.consider(self.wanted(), at=AT + timedelta(minutes=2))
        assert len(device.told) == 1
        device.firmware = "14.2.0(release-tasmota)"
        home.consider(self.wanted(), at=AT + timedelta(minutes=3))
        assert home.note("r1") == ("installed", "")

    def test_one_after_the_other_and_none_during_an_event(self, home):
        home.devices = [Device("r1"), Device("r2")]
        home.consider(self.wanted(), is_busy=True)
        assert not home.devices[0].told
        home.consider(self.wanted())
        assert [len(each.told) for each in home.devices] == [1, 0]
        home.devices[0].firmware = "14.2.0"
        home.consider(self.wanted())
        home.consider(self.wanted())
        assert [len(each.told) for each in home.devices] == [1, 1]

    def test_one_that_does_not_come_back_gets_what_it_had(self, home):
        home.devices = [device] = [Device(firmware="13.1.0")]
        home.consider(self.wanted("13.2.0", b"old firmware"))
        device.firmware = "13.2.0"
        home.consider(self.wanted("13.2.0", b"old firmware"))
        assert home.note("r1")[0] == "installed"
        home.consider(self.wanted())
        home.begin()  # the hub starts anew meanwhile
        late = AT + timedelta(minutes=CONTROLLER_MINUTES + 1)
        home.consider(self.wanted(), at=late)
        state, why = home.note("r1")
        assert (state, why) == ("taken_back", "it tells 13.2.0 after 10 minutes")
        assert home.served[device.told[-1].rpartition("/")[2]] == b"old firmware"
        home.consider(self.wanted(), at=late + timedelta(hours=1))
        assert len(device.told) == 3

    def test_without_the_old_one_it_is_said_to_have_failed(self, home):
        home.devices = [Device()]
        home.consider(self.wanted())
        home.consider(self.wanted(), at=AT + timedelta(minutes=11))
        assert home.note("r1")[0] == "failed"

    def test_no_step_back(self, home):
        home.devices = [device] = [Device(firmware="15.0")]
        home.consider(self.wanted())
        assert (home.note("r1")[0], device.told) == ("refused", [])

    def test_away_or_silent_it_waits(self, home):
        home.devices = [device] = [Device(firmware="")]
        home.consider(self.wanted())
        device.firmware, device.available = "13.0", False
        home.consider(self.wanted())
        assert (home.note("r1")[0], device.told) == ("waiting", [])


class TestRelease:
    def test_the_same_sources_are_the_same_bytes(self, tmp_path):
        for name in ("one.zip", "two.zip"):
            release.build(tmp_path / name, version="1.2.0")
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        with zipfile.ZipFile(tmp_path / "one.zip") as archive:
            names = archive.namelist()
            assert b'VERSION = "1.2.0"' in archive.read("hems/__init__.py")
        assert {"hems/agent.py", "oadr/codec.py", "hems/launcher.py"} <= set(names)
        assert not [name for name in names if not name.startswith(("hems/", "oadr/"))]

    @pytest.mark.parametrize("version", ["", "next", "1.2-beta", '1"'])
    def test_a_version_is_numbers(self, tmp_path, version):
        assert release.main(["--version", version, "--out", str(tmp_path / "x.zip")]) == 2


class TestVersions:
    def test_begun_proven_begun_taken_back(self, tmp_path):
        held = versions.read(tmp_path)
        assert held == Versions(VERSION)
        held = held.begun("1.2.0", "a.zip").proven().begun("1.3.0", "b.zip")
        versions.write(tmp_path, held)
        assert versions.read(tmp_path) == held
        back = held.taken_back("it died")
        assert (back.version, back.file, back.is_trial, back.failed) == (
            "1.2.0",
            "a.zip",
            False,
            {"1.3.0": "it died"},
        )
        assert back.highest == "1.2.0"

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "1", "previous": 3}', "\x00"])
    def test_a_broken_note_is_what_came_with_the_machine(self, tmp_path, content):
        (tmp_path / "versions").mkdir()
        (tmp_path / "versions" / "current.json").write_text(content)
        assert versions.read(tmp_path).version == VERSION
