"""What staff do about a VEN's registration: ask for it again, end it over the wire or here, set its polls."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from opendsr.kernel import audit
from opendsr.kernel.errors import Invalid
from vtn import queueing
from vtn.models import MessageKind, QueuedMessage, Ven
from vtn.port import UnknownVen
from vtn.reporting import VenUnregistered as VenUnregistered
from vtn.services import registration

LONGEST_POLL_SECONDS: Final = 86_400


class PollInvalid(Invalid):
    """No such poll interval: `field`, `reason`."""


@transaction.atomic
def request_reregistration(*, ven_id: str, at: datetime, by: str) -> QueuedMessage:
    """Queue oadrRequestReregistration; asked twice it is one message. Raises UnknownVen, VenUnregistered."""
    ven = _registered(ven_id)
    queued = queueing.enqueue(
        ven=ven, kind=MessageKind.REQUEST_REREGISTRATION, at=at, dedupe_key="reregistration"
    )
    _record("vtn.registration.requested_again", ven, at=at, by=by)
    return queued


@transaction.atomic
def cancel_registration(*, ven_id: str, at: datetime, by: str) -> QueuedMessage:
    """Queue oadrCancelPartyRegistration; the registration ends when the VEN confirms it.

    The certificate stands: the VEN may register again. Raises UnknownVen, VenUnregistered.
    """
    ven = _registered(ven_id)
    queued = queueing.enqueue(
        ven=ven, kind=MessageKind.CANCEL_REGISTRATION, at=at, dedupe_key="cancel_registration"
    )
    _record("vtn.registration.cancelling", ven, at=at, by=by)
    return queued


@transaction.atomic
def clear_registration(*, ven_id: str, at: datetime, by: str) -> None:
    """End the registration here at once, for a VEN that no longer answers. Raises as above."""
    ven = _registered(ven_id)
    registration.end(ven, at=at, note="cleared by staff")
    _record("vtn.registration.cleared", ven, at=at, by=by)


@transaction.atomic
def set_poll_seconds(*, ven_id: str, text: str, at: datetime, by: str) -> None:
    """Set a VEN's own poll interval, in whole seconds; "" is the site's. Raises UnknownVen, PollInvalid."""
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None
    if text and (seconds is None or not 1 <= seconds <= LONGEST_POLL_SECONDS):
        raise PollInvalid(
            field="poll_seconds", reason=f"{text[:20]!r}: whole seconds from 1 to {LONGEST_POLL_SECONDS}"
        )
    if not Ven.objects.filter(ven_id=ven_id).update(poll_seconds=seconds):
        raise UnknownVen(ven_id=ven_id)
    audit.record(
        at=at, actor=by, verb="vtn.ven.changed", target=f"ven:{ven_id}", detail={"poll_seconds": seconds}
    )


def _registered(ven_id: str) -> Ven:
    ven = Ven.objects.select_for_update(no_key=True).filter(ven_id=ven_id).first()
    if ven is None:
        raise UnknownVen(ven_id=ven_id)
    if not ven.is_registered:
        raise VenUnregistered(ven_id=ven_id)
    return ven


def _record(verb: str, ven: Ven, *, at: datetime, by: str) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"ven:{ven.ven_id}")
