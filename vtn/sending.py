"""Events by hand: what staff and applications send themselves, beside what the house publishes by the port.

The same content goes to every VEN named; each gets an event of its own. The house may
keep events of its own out of reach (VTN_OWNED_KEYS) and VENs out of harm (VTN_SEND_GUARD).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from lxml import etree

from oadr import codec
from oadr import messages as m
from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.interval import Interval
from opendsr.kernel.plain import json_object
from vtn import desk, notices, policy, publishing
from vtn.content import EventContent, SignalContent
from vtn.models import Event, EventDraft, Ven, VenGroup
from vtn.port import NoticeInvalid, UnknownVen, VenId, VtnEventId

MOST_VENS: Final = 10_000
HAND: Final = "hand"
OPEN_ENDED_SECONDS: Final = 86_400


class EventOwned(DomainError):
    """The event belongs to another part of the house, which alone changes it: `event_id`, `reason`."""


class NobodyNamed(Invalid):
    """No VEN is named: `field`, `reason`."""


class TooManyVens(Invalid):
    """More VENs than one request may name: `field`, `reason`."""


class UnknownGroup(Invalid):
    """No such group: `field`, `reason`."""


class DraftPublished(DomainError):
    """The draft has been published and can no longer change: `draft_id`."""


class UnknownDraft(DomainError):
    """No such draft: `draft_id`."""

    status = 404


@dataclass(frozen=True, slots=True)
class Previewed:
    """What one VEN would get: the whole document, indented."""

    ven_id: str
    xml: str


def lasting(signals: Sequence[SignalContent]) -> int:
    """How long an event of these signals lasts: as long as the first of them."""
    return sum(seconds for seconds, _ in signals[0].intervals) if signals else 0


def interval_of(content: EventContent) -> Interval:
    """From the start to the end; an open-ended event is asked about for a day."""
    seconds = content.duration_seconds or OPEN_ENDED_SECONDS
    return Interval(content.starts_at, content.starts_at + timedelta(seconds=seconds))


def targets(*, ven_ids: Collection[str], groups: Collection[str]) -> list[str]:
    """The VENs named and those of the groups, each once; raises NobodyNamed, UnknownVen, UnknownGroup."""
    known = set(VenGroup.objects.filter(name__in=groups).values_list("name", flat=True))
    if missing := set(groups) - known:
        raise UnknownGroup(field="groups", reason=f"no group {min(missing)}: create it first")
    members = Ven.objects.filter(groups__name__in=groups).values_list("ven_id", flat=True)
    wanted = sorted({*ven_ids, *members})
    if not wanted:
        raise NobodyNamed(field="ven_ids", reason="name at least one VEN, or a group that has one")
    if len(wanted) > MOST_VENS:
        raise TooManyVens(field="ven_ids", reason=f"{len(wanted)} VENs, at most {MOST_VENS}: send in parts")
    found = set(Ven.objects.filter(ven_id__in=wanted).values_list("ven_id", flat=True))
    if unknown := set(wanted) - found:
        raise UnknownVen(ven_id=min(unknown))
    return wanted


def require_fresh(content: EventContent, *, at: datetime) -> None:
    """Raise NoticeInvalid for an event that is over before it is sent, or that starts in no year of ours."""
    notices.require_start(content)
    if content.closes_at <= at:
        raise NoticeInvalid(field="starts_at", reason="the event would be over already: start it later")


@transaction.atomic
def send_events(
    *, content: EventContent, ven_ids: Sequence[str], key: UUID, at: datetime, by: str
) -> dict[str, VtnEventId]:
    """Publish the content to each VEN; the same `key` again is the same events. Event ids by VEN id."""
    require_fresh(content, at=at)
    policy.require_may_send(ven_ids, is_test=content.is_test, interval=interval_of(content), at=at)
    by_key = {f"{HAND}:{key}:{ven_id}": replace(content, ven_id=VenId(ven_id)) for ven_id in ven_ids}
    is_new = not Event.objects.filter(key__in=list(by_key)).exists()
    published = publishing.publish_events(by_key, at=at)
    if is_new:
        audit.record(
            at=at,
            actor=by,
            verb="vtn.event.sent_by_hand",
            target=f"vtn_events:{key}",
            detail={"vens": len(ven_ids), "starts_at": content.starts_at, "test": content.is_test},
        )
    return {str(by_key[key_].ven_id): event_id for key_, event_id in published.items()}


@transaction.atomic
def change_event(*, event_id: str, content: EventContent, reason: str, at: datetime, by: str) -> int:
    """Replace the content of an event sent by hand; the new modification number. Raises EventOwned."""
    event = desk.event(event_id, at=at)
    _require_ours(event)
    require_fresh(content, at=at)
    policy.require_may_send([event.ven.ven_id], is_test=content.is_test, interval=interval_of(content), at=at)
    number = publishing.amend_event(
        VtnEventId(event_id), replace(content, ven_id=VenId(event.ven.ven_id)), at=at, reason=reason
    )
    _record("vtn.event.changed_by_hand", event, at=at, by=by, reason=reason)
    return number


@transaction.atomic
def cancel_event(*, event_id: str, reason: str, at: datetime, by: str) -> bool:
    """Call off an event sent by hand; False: again, or after its end, which changes nothing.

    Raises EventOwned.
    """
    event = desk.event(event_id, at=at)
    _require_ours(event)
    publishing.cancel_events([VtnEventId(event_id)], at=at, reason=reason)
    is_open = event.cancelled_at is None and at < event.closes_at
    if is_open:
        _record("vtn.event.cancelled_by_hand", event, at=at, by=by, reason=reason)
    return is_open


@transaction.atomic
def cancel_found(events: QuerySet[Event], *, reason: str, at: datetime) -> int:
    """Call those off of events sent by hand that are not yet; how many. Raises EventOwned."""
    found = list(events.filter(cancelled_at=None).only("event_id", "key"))
    for event in found:
        _require_ours(event)
    publishing.cancel_events([VtnEventId(event.event_id) for event in found], at=at, reason=reason)
    return len(found)


def is_owned(event: Event) -> bool:
    """True for an event that another part of the house published and alone may change."""
    return event.key.startswith(tuple(getattr(settings, "VTN_OWNED_KEYS", ())))


def preview(*, content: EventContent, ven_ids: Sequence[str], at: datetime, most: int = 3) -> list[Previewed]:
    """The documents that the first few VENs would get, as they would read them now; nothing is sent."""
    contents = [replace(content, ven_id=VenId(ven_id)) for ven_id in ven_ids[:most]]
    notices.require_sound(contents)
    return [Previewed(each.ven_id, _document(each, at=at)) for each in contents]


def document_of(event: Event, *, at: datetime) -> str:
    """The document in which the event's VEN reads it now."""
    return _indented(notices.event_message(event, ven_id=event.ven.ven_id, at=at))


