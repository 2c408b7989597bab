"""What people type, made fit to store: one line of clean text, a postcode, an MPAN, a GSP group.

Called by services before they write; a value that cannot be mended raises InvalidField, which forms show
beside the field. The database holds the same rules as constraints.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NewType, TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import TextChoices

from members.models import GSP_GROUP, MPAN, POSTCODE, UserManager
from members.mpan import Mpan
from opendsr.kernel.errors import Invalid

MemberNumber = NewType("MemberNumber", str)
Chosen = TypeVar("Chosen", bound=TextChoices)

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


class InvalidField(Invalid):
    """`field` breaks a rule named by `problem`; the value itself is left out, it may be personal."""

    field: str
    problem: str


def one_line(value: str, *, field: str, longest: int, may_be_empty: bool = False) -> str:
    """The value in Unicode NFC with single spaces; control and direction-changing characters are refused."""
    text = " ".join(unicodedata.normalize("NFC", value).split())
    _refuse_controls(text, field)
    if not text and not may_be_empty:
        raise InvalidField(field=field, problem="empty")
    if len(text) > longest:
        raise InvalidField(field=field, problem="too_long", longest=longest)
    return text


def paragraphs(value: str, *, field: str) -> str:
    """Several lines of text in Unicode NFC, without blanks at line ends or around the whole; never empty."""
    lines = [line.rstrip() for line in unicodedata.normalize("NFC", value).strip().splitlines()]
    for line in lines:
        _refuse_controls(line.replace("\t", " "), field)
    if not lines:
        raise InvalidField(field=field, problem="empty")
    return "\n".join(lines)


def choice(choices: type[Chosen], value: str, field: str) -> Chosen:
    """The value as a member of its choices."""
    try:
        return choices(value)
    except ValueError as error:
        raise InvalidField(field=field, problem="not_a_choice") from error


def postcode(value: str) -> str:
    """A postcode in capitals with one space before the last three characters."""
    packed = re.sub(r"\s", "", value).upper()
    text = f"{packed[:-3]} {packed[-3:]}"
    if not re.fullmatch(POSTCODE, text, re.ASCII):
        raise InvalidField(field="postcode", problem="not_a_postcode")
    return text


def mpan(value: str) -> Mpan:
    """The 13 digits of an MPAN without the spaces people put between them; any check digit will do."""
    text = re.sub(r"[\s-]", "", value)
    if not re.fullmatch(MPAN, text, re.ASCII):
        raise InvalidField(field="mpan", problem="not_13_digits")
    return Mpan(text)


def gsp_group(value: str) -> str:
    """The letter of a grid supply point group, given with or without its underscore."""
    text = value.strip().removeprefix("_").upper()
    if not re.fullmatch(GSP_GROUP, text, re.ASCII):
        raise InvalidField(field="gsp_group", problem="not_a_gsp_group")
    return text


def email(value: str) -> str:
    """An address that could be written to, trimmed and in lower case."""
    text = UserManager.normalize_email(value)
    try:
        validate_email(text)
    except ValidationError as error:
        raise InvalidField(field="email", problem="not_an_email_address") from error
    if len(text) > 254:
        raise InvalidField(field="email", problem="too_long", longest=254)
    return text


def member_number(value: str) -> MemberNumber:
    """A membership number in its one form: 7, M-7 and M-00007 are all M-00007."""
    digits = value.strip().upper().removeprefix("M-")
    if not re.fullmatch(r"[0-9]{1,10}", digits, re.ASCII):
        raise InvalidField(field="number", problem="not_a_member_number")
    return MemberNumber(f"M-{int(digits):05d}")


def _refuse_controls(text: str, field: str) -> None:
    if any(unicodedata.category(char) in {"Cc", "Cs"} or char in BIDI_CONTROLS for char in text):
        raise InvalidField(field=field, problem="control_character")
