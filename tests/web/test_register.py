"""The page that takes in a register: checked first, taken in, refused rows given back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from members.models import Home, Member, Role
from opendsr.kernel import clock
from tests.factories import make_staff
from tests.members.test_enlisting import AT, row, text
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
Visit = Callable[[object], Client]
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def mo(coop: object, visit: Visit) -> Client:
    clock.configure(AT, speed=0)
    return visit(make_staff("mo@example.org", Role.MEMBER_SERVICES))


def test_checked_then_taken_in(mo):
    url = reverse("register_import")
    assert seen(mo.get(url)).faults() == []
    rows = text(row(1), row(2, full_name=HOSTILE), row(3, email="=1+1"))
    page = mo.post(url, {"rows": rows, "do": "check"})
    assert seen(page).faults() == []
    assert HOSTILE not in page.content.decode()
    assert "What these rows would do" in seen(page).text()
    assert Member.objects.count() == 0
    page = mo.post(url, {"rows": rows, "do": "take"})
    assert "What was taken in" in seen(page).text()
    assert (Member.objects.count(), Home.objects.count()) == (2, 2)
    refused = mo.post(url, {"rows": rows, "do": "rejects"})
    [line] = list(csv.DictReader(io.StringIO(refused.content.decode("utf-8-sig"))))
    assert (line["reject_line"], line["reject_field"], line["email"]) == ("4", "email", "'=1+1")
    assert Member.objects.count() == 2


def test_from_a_file_and_what_is_none(mo):
    url = reverse("register_import")
    file = SimpleUploadedFile("register.csv", text(row(1)).encode("utf-8-sig"))
    assert "New members 1" in seen(mo.post(url, {"file": file, "do": "take"})).text()
    for sent, words in (
        ({}, "Choose a file"),
        ({"rows": "x,y\n1,2\n"}, "Expected is a header with number, full_name"),
        ({"file": SimpleUploadedFile("x.csv", b"\xff\xfe\x00n")}, "not UTF-8"),
        ({"rows": "\x00"}, "Null"),
    ):
        page = mo.post(url, sent)
        assert page.status_code == 422
        assert words in seen(page).text()


def test_the_command(mo, tmp_path, capsys):
    file, rejects = tmp_path / "register.csv", tmp_path / "refused.csv"
    file.write_text(text(row(1), row(2, postcode="?")))
    call_command("enlist", file, dry_run=True)
    assert "1 members, 1 homes and 1 stays would be taken in" in capsys.readouterr().out
    call_command("enlist", file, rejects=rejects)
    said = capsys.readouterr()
    assert "line 3: postcode '?': Write the postcode as in M15 5RF." in said.out
    assert "2/2 rows" in said.err
    assert rejects.read_text().count("\n") == 2
    file.write_text("x")
    with pytest.raises(CommandError, match="expected a header"):
        call_command("enlist", file)
    with pytest.raises(CommandError, match="CSV in UTF-8"):
        call_command("enlist", tmp_path / "none.csv")
