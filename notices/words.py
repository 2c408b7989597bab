"""What each kind of notice says: a subject, paragraphs, one button, and 300 characters for a text message.

Facts are plain JSON; instants in them are ISO texts. Whoever calls has put the member's language in force.
Service notices are neutral (PECR reg. 22): a test holds their words against a list of words that promote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.template.loader import render_to_string
from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from members.models import Purpose
from notices.kinds import Kind, NoticeClass
from opendsr.kernel.periods import LONDON, clock_time

Facts = Mapping[str, Any]
SMS_CHARACTERS: Final = 300
TEMPLATE_TEXT: Final = "notices/letter.txt"
TEMPLATE_HTML: Final = "notices/letter.html"


@dataclass(frozen=True, slots=True)
class Said:
    """A notice in words; `button` is the name of a link and its label, `sms` is empty where none is sent."""

    subject: str
    paragraphs: tuple[str, ...]
    button: tuple[str, str] = ("", "")
    sms: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses for a notice's buttons: by name, such as `skip` or `statement`."""

    home: str
    choices: str
    stop: str
    by_name: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """What leaves by email."""

    subject: str
    text: str
    html: str


def say(kind: Kind, facts: Facts) -> Said:
    """The words of a kind with these facts; KeyError when a fact is missing. Pure but for the language."""
    return SAYINGS[kind](facts)


def letter(said: Said, links: Links, *, coop: str, notice_class: NoticeClass, logo_url: str = "") -> Letter:
    """The email, plain and HTML, with the footer that says why it came and how to stop it."""
    name, label = said.button
    context = {
        "said": said,
        "button_url": links.by_name.get(name, links.home) if name else "",
        "button_label": label,
        "coop": coop,
        "logo_url": logo_url,
        "choices_url": links.choices,
        "stop_url": "" if notice_class is NoticeClass.SAFETY else links.stop,
        "is_marketing": notice_class is NoticeClass.MARKETING,
    }
    return Letter(
        subject=" ".join(said.subject.split()),
        text=render_to_string(TEMPLATE_TEXT, context).strip() + "\n",
        html=render_to_string(TEMPLATE_HTML, context),
    )


def text_message(said: Said, links: Links, *, coop: str) -> str:
    """The text message: who it is from, what it is about, the link, and how to stop."""
    name, _label = said.button
    link = links.by_name.get(name, "") if name else ""
    ending = _("Reply SKIP, HELP or STOP.") if name == "skip" else _("Reply STOP to stop texts.")
    rest = " ".join(part for part in (link, ending) if part)
    head = f"{coop}: {said.sms}"
    return f"{head[:SMS_CHARACTERS]} {rest}"


def _instant(facts: Facts, name: str) -> datetime:
    return datetime.fromisoformat(str(facts[name])).astimezone(LONDON)


def _day(at: datetime) -> str:
    return dateformat.format(at.date(), "l j F")


def _when(facts: Facts) -> dict[str, str]:
    """The event in words; a text message has the short day and end."""
    starts_at, ends_at = _instant(facts, "starts_at"), _instant(facts, "ends_at")
    short_end = clock_time(ends_at)
    last_day = "" if starts_at.date() == ends_at.date() else f"{_day(ends_at)}, "
    return {
        "name": str(facts["name"]),
        "day": _day(starts_at),
        "short_day": dateformat.format(starts_at.date(), "D j M"),
        "start": clock_time(starts_at),
        "end": last_day + short_end,
        "short_end": short_end,
    }


def _asks(facts: Facts) -> str:
    if facts["direction"] == "turn_up":
        return _("Your devices are asked to use more electricity then. You need not do anything.")
    return _("Your devices are asked to use less electricity then. You need not do anything.")


def _scheduled(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("Event on %(day)s, %(start)s to %(end)s") % when,
        paragraphs=(
            _("An event is planned for your home on %(day)s, from %(start)s to %(end)s: %(name)s.") % when,
            _asks(facts),
            _("If it does not suit you, skip it: one press, no reason needed."),
        ),
        button=("skip", _("Skip this event")),
        sms=_("event %(short_day)s %(start)s-%(short_end)s. To skip it:") % when,
    )


def _reminder(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("Tomorrow: event from %(start)s to %(end)s") % when,
        paragraphs=(
            _("A reminder: %(name)s is on %(day)s, from %(start)s to %(end)s.") % when,
            _asks(facts),
            _("If it does not suit you, skip it: one press, no reason needed."),
        ),
        button=("skip", _("Skip this event")),
    )


def _start(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("The event has started, until %(end)s") % when,
        paragraphs=(
            _("%(name)s has started and runs until %(end)s.") % when,
            _("You can stop it for your home at any moment, here or with the button on the device."),
        ),
        button=("skip", _("Stop it for my home")),
    )


