"""One-time enrolment codes: given to whoever fits a hub, spent by the hub with its own signing request.

A code is bound to an opaque subject (the upper room's name for the hub), kept as a hash,
good until it expires and for one use, and closed after five wrong tries. With a `ven_id`
it re-issues: the new hub becomes that VEN and the old one's certificates end. Wall time
throughout, as for certificates.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from opendsr.kernel import audit, clock, outbox
from opendsr.kernel.errors import Invalid, NotAllowed
from vtn import enrolling
from vtn.enrolling import EnrolledVen
from vtn.models import EnrolmentCode, Ven
from vtn.port import UnknownVen

CODE_LIFE: Final = timedelta(hours=24)
LONGEST_LIFE: Final = timedelta(days=30)
MOST_FAILURES: Final = 5
LONGEST_SUBJECT: Final = 64
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that nothing is mistaken for a digit."""
_MISTAKEN: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_GROUPS, _GROUP_LENGTH = 6, 5
"""150 bits."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """The code is shown once and not kept."""

    subject: str
    code: str
    expires_at: datetime


class CodeRefused(NotAllowed):
    """Subject and code do not fit, are used up, too old, or were tried too often. It never says which."""


class SubjectInvalid(Invalid):
    """A subject is 1 to 64 printable characters without blanks or colons: `field`, `reason`."""


@transaction.atomic
def issue_code(
    *,
    subject: str,
    at: datetime,
    by: str,
    ven_name: str = "",
    ven_id: str | None = None,
    life: timedelta = CODE_LIFE,
) -> IssuedCode:
    """Return a fresh code for the subject; one given before and not used is void.

    With `ven_id` the code makes its bearer that VEN (a replaced hub); raises UnknownVen,
    SubjectInvalid. `life` is at most thirty days.
    """
    subject = _sound(subject)
    wall = clock.wall_now()
    ven = None
    if ven_id is not None:
        ven = Ven.objects.filter(ven_id=ven_id).first()
        if ven is None:
            raise UnknownVen(ven_id=ven_id)
    EnrolmentCode.objects.select_for_update().filter(subject=subject, used_at=None, voided_at=None).update(
        voided_at=wall
    )
    code = "-".join("".join(secrets.choice(ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    row = EnrolmentCode.objects.create(
        subject=subject,
        code_sha256=code_sha256(code),
        ven_name=(ven_name or subject)[:128],
        ven=ven,
        issued_at=wall,
        issued_by=by[:64],
        expires_at=wall + min(life, LONGEST_LIFE),
    )
    audit.record(
        at=at,
        actor=by,
        verb="vtn.enrolment_code.issued",
        target=f"subject:{subject}",
        detail={"expires_at": row.expires_at, "ven_id": ven_id or ""},
    )
    return IssuedCode(subject, code, row.expires_at)


@transaction.atomic
def void_code(*, subject: str, at: datetime, by: str) -> bool:
    """End the subject's open code; returns whether there was one."""
    open_codes = EnrolmentCode.objects.filter(subject=subject, used_at=None, voided_at=None)
    if not open_codes.update(voided_at=clock.wall_now()):
        return False
    audit.record(at=at, actor=by, verb="vtn.enrolment_code.voided", target=f"subject:{subject}")
    return True


def redeem_code(*, subject: str, code: str, csr_pem: str, at: datetime) -> EnrolledVen:
    """Spend the code and return the certificate of the hub that showed it; raises CodeRefused, CsrInvalid.

    A transaction of its own, durable, so that a wrong try is counted although it raises;
    the row's lock lets one of two at once through. A right code is not spent on a request
    that cannot be signed.
    """
    with transaction.atomic(durable=True):
        row = (
            EnrolmentCode.objects.select_for_update(of=("self",))
            .filter(subject=subject[:LONGEST_SUBJECT], used_at=None, voided_at=None)
            .select_related("ven")
            .first()
        )
        if row is not None and _fits(row, code):
            return _spend(row, csr_pem=csr_pem, at=at)
    logger.warning("enrolment refused")
    raise CodeRefused


def code_sha256(code: str) -> str:
    """The hash kept instead of the code; spacing, case and easily mistaken letters do not matter."""
    return hashlib.sha256(code.strip().upper().translate(_MISTAKEN).encode("utf-8", "replace")).hexdigest()


def _fits(row: EnrolmentCode, code: str) -> bool:
    if row.failures >= MOST_FAILURES:
        return False
    if not hmac.compare_digest(code_sha256(code), row.code_sha256):
        row.failures += 1
        row.save(update_fields=["failures"])
        audit.record(
            at=clock.now(),
            actor="stranger",
            verb="vtn.enrolment_code.wrong",
            target=f"subject:{row.subject}",
            detail={"failures": row.failures},
        )
        return False
    return clock.wall_now() < row.expires_at


def _spend(row: EnrolmentCode, *, csr_pem: str, at: datetime) -> EnrolledVen:
    actor = f"subject:{row.subject}"
    if row.ven is None:
        enrolled = enrolling.enrol_ven(ven_name=row.ven_name, csr_pem=csr_pem, at=at, by=actor)
        row.ven = Ven.objects.get(ven_id=enrolled.ven_id)
    else:
        enrolled = enrolling.replace_certificates(ven_id=row.ven.ven_id, csr_pem=csr_pem, at=at, by=actor)
    row.used_at = clock.wall_now()
    row.save(update_fields=["ven", "used_at"])
    audit.record(at=at, actor=actor, verb="vtn.enrolment_code.used", target=f"ven:{enrolled.ven_id}")
    outbox.record(
        "vtn.ven.enrolled",
        at=at,
        key=row.code_sha256,
        subject=row.subject,
        ven_id=enrolled.ven_id,
        enrolled_at=at,
    )
    return enrolled


def _sound(subject: str) -> str:
    """Subjects travel as the user name of HTTP Basic: no colon there (RFC 7617)."""
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable() or set(subject) & set(" :"):
        raise SubjectInvalid(field="subject", reason="1 to 64 printable characters, no blank, no colon")
    return subject
