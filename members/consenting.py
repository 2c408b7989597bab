"""Consent: dated agreement to one purpose in published words, given and withdrawn by the household.

A consent hangs on the occupancy, so it covers one household's stay in one home and ends with it. Others ask
`queries.py` what held at an instant; nothing is sent, stored or read beyond that.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from django.db import transaction

from members import entry
from members.constraints import refused_as
from members.entry import InvalidField
from members.joining import NobodyLivesThere
from members.models import (
    Channel,
    Consent,
    ConsentText,
    EndReason,
    Granularity,
    Member,
    Occupancy,
    Purpose,
    ReadingSource,
)
from opendsr.kernel import audit, outbox
from opendsr.kernel.errors import DomainError, NotAllowed, NotFound

WITHDRAWN = "members.consent.withdrawn"


class NoConsentText(DomainError):
    """Nothing has been published for the purpose yet, so there are no words to agree to."""

    purpose: str


class ConsentAlreadyLive(DomainError):
    """A consent to this purpose and source covers part of the time already; withdraw that one first."""

    occupancy_id: str
    purpose: str
    source: str


class NotInHousehold(NotAllowed):
    """Only people of the household may agree to anything about its home."""

    member: str
    occupancy_id: str


class ConsentNotFound(NotFound):
    """No such consent in the member's household."""

    consent_id: str


@transaction.atomic
def publish_text(*, purpose: str, body: str, at: datetime) -> ConsentText:
    """Publish the next version of a purpose's words; the same words as the newest version are that version.

    Earlier versions stay as they are, and so do the consents given to them. Raises InvalidField.
    """
    purpose = entry.choice(Purpose, purpose, "purpose")
    words = entry.paragraphs(body, field="body")
    sha256 = hashlib.sha256(words.encode()).hexdigest()
    newest = ConsentText.objects.filter(purpose=purpose).order_by("-version").select_for_update().first()
    if newest is not None and newest.body_sha256 == sha256:
        return newest
    return ConsentText.objects.create(
        purpose=purpose,
        version=newest.version + 1 if newest else 1,
        body=words,
        body_sha256=sha256,
        published_at=at,
    )


def newest_text(purpose: Purpose, at: datetime) -> ConsentText | None:
    """The words that somebody who agrees at `at` agrees to; None when none are published."""
    return ConsentText.objects.filter(purpose=purpose, published_at__lte=at).order_by("-version").first()


@transaction.atomic
def give_consent(
    *,
    member: Member,
    occupancy: Occupancy,
    purpose: str,
    granularity: str,
    channel: str,
    at: datetime,
    source: str = ReadingSource.CAD,
) -> Consent:
    """Record that the member agreed, from `at` on, to the newest words published for the purpose by then.

    Consent to flexibility is not about readings: its granularity is `none`, that of any other purpose is not.
    One recorded after the household moved out ends with its stay.
    Raises InvalidField, NotInHousehold, NobodyLivesThere, NoConsentText, ConsentAlreadyLive.
    """
    purpose = entry.choice(Purpose, purpose, "purpose")
    granularity = entry.choice(Granularity, granularity, "granularity")
    channel = entry.choice(Channel, channel, "channel")
    source = entry.choice(ReadingSource, source, "source")
    if (purpose == Purpose.FLEXIBILITY) != (granularity == Granularity.NONE):
        raise InvalidField(field="granularity", problem="does_not_fit_purpose")
    stay = Occupancy.objects.select_for_update(no_key=True).get(pk=occupancy.pk)
    if member.household_id != stay.household_id or not member.is_current(at):
        raise NotInHousehold(member=member.number, occupancy_id=str(stay.pk))
    if not stay.is_current(at):
        raise NobodyLivesThere(occupancy_id=str(stay.pk))
    text = newest_text(purpose, at)
    if text is None:
        raise NoConsentText(purpose=purpose)
    live = ConsentAlreadyLive(occupancy_id=str(stay.pk), purpose=purpose, source=source)
    with refused_as(consent_one_live_per_purpose=live):
        consent = Consent.objects.create(
            occupancy=stay,
            member=member,
            text=text,
            purpose=purpose,
            granularity=granularity,
            source=source,
            channel=channel,
            starts_at=at,
            ends_at=stay.ends_at,
            end_reason=EndReason.MOVED_HOUSE if stay.ends_at else "",
        )
    audit.record(
        at=at,
        actor=f"member:{member.number}",
        verb="consent.given",
        target=f"consent:{consent.pk}",
        detail={"purpose": purpose, "version": text.version, "sha256": text.body_sha256, "channel": channel},
    )
    return consent


