"""A new installation's first day: the co-op and its administrator, then what has to work before members come.

Who has the one-time address (`manage.py first_run`) founds the co-op, once. All the rest is a list that an
administrator works off and may come back to: each line is tried for real, and says what came of it.
"""

from __future__ import annotations

import secrets
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.mail import send_mail
from django.core.validators import ProhibitNullCharactersValidator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import octopus
from members import entry
from members.models import Role, User
from members.policy import require_role
from notices import channels, choosing
from opendsr.kernel import audit, clock, installation
from opendsr.kernel.errors import DomainError
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.models import AuditEntry, Installation
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.refusals import sentence
from opendsr.web.second_factor import has_second_factor
from settlement import voting
from settlement.models import Society
from settlement.surplus import LegalForm
from vtn import ceremony, pki

HOURS: Final = 24
SALT: Final = "opendsr first run"
BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
TRIED: Final = "setup.tried"
TO_NOWHERE: Final = ("console", "dummy", "locmem", "filebased")


class FoundingForm(forms.Form):
    """Whose installation this is, and who looks after it first."""

    coop_name = forms.CharField(
        label=_lazy("Name of the co-op"), max_length=200, validators=[ProhibitNullCharactersValidator()],
        help_text=_lazy("As it stands in the register: it is on every page, letter and statement."),
    )  # fmt: skip
    legal_form = forms.ChoiceField(
        label=_lazy("Legal form"), choices=Society.Form.choices,
        help_text=_lazy("It decides what may become of a surplus; you can change it later."),
    )  # fmt: skip
    email = forms.EmailField(label=_lazy("Your email address"), max_length=254)
    password = forms.CharField(
        label=_lazy("A password"), strip=False, max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    again = forms.CharField(
        label=_lazy("The password again"), strip=False, max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """One line for the name, a password that is none too easy, twice the same."""
        data = super().clean() or {}
        if name := data.get("coop_name"):
            try:
                data["coop_name"] = entry.one_line(name, field="coop_name", longest=200)
            except entry.InvalidField:
                self.add_error("coop_name", _("Write the name on one line, in plain letters."))
        password = data.get("password")
        if password:
            try:
                validate_password(password, User(email=data.get("email", "")))
            except ValidationError as error:
                self.add_error("password", error)
            if data.get("again") and data["again"] != password:
                self.add_error("again", _("The two are not the same."))
        return data


def new_token() -> str:
    """The end of an address that founds the co-op within `HOURS`."""
    return signing.dumps(secrets.token_urlsafe(9), salt=SALT)


@require_http_methods(["GET", "POST"])
def begin(request: HttpRequest, token: str) -> HttpResponse:
    """Found the co-op and make its first administrator; gone once that is done."""
    try:
        signing.loads(token, salt=SALT, max_age=HOURS * 3600)
    except signing.BadSignature:
        raise Http404 from None
    if Installation.objects.exists():
        return redirect("setup")
    form = FoundingForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            user = _found(form.cleaned_data, at=clock.now())
        except installation.AlreadyFounded:
            return redirect("setup")
        login(request, user, backend=BACKEND)
        return redirect("setup")
    return render(request, "web/first_run.html", {"form": form}, status=422 if form.errors else 200)


@transaction.atomic
def _found(data: Mapping[str, Any], *, at: datetime) -> User:
    installation.found(coop_name=data["coop_name"], is_demo=False, at=at)
    user = User.objects.create_user(data["email"], data["password"], is_staff=True)
    user.groups.add(Group.objects.get_or_create(name=Role.ADMINISTRATOR.value)[0])
    voting.state_legal_form(form=LegalForm(data["legal_form"]), at=at, by=user)
    audit.record(at=at, actor=f"staff:{user.pk}", verb="setup.founded", target="installation:1")
    return user


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that has to work: `tag` and `state` say how it stands, `todo` what to do about it."""

    code: str
    title: str
    tag: str
    state: str
    todo: str = ""
    press: str = ""
    url: str = ""
    asks: str = ""


@require_GET
@signed_in
def setup(request: HttpRequest) -> HttpResponse:
    """What works, and what is still to be done."""
    require_role(request.user, Role.ADMINISTRATOR)
    lines = _lines(request.user)  # type: ignore[arg-type]
    left = sum(line.tag != "good" for line in lines)
    return render(request, "web/setup.html", {"lines": lines, "left": left})


@require_POST
@signed_in
def try_out(request: HttpRequest, what: str) -> HttpResponse:
    """Make the certificate authority, or send a letter to oneself; say what came of it."""
    require_role(request.user, Role.ADMINISTRATOR)
    if what not in TRIES:
        raise Http404
    user: User = request.user  # type: ignore[assignment]
    trouble = TRIES[what](user, request.POST.get("phone", "").replace("\x00", "")[:30])
    audit.record(
        at=clock.now(),
        actor=f"staff:{user.pk}",
        verb=TRIED,
        target=f"setup:{what}",
        detail={"is_ok": not trouble},
    )
    if trouble:
        messages.error(request, trouble)
    else:
        messages.success(request, DONE[what])
    return redirect("setup")


def _lines(user: User) -> list[Line]:
    stated = voting.legal_form()
    forms_by_code = dict(Society.Form.choices)
    return [
        Line(
            "coop",
            _("Name and legal form"),
            "good" if stated else "warn",
            f"{installation.current().coop_name}, {forms_by_code[stated.value]}"
            if stated
            else _("legal form not stated"),
            "" if stated else _("Without it no surplus can be shared out."),
            url="surplus",
        ),
        Line(
            "factor",
            _("Your second factor"),
            "good" if has_second_factor(user) else "bad",
            _("on") if has_second_factor(user) else _("off"),
            "" if has_second_factor(user) else _("Without it a stolen password opens every home."),
            url="mfa_index",
        ),
        _authority_line(),
        _letter_line(),
        _text_line(),
        _prices_line(),
    ]


def _authority_line() -> Line:
    folder, title = pki.authority().folder, _("Certificate authority for hubs")
    if not (folder / ceremony.ISSUING).exists():
        return Line(
            "authority",
            title,
            "bad",
            _("none yet"),
            _("No hub can be let in. Made here in a second, or off the network as docs/security.md says."),
            press=_("Make it here"),
        )
    told = ceremony.status(folder, at=clock.wall_now())
    to_do = "; ".join(line for line, is_urgent in told if is_urgent)
    shown = next(line for line, _is_urgent in told if line.startswith(ceremony.ISSUING))
    return Line("authority", title, "warn" if to_do else "good", shown, to_do)


def _letter_line() -> Line:
    title, press = _("Letters by email"), _("Send me one")
    if any(name in settings.EMAIL_BACKEND for name in TO_NOWHERE):
        todo = _("Set EMAIL_BACKEND and EMAIL_HOST for a mail server: members get no letter before that.")
        return Line("letter", title, "bad", _("letters go nowhere"), todo, press=press)
    if settings.IS_PRODUCTION and urlsplit(settings.SITE_URL).hostname in channels.LOCAL:
        todo = _("Set SITE_URL to the address members know: links in letters lead to this machine.")
        return Line("letter", title, "bad", _("links lead nowhere"), todo, press=press)
    tried = _tried("letter")
    if tried is None:
        todo = _("Send yourself one, and see it come.")
        return Line("letter", title, "warn", _("never tried"), todo, press=press)
    when = {"when": wording.moment(tried.at)}
    if tried.detail["is_ok"]:
        return Line("letter", title, "good", _("taken by the mail server, %(when)s") % when, press=press)
    return Line("letter", title, "bad", _("refused, %(when)s") % when, press=press)


def _text_line() -> Line:
    title, press, asks = _("Text messages"), _("Send one"), _("To which number?")
    if settings.SMS_PROVIDER != "http":
        todo = _(
            "Set SMS_PROVIDER, SMS_URL and SMS_TOKEN: without a provider members are told by email alone."
        )
        return Line("text", title, "warn", _("they go nowhere"), todo, press=press, asks=asks)
    if not settings.NOTICE_HOOK_SECRET:
        todo = _("Set NOTICE_HOOK_SECRET: without it no reply (SKIP, STOP) and no receipt comes in.")
        return Line("text", title, "bad", _("replies are closed"), todo, press=press, asks=asks)
    tried = _tried("text")
    if tried is None:
        todo = _("Send yourself one, and see it come.")
        return Line("text", title, "warn", _("never tried"), todo, press=press, asks=asks)
    when = {"when": wording.moment(tried.at)}
    if tried.detail["is_ok"]:
        return Line("text", title, "good", _("taken, %(when)s") % when, press=press, asks=asks)
    return Line("text", title, "bad", _("refused, %(when)s") % when, press=press, asks=asks)


def _prices_line() -> Line:
    title, press = _("Half-hourly prices"), _("Ask for them")
    tried = _tried("prices")
    if tried is None:
        todo = _("Homes on a half-hourly tariff are planned by these prices.")
        return Line("prices", title, "warn", _("never asked"), todo, press=press)
    when = {"when": wording.moment(tried.at)}
    if tried.detail["is_ok"]:
        return Line("prices", title, "good", _("answered, %(when)s") % when, press=press)
    return Line("prices", title, "bad", _("no answer, %(when)s") % when, press=press)


def _tried(what: str) -> AuditEntry | None:
    tries = AuditEntry.objects.filter(verb=TRIED, target=f"setup:{what}")
    return tries.order_by("-at", "-pk").first()


def _make_authority(user: User, phone: str) -> str:
    try:
        pki.authority().ca_pem(at=clock.wall_now())
    except (DomainError, OSError) as error:
        return sentence(error) if isinstance(error, DomainError) else str(error)
    return ""


def _send_letter(user: User, phone: str) -> str:
    coop = installation.current().coop_name
    try:
        send_mail(
            _("A letter from %(coop)s") % {"coop": coop},
            _("This letter shows that the site of %(coop)s can write to people.") % {"coop": coop},
            None,
            [user.email],
        )
    except (smtplib.SMTPException, OSError) as error:
        return _("The mail server did not take it: %(why)s") % {"why": error}
    return ""


def _send_text(user: User, phone: str) -> str:
    try:
        number = choosing.normal_number(phone)
    except entry.InvalidField:
        return _("Write the number with its area code, such as 07700 900123.")
    words = _("This message shows that the site of %(coop)s can send texts.") % {
        "coop": installation.current().coop_name
    }
    try:
        channels.sms().send(number, words, reference=new_uuid().hex)
    except ImproperlyConfigured as error:
        return str(error)
    except (channels.NotTaken, channels.Refused) as error:
        return _("The provider did not take it: %(why)s") % {"why": sentence(error)}
    return ""


def _ask_for_prices(user: User, phone: str) -> str:
    def wait(seconds: float) -> None:
        raise octopus.OctopusRefused(problem="is busy: try again later")

    try:
        products = octopus.Client(settings.OCTOPUS_URL, sleep=wait).products()
    except DomainError as error:
        return sentence(error)
    return "" if products else _("It answered, and sells nothing.")


TRIES: Final[Mapping[str, Callable[[User, str], str]]] = {
    "authority": _make_authority,
    "letter": _send_letter,
    "text": _send_text,
    "prices": _ask_for_prices,
}
DONE: Final = {
    "prices": _lazy("Octopus answered: its prices will be fetched each afternoon."),
    "authority": _lazy("Made. Move the root's key off this machine when you can: docs/security.md says how."),
    "text": _lazy("The provider took it. Look whether it has come."),
    "letter": _lazy("The mail server took it. Look whether it has come, in the folder for junk too."),
}
