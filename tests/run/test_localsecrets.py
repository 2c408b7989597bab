"""The secrets of a local run: made once, private, never over what the environment says."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from opendsr.run import localsecrets
from opendsr.run.errors import RunError

NAMES = ("SECRET_KEY", "OPENDSR_KEK", "OPENDSR_INDEX_KEY", "OPENDSR_CA_PASSPHRASE")


@pytest.fixture(autouse=True)
def _no_secrets_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_made_once_and_the_same_ever_after(tmp_path: Path) -> None:
    localsecrets.load(tmp_path / "var")
    first = {name: os.environ[name] for name in NAMES}
    for name in NAMES:
        os.environ[name] = ""

    localsecrets.load(tmp_path / "var")

    assert {name: os.environ[name] for name in NAMES} == first
    assert len(base64.b64decode(first["OPENDSR_KEK"])) == 32
    assert stat.S_IMODE((tmp_path / "var" / "secrets.env").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secrets.env"]


def test_what_the_environment_says_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "mine")
    monkeypatch.setenv("OPENDSR_KEK_FILE", "/elsewhere")

    localsecrets.load(tmp_path)

    assert os.environ["SECRET_KEY"] == "mine"
    assert os.environ["OPENDSR_KEK"] == ""


def test_a_file_from_before_there_was_an_index_key_is_given_one(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("SECRET_KEY=mine\n")
    (tmp_path / "secrets.env").chmod(0o600)

    localsecrets.load(tmp_path)
    first, os.environ["OPENDSR_INDEX_KEY"] = os.environ["OPENDSR_INDEX_KEY"], ""
    localsecrets.load(tmp_path)

    assert len(base64.b64decode(first)) == 32
    assert os.environ["OPENDSR_INDEX_KEY"] == first


def test_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    localsecrets.load(tmp_path)
    (tmp_path / "secrets.env").chmod(0o644)

    with pytest.raises(RunError, match="chmod 600"):
        localsecrets.load(tmp_path)


def test_nothing_is_made_in_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDSR_ENV", "production")

    localsecrets.load(tmp_path)

    assert os.environ["SECRET_KEY"] == ""
    assert not list(tmp_path.iterdir())
