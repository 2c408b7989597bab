from __future__ import annotations

from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opendsr.kernel import encryption
from opendsr.kernel.models import DataKey

pytestmark = pytest.mark.django_db

ALICE, CAROL = UUID(int=1), UUID(int=2)
CONTEXT = "members_person.email|7"


@pytest.fixture(autouse=True)
def kek(monkeypatch, db):
    """A ring of one new key, and nobody's data keys: whatever lies in the database was wrapped by others."""
    DataKey.objects.all().delete()
    key = encryption.new_kek()
    monkeypatch.setenv(encryption.VARIABLE, key)
    return key


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_comes_back(plaintext, context):
    assert encryption.unseal(ALICE, encryption.seal(ALICE, plaintext, context), context) == plaintext


def test_the_same_text_seals_differently_and_shows_nothing():
    one, two = (encryption.seal(ALICE, "alice@example.org", CONTEXT) for _ in range(2))

    assert one != two
    assert b"alice" not in one


def test_a_value_moved_to_another_row_or_person_does_not_open():
    sealed = encryption.seal(ALICE, "alice@example.org", CONTEXT)
    encryption.seal(CAROL, "carol@example.org", CONTEXT)

    for subject, context in ((ALICE, "members_person.email|8"), (CAROL, CONTEXT), (UUID(int=3), CONTEXT)):
        with pytest.raises(encryption.SealBroken):
            encryption.unseal(subject, sealed, context)


@pytest.mark.parametrize(
    "damage", [lambda s: s[:-1], lambda s: s[:5], lambda s: b"", lambda s: b"\x02" + s[1:]]
)
def test_a_damaged_value_does_not_open(damage):
    sealed = encryption.seal(ALICE, "alice@example.org", CONTEXT)

    with pytest.raises(encryption.SealBroken):
        encryption.unseal(ALICE, damage(sealed), CONTEXT)


def test_any_flipped_bit_is_noticed():
    sealed = encryption.seal(ALICE, "a", CONTEXT)

    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 1
        with pytest.raises(encryption.SealBroken):
            encryption.unseal(ALICE, bytes(flipped), CONTEXT)


def test_a_data_key_moved_to_another_person_does_not_open():
    sealed = encryption.seal(ALICE, "alice@example.org", CONTEXT)
    encryption.seal(CAROL, "carol@example.org", CONTEXT)
    DataKey.objects.filter(pk=CAROL).update(wrapped=DataKey.objects.get(pk=ALICE).wrapped)

    with pytest.raises(encryption.SealBroken):
        encryption.unseal(CAROL, sealed, CONTEXT)


def test_a_shredded_person_is_unreadable_for_good_and_others_stay():
    alices, carols = (encryption.seal(who, "secret", CONTEXT) for who in (ALICE, CAROL))

    encryption.shred(ALICE)
    encryption.shred(ALICE)

    for attempt in (
        lambda: encryption.unseal(ALICE, alices, CONTEXT),
        lambda: encryption.seal(ALICE, "again", CONTEXT),
    ):
        with pytest.raises(encryption.KeyShredded):
            attempt()
    assert DataKey.objects.get(pk=ALICE).wrapped is None
    assert encryption.unseal(CAROL, carols, CONTEXT) == "secret"


def test_a_person_without_a_key_can_be_shredded_too():
    encryption.shred(ALICE)

    with pytest.raises(encryption.KeyShredded):
        encryption.seal(ALICE, "secret", CONTEXT)


def test_rotation_rewraps_keys_and_leaves_values_alone(monkeypatch, kek):
    sealed = [encryption.seal(UUID(int=n), f"secret {n}", CONTEXT) for n in range(1, 6)]
    encryption.shred(UUID(int=5))
    newer = encryption.new_kek()

    monkeypatch.setenv(encryption.VARIABLE, f"{newer},{kek}")
    assert encryption.unseal(UUID(int=1), sealed[0], CONTEXT) == "secret 1"
    assert encryption.rewrap(limit=3) == 3
    assert encryption.rewrap() == 1
    assert encryption.rewrap() == 0

    monkeypatch.setenv(encryption.VARIABLE, newer)
    for n in range(1, 5):
        assert encryption.unseal(UUID(int=n), sealed[n - 1], CONTEXT) == f"secret {n}"


def test_a_key_missing_from_the_ring_is_loud(monkeypatch):
    sealed = encryption.seal(ALICE, "secret", CONTEXT)
    monkeypatch.setenv(encryption.VARIABLE, encryption.new_kek())

    with pytest.raises(ImproperlyConfigured, match=r"OPENDSR_KEK holds keys .* needs key .* add that key"):
        encryption.unseal(ALICE, sealed, CONTEXT)


@pytest.mark.parametrize(
    ("ring", "fault"),
    [
        ("", "is not set"),
        ("AAAA", "is 3 bytes long"),
        ("not base64!", "is not base64"),
        ("{good},", "key 2 is 0"),
    ],
)
def test_a_malformed_ring_is_loud_and_shows_no_key(monkeypatch, kek, ring, fault):
    monkeypatch.setenv(encryption.VARIABLE, ring.format(good=kek))

    with pytest.raises(ImproperlyConfigured, match=f"OPENDSR_KEK.*{fault}") as caught:
        encryption.key_ring()
    assert kek not in str(caught.value)


def test_the_ring_comes_from_a_file_too(monkeypatch, kek, tmp_path):
    (tmp_path / "kek").write_text(f"{kek}\n", encoding="utf-8")
    monkeypatch.delenv(encryption.VARIABLE)
    monkeypatch.setenv(f"{encryption.VARIABLE}_FILE", str(tmp_path / "kek"))

    assert list(encryption.key_ring().keys) == [encryption.key_ring().current_id]


def test_the_command_rewraps_everything(monkeypatch, kek, capsys):
    encryption.seal(ALICE, "secret", CONTEXT)
    monkeypatch.setenv(encryption.VARIABLE, f"{encryption.new_kek()},{kek}")

    call_command("rewrap_keys")
    call_command("rewrap_keys")

    ring = encryption.key_ring()
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{n} data keys put under key {ring.current_id}." for n in (1, 0)]
    assert DataKey.objects.get().kek_id == ring.current_id