@transaction.atomic
def withdraw_consent(
    *, consent_id: UUID, member: Member, at: datetime, reason: str = EndReason.REQUESTED
) -> Consent:
    """End a consent of the member's household at `at`; whoever of them gave it. What was done before stands.

    Records the fact `members.consent.withdrawn`. Withdrawing what has ended already changes nothing. Raises
    ConsentNotFound when it is no consent of this household.
    """
    reason = entry.choice(EndReason, reason, "reason")
    consent = (
        Consent.objects.select_for_update(of=("self",))
        .select_related("occupancy", "text")
        .filter(pk=consent_id, occupancy__household_id=member.household_id)
        .first()
    )
    if consent is None or not member.is_current(at):
        raise ConsentNotFound(consent_id=str(consent_id))
    end_consent(consent=consent, at=at, reason=reason, actor=f"member:{member.number}")
    return consent


@transaction.atomic
def choose_granularity(
    *, consent_id: UUID, member: Member, granularity: str, channel: str, at: datetime
) -> Consent:
    """Let readings be kept this finely and no finer from `at` on: the consent ends and is given anew.

    What was kept before stands until its time is over. The granularity it has already changes nothing.
    Raises InvalidField, ConsentNotFound when it is no consent of this household in force, and what
    `give_consent` does.
    """
    granularity = entry.choice(Granularity, granularity, "granularity")
    consent = (
        Consent.objects.select_for_update(of=("self",))
        .select_related("occupancy")
        .filter(pk=consent_id, occupancy__household_id=member.household_id)
        .first()
    )
    if consent is None or not (consent.starts_at <= at and (consent.ends_at is None or at < consent.ends_at)):
        raise ConsentNotFound(consent_id=str(consent_id))
    if consent.granularity == granularity:
        return consent
    end_consent(consent=consent, at=at, reason=EndReason.REQUESTED, actor=f"member:{member.number}")
    return give_consent(
        member=member,
        occupancy=consent.occupancy,
        purpose=consent.purpose,
        granularity=granularity,
        channel=channel,
        at=at,
        source=consent.source,
    )


def end_consent(*, consent: Consent, at: datetime, reason: EndReason, actor: str) -> None:
    """End a locked consent inside the caller's transaction, with its fact and its line in the audit trail.

    One that had not begun by `at` is left empty: it ends when it starts. One that has ended is left alone.
    """
    if consent.ends_at is not None and consent.ends_at <= at:
        return
    consent.ends_at = max(at, consent.starts_at)
    consent.end_reason = reason
    consent.save(update_fields=["ends_at", "end_reason"])
    outbox.record(
        WITHDRAWN,
        at=at,
        key=f"{consent.pk}:{consent.ends_at.isoformat()}",
        consent_id=consent.pk,
        occupancy_id=consent.occupancy_id,
        purpose=consent.purpose,
        source=consent.source,
        ends_at=consent.ends_at,
        reason=reason,
    )
    audit.record(
        at=at,
        actor=actor,
        verb="consent.ended",
        target=f"consent:{consent.pk}",
        detail={"purpose": consent.purpose, "reason": reason, "ends_at": consent.ends_at},
    )
