"""A member's page of notices: what they were told, what they want to be told, and the number for texts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import ProhibitNullCharactersValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods, require_POST

from members import entry
from members.models import Member
from members.policy import MemberNotFound
from members.queries import member_of
from notices import channels, choosing, quiet
from notices import queries as notice_queries
from notices.kinds import Channel, Kind, NoticeClass, is_wanted
from notices.models import Contact, Language, Notice
from opendsr.kernel import clock, installation
from opendsr.kernel.ids import new_uuid
from opendsr.web import letters, wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged

SHOWN: Final = 25
WORDS_OF_MARKETING: Final = "News and offers of the co-op may be sent to me until I say no."
STATES: Final = {
    Notice.State.QUEUED: (_lazy("waiting to be sent"), "info"),
    Notice.State.SENT: (_lazy("sent"), "info"),
    Notice.State.DELIVERED: (_lazy("arrived"), "good"),
    Notice.State.BOUNCED: (_lazy("did not arrive"), "bad"),
    Notice.State.FAILED: (_lazy("could not be sent"), "bad"),
    Notice.State.DROPPED: (_lazy("not sent"), ""),
}
SAID: Final = {
    "wrong": _lazy("That is not the code. Look at the newest message."),
    "too_old": _lazy("That code is too old or was tried too often. Ask for another."),
    "none_sent": _lazy("No code was sent. Enter your number first."),
}


class ChoicesForm(forms.Form):
    """What the member wants, by class and channel, and in which language."""

    event_email = forms.BooleanField(label=_lazy("Events, by email"), required=False)
    event_sms = forms.BooleanField(label=_lazy("Events, by text message"), required=False)
    account_email = forms.BooleanField(
        label=_lazy("My account and devices, by email"), required=False,
        help_text=_lazy("Statements, a hub that is offline, the yearly reminder of what you agreed to."),
    )  # fmt: skip
    account_sms = forms.BooleanField(label=_lazy("My account and devices, by text message"), required=False)
    marketing_email = forms.BooleanField(
        label=_lazy("News and offers of the co-op, by email"), required=False,
        help_text=_lazy("Nothing of the kind is sent unless you tick this."),
    )  # fmt: skip
    marketing_sms = forms.BooleanField(
        label=_lazy("News and offers of the co-op, by text message"), required=False
    )
    language = forms.ChoiceField(
        label=_lazy("Language"), choices=Language.choices,
        help_text=_lazy("Of emails and text messages. Pages have their own choice, at the bottom."),
    )  # fmt: skip

    @property
    def wanted(self) -> dict[tuple[NoticeClass, Channel], bool]:
        """The yes or no of each class and channel."""
        return {
            (notice_class, channel): bool(self.cleaned_data[f"{notice_class.value}_{channel.value}"])
            for notice_class in choosing.CHOOSABLE
            for channel in Channel
        }


class NumberForm(forms.Form):
    """The number for text messages."""

    phone = forms.CharField(
        label=_lazy("Mobile number"), max_length=30, validators=[ProhibitNullCharactersValidator()],
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "inputmode": "tel"}),
        help_text=_lazy("Such as 07700 900123. We send a code to it first."),
    )  # fmt: skip


class CodeForm(forms.Form):
    """The code that was sent to the number."""

    code = forms.CharField(
        label=_lazy("Code"), max_length=12, validators=[ProhibitNullCharactersValidator()],
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
        help_text=_lazy("Six digits, from the text message we have just sent."),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@signed_in
def my_notices(request: HttpRequest) -> HttpResponse:
    """What was told, and the choices."""
    at, member = clock.now(), _own(request)
    form = ChoicesForm(request.POST) if request.method == "POST" else ChoicesForm(initial=_chosen(member))
    if request.method == "POST" and form.is_valid():
        choosing.choose(member=member, wanted=form.wanted, at=at, how="web", wording=WORDS_OF_MARKETING)
        choosing.choose_language(member=member, language=form.cleaned_data["language"], at=at)
        messages.success(request, _("Kept. It holds from the next notice on."))
        return redirect("my_notices")
    return _page(request, member, form=form)


@require_POST
@signed_in
def my_number(request: HttpRequest) -> HttpResponse:
    """Enter a number, confirm it by its code, or take it away; the button pressed says which."""
    at, member, do = clock.now(), _own(request), request.POST.get("do", "")
    if do == "drop":
        choosing.drop_number(member=member, at=at)
        messages.success(request, _("Your number is forgotten: no more texts."))
        return redirect("my_notices")
    if do == "confirm":
        code_form = CodeForm(request.POST)
        if code_form.is_valid():
            try:
                choosing.confirm_number(member=member, code=code_form.cleaned_data["code"], at=at)
            except choosing.CodeWrong as error:
                code_form.add_error("code", SAID[error.problem])
            else:
                messages.success(request, _("Your number is confirmed."))
                return redirect("my_notices")
        return _page(request, member, code_form=code_form)
    number_form = NumberForm(request.POST)
    if number_form.is_valid() and _send_code(request, member, number_form, at):
        messages.success(request, _("A code is on its way. Enter it below."))
        return redirect("my_notices")
    return _page(request, member, number_form=number_form)


def _send_code(request: HttpRequest, member: Member, form: NumberForm, at: datetime) -> bool:
    """Keep the number and send its code; False with the form's error when it could not be."""
    given = form.cleaned_data["phone"]
    try:
        number = choosing.normal_number(given)
    except entry.InvalidField:
        form.add_error("phone", _("Write the number with its area code, such as 07700 900123."))
        return False
    letters.count_asking(request, number)
    code = choosing.give_number(member=member, phone=number, at=at)
    words = _("%(code)s is your code for %(coop)s. It holds for 15 minutes.") % {
        "code": code,
        "coop": installation.current().coop_name,
    }
    try:
        channels.sms().send(number, words, reference=new_uuid().hex)
    except (channels.NotTaken, channels.Refused, ImproperlyConfigured):
        form.add_error("phone", _("No text message could be sent to it just now. Try again later."))
        return False
    return True


