"""What the commands say instead of a trace."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management.base import CommandError
from django.db import OperationalError

from opendsr.demo import edge
from opendsr.demo.edge import in_plain_words
from opendsr.kernel.errors import DomainError
from opendsr.run.errors import RunError
from opendsr.run.supervisor import Stopped


class TeaIsOut(DomainError):
    """An anticipated error."""


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENDSR_VAR", str(tmp_path))
    return tmp_path


@contextmanager
def said(words: str) -> Iterator[None]:
    with pytest.raises(CommandError) as caught, in_plain_words(stopped="Stopped."):
        yield
    assert words in str(caught.value)


def test_a_domain_error_is_a_sentence_and_its_fix_another() -> None:
    with said("Tea is out: of kind Assam, cups 3. Buy some."):
        raise TeaIsOut(of_kind="Assam", cups=3, fix="buy some")


def test_an_error_with_one_datum_or_none() -> None:
    assert edge.refusal(TeaIsOut(kind="Assam")) == "Tea is out: Assam."
    assert edge.refusal(TeaIsOut()) == "Tea is out."


def test_a_run_error_says_what_it_says() -> None:
    with said("Port 8443 is taken."):
        raise RunError("Port 8443 is taken.")


def test_a_database_that_goes_away() -> None:
    with said("The database stopped answering: server closed the connection unexpectedly. Its own words"):
        raise OperationalError("server closed the connection unexpectedly\n\tThis probably means ...")


def test_a_database_on_a_full_disk(var: Path) -> None:
    with said(f"The disk of {var} is full: free some space"):
        raise OperationalError("could not extend file") from psycopg.errors.DiskFull("could not extend file")


def test_a_file_on_a_full_disk_is_named() -> None:
    with said("The disk of /srv/tea.log is full"):
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/tea.log")


def test_a_full_disk_explains_whatever_went_wrong_on_it(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1_000))

    with said(f"The disk of {var} is full"):
        raise TeaIsOut(kind="Assam")


def test_a_disk_with_room_and_one_without(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.require_room()
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1_000))

    with said(f"The disk of {var} is full"):
        edge.require_room()


@pytest.mark.parametrize("how", [KeyboardInterrupt, Stopped])
def test_being_stopped(how: type[BaseException]) -> None:
    with said("Stopped."):
        raise how


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(FileNotFoundError), in_plain_words(stopped="Stopped."):
        raise FileNotFoundError(errno.ENOENT, "No such file", "tea")
