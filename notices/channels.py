"""How a notice leaves the house: email by Django's backend, SMS by console, file or an HTTP provider.

Every channel says what it was given as an id to know the receipt by, or why not: `NotTaken` is tried again,
`Refused` is not. Nothing here writes an address into a log.
"""

from __future__ import annotations

import json
import smtplib
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives, get_connection

from notices.models import Notice
from notices.words import Letter
from opendsr.kernel.errors import DomainError

Reason = Notice.Reason
TIMEOUT_SECONDS: Final = 10
MOST_ANSWER_BYTES: Final = 64 * 1024
TRIED_AGAIN: Final = frozenset({408, 425, 429})
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class NotTaken(DomainError):
    """The server did not answer, or is busy: worth another try."""

    status = 503


class Refused(DomainError):
    """It will never be taken: `reason` is a `Notice.Reason`."""

    status = 422
    reason: str


class Mail:
    """Email over one connection for as many letters as there are; a context manager."""

    def __init__(self) -> None:
        self._connection: Any = None

    def __enter__(self) -> Mail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the next letter opens another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                connection.close()
            except (smtplib.SMTPException, OSError):
                return  # it was gone already

    def _open(self) -> None:
        """Connect, once for all letters: a message alone would hang up behind itself."""
        if self._connection is not None:
            return
        connection = get_connection()
        try:
            connection.open()
        except (smtplib.SMTPException, OSError):
            raise NotTaken() from None
        self._connection = connection

    def send(self, to: str, letter: Letter, *, reference: str, headers: dict[str, str] | None = None) -> str:
        """Hand the letter to the mail server; returns its Message-ID. Raises NotTaken and Refused."""
        self._open()
        domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
        # The same for every try: a mailbox that gets a letter twice can tell.
        message_id = f"<{reference}@{domain}>"
        message = EmailMultiAlternatives(
            letter.subject,
            letter.text,
            None,
            [to],
            headers={"Message-ID": message_id, "Auto-Submitted": "auto-generated", **(headers or {})},
            connection=self._connection,
        )
        message.attach_alternative(letter.html, "text/html")
        try:
            message.send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _words in error.recipients.values()}
            if all(code >= 500 for code in codes):
                raise Refused(reason=Reason.UNDELIVERABLE.value) from None
            raise NotTaken() from None
        except smtplib.SMTPResponseException as error:
            self.close()
            if 550 <= error.smtp_code < 560:
                raise Refused(reason=Reason.REFUSED.value) from None
            raise NotTaken() from None
        except (smtplib.SMTPException, OSError):
            self.close()
            raise NotTaken() from None
        return message_id


class Sms(Protocol):
    """A way to send text messages."""

    def send(self, to: str, text: str, *, reference: str) -> str:
        """Send, and return the provider's id. Raises NotTaken and Refused."""


@dataclass(frozen=True, slots=True)
class ConsoleSms:
    """Shows text messages where the program runs, the number but for its end left out."""

    def send(self, to: str, text: str, *, reference: str) -> str:
        sys.stdout.write(f"SMS to …{to[-3:]}: {text}\n")
        return f"console-{reference}"


@dataclass(frozen=True, slots=True)
class FileSms:
    """Writes text messages to a private file, a line of JSON each: for a rehearsal."""

    path: Path

    def send(self, to: str, text: str, *, reference: str) -> str:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        line = json.dumps({"to": to, "text": text, "reference": reference}, ensure_ascii=False)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            raise NotTaken() from None
        return f"file-{reference}"


@dataclass(frozen=True, slots=True)
class HttpSms:
    """A provider's HTTP interface: POST of {to, from, text, reference} as JSON with a bearer token.

    It answers 2xx with {"id": ...}; `reference` is the notice's id, for the provider to drop a second try.
    """

    url: str
    token: str
    sender: str

    def send(self, to: str, text: str, *, reference: str) -> str:
        body = json.dumps({"to": to, "from": self.sender, "text": text, "reference": reference}).encode()
        request = urllib.request.Request(  # noqa: S310 - https, or this machine: `sms` looks
            self.url,
            body,
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        try:
            with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as response:
                told = json.loads(response.read(MOST_ANSWER_BYTES))
            return str(told["id"])[:200]
        except urllib.error.HTTPError as error:
            code = error.code
            error.close()
            if 400 <= code < 500 and code not in TRIED_AGAIN:
                reason = Reason.UNDELIVERABLE if code in (404, 410, 422) else Reason.REFUSED
                raise Refused(reason=reason.value) from None
            raise NotTaken() from None
        except (OSError, ValueError, KeyError, TypeError):
            raise NotTaken() from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """A token and a number go to the address that staff wrote down, and to no other."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


def sms() -> Sms:
    """The provider of the settings; ImproperlyConfigured names what is missing."""
    match settings.SMS_PROVIDER:
        case "console":
            return ConsoleSms()
        case "file":
            return FileSms(Path(settings.SMS_FILE))
        case "http":
            return _http()
        case other:
            raise ImproperlyConfigured(f"SMS_PROVIDER={other!r}: set it to console, file or http.")


def _http() -> HttpSms:
    url, host = settings.SMS_URL, urlsplit(settings.SMS_URL)
    if not url or not settings.SMS_TOKEN:
        raise ImproperlyConfigured("SMS_PROVIDER=http needs SMS_URL and SMS_TOKEN (or SMS_TOKEN_FILE).")
    if host.scheme != "https" and not (host.scheme == "http" and host.hostname in LOCAL):
        raise ImproperlyConfigured(f"SMS_URL={url!r} is not https: numbers travel over TLS only.")
    return HttpSms(url, settings.SMS_TOKEN, settings.SMS_SENDER)
