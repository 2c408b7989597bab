"""Who may run the private PostgreSQL: root, also under a closed folder, and ordinary users."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from opendsr.run import cluster, identity
from opendsr.run.errors import ClusterError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
STRANGER = 54321


def as_user(uid: int, work: Callable[[], None]) -> bool:
    """Run `work` in a forked child that is `uid`; return whether it raised nothing."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            work()
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def round_trip(var: Path) -> None:
    with cluster.running(var, fsync=False) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def unprivileged() -> int:
    return identity._stand_in().pw_uid


@needs_root
def test_root_runs_it_under_a_closed_folder(var: Path) -> None:
    assert var.stat().st_mode & 0o077 == 0
    if not any(identity._namespaced()) or not next(identity._namespaced()).can_use(var, Path("/bin/true")):
        pytest.skip("this machine refuses user namespaces")

    round_trip(var)

    assert next(var.glob("postgres-*")).stat().st_uid == 0


@needs_root
def test_root_drops_to_another_user_without_namespaces(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(identity.NAMESPACES_OFF, "1")
    var.chmod(0o755)

    round_trip(var)
    monkeypatch.delenv(identity.NAMESPACES_OFF)
    round_trip(var)  # the files stay their owner's

    assert next(var.glob("postgres-*")).stat().st_uid != 0


@needs_root
def test_root_runs_it_under_a_closed_folder_without_namespaces(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: the other user passes the closed folders with one power of root."""
    monkeypatch.setenv(identity.NAMESPACES_OFF, "1")
    if not next(identity._passing(identity._stand_in().pw_uid)).can_use(var, Path("/bin/true")):
        pytest.skip("this machine lets nobody keep a power of root")

    round_trip(var)
    round_trip(var)

    assert next(var.glob("postgres-*")).stat().st_uid != 0


@needs_root
def test_a_server_whose_folder_the_system_hides_is_known_by_its_command_line(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root without all its powers cannot see where another user's process stands."""

    def hidden(_self: Path, _other: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "samefile", hidden)

    round_trip(var)

    assert not any(var.glob("postgres-*/data/postmaster.pid"))


@needs_root
def test_a_closed_folder_without_any_way_in_is_said(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(identity.NAMESPACES_OFF, "1")
    monkeypatch.setattr(identity, "_passing", lambda _uid: iter(()))

    with pytest.raises(ClusterError, match="refuses to run as root"):
        round_trip(var)
    monkeypatch.delenv(identity.NAMESPACES_OFF)
    round_trip(var)


@needs_root
def test_an_ordinary_user_runs_it(var: Path, unprivileged: int) -> None:
    os.chown(var, unprivileged, -1)

    assert as_user(unprivileged, lambda: round_trip(var))
    assert next(var.glob("postgres-*")).stat().st_uid == unprivileged


@needs_root
def test_root_uses_a_users_cluster_and_leaves_it_theirs(var: Path, unprivileged: int) -> None:
    os.chown(var, unprivileged, -1)
    assert as_user(unprivileged, lambda: round_trip(var))

    round_trip(var)

    assert as_user(unprivileged, lambda: round_trip(var))


@needs_root
def test_a_user_without_a_name_runs_it_in_a_namespace(var: Path) -> None:
    os.chown(var, STRANGER, -1)

    def namespaced_round_trip() -> None:
        if next(identity._namespaced()).can_use(var, Path("/bin/true")):
            round_trip(var)

    assert as_user(STRANGER, namespaced_round_trip)


@needs_root
def test_a_stranger_is_told_whose_it_is(var: Path, unprivileged: int) -> None:
    round_trip(var)
    var.chmod(0o755)

    def refused() -> None:
        with pytest.raises(ClusterError, match="belongs to root"):
            round_trip(var)

    assert as_user(unprivileged, refused)
