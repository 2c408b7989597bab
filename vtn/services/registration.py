"""EiRegisterParty: query, register and re-register, cancel."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from oadr import messages as m
from oadr.messages import EiResponse
from opendsr.kernel import ids, outbox
from vtn.models import Ven
from vtn.notices import vtn_id
from vtn.services.refusing import Refused

PROFILES = (m.Profile("2.0b", ("simpleHttp",)),)


def query_registration(*, ven: Ven, message: m.QueryRegistration, at: datetime) -> m.CreatedPartyRegistration:
    """Say what this VTN offers; the VEN's own ids only once it has registered."""
    return _created(ven, request_id=message.request_id)


@transaction.atomic
def create_party_registration(
    *, ven: Ven, message: m.CreatePartyRegistration, at: datetime
) -> m.CreatedPartyRegistration:
    """Register, or register again: a VEN that has lost its registrationID is given the same one back.

    Registering again hands over the full set of events anew, for a VEN that has
    restarted has forgotten it.
    """
    if message.transport_name != "simpleHttp" or message.is_http_pull is False:
        raise Refused(m.NOT_ALLOWED, "only simpleHttp in pull mode is offered")
    if message.profile_name != "2.0b":
        raise Refused(m.NOT_ALLOWED, "only profile 2.0b is offered")
    ven = Ven.objects.select_for_update().get(pk=ven.pk)
    if ven.registration_id and message.registration_id not in ("", ven.registration_id):
        raise Refused(m.INVALID_ID, "unknown registrationID")
    is_new = not ven.registration_id
    if is_new:
        ven.registration_id = f"REG-{ids.random_token()}"
    ven.registered_at = at
    ven.is_report_only = message.is_report_only
    ven.is_resync_due = True
    ven.save(update_fields=["registration_id", "registered_at", "is_report_only", "is_resync_due"])
    if is_new:
        outbox.record("vtn.ven.registered", at=at, ven_id=ven.ven_id, registered_at=at)
    return _created(ven, request_id=message.request_id)


@transaction.atomic
def cancel_party_registration(
    *, ven: Ven, message: m.CancelPartyRegistration, at: datetime
) -> m.CanceledPartyRegistration:
    """End the registration; the certificate stands, so that the VEN may register again."""
    ven = Ven.objects.select_for_update().get(pk=ven.pk)
    if not ven.registration_id or message.registration_id != ven.registration_id:
        raise Refused(m.INVALID_ID, "unknown registrationID")
    ven.registration_id = ""
    ven.save(update_fields=["registration_id"])
    outbox.record("vtn.ven.unregistered", at=at, ven_id=ven.ven_id, unregistered_at=at)
    return m.CanceledPartyRegistration(
        response=EiResponse(description="OK", request_id=message.request_id),
        registration_id=message.registration_id,
        ven_id=ven.ven_id,
    )


def poll_seconds(ven: Ven) -> int:
    """How long the VEN is asked to wait between polls, in wall seconds."""
    return ven.poll_seconds or int(settings.VTN_POLL_SECONDS)


def _created(ven: Ven, *, request_id: str) -> m.CreatedPartyRegistration:
    return m.CreatedPartyRegistration(
        response=EiResponse(description="OK", request_id=request_id),
        registration_id=ven.registration_id,
        ven_id=ven.ven_id if ven.is_registered else "",
        vtn_id=vtn_id(),
        profiles=PROFILES,
        poll_seconds=poll_seconds(ven),
    )
