"""Everything that can stop the private PostgreSQL says what to do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from opendsr.run import binaries, cluster, sockets
from opendsr.run.errors import ClusterError


def attach(var: Path) -> None:
    with cluster.running(var, fsync=False):
        pass


def refusal(var: Path) -> str:
    with pytest.raises(ClusterError) as caught:
        attach(var)
    return str(caught.value)


def test_no_server_programs_at_all(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_machine", lambda: iter(()))
    monkeypatch.setattr(binaries, "_wheel", lambda: iter(()))

    message = refusal(var)

    assert "requirements-demo.txt" in message
    assert "apt-get install postgresql" in message
    assert "DATABASE_URL" in message


def test_too_old_a_server_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    old = binaries.Binaries(major=13, folder=Path("/old/bin"), source="machine")
    monkeypatch.setattr(binaries, "_machine", lambda: iter((old,)))
    monkeypatch.setattr(binaries, "_wheel", lambda: iter(()))

    with pytest.raises(ClusterError, match="found: 13 in /old/bin"):
        binaries.find()


def test_the_newest_server_of_the_machine_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        binaries.Binaries(major=major, folder=Path(f"/{major}"), source="machine") for major in (15, 17, 16)
    ]
    monkeypatch.setattr(binaries, "_machine", lambda: iter(found))

    assert binaries.find().major == 17


def test_an_existing_cluster_keeps_its_major(var: Path) -> None:
    (var / "postgres-99" / "data").mkdir(parents=True)

    message = refusal(var)

    assert "made by PostgreSQL 99" in message
    assert "postgresql-99" in message


def test_never_in_production(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDSR_ENV", "production")

    assert "DATABASE_URL is not set" in refusal(var)
    assert not list(var.iterdir())


def test_too_little_space_is_said_before_anything_is_made(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "SPACE_TO_MAKE", 10**18)

    message = refusal(var)

    assert "The disk is full" in message
    assert "OPENDSR_VAR" in message


def test_a_disk_that_fills_up_while_the_cluster_is_made(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", var], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    monkeypatch.setattr(cluster, "SPACE_TO_MAKE", 0)
    try:
        message = refusal(var)
    finally:
        subprocess.run(["umount", var], check=True)

    assert "The disk is full: free some space" in message


def test_a_folder_that_cannot_be_made(var: Path) -> None:
    (var / "file").write_text("in the way")

    assert "cannot be used" in refusal(var / "file" / "var")


def test_a_lost_password_file(var: Path) -> None:
    attach(var)
    (password,) = var.glob("postgres-*/password")
    password.write_text("another")

    message = refusal(var)

    assert "put the old file back" in message


def test_data_open_to_others(var: Path) -> None:
    attach(var)
    (data,) = var.glob("postgres-*/data")
    data.chmod(0o755)

    assert "chmod -R go=" in refusal(var)


def test_a_runtime_folder_open_to_others(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RUNTIME_FOLDER", var)
    home = var / ("x" * 100)
    sockets.folder(home, owner=os.geteuid()).chmod(0o755)

    with pytest.raises(ClusterError, match="closed to others: remove it"):
        sockets.folder(home, owner=os.geteuid())
