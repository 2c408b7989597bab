"""Updates go to a few hubs first, to more once those are well, and no further when they fail."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from assets import rolling_out, updating, vtn_door
from assets.models import Hub, Release, Rollout
from assets.updating import told_of
from opendsr.kernel import clock
from tests.factories import JOINED_AT, make_home, make_hub

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LATER = JOINED_AT + 3 * DAY
BODY = b"the hub's software"


@pytest.fixture
def key(settings, tmp_path: Path) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    settings.UPDATE_KEY_FILE = tmp_path / "update-key.pem"
    settings.UPDATE_KEY_FILE.write_bytes(
        made.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return made


@pytest.fixture
def release(key: Ed25519PrivateKey) -> Callable[..., Release]:
    def made(version: str = "1.2.0", *, component: str = "hub", body: bytes = BODY) -> Release:
        manifest = updating.manifest_of(component=component, version=version, body=body)
        return updating.add_release(
            body=body, manifest=manifest, signature=signed(key, manifest), at=LATER, by="staff:1"
        )

    return made


@pytest.fixture
def fleet() -> list[Hub]:
    return [make_hub(make_home(), kinds=()).hub for _ in range(12)]


def signed(key: Ed25519PrivateKey, manifest: str) -> str:
    return base64.b64encode(key.sign(updating.PREAMBLE + manifest.encode())).decode()


def offered(hub: Hub) -> list[str]:
    document = vtn_door.shadows_of([str(hub.ven_id)])[str(hub.ven_id)].desired
    return [json.loads(each["manifest"])["version"] for each in document["updates"]]


def tell(hub: Hub, *, version: str = "1.0.0", **updates: dict[str, str]) -> None:
    from vtn import shadows
    from vtn.models import Ven

    reported = {"software": {"hub": version, "is_trial": False, "controllers": {}, "updates": updates}}
    body = json.dumps({"version": 0, "reported": reported}).encode()
    shadows.take_report(ven=Ven.objects.get(ven_id=hub.ven_id), body=body, at=LATER)
    rolling_out.hub_reported(ven_id=str(hub.ven_id), at=LATER)


def with_it(fleet: list[Hub], version: str = "1.2.0") -> list[Hub]:
    return [hub for hub in fleet if version in offered(hub)]


class TestStages:
    def test_one_then_a_tenth_then_all(self, fleet, release):
        rollout = rolling_out.begin(release=release(), at=LATER, by="staff:1")
        first = with_it(fleet)
        assert len(first) == 1
        assert rolling_out.advance(at=LATER + DAY) == [
            rollout
        ]  # nobody of it was ever heard: none waited for
        assert len(with_it(fleet)) == 2
        for hub in with_it(fleet):
            tell(hub, version="1.2.0")
        rolling_out.advance(at=LATER + 2 * DAY)
        assert len(with_it(fleet)) == 12
        for hub in fleet:
            tell(hub, version="1.2.0")
        rolling_out.advance(at=LATER + 3 * DAY)
        assert Rollout.objects.get().state == Rollout.State.FINISHED
        assert updating.standing(Rollout.objects.get()).installed == 12

    def test_a_stage_lasts_its_time_and_waits_for_whom_it_hears(self, fleet, release):
        rolling_out.begin(release=release(), at=LATER, by="staff:1")
        first = with_it(fleet)[0]
        tell(first)  # heard, and has not got it yet
        assert rolling_out.advance(at=LATER + DAY) == []
        tell(first, version="1.2.0")
        assert rolling_out.advance(at=LATER + DAY - timedelta(minutes=1)) == []
        assert len(rolling_out.advance(at=LATER + DAY)) == 1

    def test_who_is_silent_for_a_day_is_not_waited_for(self, fleet, release, monkeypatch):
        rolling_out.begin(release=release(), at=LATER, by="staff:1")
        tell(with_it(fleet)[0])
        wall = clock.wall_now() + 2 * DAY
        monkeypatch.setattr(clock, "wall_now", lambda: wall)
        assert len(rolling_out.advance(at=LATER + DAY)) == 1

    def test_the_next_release_begins_with_others(self, fleet, release):
        rolling_out.begin(release=release("1.2.0"), at=LATER, by="staff:1")
        firsts = {with_it(fleet)[0].serial}
        for number in range(3, 9):
            version = f"1.{number}.0"
            rolling_out.begin(release=release(version, body=version.encode()), at=LATER, by="staff:1")
            firsts.add(with_it(fleet, version)[0].serial)
        assert len(firsts) > 2

    def test_beginning_twice_is_beginning_once(self, fleet, release):
        made = release()
        assert rolling_out.begin(release=made, at=LATER, by="a") == rolling_out.begin(
            release=made, at=LATER, by="b"
        )
        assert len(with_it(fleet)) == 1


class TestFailures:
    def test_the_first_failure_of_a_small_stage_halts_it(self, fleet, release):
        rolling_out.begin(release=release(), at=LATER, by="staff:1")
        tell(with_it(fleet)[0], **{"hub 1.2.0": {"state": "taken_back", "why": "it died 3 times"}})
        rollout = Rollout.objects.get()
        assert (rollout.state, with_it(fleet)) == (Rollout.State.HALTED, [])
        assert rollout.halted_why == "1 of 1 hubs failed, last: it died 3 times"
        assert rolling_out.advance(at=LATER + 9 * DAY) == []

    def test_who_has_it_keeps_it(self, fleet, release):
        rolling_out.begin(release=release(), at=LATER, by="staff:1")
        rolling_out.advance(at=LATER + DAY)
        well, ill = with_it(fleet)
        tell(well, version="1.2.0")
        tell(ill, **{"hub 1.2.0": {"state": "taken_back", "why": "no contact"}})
        assert Rollout.objects.get().state == Rollout.State.HALTED
        assert dict(Rollout.objects.get().hubs.values_list("hub__serial", "state")) == {
            well.serial: "installed",
            ill.serial: "taken_back",
        }

    def test_staff_may_go_on(self, fleet, release):
        rollout = rolling_out.begin(release=release(), at=LATER, by="staff:1")
        first = with_it(fleet)[0]
        failure = {"hub 1.2.0": {"state": "taken_back", "why": "no contact"}}
        tell(first, **failure)
        rolling_out.resume(rollout_id=rollout.pk, at=LATER, by="staff:1")
        tell(first, **failure)
        assert Rollout.objects.get().state == Rollout.State.RUNNING
        assert len(rolling_out.advance(at=LATER + DAY)) == 1
        with pytest.raises(rolling_out.RolloutOver):
            rolling_out.resume(rollout_id=rollout.pk, at=LATER, by="staff:1")
        rolling_out.halt(rollout_id=rollout.pk, why="a complaint", at=LATER, by="staff:1")
        assert with_it(fleet) == []

    @given(st.integers(1, 10_000))
    def test_a_stage_is_halted_by_one_in_twenty_and_never_by_none(self, in_stage):
        most = rolling_out.most_failures(in_stage)
        assert 1 <= most <= max(1, in_stage)
        assert most >= in_stage * 0.05


class TestSigning:
    def test_site_and_hub_call_the_key_the_same(self, key, settings):
        from hems.manifest import mark_of

        assert updating.key_mark() == mark_of(settings.UPDATE_KEY_FILE.read_text())
        assert len(updating.key_mark()) == 24

    def test_other_bytes_another_key_or_no_key(self, key, settings, tmp_path):
        manifest = updating.manifest_of(component="hub", version="1.2.0", body=BODY)
        good = signed(key, manifest)
        wrong = [
            (b"other bytes", manifest, good),
            (BODY, manifest.replace("1.2.0", "1.3.0"), good),
            (BODY, manifest, signed(Ed25519PrivateKey.generate(), manifest)),
            (BODY, manifest, "no base64"),
        ]
        for body, text, signature in wrong:
            with pytest.raises(updating.ReleaseUnsigned):
                updating.add_release(body=body, manifest=text, signature=signature, at=LATER, by="x")
        settings.UPDATE_KEY_FILE = tmp_path / "none.pem"
        with pytest.raises(updating.ReleaseUnsigned):
            updating.add_release(body=BODY, manifest=manifest, signature=good, at=LATER, by="x")
        assert not Release.objects.exists()

    def test_a_version_never_changes(self, release):
        release()
        with pytest.raises(updating.ReleaseTaken):
            release(body=b"other bytes")

    def test_the_command_makes_a_key_signs_and_begins(self, fleet, settings, tmp_path, capsys):
        settings.UPDATE_KEY_FILE = tmp_path / "pki" / "update-key.pem"
        (tmp_path / "word").write_text("a long passphrase")
        (tmp_path / "hems.zip").write_bytes(BODY)
        common = {"key": tmp_path / "key.pem", "passphrase_file": tmp_path / "word"}
        call_command("release_update", **common)
        assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
        assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
        with pytest.raises(CommandError, match="there already"):
            call_command("release_update", **common)
        call_command("release_update", "hub", "1.2.0", tmp_path / "hems.zip", begin=True, **common)
        assert len(with_it(fleet)) == 1
        with pytest.raises(CommandError, match="taken"):
            call_command("release_update", "hub", "1.2.0", tmp_path / "hems.zip", **common)
        (tmp_path / "word").write_text("another")
        with pytest.raises(CommandError, match="passphrase"):
            call_command("release_update", "hub", "1.3.0", tmp_path / "hems.zip", **common)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ({}, "offered"),
        ({"r1": {"version": "14.2.0", "state": "under_way"}}, "under_way"),
        ({"r1": {"version": "14.2.0", "state": "failed", "why": "x"}}, "failed"),
        ({"r1": {"version": "13.0.0", "state": "installed"}}, "offered"),
        ({"r1": {"version": "14.2.0", "state": "installed"}}, "installed"),
    ],
)
def test_a_controllers_update_is_as_its_hub_says(notes, expected):
    software = {"hub": "1.0.0", "controllers": {"r1": {"make": "tasmota", "version": "13"}}, "updates": notes}
    found = told_of(Release(component="tasmota", version="14.2.0"), {"software": software})
    assert found[0] == expected


def test_a_home_without_such_a_controller_has_nothing_to_do():
    found = told_of(Release(component="tasmota", version="14.2.0"), {"software": {"controllers": {}}})
    assert found[0] == "installed"
