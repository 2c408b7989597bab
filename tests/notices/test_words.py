"""What notices say: every kind in both forms, nothing that promotes, hostile names shown as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from members.models import Purpose
from notices import facts, words
from notices.kinds import MANNERS, Channel, Kind, NoticeClass, is_wanted
from notices.words import Links
from tests.notices.conftest import NOON, event_facts

LINKS = Links("https://x/", "https://x/notices/", "https://x/n/stop/", {"skip": "https://x/n/skip/"})
EVERY_FACT = event_facts() | {
    "delivered_wh": 900,
    "hours": 26,
    "events": 3,
    "since": NOON,
    "purpose": "flexibility",
    "subject": "Fault",
    "body": "Unplug it.\n\nThen call us.",
}
PROMOTING = (
    "offer", "deal", "save ", "discount", "win ", "free ", "bonus", "recommend", "refer a", "upgrade",
    "prize",
)  # fmt: skip


def said(kind: Kind, **changes: object) -> words.Said:
    import json

    return words.say(kind, json.loads(facts.written(EVERY_FACT | changes)))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("language", ["en-gb", "cy"])
def test_every_kind_is_said_plain_and_in_html(kind, language):
    with translation.override(language):
        letter = words.letter(said(kind), LINKS, coop="Testbury", notice_class=MANNERS[kind].notice_class)

    assert letter.subject
    assert "\n" not in letter.subject
    for form in (letter.text, letter.html):
        assert "Testbury" in form
        assert "%(" not in form
        assert "{{" not in form
        assert "https://x/notices/" in form
    assert ("https://x/n/stop/" in letter.text) == (kind is not Kind.SAFETY_WORD)


@pytest.mark.parametrize("kind", [kind for kind, how in MANNERS.items() if how.by_sms])
def test_a_text_message_says_who_what_and_how_to_stop(kind):
    text = words.text_message(said(kind, name="N" * 400, subject="S" * 400), LINKS, coop="Testbury")

    assert text.startswith("Testbury: ")
    assert "STOP" in text
    assert len(text) < 480


def test_the_scheduled_text_has_date_window_and_link():
    text = words.text_message(said(Kind.EVENT_SCHEDULED), LINKS, coop="Testbury")

    assert text == (
        "Testbury: event Fri 13 Mar 17:00-19:00. To skip it: https://x/n/skip/ Reply SKIP, HELP or STOP."
    )


@pytest.mark.parametrize(
    "kind", [kind for kind, how in MANNERS.items() if how.notice_class is not NoticeClass.MARKETING]
)
def test_service_notices_promote_nothing(kind):
    letter = words.letter(said(kind), LINKS, coop="Testbury", notice_class=MANNERS[kind].notice_class)

    assert [word for word in PROMOTING if word in letter.text.lower()] == []


@given(name=st.text(max_size=80))
def test_a_hostile_name_is_text_and_breaks_no_header(name):
    told = EVERY_FACT | {"name": name + "\r\nBcc: x@y.z <script>alert(1)</script>"}
    letter = words.letter(
        words.say(Kind.EVENT_START, {**told, "starts_at": NOON.isoformat(), "ends_at": NOON.isoformat()}),
        LINKS,
        coop="Testbury",
        notice_class=NoticeClass.EVENT,
    )

    assert "<script>" not in letter.html
    assert not {"\r", "\n"} & set(letter.subject)


@pytest.mark.parametrize(("direction", "wh", "words_"), [
    ("turn_down", 900, "0.9 kWh less"), ("turn_down", -900, "0.9 kWh more"),
    ("turn_up", 900, "0.9 kWh more"), ("turn_up", -100, "0.1 kWh less"),
    ("turn_down", None, "could not be measured"), ("turn_down", 0, "about as much as usual"),
    ("turn_down", -49, "about as much as usual"), ("turn_up", 50, "0.1 kWh more"),
])  # fmt: skip
def test_a_result_is_said_as_a_member_would(direction, wh, words_):
    paragraphs = said(Kind.EVENT_RESULT, direction=direction, delivered_wh=wh).paragraphs

    assert words_ in " ".join(paragraphs)


@pytest.mark.parametrize(("starts_at", "ends_at", "when"), [
    ("2026-03-13T23:00Z", "2026-03-14T01:00Z", "on Friday 13 March, 23:00 to Saturday 14 March, 01:00"),
    ("2026-10-25T00:30Z", "2026-10-25T01:30Z", "on Sunday 25 October, 01:30 BST to 01:30 GMT"),
    ("2026-03-29T00:30Z", "2026-03-29T01:00Z", "on Sunday 29 March, 00:30 to 02:00"),
])  # fmt: skip
def test_midnight_and_the_clock_change_are_told(starts_at, ends_at, when):
    hours = {"starts_at": starts_at, "ends_at": ends_at}

    assert said(Kind.EVENT_SCHEDULED, **hours).subject == f"Event {when}"


def test_a_text_message_of_an_event_over_midnight_is_short():
    hours = {"starts_at": "2026-03-13T23:00Z", "ends_at": "2026-03-14T01:00Z"}

    assert said(Kind.EVENT_SCHEDULED, **hours).sms == "event Fri 13 Mar 23:00-01:00. To skip it:"


@pytest.mark.parametrize(("language", "words_"), [
    ("en-gb", "Control my assets in campaigns"), ("cy", "Rheoli"),
])  # fmt: skip
def test_what_was_agreed_to_is_told_in_the_members_language(language, words_):
    with translation.override(language):
        told = said(Kind.CONSENT_RENEWAL, purpose=Purpose.FLEXIBILITY).paragraphs[0]

    assert words_ in told


def test_the_welsh_that_is_written_is_what_is_said():
    """The compiled catalogue is of the written one."""
    text = (Path(__file__).resolve().parents[2] / "locale/cy/LC_MESSAGES/django.po").read_text()
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', text.replace('\\"', "\0"), re.M)
    pairs = [(english.replace("\0", '"'), welsh.replace("\0", '"')) for english, welsh in pairs]
    assert len(pairs) > 1_000
    with translation.override("cy"):
        assert {english: translation.gettext(english) for english, _ in pairs} == dict(pairs)


CHOICES = st.dictionaries(
    st.tuples(st.sampled_from(NoticeClass.values), st.sampled_from(Channel.values)), st.booleans()
)


@given(choices=CHOICES, channel=st.sampled_from(Channel))
def test_safety_is_no_choice_and_marketing_takes_a_yes(choices, channel):
    assert is_wanted(choices, NoticeClass.SAFETY, channel)
    yes = choices.get(("marketing", channel.value), False)
    assert is_wanted(choices, NoticeClass.MARKETING, channel) == yes
