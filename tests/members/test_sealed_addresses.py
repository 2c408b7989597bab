"""Email addresses lie sealed, and are found, unique and erased all the same."""

from __future__ import annotations

import os
import zlib
from base64 import urlsafe_b64decode

import pytest
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.sessions.models import Session
from django.core.exceptions import FieldError
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from members import erasing
from members.models import Channel, Member, User
from opendsr.kernel import encryption
from opendsr.kernel.models import DataKey
from tests.factories import JOINED_AT, PASSWORD, make_resident

pytestmark = pytest.mark.django_db
ANN = "ann.quagmire@example.org"


def rows_of(table: str) -> str:
    """Everything in the table as PostgreSQL writes it out, bytes read as text besides."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 - the table is named in this file
        cells = [cell for row in cursor.fetchall() for cell in row]
    return " ".join(
        bytes(cell).decode("latin-1") if isinstance(cell, memoryview | bytes) else str(cell) for cell in cells
    )


class TestLookups:
    @pytest.mark.parametrize(
        "how",
        [
            {"email": ANN},
            {"email": ANN.upper()},
            {"email__iexact": ANN.title()},
            {"email__in": ["nobody@example.org", ANN]},
        ],
    )
    def test_an_account_is_found_by_its_whole_address(self, how):
        ann = make_resident("Ann Ash", email=ANN).user
        make_resident("Bob Birch", email="bob@example.org")

        assert User.objects.get(**how) == ann
        assert not User.objects.exclude(**how).filter(pk=ann.pk).exists()

    def test_a_member_is_found_through_the_account(self):
        ann = make_resident("Ann Ash", email=ANN)
        make_resident("Bob Birch")

        assert Member.objects.get(user__email=ANN) == ann.member

    @pytest.mark.parametrize("how", ["contains", "startswith", "regex", "gt"])
    def test_a_part_of_an_address_is_refused_rather_than_not_found(self, how):
        with pytest.raises(FieldError):
            User.objects.filter(**{f"email__{how}": "ann"})

    def test_an_expression_over_the_sealed_text_is_refused(self):
        with pytest.raises(FieldError):
            list(User.objects.filter(email=F("password")).values("pk"))

    def test_many_at_once_are_sealed_each_with_a_key_of_its_own(self, django_assert_max_num_queries):
        with django_assert_max_num_queries(6):
            User.objects.bulk_create(User(email=f"m{n}@example.org", password="!") for n in range(300))

        assert User.objects.get(email="m299@example.org").email == "m299@example.org"
        assert User.objects.values("key_id").distinct().count() == 300
        assert "@example.org" not in rows_of("members_user")


class TestAnyAddress(TestCase):
    @settings(max_examples=30)
    @given(address=st.emails().filter(lambda each: len(each) <= 254))
    def test_what_is_kept_is_read_and_found_again(self, address):
        kept = User.objects.create_user(address)

        found = User.objects.get(email=address.swapcase())
        assert (found.pk, found.email) == (kept.pk, address.strip().lower())


def test_saving_something_else_keeps_the_address_as_it_lies():
    ann = make_resident("Ann Ash", email=ANN).user
    before = rows_of("members_user")
    held = User.objects.get(pk=ann.pk)
    held.save(update_fields=["is_active"])

    assert rows_of("members_user") == before
    held.email = "ann.new@example.org"
    held.save(update_fields=["email"])
    assert User.objects.get(email="ann.new@example.org").email == "ann.new@example.org"
    assert not User.objects.filter(email=ANN).exists()


def test_a_sealed_address_of_one_account_is_refused_in_another_s_row():
    ann, bob = (User.objects.create_user(f"{name}@example.org") for name in ("ann", "bob"))
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM members_user WHERE id = %s RETURNING email) "
            "UPDATE members_user SET email = (SELECT email FROM gone) WHERE id = %s",
            [ann.pk, bob.pk],
        )

    with pytest.raises(encryption.SealBroken):
        assert User.objects.get(pk=bob.pk).email


def test_an_erased_account_cannot_be_found_or_read_and_its_address_is_free_again(tmp_path, settings):
    settings.ERASURES_FILE = tmp_path / "erasures.jsonl"
    gone = make_resident("Ann Ash", email=ANN)
    account = gone.user
    with connection.cursor() as cursor:
        cursor.execute("SELECT email FROM members_user WHERE id = %s", [account.pk])
        in_a_backup = bytes(cursor.fetchone()[0])

    erasing.erase_on_request(member=gone.member, at=JOINED_AT, channel=Channel.WEB, by="test")

    assert User.objects.get(pk=account.pk).email == "erased"
    assert not User.objects.filter(email=ANN).exists()
    with pytest.raises(encryption.KeyShredded):
        encryption.unseal(account.key_id, in_a_backup, f"members_user|email|{account.key_id}")
    assert User.objects.create_user(ANN).email == ANN
    assert str(account.key_id) in settings.ERASURES_FILE.read_text()


def test_the_key_comes_back_with_a_backup_and_is_shredded_again(tmp_path, settings):
    settings.ERASURES_FILE = tmp_path / "erasures.jsonl"
    gone = make_resident("Ann Ash", email=ANN)
    erasing.erase_on_request(member=gone.member, at=JOINED_AT, channel=Channel.WEB, by="test")
    key = gone.user.key_id
    DataKey.objects.filter(pk=key).delete()
    sealed = encryption.seal(key, ANN, "x")

    erasing.reapply(lines=erasing.read_list(settings.ERASURES_FILE), at=JOINED_AT, by="test")

    with pytest.raises(encryption.KeyShredded):
        encryption.unseal(key, sealed, "x")


class TestInTheAdmin:
    def test_an_address_in_use_is_said_on_the_form(self):
        make_resident("Ann Ash", email=ANN)

        class Form(AdminUserCreationForm):
            class Meta:
                model = User
                fields = ("email",)

        words = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        assert "email" in Form({"email": ANN.upper(), **words}).errors
        assert "email" in Form({"email": "not an address", **words}).errors
        assert Form({"email": "eve@example.org", **words}).is_valid()

    def test_staff_find_an_account_by_its_whole_address(self, admin_client: Client):
        make_resident("Ann Ash", email=ANN)
        make_resident("Bob Birch", email="bob@example.org")

        said = admin_client.get(reverse("admin:members_user_changelist"), {"q": ANN.title()}).content.decode()

        assert ANN in said
        assert "bob@example.org" not in said

    def test_the_log_of_changes_keeps_no_address(self, admin_client: Client):
        ann = make_resident("Ann Ash", email=ANN).user
        answer = admin_client.post(
            reverse("admin:members_user_change", args=[ann.pk]),
            {"email": "ann.changed@example.org", "is_active": "on", "date_joined_0": "2026-01-01"},
        )

        assert answer.status_code == 302
        assert User.objects.get(pk=ann.pk).email == "ann.changed@example.org"
        assert "@" not in rows_of("django_admin_log")


def test_a_session_names_nobody(client: Client):
    make_resident("Ann Ash", email=ANN)

    client.post("/accounts/login/", {"login": ANN, "password": PASSWORD})

    assert client.session["account_authentication_methods"][0]["email"] == ANN
    kept = Session.objects.get()
    assert kept.get_decoded()["account_authentication_methods"][0]["email"] == ANN
    payload = decompressed(kept.session_data)
    assert b"_auth_user_id" not in payload
    assert b"quagmire" not in payload


def test_a_session_of_another_installation_s_key_is_no_session(client: Client, monkeypatch):
    make_resident("Ann Ash", email=ANN)
    client.post("/accounts/login/", {"login": ANN, "password": PASSWORD})
    assert client.get("/accounts/email/").status_code == 200
    older = os.environ["OPENDSR_KEK"]

    monkeypatch.setenv("OPENDSR_KEK", f"{encryption.new_kek()},{older}")
    assert client.get("/accounts/email/").status_code == 200, "an earlier key of the ring still opens it"
    monkeypatch.setenv("OPENDSR_KEK", encryption.new_kek())
    assert client.get("/accounts/email/").status_code == 302


def decompressed(session_data: str) -> bytes:
    """A session's content as it lies in the database, without Django's signature and compression."""
    body = session_data.removeprefix(".").split(":")[0]
    plain = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return zlib.decompress(plain) if session_data.startswith(".") else plain