# ---- drafts


@transaction.atomic
def send_written(
    *,
    content: EventContent,
    shown: Mapping[str, Any],
    ven_ids: Sequence[str],
    key: UUID,
    at: datetime,
    by: str,
) -> list[str]:
    """Send what was written, by its `key`; kept as a draft, the draft is sent. Again, it is sent no more.

    Returns the event ids. `shown` is the content as the API gives it.
    """
    kept = EventDraft.objects.filter(draft_id=key).first()
    if kept is None:
        return sorted(send_events(content=content, ven_ids=ven_ids, key=key, at=at, by=by).values())
    if kept.published_at is None:
        save_draft(draft_id=key, content=shown, ven_ids=ven_ids, at=at, by=by)
    return list(publish_draft(draft_id=key, content=content, at=at, by=by).event_ids)


@transaction.atomic
def save_draft(
    *, draft_id: UUID, content: Mapping[str, Any], ven_ids: Sequence[str], at: datetime, by: str
) -> EventDraft:
    """Keep an event unsent; the same id again replaces it until it is published. Raises DraftPublished."""
    draft = EventDraft.objects.select_for_update().filter(draft_id=draft_id).first()
    if draft is None:
        return EventDraft.objects.create(
            draft_id=draft_id,
            ven_ids=list(ven_ids),
            content=json_object(content),
            created_at=at,
            created_by=by,
        )
    if draft.published_at is not None:
        raise DraftPublished(draft_id=draft_id)
    draft.ven_ids, draft.content = list(ven_ids), json_object(content)
    draft.save(update_fields=["ven_ids", "content"])
    return draft


def draft(draft_id: UUID, *, is_locked: bool = False) -> EventDraft:
    """The draft, locked inside a transaction if wanted; raises UnknownDraft."""
    rows = EventDraft.objects.select_for_update() if is_locked else EventDraft.objects.all()
    found = rows.filter(draft_id=draft_id).first()
    if found is None:
        raise UnknownDraft(draft_id=draft_id)
    return found


@transaction.atomic
def publish_draft(*, draft_id: UUID, content: EventContent, at: datetime, by: str) -> EventDraft:
    """Send a draft; again, it is sent no more."""
    row = draft(draft_id, is_locked=True)
    if row.published_at is None:
        sent = send_events(content=content, ven_ids=row.ven_ids, key=draft_id, at=at, by=by)
        row.published_at, row.event_ids = at, sorted(sent.values())
        row.save(update_fields=["published_at", "event_ids"])
    return row


@transaction.atomic
def delete_draft(*, draft_id: UUID) -> None:
    """Forget a draft; raises DraftPublished once it is sent."""
    row = draft(draft_id, is_locked=True)
    if row.published_at is not None:
        raise DraftPublished(draft_id=draft_id)
    row.delete()


def _require_ours(event: Event) -> None:
    if is_owned(event):
        raise EventOwned(
            event_id=event.event_id,
            reason="another part of the site published this event: change or cancel it there (its campaign)",
        )


def _document(content: EventContent, *, at: datetime) -> str:
    event = Event(event_id="preview", modification_number=0, published_at=at, **notices.columns(content))
    return _indented(notices.event_message(event, ven_id=content.ven_id, at=at))


def _indented(event: m.Event) -> str:
    message = m.DistributeEvent(
        request_id="preview",
        vtn_id=notices.vtn_id(),
        events=(event,),
        response=m.EiResponse(description="OK"),
    )
    root = etree.fromstring(codec.serialise(message))
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def _record(verb: str, event: Event, *, at: datetime, by: str, reason: str) -> None:
    audit.record(
        at=at, actor=by, verb=verb, target=f"vtn_event:{event.event_id}", detail={"reason": reason[:200]}
    )
