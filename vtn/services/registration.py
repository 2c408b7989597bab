"""EiRegisterParty: query, register and re-register, cancel."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from oadr import messages as m
from oadr.messages import EiResponse
from opendsr.kernel import ids, outbox
from vtn import pacing, queueing, reporting
from vtn.live_events import AnyVen
from vtn.models import Event, MessageKind, MessageState, QueuedMessage, Security, Ven
from vtn.notices import vtn_id
from vtn.services.refusing import Refused
from vtn.transports import offers


def query_registration(*, ven: Ven, message: m.QueryRegistration, at: datetime) -> m.CreatedPartyRegistration:
    """Say what this VTN offers; the VEN's own ids only once it has registered."""
    return _created(ven, request_id=message.request_id, at=at)


@transaction.atomic
def create_party_registration(
    *, ven: Ven, message: m.CreatePartyRegistration, at: datetime
) -> m.CreatedPartyRegistration:
    """Register, or register again: a VEN that has lost its registrationID is given the same one back.

    What it now says of profile and transport replaces what it said before. Registering
    again hands over the full set of events anew, for a VEN that has restarted has
    forgotten it; and it answers a request to do so.
    """
    ven = Ven.objects.select_for_update(no_key=True).get(pk=ven.pk)
    offers.require_offered(message, ven=ven)
    if ven.registration_id and message.registration_id not in ("", ven.registration_id):
        raise Refused(m.INVALID_ID, "unknown registrationID")
    is_new = not ven.registration_id
    if is_new:
        ven.registration_id = f"REG-{ids.random_token()}"
    ven.registered_at = at
    ven.is_report_only = message.is_report_only
    ven.profile_name = message.profile_name
    ven.transport_name = message.transport_name
    ven.transport_address = message.transport_address[:255]
    ven.is_http_pull = message.is_http_pull is not False
    ven.has_xml_signature = message.has_xml_signature
    ven.told_poll_seconds = pacing.poll_seconds(ven, is_near=pacing.is_near_event(ven, at=at))
    if message.has_xml_signature:  # never the other way: some clients say false and sign all the same
        ven.security = Security.HIGH
    ven.save()
    asked = QueuedMessage.objects.filter(ven=ven, kind=MessageKind.REQUEST_REREGISTRATION)
    queueing.finish(asked, state=MessageState.ANSWERED, at=at, code=m.OK)
    latest = Event.objects.filter(ven=ven, closes_at__gt=at).aggregate(Max("closes_at"))["closes_at__max"]
    if latest is not None:
        queueing.enqueue_events({ven.pk: latest}, at=at, is_resync=True)
    if is_new:
        outbox.record("vtn.ven.registered", at=at, ven_id=ven.ven_id, registered_at=at)
    return _created(ven, request_id=message.request_id, at=at)


@transaction.atomic
def cancel_party_registration(
    *, ven: Ven, message: m.CancelPartyRegistration, at: datetime
) -> m.CanceledPartyRegistration:
    """End the registration; the certificate stands, so that the VEN may register again."""
    ven = Ven.objects.select_for_update(no_key=True).get(pk=ven.pk)
    if not ven.registration_id or message.registration_id != ven.registration_id:
        raise Refused(m.INVALID_ID, "unknown registrationID")
    end(ven, at=at, note="cancelled by the VEN")
    return m.CanceledPartyRegistration(
        response=EiResponse(description="OK", request_id=message.request_id),
        registration_id=message.registration_id,
        ven_id=ven.ven_id,
    )


def end(ven: Ven, *, at: datetime, note: str) -> None:
    """End the registration inside the caller's transaction: its queue is dropped, its reports end."""
    ven.registration_id = ""
    ven.save(update_fields=["registration_id"])
    queueing.drop_all(ven=ven, at=at, note=note)
    reporting.end_all(ven, at=at, note=note)
    outbox.record("vtn.ven.unregistered", at=at, ven_id=ven.ven_id, unregistered_at=at)


def poll_seconds(ven: AnyVen) -> int:
    """How long the VEN is asked to wait between polls, in wall seconds."""
    return ven.poll_seconds or int(settings.VTN_POLL_SECONDS)


def _created(ven: Ven, *, request_id: str, at: datetime) -> m.CreatedPartyRegistration:
    return m.CreatedPartyRegistration(
        response=EiResponse(description="OK", request_id=request_id),
        registration_id=ven.registration_id,
        ven_id=ven.ven_id if ven.is_registered else "",
        vtn_id=vtn_id(),
        profiles=offers.profiles(),
        services=offers.service_info(vtn_id()),
        poll_seconds=pacing.poll_seconds(ven, is_near=pacing.is_near_event(ven, at=at)),
    )
