"""Sealed model fields and their blind indexes, on the models that have them."""

from __future__ import annotations

import pytest
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from members.models import Home, Household, Member
from opendsr.kernel import blind_index, encryption
from opendsr.kernel.models import DataKey
from opendsr.kernel.sealed_field import ERASED
from tests.factories import make_home, make_member, new_mpan

CANARY = "Zebedee Quagmire"


def raw(table: str, column: str) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "{column}" FROM "{table}"')  # noqa: S608
        return [bytes(value) for (value,) in cursor.fetchall()]


def test_only_ciphertext_lies_in_the_table_and_reading_opens_it(db):
    made = make_member(CANARY)
    found = Member.objects.get(pk=made.pk)

    assert found.full_name == CANARY
    assert found.household.name == CANARY
    assert all(CANARY.encode() not in value for value in raw("members_member", "full_name"))
    assert str(Member.objects.values_list("full_name", flat=True).get(pk=made.pk)) == "<sealed>"
    assert Member.objects.only("number").get(pk=made.pk).full_name == CANARY


def test_what_is_not_set_is_not_sealed_anew_and_what_is_found_by_follows(db, django_assert_num_queries):
    home = Home.objects.get(pk=make_home(name="1 Canary Row").pk)
    before = raw("members_home", "mpan")
    home.name = "2 Other Street"
    home.save(update_fields=["name"])

    assert raw("members_home", "mpan") == before
    assert Home.objects.filter(name_index=" 2  other STREET ").exists()
    assert not Home.objects.filter(name_index="1 Canary Row").exists()
    assert Home.objects.filter(words__contains=blind_index.words("street other")).exists()
    assert not Home.objects.filter(words__contains=blind_index.words("canary")).exists()
    mpan = home.mpan
    with django_assert_num_queries(1):
        Home.objects.get(mpan_index__in=[mpan, "none"])


def test_plain_text_never_goes_into_sql(db):
    member = make_member(CANARY)
    for wrong in (
        lambda: Member.objects.filter(full_name=CANARY).first(),
        lambda: Member.objects.filter(Q(household__name__icontains="zeb")).first(),
        lambda: Home.objects.filter(mpan_index__startswith="16").first(),
    ):
        with pytest.raises(FieldError):
            wrong()
    with pytest.raises(TypeError, match="is sealed"), transaction.atomic():
        Member.objects.filter(pk=member.pk).update(full_name="x")
    member.full_name = "x"
    with pytest.raises(TypeError, match="is sealed"), transaction.atomic():
        Member.objects.bulk_update([member], ["full_name"])
    with pytest.raises(ValueError, match="longer than 120"), transaction.atomic():
        Household(name="x" * 121).save()
    with pytest.raises(ValueError, match="not in its form"), transaction.atomic():
        Home(name="x", postcode="M15 5RF", mpan="12", gsp_group="G").save()


def test_a_page_of_names_needs_one_statement_for_their_keys(db, django_assert_num_queries):
    for number in range(30):
        make_member(f"{CANARY} {number}")

    with encryption.remembering(), django_assert_num_queries(2):
        names = [
            (member.full_name, member.household.name) for member in Member.objects.select_related("household")
        ]
    assert len(set(names)) == 30
    with django_assert_num_queries(3):
        names_again = [member.full_name for member in Member.objects.all()[:2]]
    assert len(names_again) == 2, "nothing is kept once the block is over"


def test_many_rows_at_once_with_one_statement_for_keys_and_none_kept_after_a_rollback(
    db, django_assert_max_num_queries
):
    households = [Household(name=f"{CANARY} {number}") for number in range(200)]
    with django_assert_max_num_queries(6):
        Household.objects.bulk_create(households)
    assert Household.objects.get(pk=households[7].pk).name == f"{CANARY} 7"

    fresh = Household(name="again")
    with transaction.atomic():
        Household.objects.bulk_create([fresh])
        transaction.set_rollback(True)
    assert not DataKey.objects.filter(pk=fresh.pk).exists()
    Household.objects.bulk_create([fresh])
    assert Household.objects.get(pk=fresh.pk).name == "again"


def test_after_shredding_a_text_reads_as_erased_and_cannot_be_written(db):
    member = make_member(CANARY)
    with encryption.remembering():
        encryption.shred(member.pk)
        found = Member.objects.get(pk=member.pk)
        assert found.full_name == ERASED
    found.full_name = "back"
    with pytest.raises(encryption.KeyShredded):
        found.save()


def test_two_homes_never_have_one_mpan(db):
    mpan = new_mpan()
    Home.objects.create(name="a", postcode="M15 5RF", mpan=mpan, gsp_group="G")
    with pytest.raises(Exception, match="home_one_a_mpan"), transaction.atomic():
        Home.objects.create(name="b", postcode="M15 5RF", mpan=mpan, gsp_group="G")


@given(st.text(max_size=30), st.text(max_size=30))
def test_words_are_found_whatever_their_case_accents_and_order(one, other):
    both = set(blind_index.words(f"{one} {other}"))

    assert (
        both == set(blind_index.words(f"{other.upper()} {one}"))
        or "ß" in (one + other).casefold()
        or not (one + other).isascii()
    )
    assert set(blind_index.words(one)) | set(blind_index.words(other)) == both
    assert blind_index.words("Zoë Łęcki") == blind_index.words("łęcki ZOE")


def test_the_index_key_is_asked_for_by_name(monkeypatch):
    for bad, words in (("", "is not set"), ("?", "not base64"), ("YWJj", "3 bytes long")):
        monkeypatch.setenv(blind_index.VARIABLE, bad)
        with pytest.raises(ImproperlyConfigured, match=words):
            blind_index.index("x", "y")


def test_under_another_index_key_everything_is_found_again_once_rebuilt(db, monkeypatch):
    home, member = make_home(name="1 Canary Row"), make_member(CANARY)
    nameless = make_home(name="2 Canary Row")
    Home.objects.filter(pk=nameless.pk).update(words=[], name_index=None, mpan_index=None)
    monkeypatch.setenv(blind_index.VARIABLE, encryption.new_kek())
    assert not Home.objects.filter(mpan_index=home.mpan).exists()

    assert (blind_index.rebuild(Home), blind_index.rebuild(Home)) == (1, 0)
    call_command("rebuild_indexes")

    assert Home.objects.get(mpan_index=home.mpan) == home
    assert Home.objects.get(words__contains=blind_index.words("canary")) == home
    assert Member.objects.get(words__contains=blind_index.words("quagmire")) == member
