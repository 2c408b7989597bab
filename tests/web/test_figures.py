"""The co-op's figures by month: who sees them, what they say, and what they say is not known."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse

from settlement.kpi_models import MonthFigures
from settlement.kpis import monthly
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene

FIGURES = "/figures/"


def test_before_the_first_night_the_page_says_what_will_come(scene: Scene, visit: Visit) -> None:
    assert "No month yet" in seen(visit(scene.fay).get(FIGURES)).text()


def test_the_months_with_the_money_of_the_settlement(scene: Scene, visit: Visit) -> None:
    monthly.tell_due(at=NOW + timedelta(days=4))

    page = seen(visit(scene.sam).get(FIGURES))

    assert "What is not known of January 2026" in page.text()
    assert "No carbon intensity of the month is known" in page.text()
    assert "Who prepays for electricity is not asked" in page.text()
    assert page.tree.xpath("//section[@aria-labelledby='money']//tbody/tr[1]/td[1]/text()") == ["1 of 1"]
    assert "not shown: fewer than 15 homes" in page.text()
    assert len(page.tree.xpath("//div[@class='chart']")) == 3


def test_the_file_has_every_figure_and_no_formula(scene: Scene, visit: Visit) -> None:
    monthly.tell_due(at=NOW + timedelta(days=4))
    kept = MonthFigures.objects.get(starts_on="2026-01-01")
    kept.figures["social"]["tenure"]["=HYPERLINK(1)"] = None
    kept.save()

    answer = visit(scene.fay).get(reverse("kpis_csv"))

    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["month", "part", "group", "figure", "value"]
    assert ["2026-01", "economic", "", "revenue_mp", str(scene.run.revenue_mp)] in rows
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "+"))]


@pytest.mark.parametrize("address", ["kpis", "kpis_csv"])
def test_members_and_nobody_are_turned_away(scene: Scene, visit: Visit, address: str) -> None:
    assert visit(scene.alice.user).get(reverse(address)).status_code == 403
    assert visit(None).get(reverse(address)).status_code == 302
