"""Bacs Standard 18: a payment file as fixed-width records, and the same file read back. Pure.

VOL1, HDR1, HDR2 and UHL1 of 80 characters, a record of 106 characters for each credit (code 99) and one
contra (code 17) for their sum, each with its processing day, then EOF1, EOF2 and UTL1 of 80. Positions as
the published message guides of Bacs give them (counted from 1); text is upper case in the Bacs character set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from opendsr.kernel.errors import Invalid

CREDIT: Final = "99"
CONTRA: Final = "17"
MOST_PENCE: Final = 10**11 - 1
ALLOWED: Final = re.compile(r"[^A-Z0-9.\-/& ]")
SORT_CODE: Final = re.compile(r"[0-9]{6}")
ACCOUNT: Final = re.compile(r"[0-9]{8}")
SUN: Final = re.compile(r"[A-Z0-9]{6}")
MULTI_DAY: Final = "4 MULTI  "


class BacsInvalid(Invalid):
    """A field that Bacs would refuse."""

    field: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Originator:
    """Who pays: service user number, name and the account that is debited."""

    service_user_number: str
    name: str
    sort_code: str
    account_number: str


@dataclass(frozen=True, slots=True)
class Credit:
    """One payment, whole pence."""

    sort_code: str
    account_number: str
    name: str
    amount_pence: int
    reference: str


@dataclass(frozen=True, slots=True)
class BacsFile:
    """What a file says when it is read back."""

    service_user_number: str
    processing_date: date
    credits: tuple[Credit, ...]
    contra_pence: int
    credit_count: int
    credit_pence: int
    debit_count: int
    debit_pence: int


def write(
    originator: Originator, credits: Sequence[Credit], *, processing: date, created: date, serial: int
) -> str:
    """The file's text, a record a line ended by CR LF; raises BacsInvalid, naming the field.

    `processing` is the middle day of the three-day cycle, when Bacs processes; `serial` numbers the file.
    """
    _check(originator, credits)
    total = sum(credit.amount_pence for credit in credits)
    records = [*_labels("HDR", originator, created, serial), _uhl1(processing)]
    records += [_credit(originator, credit, processing) for credit in credits]
    records.append(_contra(originator, total, processing))
    vol1 = f"VOL1{serial % 10**6:06d} {'':20}{'':6}{'':4}{originator.service_user_number}{'':4}{'':28}1"
    records = [vol1, *records, *_labels("EOF", originator, created, serial)]
    records.append(f"UTL1{total:013d}{total:013d}{1:07d}{len(credits):07d}{'':10}{'':26}")
    return "".join(f"{record}\r\n" for record in records)


def read(text: str) -> BacsFile:
    """The file read back by its positions; raises BacsInvalid where a record has the wrong width."""
    lines = text.split("\r\n")
    if lines.pop() != "":
        raise BacsInvalid(field="record", value=text[-20:], reason="the last record ends with CR LF")
    credits: list[Credit] = []
    contra = 0
    sun, processing, totals = "", date.min, (0, 0, 0, 0)
    for line in lines:
        label = line[:4]
        is_label = label in {"VOL1", "HDR1", "HDR2", "UHL1", "EOF1", "EOF2", "UTL1"}
        if len(line) != (80 if is_label else 106):
            raise BacsInvalid(field="record", value=line, reason=f"{len(line)} characters wide")
        if label == "VOL1":
            sun = line[41:47]
        elif label == "UHL1":
            processing = _from_julian(line[4:10])
        elif label == "UTL1":
            totals = (int(line[4:17]), int(line[17:30]), int(line[30:37]), int(line[37:44]))
        elif not is_label and line[15:17] == CONTRA:
            contra = int(line[35:46])
        elif not is_label:
            credits.append(
                Credit(line[:6], line[6:14], line[82:100].rstrip(), int(line[35:46]), line[64:82].rstrip())
            )
    debit, credit, debits, count = totals
    return BacsFile(sun, processing, tuple(credits), contra, count, credit, debits, debit)


def bacs_text(text: str, width: int = 18) -> str:
    """Upper case, only characters Bacs takes, cut to the width."""
    return ALLOWED.sub(" ", text.upper())[:width].strip()


def julian(day: date) -> str:
    """The day as ` YYDDD`."""
    return f" {day:%y%j}"


def _from_julian(text: str) -> date:
    year, number = 2000 + int(text[1:3]), int(text[3:6])
    return date.fromordinal(date(year, 1, 1).toordinal() + number - 1)


def _check(originator: Originator, credits: Sequence[Credit]) -> None:
    if not SUN.fullmatch(originator.service_user_number):
        raise BacsInvalid(
            field="service_user_number",
            value=originator.service_user_number,
            reason="six digits or capital letters",
        )
    if not credits:
        raise BacsInvalid(field="credits", value="", reason="a file pays somebody")
    parties: list[Originator | Credit] = [originator, *credits]
    for party in parties:
        if not SORT_CODE.fullmatch(party.sort_code):
            raise BacsInvalid(field="sort_code", value=party.sort_code, reason="six digits")
        if not ACCOUNT.fullmatch(party.account_number):
            raise BacsInvalid(field="account_number", value=party.account_number, reason="eight digits")
        if not bacs_text(party.name):
            raise BacsInvalid(field="name", value=party.name, reason="at least one letter Bacs takes")
    for credit in credits:
        if not 0 < credit.amount_pence <= MOST_PENCE:
            raise BacsInvalid(
                field="amount_pence", value=str(credit.amount_pence), reason="one penny to eleven digits"
            )
        if len(bacs_text(credit.reference)) < 1:
            raise BacsInvalid(field="reference", value=credit.reference, reason="at least one character")
    if sum(credit.amount_pence for credit in credits) > MOST_PENCE:
        raise BacsInvalid(field="contra", value="", reason="the sum has at most eleven digits")


def _labels(kind: str, originator: Originator, created: date, serial: int) -> Iterator[str]:
    sun = originator.service_user_number
    name = f"A{sun}S  1{sun}"
    yield (
        f"{kind}1{name}{serial % 10**6:06d}00010001{'':4}{'':2}{julian(created)}{julian(created)} 000000"
        f"{'':13}{'':7}"
    )
    yield f"{kind}2F0200000106{'':35}00{'':28}"


def _uhl1(processing: date) -> str:
    return f"UHL1{julian(processing)}999999    00000000{MULTI_DAY}001{'':7}{'':7}{'':26}"


def _credit(originator: Originator, credit: Credit, processing: date) -> str:
    return (
        f"{credit.sort_code}{credit.account_number}0{CREDIT}{originator.sort_code}{originator.account_number}"
        f"{'':4}{credit.amount_pence:011d}{bacs_text(originator.name):18}{bacs_text(credit.reference):18}"
        f"{bacs_text(credit.name):18}{julian(processing)}"
    )


def _contra(originator: Originator, total: int, processing: date) -> str:
    return (
        f"{originator.sort_code}{originator.account_number}0{CONTRA}{originator.sort_code}"
        f"{originator.account_number}{'':4}{total:011d}{bacs_text(originator.name):18}{'CONTRA':18}"
        f"{bacs_text(originator.name):18}{julian(processing)}"
    )
