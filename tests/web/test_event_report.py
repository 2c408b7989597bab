"""The event report: both halves, the money to the millipenny, and settling it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from campaigns import completing
from campaigns.models import Participation
from metering import ingest
from opendsr.kernel.models import AuditEntry
from opendsr.kernel.periods import LONDON
from settlement import settling
from settlement.models import SettlementRun
from settlement.sharing import ZeroWeights
from tests.web.conftest import Visit
from tests.web.pages import Seen, seen
from tests.web.scene import ENDS_AT, NEXT_STARTS_AT, NOW, Scene, freeze


@pytest.fixture
def fays(scene: Scene, visit: Visit) -> Client:
    """Fay's browser."""
    return visit(scene.fay)


def report(client: Client, scene: Scene, which: str = "past") -> Seen:
    """The report's page."""
    return seen(client.get(reverse("event_report", args=[getattr(scene, which).pk])))


def settle(client: Client, scene: Scene, which: str = "past", **data: str) -> Seen:
    """Press a settle button and look at the report that follows."""
    url = reverse("campaign_action", args=[getattr(scene, which).pk, "settle"])
    return seen(client.post(url, data, follow=True))


def test_the_head_counts_homes_answers_energy_and_money(scene: Scene, fays: Client) -> None:
    head = report(fays, scene).text("//dl")

    assert "Homes asked 2 3 assets" in head
    assert "Assets responding 67% 2 of 3" in head
    assert f"Measured {scene.run.delivered_wh / 1000:.3f} kWh against baseline" in head
    assert f"Revenue £{scene.run.revenue_mp // 1000 / 100:.2f}" in head


def test_the_half_hours_sum_to_the_run(scene: Scene, fays: Client) -> None:
    page = report(fays, scene)

    rows = page.cells("measured")
    assert [row[4] for row in rows] == ["1 of 1"] * 4
    assert sum(round(float(row[3]) * 1000) for row in rows) == scene.run.delivered_wh


def test_the_money_sums_to_the_millipenny(scene: Scene, fays: Client) -> None:
    page = report(fays, scene)

    earned = [_millipence(row[5]) for row in page.cells("money")]
    members, coop, revenue = map(
        _millipence, page.tree.xpath("//*[@aria-labelledby='money']//tfoot//td/text()")
    )
    assert sum(earned) == members
    assert members + coop == revenue == scene.run.revenue_mp
    assert "The co-op, 35 %" in page.text()
    assert "at 225.5 p per kWh" in page.text()


def test_it_says_by_what_run_terms_and_rule(scene: Scene, fays: Client) -> None:
    money = report(fays, scene).text("//*[@aria-labelledby='money']")

    assert "Run 1 of 15 January 2026, 13:00. Terms: Flexibility share v1. Baseline: DFS 2023/24" in money
    assert scene.run.input_sha256[:16] in money


def test_each_asset_s_start_and_end_as_drawn(scene: Scene, fays: Client) -> None:
    parts = scene.past.participations.select_related("asset", "occupancy__home")
    first, second, third = parts.order_by("pk")
    assert "as drawn" not in report(fays, scene).text("//main")
    scene.past.participations.filter(pk=first.pk).update(
        start_delay_seconds=243, end_delay_seconds=0, dropped_at=None
    )
    scene.past.participations.filter(pk=second.pk).update(
        start_delay_seconds=5, end_delay_seconds=12, dropped_at=ENDS_AT - timedelta(minutes=5)
    )
    scene.past.participations.filter(pk=third.pk).update(
        start_delay_seconds=300, end_delay_seconds=0, dropped_at=third.starts_at + timedelta(seconds=60)
    )

    page = report(fays, scene)

    def at(part: Participation, seconds: int) -> str:
        return f"{(part.starts_at + timedelta(seconds=seconds)).astimezone(LONDON):%H:%M:%S}"

    assert page.cells("draws") == [
        [
            second.occupancy.home.name,
            second.asset.name,
            f"{at(second, 5)}, 5 s later",
            "12 s after it was called off",
        ],
        [
            first.occupancy.home.name,
            first.asset.name,
            f"{at(first, 243)}, 4 min 3 s later",
            f"{first.ends_at.astimezone(LONDON):%H:%M:%S}, 0 s later",
        ],
        [third.occupancy.home.name, third.asset.name, "called off before", "–"],
    ]
    assert "Told by the hubs of 3 of 3 assets" in page.text("//main")


