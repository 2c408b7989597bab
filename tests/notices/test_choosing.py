"""A member's choices and number: kept, audited, sealed; a number counts once its code came back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from members.entry import InvalidField
from notices import choosing
from notices.kinds import Channel, NoticeClass
from notices.models import Choice, Contact
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.notices.conftest import NOON, PHONE, has_phone

pytestmark = pytest.mark.django_db
EVENT_SMS = (NoticeClass.EVENT, Channel.SMS)
NEWS = (NoticeClass.MARKETING, Channel.EMAIL)


def test_only_what_changes_is_kept_and_noted(alice):
    choosing.choose(member=alice.member, wanted={EVENT_SMS: True, NEWS: False}, at=NOON, how="web")
    assert not Choice.objects.exists()

    choosing.choose(
        member=alice.member, wanted={EVENT_SMS: False, NEWS: True}, at=NOON, how="web", wording="Yes to news"
    )

    rows = {(row.notice_class, row.channel): (row.is_wanted, row.wording) for row in Choice.objects.all()}
    assert rows == {("event", "sms"): (False, ""), ("marketing", "email"): (True, "Yes to news")}
    entry = AuditEntry.objects.get(verb=choosing.CHOSEN)
    assert entry.detail == {"how": "web", "event by sms": False, "marketing by email": True}


def test_a_yes_to_marketing_needs_its_words(alice):
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError, match="choice_of_marketing_has_words"), transaction.atomic():
        choosing.choose(member=alice.member, wanted={NEWS: True}, at=NOON, how="web")


@pytest.mark.parametrize("text", ["07700 900123", "+44 7700 900123", "0044 (7700) 900-123"])
def test_numbers_are_kept_one_way(text):
    assert choosing.normal_number(text) == PHONE


@pytest.mark.parametrize("text", ["", "12", "+0123456789", "07700 9001234567890", "call me", "٠٧٧٠٠٩٠٠١٢٣"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InvalidField):
        choosing.normal_number(text)


def test_a_number_is_sealed_and_found_by_its_index_alone(alice):
    has_phone(alice.member)

    assert Contact.objects.get(phone_index=PHONE).phone == PHONE
    with connection.cursor() as cursor:
        cursor.execute("SELECT notices_contact::text FROM notices_contact")
        assert "7700" not in cursor.fetchone()[0]


def test_a_wrong_code_is_counted_and_five_end_it(alice):
    code = choosing.give_number(member=alice.member, phone=PHONE, at=NOON)
    wrong = "000000" if code != "000000" else "111111"
    for _ in range(choosing.MOST_TRIES):
        with pytest.raises(choosing.CodeWrong):
            choosing.confirm_number(member=alice.member, code=wrong, at=NOON)

    with pytest.raises(choosing.CodeWrong) as caught:
        choosing.confirm_number(member=alice.member, code=code, at=NOON)
    assert caught.value.problem == "too_old"
    assert Contact.objects.get().confirmed_at is None


def test_a_code_lasts_a_quarter_of_an_hour(alice, monkeypatch):
    code = choosing.give_number(member=alice.member, phone=PHONE, at=NOON)
    later = clock.wall_now() + timedelta(minutes=choosing.CODE_MINUTES)
    monkeypatch.setattr(clock, "wall_now", lambda: later)

    with pytest.raises(choosing.CodeWrong):
        choosing.confirm_number(member=alice.member, code=code, at=NOON)


def test_another_number_has_to_be_confirmed_anew(alice):
    has_phone(alice.member)
    choosing.give_number(member=alice.member, phone="+447700900999", at=NOON)

    assert Contact.objects.get().confirmed_at is None
    choosing.drop_number(member=alice.member, at=NOON)
    contact = Contact.objects.get()
    assert (contact.phone, contact.phone_index) == ("", None)
