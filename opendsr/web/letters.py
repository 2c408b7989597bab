"""Letters to one address, in plain text, each asked for by a press of a button; how many one may ask for."""

from __future__ import annotations

import hashlib
import logging
import smtplib
from collections.abc import Mapping
from typing import Final

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string

from opendsr.kernel.errors import DomainError

HOUR: Final = 3600
A_CALLER: Final = 40
AN_ADDRESS: Final = 6

logger = logging.getLogger(__name__)


class TooManyAsked(DomainError):
    """This caller, or somebody for this address, asked too often within the hour."""

    status = 429


def send(to: str, subject: str, template: str, context: Mapping[str, object]) -> bool:
    """Send the letter; False when the mail server would not take it, which the page then says."""
    words = render_to_string(template, dict(context))
    try:
        send_mail(subject, words, None, [to])
    except (smtplib.SMTPException, OSError):
        logger.exception("a letter was not taken by the mail server")
        return False
    return True


def count_asking(request: HttpRequest, address: str = "") -> None:
    """Count one asking of this caller, and for this address; raises TooManyAsked past the hour's share."""
    caller = get_adapter(request).get_client_ip(request)
    for key, most in ((f"asked-by:{caller}", A_CALLER), (f"asked-for:{address}", AN_ADDRESS)):
        if key.endswith(":"):
            continue
        key = f"letters:{hash_of(key)}"
        cache.add(key, 0, HOUR)
        if cache.incr(key) > most:
            raise TooManyAsked()


def hash_of(text: str) -> str:
    """A cache key that holds no address."""
    return hashlib.sha256(text.encode()).hexdigest()