def test_before_the_event_the_measured_half_says_when_it_comes(scene: Scene, fays: Client) -> None:
    for which in ("next", "planned"):
        page = report(fays, scene, which)
        assert "appears here after the event" in page.text()
        assert not page.tree.xpath("//main//button")


def test_after_the_event_it_names_what_is_missing(scene: Scene, fays: Client) -> None:
    _end_next(scene)

    page = report(fays, scene, "next")

    assert "Waiting for 8 half-hourly readings of the event, from:" in page.text()
    assert scene.alice.home.name in page.text()
    assert "Settle without them" in page.text()
    assert "It still lacks 8 half-hourly readings of 2 homes." in settle(fays, scene, "next").text()
    assert not SettlementRun.objects.filter(campaign=scene.next).exists()


def test_settling_without_them_says_so(scene: Scene, fays: Client) -> None:
    _end_next(scene)

    page = settle(fays, scene, "next", without_missing="yes")

    assert "Settled by run 1. No money moves." in page.text()
    assert "Settled without 8 half-hourly readings that had not come; they earned nothing." in page.text()
    assert "No home that took part has both a reading and a baseline." in page.text()


def test_settling_again_posts_nothing_new(scene: Scene, fays: Client) -> None:
    page = settle(fays, scene)

    assert "Nothing has changed since run 1, so nothing was posted." in page.text()
    assert SettlementRun.objects.filter(campaign=scene.past).count() == 1


def test_a_corrected_reading_makes_a_second_run(scene: Scene, fays: Client) -> None:
    ingest.store_readings(
        source="generated",
        name="corrected",
        at=NOW + timedelta(minutes=30),
        stream_ids=[scene.alice.stream_id],
        starts_at=[ENDS_AT - timedelta(minutes=30)],
        import_wh=[5],
    )
    freeze(NOW + timedelta(hours=1))

    page = settle(fays, scene)

    assert "Settled by run 2. The statements are out." in page.text()
    assert "It corrects run 1; only the difference was posted." in page.text()
    entry = AuditEntry.objects.get(verb="settlement.settled", detail__run=2)
    assert entry.actor == f"user:{scene.fay.pk}"


def test_an_event_that_is_not_over_cannot_be_settled(scene: Scene, fays: Client) -> None:
    assert "Only a campaign that is over can be settled." in settle(fays, scene, "next").text()


def test_a_dispatcher_reads_it_and_has_no_button(scene: Scene, visit: Visit) -> None:
    assert not report(visit(scene.sam), scene).tree.xpath("//main//form")


def test_homes_come_a_page_at_a_time_and_cost_the_same(
    scene: Scene,
    fays: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    report(fays, scene)
    with django_assert_max_num_queries(19):
        report(fays, scene)
    monkeypatch.setattr("opendsr.web.console.HOMES_SHOWN", 1)
    with django_assert_max_num_queries(19):
        page = report(fays, scene)

    assert len(page.cells("money")) == 1
    assert page.tree.xpath("//a[@rel='next']/@href") == ["?page=2#money"]


def _end_next(scene: Scene) -> None:
    after = NEXT_STARTS_AT + timedelta(hours=2)
    for part in scene.next.participations.all():
        part.state, part.responded_at = "opted_in", NOW
        part.save()
    completing.complete_campaign(campaign_id=scene.next.pk, at=after)
    scene.next.refresh_from_db()
    freeze(after + timedelta(hours=1))


def _millipence(text: str) -> int:
    whole, rest = text.strip().lstrip("£").split(".")
    return int(whole) * 100_000 + int(rest)


def test_money_that_no_home_earned_stops_and_can_be_held_for_the_fund(
    scene: Scene, fays: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    really = settling.settle_campaign

    def settled(*, holds_unearned: bool, **options: object) -> settling.Settled:
        asked.append(holds_unearned)
        if not holds_unearned:
            raise ZeroWeights(revenue_mp=9, coop_share_pct=Decimal(35), paid_wh=0, by="wh")
        return really(holds_unearned=True, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(settling, "settle_campaign", settled)

    page = settle(fays, scene)

    assert "hold the money for the community fund" in page.text("//*[@role='status']")
    assert "The buyer owes for this event" in page.text("//*[@aria-labelledby='unearned']")
    settle(fays, scene, unearned="yes")
    assert asked == [False, True]