def _end(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("The event is over"),
        paragraphs=(
            _("%(name)s ended at %(end)s. Your devices are back on their own schedule.") % when,
            _("What it came to is worked out once the meter’s readings are in."),
        ),
        button=("home", _("See my home")),
    )


def _cancelled(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("Called off: event on %(day)s") % when,
        paragraphs=(
            _("%(name)s on %(day)s, %(start)s to %(end)s, was called off. Nothing is asked of you.") % when,
        ),
        button=("home", _("See my home")),
        sms=_("the event %(short_day)s %(start)s-%(short_end)s is called off.") % when,
    )


def _result(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("Result of the event on %(day)s") % when,
        paragraphs=(
            _("%(name)s on %(day)s has been measured.") % when,
            _change(facts),
            _("The whole sum, with every half-hour, is on your statement."),
        ),
        button=("statement", _("See the statement")),
    )


def _revised(facts: Facts) -> Said:
    when = _when(facts)
    return Said(
        subject=_("Corrected result of the event on %(day)s") % when,
        paragraphs=(
            _("%(name)s on %(day)s was worked out again, because readings came late or were corrected.")
            % when,
            _change(facts),
            _("The statement shows what changed."),
        ),
        button=("statement", _("See the statement")),
    )


def _change(facts: Facts) -> str:
    """What the home did, as a member would say it: 0.9 kWh less than usual."""
    wh = facts.get("delivered_wh")
    if wh is None:
        return _("What your home did could not be measured; the statement says why.")
    is_less = (facts["direction"] == "turn_down") == (int(wh) >= 0)
    amount = {"kwh": f"{abs(int(wh)) / 1000:.1f}"}
    if amount["kwh"] == "0.0":
        return _("Your home used about as much as usual.")
    if is_less:
        return _("Your home used %(kwh)s kWh less than usual.") % amount
    return _("Your home used %(kwh)s kWh more than usual.") % amount


def _offline(facts: Facts) -> Said:
    hours = int(facts["hours"])
    since = ngettext("for %(n)s hour", "for %(n)s hours", hours) % {"n": hours}
    return Said(
        subject=_("Your hub has not been heard of"),
        paragraphs=(
            _("The hub in your home has not been in contact %(since)s. Your devices keep their own schedule.")
            % {"since": since},
            _("Look whether it is plugged in and whether your internet works. It comes back by itself."),
            _("If it does not, answer this email and we will help."),
        ),
        button=("home", _("See my home")),
    )


def _statement(facts: Facts) -> Said:
    events = int(facts["events"])
    return Said(
        subject=_("Your statement is ready"),
        paragraphs=(
            ngettext(
                "Your statement of %(n)s event is ready.", "Your statement of %(n)s events is ready.", events
            )
            % {"n": events},
            _("It shows what your home did, what it earned, and how that was worked out."),
        ),
        button=("statement", _("See the statement")),
    )


def _consent(facts: Facts) -> Said:
    purpose = str(facts["purpose"])
    since = {
        "day": dateformat.format(_instant(facts, "since").date(), "j F Y"),
        "what": Purpose(purpose).label if purpose in Purpose.values else purpose,
    }
    return Said(
        subject=_("A yearly reminder of what you agreed to"),
        paragraphs=(
            _("On %(day)s your household agreed to this: “%(what)s”.") % since,
            _("It goes on as it is and you need not do anything. If you have changed your mind, withdraw it:"
              " two presses, and it holds for nothing from then on."),
        ),
        button=("preferences", _("See what I agreed to")),
    )  # fmt: skip


def _own_words(facts: Facts) -> Said:
    """Words that staff wrote: safety, and news."""
    body = tuple(part.strip() for part in str(facts["body"]).split("\n\n") if part.strip())
    return Said(subject=str(facts["subject"]), paragraphs=body, sms=str(facts["subject"]))


SAYINGS: Final[Mapping[Kind, Callable[[Facts], Said]]] = {
    Kind.EVENT_SCHEDULED: _scheduled,
    Kind.EVENT_REMINDER: _reminder,
    Kind.EVENT_START: _start,
    Kind.EVENT_END: _end,
    Kind.EVENT_CANCELLED: _cancelled,
    Kind.EVENT_RESULT: _result,
    Kind.REVISED_RESULT: _revised,
    Kind.DEVICE_OFFLINE: _offline,
    Kind.STATEMENT_READY: _statement,
    Kind.CONSENT_RENEWAL: _consent,
    Kind.SAFETY_WORD: _own_words,
    Kind.NEWS: _own_words,
}
