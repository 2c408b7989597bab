"""Something of Alice's for every argument of an address, and a verb where one is taken."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from PIL import Image

from assets import jobs
from assets.job_models import JobPhoto
from campaigns.market import receiving
from campaigns.models import MarketRequest, Programme
from members import applying, asking, opting_out
from members.asking import Kind
from members.models import Channel
from members.partnering import make_partner
from notices import writing
from opendsr.kernel.periods import LONDON
from tests.factories import make_presets
from tests.web.scene import NOW, Scene
from vtn import notices, repeating
from vtn.api_fields import content_shown
from vtn.models import Event, MarketContext

VERBS = {
    "campaign_action.verb": "approve",
    "round_action.verb": "approve",
    "visit_action.verb": "cancel",
    "market_action.verb": "decline",
    "market_buyer_action.verb": "terms",
    "operator_vtn_action.verb": "terms",
    "home_action.verb": "note",
    "hub_action.verb": "retire",
    "sending_action.verb": "freeze",
    "step_page.step": "move",
    "survey.occasion": "joining",
    "home_export.form": "csv",
    "licence_pack.month": "2026-01",
    "setting.key": "colour",
    "circular_action.verb": "send",
    "setup_try.what": "letters",
}


def open_request(scene: Scene, *, days: int = 1) -> MarketRequest:
    """A request of a buyer on trial for an evening soon, open."""
    standing = MarketRequest.objects.filter(reference="NF-1").first()
    if standing is not None:
        return standing
    make_presets()
    programme = Programme.objects.order_by("pk").first()
    assert programme is not None
    party = receiving.add_party(
        name="Northern Flex", programme=programme, is_sandbox=True, at=NOW, by=scene.sam
    )
    starts_at = (NOW + timedelta(days=days)).replace(hour=17, minute=0, second=0, microsecond=0)
    asked = receiving.Asked(
        reference="NF-1",
        preset="local",
        direction="turn_down",
        zone_kind="everywhere",
        zone="",
        starts_at=starts_at,
        profile_w=(20_000, 20_000, 30_000),
        price_mp_per_kwh=45_000,
        penalty_mp_per_kwh=20_000,
        deadline_at=starts_at - timedelta(hours=2),
    )
    made, _ = receiving.receive_request(
        party=party, asked=asked, source=MarketRequest.Source.FORM, at=NOW, by=scene.sam
    )
    return made


def make_series(event: Event, ven_id: str) -> UUID:
    """A series of one draft, of what the event says on its day; its id."""
    content, series_id = notices.content_of_event(event), uuid4()
    day = event.starts_at.astimezone(LONDON).date()
    rhythm = repeating.Rhythm((day.weekday(),), until=day)
    repeating.write_events(
        repeating.events_of(content, series_id, rhythm),
        rhythm,
        sends=False,
        shown=content_shown,
        ven_ids=[ven_id],
        at=NOW,
        by="test",
    )
    return series_id


def things_of(scene: Scene) -> dict[str, Any]:
    """Something of Alice's for every argument that can be somebody's."""
    alice, hub = scene.alice, scene.homes[0].hub
    application = applying.start(
        full_name=alice.member.full_name, email=alice.user.email, at=NOW, member=alice.member
    )
    asked = asking.open_request(
        member=alice.member,
        kind=Kind.COMPLAINT,
        at=NOW,
        channel=Channel.WEB,
        by="test",
        words="Alice's words",
    )
    opt_out = opting_out.start_standing_opt_out(occupancy=alice.occupancy, at=NOW, starts_at=NOW)
    job = jobs.plan_job(home=alice.home, at=NOW, by="test")
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "JPEG")
    photo = JobPhoto(job=job, width=8, height=8, at=NOW, by="test")
    photo.jpeg = picture.getvalue()
    photo.save()
    event = Event.objects.filter(ven__ven_id=hub.ven_id).latest("pk")
    return {
        **VERBS,
        "occupancy_id": alice.occupancy.pk,
        "asset_id": hub.assets[0].pk,
        "home_id": alice.home.pk,
        "number": alice.member.number,
        "campaign_id": scene.next.pk,
        "market_request_id": open_request(scene).pk,
        "party_id": open_request(scene).party_id,
        "statement_id": scene.statement_of(alice).pk,
        "round_id": scene.run.round_id,
        "application_id": application.pk,
        "request_id": asked.pk,
        "opt_out_id": opt_out.pk,
        "consent_id": alice.occupancy.consents.earliest("pk").pk,
        "job_id": job.pk,
        "photo_id": photo.pk,
        "hub_id": hub.hub.pk,
        "ven_id": hub.ven_id,
        "context_id": MarketContext.objects.get_or_create(uri="http://coop.example/own", name="Own")[0].pk,
        "event_id": event.event_id,
        "series_id": make_series(event, hub.ven_id),
        "day": event.starts_at.astimezone(LONDON).date().isoformat(),
        "partner_id": make_partner(name="Calder Homes", by="test", at=NOW).pk,
        "object_id": alice.member.pk,
        "circular_id": writing.write(kind="safety_word", subject="Cut", body="Tonight", at=NOW, by="test").pk,
    }
