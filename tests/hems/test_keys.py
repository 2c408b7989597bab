"""Enrolment: the key stays on the hub, the request names it; and the command line's manners."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hems import clock
from hems.__main__ import main
from hems.errors import BadAddress, BadClock, BadFolder
from hems.keys import enrol, require_identity, serial_of
from hems.link import Link, QuietTime


def test_enrol_makes_a_private_p256_key_and_a_request_for_its_serial(tmp_path, capsys):
    folder = tmp_path / "hub"

    assert main(["enrol", "--dir", str(folder), "--serial", "HUB-0042"]) == 0

    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    request = x509.load_pem_x509_csr((folder / "csr.pem").read_bytes())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=HUB-0042"
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert serial_of(folder) == "HUB-0042"
    assert "csr.pem" in capsys.readouterr().out


def test_enrolling_again_keeps_the_key(tmp_path):
    enrol(tmp_path, serial="HUB-1")
    key = (tmp_path / "key.pem").read_bytes()

    enrol(tmp_path, serial="HUB-1")

    assert (tmp_path / "key.pem").read_bytes() == key


def test_a_folder_stays_with_its_hub(tmp_path):
    enrol(tmp_path, serial="HUB-1")

    with pytest.raises(BadFolder, match="belongs to hub HUB-1"):
        enrol(tmp_path, serial="HUB-2")


@pytest.mark.parametrize("serial", ["", "a b", "../x", "x" * 41, "a\nb", "-x"])
def test_a_strange_serial_is_refused(tmp_path, serial):
    with pytest.raises(BadFolder, match="serial"):
        enrol(tmp_path, serial=serial)


def test_a_folder_without_certificate_is_not_ready(tmp_path):
    enrol(tmp_path, serial="HUB-1")

    with pytest.raises(BadFolder, match=r"certificate\.pem is missing"):
        require_identity(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"serial": 4}', "[]", "nonsense"])
def test_a_broken_hub_json_says_so(tmp_path, content):
    (tmp_path / "hub.json").write_text(content)

    with pytest.raises(BadFolder, match="names no serial"):
        serial_of(tmp_path)


def test_commands_say_what_to_put_right(tmp_path, capsys):
    assert main(["run", "--dir", str(tmp_path), "--vtn", "https://localhost:1/x"]) == 2
    assert "run `python -m hems enrol" in capsys.readouterr().err

    assert main(["override", "--dir", str(tmp_path / "none")]) == 2
    assert "no hub's folder" in capsys.readouterr().err

    assert main(["run", "--dir", str(tmp_path), "--vtn", "https://x/", "--until", "tomorrow"]) == 2
    assert "--until 'tomorrow'" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://localhost/x", "localhost:8443", "https://", ""])
def test_only_https_is_spoken(tmp_path, address):
    with pytest.raises(BadAddress):
        Link(tmp_path, address)


def test_quiet_time_doubles_is_random_is_bounded_and_starts_anew():
    quiet = QuietTime(30)
    waits = [quiet.failed() for _ in range(10)]
    bounds = [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]

    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    quiet.succeeded()
    assert quiet.failed() <= 1
    assert quiet.failed(at_least_seconds=20) >= 20


def test_the_world_clock_reads_the_same_two_variables():
    anchor = {"WORLD_CLOCK_ANCHOR": "2026-03-04T12:00:00Z/2026-11-23T09:00:00Z", "WORLD_CLOCK_SPEED": "600"}
    world = clock.from_environment(anchor)
    elapsed = datetime.now(UTC) - datetime(2026, 11, 23, 9, tzinfo=UTC)

    expected = datetime(2026, 3, 4, 12, tzinfo=UTC) + elapsed * 600
    assert abs((world.now() - expected).total_seconds()) < 600
    assert world.wall_seconds_until(world.now()) == 0
    assert abs((clock.from_environment({}).now() - datetime.now(UTC)).total_seconds()) < 1


@pytest.mark.parametrize(
    "environment",
    [
        {"WORLD_CLOCK_SPEED": "60"},
        {"WORLD_CLOCK_ANCHOR": "2026-03-04T12:00:00Z"},
        {"WORLD_CLOCK_ANCHOR": "2026-03-04T12:00:00/2026-11-23T09:00:00"},
        {"WORLD_CLOCK_ANCHOR": "2026-03-04T12:00:00Z/2026-11-23T09:00:00Z", "WORLD_CLOCK_SPEED": "-1"},
        {"WORLD_CLOCK_ANCHOR": "2026-03-04T12:00:00Z/2026-11-23T09:00:00Z", "WORLD_CLOCK_SPEED": "fast"},
    ],
)
def test_a_clock_that_makes_no_sense_is_refused(environment):
    with pytest.raises(BadClock):
        clock.from_environment(environment)


def test_a_hub_json_is_plain(tmp_path):
    enrol(tmp_path, serial="HUB-1")

    assert json.loads((tmp_path / "hub.json").read_text()) == {"serial": "HUB-1"}
