"""The statement: the whole sum on a page and in a file, the same numbers in both."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from metering import ingest
from settlement import settling
from settlement.models import Statement
from tests.web.conftest import Visit
from tests.web.pages import Seen, seen
from tests.web.scene import ENDS_AT, NOW, Scene, freeze


@pytest.fixture
def page(scene: Scene, visit: Visit) -> Seen:
    """Alice's statement as Bob sees it."""
    return seen(visit(scene.bob.user).get(reverse("statement", args=[scene.statement_of(scene.alice).pk])))


def test_it_says_for_what_for_whom_and_how_much(scene: Scene, page: Seen) -> None:
    statement = scene.statement_of(scene.alice)
    exact = f"£{statement.earned_mp // 100_000}.{statement.earned_mp % 100_000:05d}"

    assert page.heading == "Statement"
    assert "Wednesday tea-time, Wednesday 14 January 2026, 17:00 to 19:00" in page.text()
    assert f"For member {scene.alice.member.number}, issued 15 January 2026" in page.text()
    assert exact in page.text("//dl")
    assert "Your home took part." in page.text()


def test_the_half_hours_sum_to_what_was_delivered(scene: Scene, page: Seen) -> None:
    rows = page.cells("meter")

    assert [row[0] for row in rows] == ["17:00–17:30", "17:30–18:00", "18:00–18:30", "18:30–19:00"]
    for _label, baseline, metered, delivered in rows:
        assert float(delivered) == pytest.approx(float(baseline) - float(metered))
    total = sum(float(row[3]) for row in rows)
    assert total == pytest.approx(scene.line_of(scene.alice).delivered_wh / 1000)


def test_the_baseline_is_the_mean_of_the_days_shown(page: Seen) -> None:
    days = page.cells("baseline")
    foot = page.tree.xpath("//*[@aria-labelledby='baseline']//tfoot//td/text()")

    assert len(days) == 10
    for column, mean in enumerate(foot, start=1):
        values = [float(row[column]) for row in days]
        assert float(mean) == pytest.approx(sum(values) / len(values), abs=0.000_6)
    assert "Thu 1 Jan 2026: bank holiday" in page.text()


def test_the_steps_lead_from_energy_to_money(scene: Scene, page: Seen) -> None:
    amount = {row[0]: row[2] for row in page.cells("sum")}
    run = scene.run

    assert amount["Revenue"] == f"£{run.revenue_mp / 100_000:.5f}"
    assert amount["The co-op's share"] == f"£{run.coop_mp / 100_000:.5f}"
    assert amount["The members' pool"] == f"£{run.members_mp / 100_000:.5f}"
    assert amount["Your exact share"].startswith(amount["You earned"][:6])
    assert "Posted before" not in amount


def test_who_opted_out_reads_why_nothing_is_paid(scene: Scene, visit: Visit) -> None:
    url = reverse("statement", args=[scene.statement_of(scene.carol).pk])

    page = seen(visit(scene.carol.user).get(url))

    assert "Your home opted out, so it is measured but not paid." in page.text()
    assert {row[0]: row[2] for row in page.cells("sum")}["You earned"] == "£0.00000"


def test_a_correction_says_what_was_posted_before_and_now(scene: Scene, visit: Visit) -> None:
    ingest.store_readings(
        source="generated",
        name="corrected",
        at=NOW + timedelta(minutes=30),
        stream_ids=[scene.alice.stream_id],
        starts_at=[ENDS_AT - timedelta(minutes=30)],
        import_wh=[5],
    )
    freeze(NOW + timedelta(hours=1))
    run = settling.settle_campaign(campaign_id=scene.past.pk, at=NOW + timedelta(hours=1)).run
    statement = Statement.objects.get(round=run.round, member=scene.alice.member)

    page = seen(visit(scene.alice.user).get(reverse("statement", args=[statement.pk])))

    amount = {row[0]: row[2] for row in page.cells("sum")}
    assert "This statement corrects an earlier one" in page.text()
    assert amount["Posted now"] == f"£{statement.posted_mp / 100_000:.5f}"
    assert amount["Posted before"] == f"£{statement.previous_mp / 100_000:.5f}"


def test_the_file_has_the_same_numbers_and_a_telling_name(scene: Scene, visit: Visit, page: Seen) -> None:
    statement = scene.statement_of(scene.alice)

    response = visit(scene.alice.user).get(reverse("statement_csv", args=[statement.pk]))

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    number = scene.alice.member.number
    name = f"statement-{number}-2026-01-15-fast-dr-1.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    values = {(row["section"], row["item"]): row["value"] for row in rows}
    assert int(values["total", "earned"]) == statement.earned_mp
    delivered = [
        int(row["value"]) for row in rows if (row["section"], row["item"]) == ("half-hour", "delivered")
    ]
    assert [f"{wh / 1000:.3f}" for wh in delivered] == [row[3] for row in page.cells("meter")]


def test_it_costs_few_queries(
    scene: Scene, visit: Visit, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client, url = visit(scene.alice.user), reverse("statement", args=[scene.statement_of(scene.alice).pk])
    client.get(url)

    with django_assert_max_num_queries(12):
        client.get(url)
