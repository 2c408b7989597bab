"""Drafting a campaign, and everything that a form can get wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from campaigns.creating import AlreadyCreated, CampaignInvalid
from campaigns.models import Campaign
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.models import AuditEntry
from tests.campaigns.staging import ENDS_AT, NOON, STARTS_AT, make_campaign
from tests.cast import sam

pytestmark = pytest.mark.django_db


def test_a_draft_keeps_what_was_asked_and_says_who_asked() -> None:
    dispatcher = sam()

    campaign = make_campaign(name="  Evening peak ", reason=" cold snap ", by=dispatcher)

    campaign.refresh_from_db()
    assert (campaign.name, campaign.reason, campaign.state) == ("Evening peak", "cold snap", "draft")
    assert (campaign.starts_at, campaign.ends_at, campaign.size_w) == (STARTS_AT, ENDS_AT, 5_000)
    assert (campaign.created_by, campaign.created_at) == (dispatcher, NOON)
    entry = AuditEntry.objects.get(target=f"campaign:{campaign.pk}")
    assert (entry.verb, entry.actor) == ("campaign.created", f"user:{dispatcher.pk}")


@pytest.mark.parametrize(
    ("zone_kind", "given", "kept"),
    [
        ("gsp_group", "_g", "G"),
        ("gsp_group", " P ", "P"),
        ("postcode_area", "cf", "CF"),
        ("everywhere", "whatever", ""),
        ("cmz", " Old Trafford ", "Old Trafford"),
    ],
)
def test_zones_are_kept_as_the_grid_writes_them(zone_kind: str, given: str, kept: str) -> None:
    assert make_campaign(zone_kind=zone_kind, zone=given).zone == kept


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "  "}, {"name"}),
        ({"name": "x" * 121}, {"name"}),
        ({"reason": "x" * 201}, {"reason"}),
        ({"direction": "sideways"}, {"direction"}),
        ({"size_w": 0}, {"size_w"}),
        ({"size_w": 3_000_000_000}, {"size_w"}),
        ({"zone_kind": "county"}, {"zone_kind"}),
        ({"zone_kind": "gsp_group", "zone": "I"}, {"zone"}),
        ({"zone_kind": "gsp_group", "zone": ""}, {"zone"}),
        ({"zone_kind": "postcode_area", "zone": "M15"}, {"zone"}),
        ({"zone_kind": "cmz", "zone": " "}, {"zone"}),
        ({"zone_kind": "substation", "zone": "x" * 61}, {"zone"}),
        ({"starts_at": NOON - timedelta(hours=1)}, {"starts_at", "ends_at"}),
        ({"at": STARTS_AT}, {"starts_at"}),
        ({"ends_at": STARTS_AT}, {"ends_at"}),
        ({"ends_at": STARTS_AT + timedelta(hours=4, minutes=30)}, {"ends_at"}),
        ({"starts_at": STARTS_AT + timedelta(minutes=1)}, {"starts_at"}),
        ({"starts_at": datetime(2026, 1, 14, 16)}, {"starts_at"}),
        ({"name": "", "size_w": -1, "zone_kind": ""}, {"name", "size_w", "zone_kind"}),
    ],
)
def test_every_wrong_field_is_named_at_once(fields: dict[str, object], wrong: set[str]) -> None:
    with pytest.raises(CampaignInvalid) as refusal:
        make_campaign(**fields)

    assert set(refusal.value.data["errors"]) == wrong  # type: ignore[call-overload]
    assert refusal.value.status == 422
    assert not Campaign.objects.exists()


def test_four_hours_are_allowed_and_a_summer_half_hour_is_one() -> None:
    make_campaign(ends_at=STARTS_AT + timedelta(hours=4))
    make_campaign(
        starts_at=STARTS_AT + timedelta(days=200), ends_at=STARTS_AT + timedelta(days=200, minutes=30)
    )

    assert Campaign.objects.count() == 2


def test_asking_twice_by_one_id_makes_one_campaign() -> None:
    campaign_id = new_uuid()

    first = make_campaign(campaign_id=campaign_id)
    again = make_campaign(campaign_id=campaign_id, at=NOON + timedelta(seconds=1))

    assert first == again
    assert again.created_at == NOON
    assert Campaign.objects.count() == 1
    assert AuditEntry.objects.filter(verb="campaign.created").count() == 1


def test_an_id_that_is_taken_by_another_campaign_is_refused() -> None:
    taken = make_campaign()

    with pytest.raises(AlreadyCreated):
        make_campaign(campaign_id=taken.pk, size_w=6_000)
