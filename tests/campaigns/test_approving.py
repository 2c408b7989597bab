"""Approving: the plan becomes participations, once, and no asset is promised twice."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from campaigns import approving
from campaigns.approving import NobodyToAsk, approve_campaign
from campaigns.life import CampaignEnded, CampaignNotFound, WrongState
from campaigns.models import Campaign, Participation, PlanLine
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.campaigns.staging import ENDS_AT, NOON, STARTS_AT, make_campaign, make_planned, make_ready_home
from tests.cast import sam

pytestmark = pytest.mark.django_db


def facts(topic: str) -> list[OutboxFact]:
    return list(OutboxFact.objects.filter(topic=topic))


def test_each_chosen_asset_gets_one_participation() -> None:
    dispatcher = sam()
    resident, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_planned({kit.assets[0]: 2_000, kit.assets[1]: 700})

    made = approve_campaign(campaign_id=campaign.pk, at=NOON, by=dispatcher)

    campaign.refresh_from_db()
    assert (campaign.state, campaign.approved_by, campaign.approved_at) == ("approved", dispatcher, NOON)
    assert {part.asset_id: part.expected_w for part in made} == {
        kit.assets[0].pk: 2_000,
        kit.assets[1].pk: 700,
    }
    assert {(part.ven_id, part.occupancy_id, part.state) for part in made} == {
        (kit.ven_id, resident.occupancy.pk, "planned")
    }
    assert all((part.starts_at, part.ends_at) == (STARTS_AT, ENDS_AT) for part in made)
    assert [fact.payload for fact in facts(approving.APPROVED)] == [{"campaign_id": str(campaign.pk)}]
    assert [fact.due_at for fact in facts(approving.ENDED)] == [ENDS_AT]


def test_approving_twice_does_nothing_twice() -> None:
    _, kit = make_ready_home()
    campaign = make_planned(kit.assets)

    first = approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)
    again = approve_campaign(campaign_id=campaign.pk, at=NOON + timedelta(seconds=1), by=sam())

    assert [part.pk for part in first] == [part.pk for part in again]
    assert len(facts(approving.APPROVED)) == len(facts(approving.ENDED)) == 1
    campaign.refresh_from_db()
    assert (campaign.approved_at, campaign.approved_by) == (NOON, None)
    assert AuditEntry.objects.filter(verb="campaign.approved").count() == 1


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        ("draft", ["plan", "cancel"]),
        ("completed", []),
        ("cancelled", []),
    ],
)
def test_the_wrong_state_says_which_and_what_can_be_done(state: str, possible: list[str]) -> None:
    campaign = make_campaign()
    Campaign.objects.filter(pk=campaign.pk).update(state=state)

    with pytest.raises(WrongState) as refusal:
        approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)

    assert refusal.value.data == {
        "campaign_id": campaign.pk,
        "verb": "approve",
        "state": state,
        "possible": possible,
    }
    assert not Participation.objects.exists()


def test_an_unknown_campaign_is_not_found() -> None:
    with pytest.raises(CampaignNotFound):
        approve_campaign(campaign_id=uuid4(), at=NOON, by=None)


def test_nothing_is_approved_once_the_time_is_over() -> None:
    _, kit = make_ready_home()
    campaign = make_planned(kit.assets)

    with pytest.raises(CampaignEnded):
        approve_campaign(campaign_id=campaign.pk, at=ENDS_AT, by=None)


def test_a_plan_without_anybody_is_not_approved() -> None:
    campaign = make_planned([])

    with pytest.raises(NobodyToAsk):
        approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)

    campaign.refresh_from_db()
    assert campaign.state == "planned"


def test_an_asset_taken_since_planning_is_left_out_as_busy() -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    earlier = make_planned([charger])
    later = make_planned([charger, heater], starts_at=STARTS_AT + timedelta(hours=1))
    approve_campaign(campaign_id=earlier.pk, at=NOON, by=None)

    made = approve_campaign(campaign_id=later.pk, at=NOON, by=None)

    assert [part.asset_id for part in made] == [heater.pk]
    line = PlanLine.objects.get(campaign=later, asset=charger)
    assert (line.left_out, line.expected_w) == ("busy", 0)


def test_when_everything_is_taken_nothing_changes() -> None:
    _, kit = make_ready_home()
    first, second = make_planned(kit.assets), make_planned(kit.assets)
    approve_campaign(campaign_id=first.pk, at=NOON, by=None)

    with pytest.raises(NobodyToAsk):
        approve_campaign(campaign_id=second.pk, at=NOON, by=None)

    second.refresh_from_db()
    assert second.state == "planned"
    assert second.plan_lines.get().left_out == ""


def test_touching_times_and_a_hubs_other_assets_are_no_overlap() -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    charger, heater = kit.assets
    plans = [
        make_planned([charger]),
        make_planned([charger], starts_at=ENDS_AT, ends_at=ENDS_AT + timedelta(minutes=30)),
        make_planned([charger], starts_at=STARTS_AT - timedelta(minutes=30), ends_at=STARTS_AT),
        make_planned([heater]),
    ]

    made = [approve_campaign(campaign_id=plan.pk, at=NOON, by=None) for plan in plans]

    assert [len(parts) for parts in made] == [1, 1, 1, 1]


def test_the_database_itself_refuses_an_overlap() -> None:
    _, kit = make_ready_home()
    first, second = make_planned(kit.assets), make_planned(kit.assets)
    part = approve_campaign(campaign_id=first.pk, at=NOON, by=None)[0]
    part.pk, part.campaign = uuid4(), second

    with pytest.raises(IntegrityError, match="participation_no_overlap"), transaction.atomic():
        part.save(force_insert=True)

    Participation.objects.update(state="cancelled")
    part.save(force_insert=True)


def in_threads(*calls: object) -> list[object]:
    """Run the calls at once, each on a connection of its own; what each returned or raised."""
    barrier = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            barrier.wait(timeout=60)
            results[index] = calls[index]()  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 kept for the test to look at
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


@pytest.mark.django_db(transaction=True)
def test_two_people_approve_at_once_and_it_happens_once() -> None:
    _, kit = make_ready_home("ev_charger", "immersion_heater")
    campaign = make_planned(kit.assets)

    results = in_threads(*[lambda: approve_campaign(campaign_id=campaign.pk, at=NOON, by=None)] * 4)

    assert [sorted(part.pk for part in parts) for parts in results] == [  # type: ignore[attr-defined]
        sorted(campaign.participations.values_list("pk", flat=True))
    ] * 4
    assert campaign.participations.count() == 2
    assert len(facts(approving.APPROVED)) == 1
    assert AuditEntry.objects.filter(verb="campaign.approved").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_campaigns_approved_at_once_share_no_asset() -> None:
    kits = [make_ready_home()[1] for _ in range(6)]
    assets = [kit.assets[0] for kit in kits]
    first, second = make_planned(assets), make_planned(reversed(assets))

    in_threads(
        lambda: approve_campaign(campaign_id=first.pk, at=NOON, by=None),
        lambda: approve_campaign(campaign_id=second.pk, at=NOON, by=None),
    )

    held = list(Participation.objects.values_list("asset_id", flat=True))
    assert sorted(held) == sorted(asset.pk for asset in assets)
    states = sorted(Campaign.objects.values_list("state", flat=True))
    assert states == ["approved", "planned"]
