"""From the queue to a real mail server and SMS provider: sent once, held, capped, tried again, given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members.models import User
from notices import choosing, delivering, forgetting, receipts
from notices.kinds import Channel, Kind, NoticeClass
from notices.models import Contact, Notice
from opendsr.kernel import clock
from tests import cast, racing
from tests.notices.conftest import EVENING, NOON, PHONE, event_facts, has_phone, only, tell

pytestmark = pytest.mark.django_db
NIGHT = NOON.replace(hour=22)
NEWS = (NoticeClass.MARKETING, Channel.EMAIL)


def send(at=NOON):
    return dict(delivering.send_due(at=at))


def test_a_letter_arrives_in_both_forms_with_its_links(alice, mail):
    tell(alice.member, before=EVENING)

    assert send() == {"sent": 1}
    (letter,) = mail.to("alice@example.org")
    notice = only()
    assert letter["Subject"] == "Event on Friday 13 March, 17:00 to 19:00"
    assert letter["Message-ID"] == notice.provider_id
    assert letter["Auto-Submitted"] == "auto-generated"
    plain = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    for body in (plain, html):
        assert "/n/" in body
        assert "Testbury Energy Co-op" in body
    assert (notice.state, notice.sent_at, notice.address) == ("sent", NOON, "alice@example.org")
    assert send() == {}


def test_a_text_goes_to_the_number_with_the_token(alice, mail, sms):
    has_phone(alice.member)
    tell(alice.member, before=EVENING)

    assert send() == {"sent": 2}
    (posted,) = sms.posted
    assert (posted["to"], posted["from"]) == (PHONE, "TestburyEC")
    assert posted["text"].startswith("Testbury Energy Co-op: event Fri 13 Mar 17:00-19:00")
    assert sms.tokens == ["Bearer a-token"]
    assert only(channel="sms").provider_id == f"p-{posted['reference']}"


def test_the_same_news_is_told_once(alice, mail):
    for _ in range(3):
        tell(alice.member)
    send()

    assert len(mail.letters) == 1


def test_many_letters_share_a_connection(alice, mail):
    carol = cast.carol()
    for number in range(3):
        tell(alice.member, carol.member, key=str(number))

    assert send() == {"sent": 6}
    assert mail.connections == 1


def test_a_member_is_written_to_in_their_language(alice, mail):
    choosing.choose_language(member=alice.member, language="cy", at=NOON)
    tell(alice.member)
    send()

    assert "13 Mawrth" in mail.letters[0][1]["Subject"]


class TestHeld:
    def test_until_eight_in_the_morning(self, alice, mail):
        tell(alice.member, at=NIGHT, before=EVENING)

        assert send(NIGHT) == {}
        assert send(NOON + timedelta(hours=19, minutes=59)) == {}
        assert send(NOON + timedelta(hours=20)) == {"sent": 1}

    def test_what_waited_into_the_night_is_held_at_the_last_look(self, alice, mail):
        tell(alice.member, at=NOON, before=EVENING)

        assert send(NIGHT) == {"held": 1}
        assert only().due_at == NOON + timedelta(hours=20)

    def test_past_the_start_it_is_never_sent_and_the_home_is_named(self, alice, mail):
        early = NOON.replace(day=13, hour=7)
        queued = tell(alice.member, at=NIGHT, before=early)

        assert (queued.notices, queued.held_past_start) == (0, frozenset({""}))
        assert (only().state, only().reason) == ("dropped", "held_past_start")
        assert send(NOON + timedelta(hours=21)) == {}

    def test_safety_is_not_held(self, alice, mail):
        facts = {"subject": "Unplug the charger", "body": "A fault was found."}
        tell(alice.member, kind=Kind.SAFETY_WORD, facts=facts, at=NIGHT)

        assert send(NIGHT) == {"sent": 1}


class TestLastLook:
    def test_what_is_not_wanted_any_more_is_not_sent(self, alice, mail):
        tell(alice.member)
        choosing.choose(
            member=alice.member, wanted={(NoticeClass.EVENT, Channel.EMAIL): False}, at=NOON, how="web"
        )

        assert send() == {"dropped": 1}
        assert only().reason == "not_wanted"

    def test_what_comes_too_late_is_not_sent(self, alice, mail):
        tell(alice.member, before=NOON + timedelta(hours=1))

        assert send(NOON + timedelta(hours=1)) == {"dropped": 1}
        assert only().reason == "too_late"

    def test_a_closed_account_gets_nothing(self, alice, mail):
        tell(alice.member)
        User.objects.update(is_active=False)

        assert send() == {"dropped": 1}
        assert (only().reason, mail.letters) == ("no_address", [])

    def test_a_day_holds_so_many_and_the_rest_waits_for_the_morning(self, alice, mail, settings):
        settings.NOTICES_A_DAY = 2
        for number in range(4):
            tell(alice.member, key=str(number))
        tell(alice.member, kind=Kind.SAFETY_WORD, facts={"subject": "a", "body": "b"})

        assert send() == {"sent": 3, "held": 2}
        assert send(NOON + timedelta(hours=20)) == {"sent": 2}

    def test_an_erased_member_is_not_written_to(self, alice, mail):
        has_phone(alice.member)
        tell(alice.member)
        forgetting.forget_member(member_id=alice.member.pk)

        assert send() == {}
        assert not Contact.objects.exists()
        assert {notice.reason for notice in Notice.objects.all()} == {"gone"}


class TestNotTaken:
    def test_an_address_that_does_not_exist_bounces(self, alice, mail):
        mail.refuses["alice@example.org"] = "550 5.1.1 no such mailbox"
        tell(alice.member)

        assert send() == {"bounced": 1}
        assert only().reason == "undeliverable"

    def test_a_busy_server_is_tried_again_later_and_not_for_ever(self, alice, mail, monkeypatch):
        mail.refuses["alice@example.org"] = "451 later"
        tell(alice.member)
        wall = clock.wall_now()
        for number, seconds in enumerate((0, *delivering.BACKOFF_SECONDS)):
            wall += timedelta(seconds=seconds)
            monkeypatch.setattr(clock, "wall_now", lambda now=wall: now)
            wanted = "failed" if number == len(delivering.BACKOFF_SECONDS) else "put_off"
            assert send() == {wanted: 1}, number
            assert send() == {}, "not before its time"
        assert only().reason == "no_answer"

    def test_nobody_there_holds_up_nobody_else(self, alice, mail, settings):
        settings.EMAIL_PORT = 9
        tell(alice.member)

        assert send() == {"put_off": 1}

    @pytest.mark.parametrize(
        ("status", "answer", "state"),
        [(404, None, "bounced"), (401, None, "failed"), (429, None, "queued"), (503, None, "queued"),
         (200, b"<html>", "queued"), (200, b"{}", "queued"), (302, None, "queued")],
    )  # fmt: skip
    def test_what_the_provider_answers_decides(self, alice, mail, sms, status, answer, state):
        has_phone(alice.member)
        sms.status, sms.answer = status, answer
        tell(alice.member)
        send()

        assert only(channel="sms").state == state
        assert only(channel="email").state == "sent"

    def test_one_that_cannot_be_made_does_not_stop_the_rest(self, alice, mail):
        tell(alice.member, key="bad", facts={"name": "nothing else"})
        tell(alice.member, key="good")

        assert send() == {"put_off": 1, "sent": 1}


class TestReceipts:
    def sent(self, alice, mail) -> Notice:
        tell(alice.member)
        send()
        return only()

    def test_said_twice_or_late_it_changes_nothing(self, alice, mail):
        notice = self.sent(alice, mail)
        for outcome in ("bounced", "bounced", "delivered"):
            assert receipts.receive(provider_id=notice.provider_id, outcome=outcome, at=NOON)

        assert (only().state, only().reason) == ("bounced", "undeliverable")
        assert not receipts.receive(provider_id="nobody's", outcome="delivered", at=NOON)
        assert not receipts.receive(provider_id="", outcome="delivered", at=NOON)

    def test_who_complains_gets_no_more_of_the_class(self, alice, mail):
        notice = self.sent(alice, mail)
        receipts.receive(provider_id=notice.provider_id, outcome="delivered", at=NOON)
        receipts.receive(provider_id=notice.provider_id, outcome="complained", at=NOON)

        assert tell(alice.member, key="next").notices == 0

    def test_what_failed_is_sent_again_and_what_did_not_is_not(self, alice, mail):
        notice = self.sent(alice, mail)
        with pytest.raises(receipts.NothingToResend):
            receipts.resend(notice_id=notice.pk, at=NOON, by="staff:1")
        receipts.receive(provider_id=notice.provider_id, outcome="bounced", at=NOON)
        receipts.resend(notice_id=notice.pk, at=NOON, by="staff:1")

        assert send() == {"sent": 1}
        assert only().provider_id != notice.provider_id

    def test_an_unknown_outcome_is_named(self, alice, mail):
        with pytest.raises(receipts.OutcomeUnknown):
            receipts.receive(provider_id="x", outcome="lost", at=NOON)


def test_nothing_in_the_log_shows_where_it_went(alice, mail, sms):
    has_phone(alice.member)
    tell(alice.member)
    send()

    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(notices_notice::text, ' ') FROM notices_notice")
        text = cursor.fetchone()[0]
    assert "alice" not in text.lower()
    assert PHONE[3:] not in text
    assert "Tea-time" not in text
    sealed = bytes(Notice.objects.filter(channel="sms").values_list("address", flat=True)[0])
    assert PHONE.encode() not in sealed


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6), data=st.data())
def test_marketing_goes_to_nobody_who_has_not_said_yes(alice, mail, steps, data):
    """Yes and no in any order, between queueing and sending too: what is sent had a yes at that moment."""
    facts = {"subject": "Open day", "body": "Come and see."}
    mail.letters.clear()
    before = Notice.objects.count()
    is_yes = (
        choosing.choices_of([alice.member.pk]).get(alice.member.pk, {}).get(("marketing", "email"), False)
    )
    allowed = 0
    for number, (wanted, changes_in_between) in enumerate(steps):
        choosing.choose(member=alice.member, wanted={NEWS: wanted}, at=NOON, how="web", wording="Yes")
        is_yes = wanted
        tell(alice.member, kind=Kind.NEWS, facts=facts, key=f"{before}:{number}")
        if changes_in_between:
            choosing.choose(member=alice.member, wanted={NEWS: not wanted}, at=NOON, how="web", wording="Yes")
            is_yes = not wanted
        sent = send(NOON + timedelta(days=number + before * 7)).get("sent", 0)
        allowed += sent
        assert sent == 0 or is_yes

    assert len(mail.letters) == allowed


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_each_once(alice, mail):
    for number in range(20):
        tell(
            alice.member, kind=Kind.SAFETY_WORD, facts={"subject": str(number), "body": "b"}, key=str(number)
        )

    racing.at_once(*(lambda: delivering.send_due(at=NOON) for _ in range(3)))

    subjects = [letter["Subject"] for _, letter in mail.letters]
    assert sorted(subjects) == sorted(map(str, range(20)))


def test_a_home_of_ones_own_each_is_told_apart(alice, mail):
    from notices import queueing
    from notices.queueing import ToTell

    people = [ToTell(alice.member.pk, event_facts(), home=home) for home in ("one", "two")]
    queueing.queue_many(kind=Kind.EVENT_START, people=people, key="k", at=NOON)

    assert send() == {"sent": 2}