def _page(
    request: HttpRequest,
    member: Member,
    *,
    form: ChoicesForm | None = None,
    number_form: NumberForm | None = None,
    code_form: CodeForm | None = None,
) -> HttpResponse:
    told, pager = paged(request, notice_queries.of_member(member), size=SHOWN, anchor="told")
    contact = Contact.objects.filter(member=member).first()
    context = {
        "quiet": quiet.in_force(),
        "form": form or ChoicesForm(initial=_chosen(member)),
        "number_form": number_form or NumberForm(),
        "code_form": code_form or CodeForm(),
        "phone": contact.phone if contact else "",
        "is_confirmed": bool(contact and contact.confirmed_at),
        "is_waiting": bool(contact and contact.code_sha256),
        "notices": [shown(each) for each in told],
        "pager": pager,
    }
    has_errors = any(each is not None and each.errors for each in (form, number_form, code_form))
    return render(request, "notices/mine.html", context, status=422 if has_errors else 200)


def shown(notice: Notice) -> dict[str, Any]:
    """A notice's line, as the member's page and the log show it."""
    words, tag = STATES[Notice.State(notice.state)]
    return {
        "id": notice.pk,
        "kind": Kind(notice.kind).label,
        "channel": Channel(notice.channel).label,
        "when": wording.moment(notice.sent_at or notice.due_at),
        "state": words,
        "tag": tag,
        "reason": notice.get_reason_display() if notice.reason else "",
    }


def _chosen(member: Member) -> dict[str, Any]:
    held = choosing.choices_of([member.pk]).get(member.pk, {})
    contact = Contact.objects.filter(member=member).first()
    chosen: dict[str, Any] = {
        f"{notice_class.value}_{channel.value}": is_wanted(held, notice_class, channel)
        for notice_class in choosing.CHOOSABLE
        for channel in Channel
    }
    return chosen | {"language": contact.language if contact else Language.ENGLISH}


def _own(request: HttpRequest) -> Member:
    member = member_of(request.user)
    if member is None:
        raise MemberNotFound(number="")
    return member
