"""The private PostgreSQL with real servers: made, shared, killed, found again."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import psycopg
import pytest

from opendsr.run import cluster, up
from tests.run.conftest import Hold


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def home_of(var: Path) -> Path:
    (home,) = var.glob("postgres-*")
    return home


def server_process(var: Path) -> int:
    return int((home_of(var) / "data" / "postmaster.pid").read_text().splitlines()[0])


def is_up(var: Path) -> bool:
    return (home_of(var) / "data" / "postmaster.pid").exists()


def wait_until_gone(process_id: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = Path(f"/proc/{process_id}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process_id} is still there")


def test_made_started_stopped_and_started_again_with_its_data(var: Path) -> None:
    with cluster.running(var, fsync=False) as url:
        assert ask(url, "SELECT current_database()") == "opendsr"
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (x int)")
    assert not is_up(var)

    with cluster.running(var, fsync=False) as again:
        assert again == url
        assert ask(again, "SELECT count(*) FROM kept") == 0


def test_reached_over_a_private_socket_with_a_password_only(var: Path) -> None:
    with cluster.running(var) as url:
        assert ask(url, "SHOW listen_addresses") == ""
        assert ask(url, "SHOW fsync") == "on"
        assert ask(url, "SHOW timezone") == "UTC"
        home = home_of(var)
        assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=str(home / "run"), user="opendsr", dbname="opendsr", password="guess")


def test_no_fsync_when_a_test_asks_for_speed(var: Path) -> None:
    with cluster.running(var, fsync=False) as url:
        assert ask(url, "SHOW fsync") == "off"


def test_the_last_one_out_stops_the_server(var: Path, hold: Hold) -> None:
    with cluster.running(var, fsync=False) as url:
        other = hold(var)
        assert other.stdout is not None
        assert other.stdout.readline().strip() == url
    assert is_up(var)

    other.communicate(timeout=120)

    assert not is_up(var)


def test_two_first_starts_at_once_share_one_server(var: Path, hold: Hold) -> None:
    holders = [hold(var), hold(var), hold(var)]

    urls = {holder.stdout.readline().strip() for holder in holders if holder.stdout}

    assert len(urls) == 1
    assert ask(urls.pop(), "SELECT count(*) FROM pg_database WHERE datname = 'opendsr'") == 1


def test_a_killed_owner_leaves_the_server_to_the_next_start(var: Path, hold: Hold) -> None:
    owner = hold(var)
    assert owner.stdout is not None
    owner.stdout.readline()
    server = server_process(var)
    owner.kill()
    owner.wait()
    assert is_up(var)

    with cluster.running(var, fsync=False) as url:
        assert ask(url, "SELECT 1") == 1
        assert server_process(var) == server
    assert not is_up(var)


def test_a_killed_server_is_started_again(var: Path) -> None:
    with cluster.running(var, fsync=False):
        killed = server_process(var)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(killed)

        with cluster.running(var, fsync=False) as url:
            assert ask(url, "SELECT 1") == 1
            assert server_process(var) != killed


def test_a_served_site_brings_its_killed_server_back_and_takes_it_along(var: Path) -> None:
    with cluster.running(var, fsync=False) as url:
        killed = server_process(var)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(killed)

        up.keep_cluster_up(var)

        assert ask(url, "SELECT 1") == 1
    assert not is_up(var)


def test_a_stale_file_that_names_a_strangers_process_is_no_server(var: Path) -> None:
    with cluster.running(var, fsync=False):
        pass
    stale = [
        str(os.getpid()),
        str(home_of(var) / "data"),
        "0",
        "5432",
        str(home_of(var) / "run"),
        "",
        "0",
        "ready",
    ]
    (home_of(var) / "data" / "postmaster.pid").write_text("\n".join(stale) + "\n")

    with cluster.running(var, fsync=False) as url:
        assert ask(url, "SELECT 1") == 1


@pytest.mark.slow
def test_a_making_that_was_cut_short_is_made_anew(var: Path) -> None:
    with cluster.running(var, fsync=False):
        pass
    home = home_of(var)
    (home / "data").rename(home / "data.unfinished")

    with cluster.running(var, fsync=False) as url:
        assert ask(url, "SELECT 1") == 1
    assert not (home / "data.unfinished").exists()


def test_a_long_path_puts_the_socket_elsewhere(var: Path) -> None:
    deep = var / ("a folder with a long name, " * 4)

    with cluster.running(deep, fsync=False) as url:
        assert ask(url, "SELECT 1") == 1
        first = url
    with cluster.running(deep, fsync=False) as url:
        assert url == first


def test_ensure_prefers_the_callers_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone@elsewhere/theirs")

    assert cluster.ensure_database_url() == "postgresql://someone@elsewhere/theirs"


def test_a_forked_child_does_not_stop_its_parents_server(var: Path) -> None:
    hold = cluster.Cluster(var, fsync=False)
    url = hold.attach()
    child = os.fork()
    if child == 0:
        hold.release()
        os._exit(0)
    os.waitpid(child, 0)

    assert ask(url, "SELECT 1") == 1
    hold.release()
    hold.release()
    assert not is_up(var)
