"""Terms of membership and what everybody reads before agreeing: published in versions, accepted by hash."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from members import entry
from members.enquiry_models import TermsAcceptance, TermsText
from members.models import Channel, Member
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError

LONGEST = 40_000


class TermsNotPublished(DomainError):
    """The co-op has not published these words yet, so nobody can agree to them."""

    kind: str


class TermsChanged(DomainError):
    """Newer words were published since the page was opened: read those."""

    field: str


@transaction.atomic
def publish_terms(*, kind: str, body: str, at: datetime, by: str) -> TermsText:
    """Publish the next version; the newest's own words again are that version. Raises InvalidField."""
    kind = entry.choice(TermsText.Kind, kind, "kind")
    words = entry.paragraphs(body, field="body")
    if len(words) > LONGEST:
        raise entry.InvalidField(field="body", problem="too_long", longest=LONGEST)
    sha256 = hashlib.sha256(words.encode()).hexdigest()
    newest = TermsText.objects.filter(kind=kind).order_by("-version").select_for_update().first()
    if newest is not None and newest.body_sha256 == sha256:
        return newest
    text = TermsText.objects.create(
        kind=kind,
        version=newest.version + 1 if newest else 1,
        body=words,
        body_sha256=sha256,
        published_at=at,
        published_by=by,
    )
    audit.record(
        at=at, actor=by, verb="terms.published", target=f"terms:{kind}:{text.version}",
        detail={"sha256": sha256},
    )  # fmt: skip
    return text


def newest_terms(kind: str, at: datetime) -> TermsText | None:
    """The words in force at `at`; None before the first."""
    return TermsText.objects.filter(kind=kind, published_at__lte=at).order_by("-version").first()


def require_terms(kind: str, at: datetime) -> TermsText:
    """The words in force at `at`; raises TermsNotPublished."""
    text = newest_terms(kind, at)
    if text is None:
        raise TermsNotPublished(kind=kind)
    return text


def terms_to_read(member: Member, at: datetime) -> TermsText | None:
    """The terms in force, unless the member accepted just these; until then the older ones go on."""
    accepted = Exists(TermsAcceptance.objects.filter(member=member, text=OuterRef("pk")))
    texts = TermsText.objects.filter(kind=TermsText.Kind.TERMS, published_at__lte=at)
    newest = texts.annotate(is_accepted=accepted).order_by("-version").first()
    return None if newest is None or newest.is_accepted else newest


@transaction.atomic
def accept_terms(*, member: Member, sha256: str, channel: str, at: datetime) -> TermsAcceptance:
    """Record that the member accepted exactly the words with this hash, which must be those in force.

    Again changes nothing. Raises TermsNotPublished, TermsChanged.
    """
    text = require_terms(TermsText.Kind.TERMS, at)
    if text.body_sha256 != sha256:
        raise TermsChanged(field="terms")
    accepted, is_new = TermsAcceptance.objects.get_or_create(
        member=member,
        text=text,
        defaults={
            "body_sha256": sha256,
            "channel": entry.choice(Channel, channel, "channel"),
            "accepted_at": at,
        },
    )
    if is_new:
        detail = {"version": text.version, "sha256": sha256, "channel": channel}
        actor = f"member:{member.number}"
        audit.record(
            at=at, actor=actor, verb="terms.accepted", target=f"member:{member.number}", detail=detail
        )
    return accepted
