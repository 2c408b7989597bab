"""SKIP, IN, STOP and HELP: a no however it is written, a yes as the very word, each message once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notices import inbound
from notices.models import Contact, InboundSms
from tests import cast
from tests.notices.conftest import NOON, PHONE, has_phone, tell

ASKED: list[tuple[str, bool]] = []


def answer(member, is_in, at):
    ASKED.append((member.number, is_in))
    return "in" if is_in else "out"


def receive(text, *, sender=PHONE, provider_id="m1"):
    ASKED.clear()
    return inbound.receive(provider_id=provider_id, sender=sender, text=text, at=NOON, answer=answer)


@pytest.mark.parametrize(
    "text", ["SKIP", "skip", " Skip it please", "No", "NO THANKS!", "out.", "1. skip", "peidio"]
)
def test_a_no_is_taken_however_it_is_written(text):
    assert inbound.keyword(text) == inbound.SKIP


@pytest.mark.parametrize("text", ["STOP", "stop all", "Unsubscribe", "End", "stopio"])
def test_a_stop_too(text):
    assert inbound.keyword(text) == inbound.STOP


@given(text=st.text(max_size=60))
def test_a_yes_is_the_very_word(text):
    if inbound.keyword(text) == inbound.IN:
        assert text.strip().upper().rstrip(".!") == "IN"


@pytest.mark.parametrize("text", ["IN", "in", " In. ", "IN!"])
def test_which_may_be_written_small(text):
    assert inbound.keyword(text) == inbound.IN


@pytest.mark.parametrize("text", ["", "in a moment", "?", "what is this", "\u202eNI", "🙂"])
def test_anything_else_is_help(text):
    assert inbound.keyword(text) == inbound.HELP


@pytest.mark.django_db
class TestReceived:
    def test_a_message_counts_once(self, alice):
        has_phone(alice.member)
        first = receive("SKIP")
        assert [(alice.member.number, False)] == ASKED

        assert receive("SKIP") == first == "Testbury Energy Co-op: out"
        assert ASKED == []
        assert InboundSms.objects.count() == 1

    def test_of_everybody_who_shares_the_number(self, alice):
        bob = cast.bob(alice)
        for member in (alice.member, bob):
            has_phone(member)
        receive("in")

        assert sorted(ASKED) == sorted([(alice.member.number, True), (bob.number, True)])

    def test_stop_forgets_the_number_and_says_so_again(self, alice):
        has_phone(alice.member)
        reply = receive("STOP")

        assert Contact.objects.get().phone == ""
        assert tell(alice.member).notices == 1, "by email"
        assert receive("STOP", provider_id="m2") == reply

    @pytest.mark.parametrize("text", ["SKIP", "IN", "HELP", "hello"])
    @pytest.mark.parametrize("sender", ["+447700900999", "COOP", "", "12"])
    def test_a_stranger_learns_nothing(self, alice, text, sender):
        has_phone(alice.member)
        reply = receive(text, sender=sender)

        assert ASKED == []
        assert reply == receive("HELP", provider_id="m9"), "what a member is told who asks for help"

    def test_a_number_that_was_not_confirmed_is_a_strangers(self, alice):
        from notices import choosing

        choosing.give_number(member=alice.member, phone=PHONE, at=NOON)
        receive("SKIP")

        assert ASKED == []
