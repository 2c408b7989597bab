"""A database that the caller names: each thing that makes it unusable is said."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from opendsr.run import bootstrap, cluster, database
from opendsr.run.database import DatabaseUnusable, require_usable
from opendsr.run.supervisor import Stopped


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database that is the user's own, on a server that allows everything."""
    with cluster.running(tmp_path_factory.mktemp("database"), fsync=False) as url:
        yield url


def refusal(url: str) -> str:
    with pytest.raises(DatabaseUnusable) as caught:
        require_usable(url)
    return str(caught.value)


def test_one_that_serves(server: str) -> None:
    require_usable(server)


@pytest.mark.parametrize("url", ["nonsense", "mysql://me:secret@localhost/tea", "sqlite:///tea.db"])
def test_no_postgresql_at_all(url: str) -> None:
    assert "is not the address of a PostgreSQL: write postgresql://" in refusal(url)
    assert "secret" not in refusal(url)


def test_an_address_that_cannot_be_read() -> None:
    told = refusal("postgresql://me:%zzsecret@host/tea")

    assert "cannot be read" in told
    assert "secret" not in told


def test_nobody_there() -> None:
    assert "does not answer: connection" in refusal("postgresql://me:secret@127.0.0.1:1/tea")
    assert "secret" not in refusal("postgresql://me:secret@127.0.0.1:1/tea")


def test_another_character_set(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

    assert "stores text as LATIN1, not UTF8" in refusal(server.replace("/opendsr?", "/latin?"))


def test_somebody_elses_database(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'tea'")
    host = server.partition("?")[2]

    told = refusal(f"postgresql://guest:tea@:5432/opendsr?{host}")

    assert "is not guest's own: ALTER DATABASE opendsr OWNER TO guest" in told


def test_too_old_a_server(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_MAJOR", 99)

    assert "OpenDSR needs 99 or newer" in refusal(server)


def test_a_command_ends_with_those_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")

    with pytest.raises(SystemExit, match="is not the address of a PostgreSQL"), bootstrap.local_environment():
        pass


def test_the_address_may_lie_in_a_file(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDSR_VAR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))

    with pytest.raises(SystemExit, match="cannot be read"), bootstrap.local_environment():
        pass
    (tmp_path / "url").write_text(f"{server}\n")
    with bootstrap.local_environment():
        assert "DATABASE_URL" not in os.environ
    assert not list(tmp_path.glob("postgres-*"))


def test_a_signal_lets_go_of_the_private_server(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDSR_VAR", str(var))
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(Stopped), bootstrap.local_environment():
        os.kill(os.getpid(), signal.SIGTERM)

    assert not any(var.glob("postgres-*/data/postmaster.pid"))
    assert signal.getsignal(signal.SIGTERM) is before
