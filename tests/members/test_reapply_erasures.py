"""A backup from before an erasure is restored, for real: the erasure is done again from the list outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from members import erasing
from members.models import Channel
from opendsr.kernel import encryption
from opendsr.run.places import REPOSITORY
from tests.factories import JOINED_AT, make_resident

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.process]
NAME, EMAIL = "Zebedee Quagmire", "zebedee.quagmire@example.org"


@pytest.fixture
def restored():
    """Another database beside the tests' own, dropped afterwards."""
    name = f"{connection.settings_dict['NAME']}_restored"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}"')
    yield url(name)
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def url(name: str) -> str:
    base, _, _ = os.environ["DATABASE_URL"].partition("?")
    query = os.environ["DATABASE_URL"].partition("?")[2]
    return base.rsplit("/", 1)[0] + "/" + name + (f"?{query}" if query else "")


def dump(database: str) -> str:
    done = subprocess.run(["pg_dump", "--no-owner", database], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_restored_backup_is_put_right(restored, settings, tmp_path):
    settings.ERASURES_FILE = tmp_path / "erasures.jsonl"
    gone = make_resident(NAME, email=EMAIL)
    stays = make_resident("Carol Birch", email="carol@example.org")
    sealed = encryption.seal(gone.member.pk, "words", "context")
    backup = dump(url(connection.settings_dict["NAME"]))
    for plain in (NAME, "Quagmire", gone.home.name, gone.home.mpan):
        assert plain not in backup, "a dump names nobody"
    erasing.erase_on_request(member=gone.member, at=JOINED_AT, channel=Channel.WEB, by="test")
    subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", restored], input=backup, text=True, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert held(restored, gone) == (False, True)

    run = [sys.executable, "manage.py", "reapply_erasures", "--file", str(settings.ERASURES_FILE)]
    environment = {
        **os.environ,
        "DATABASE_URL": restored,
        "OPENDSR_ERASURES_FILE": str(tmp_path / "again.jsonl"),
    }
    told = [
        subprocess.run(
            run, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]

    assert "1 erasures listed: 1 erased again, 0 were erased already" in told[0]
    assert "0 erased again, 1 were erased already" in told[1]
    assert held(restored, gone) == (True, False)
    assert held(restored, stays) == (False, True)
    after = dump(restored)
    assert NAME not in after
    assert EMAIL not in after
    with pytest.raises(encryption.KeyShredded):
        encryption.unseal(gone.member.pk, sealed, "context")


def held(database: str, whose) -> tuple[bool, bool]:
    """Whether the member is erased there, and whether their account may sign in."""
    with psycopg.connect(database) as there:
        [erased] = there.execute(
            "SELECT count(*) FROM identity.members_erasure WHERE member_id = %s", [whose.member.pk]
        ).fetchone()
        [active] = there.execute(
            "SELECT is_active FROM identity.members_user WHERE id = %s", [whose.user.pk]
        ).fetchone()
    return bool(erased), active


def test_a_list_that_makes_no_sense_is_refused(db, tmp_path: Path):
    with pytest.raises(CommandError, match="is not there"):
        call_command("reapply_erasures", file=tmp_path / "none")
    for nonsense in ("{", "[]", '{"member_id": "x"}', "1"):
        (tmp_path / "list").write_text(f"\n{nonsense}\n")
        with pytest.raises(CommandError, match="line=2"):
            call_command("reapply_erasures", file=tmp_path / "list")
