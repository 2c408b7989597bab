"""The co-op's figures by month: who sees them, what they say, and what they say is not known."""

from __future__ import annotations

import csv
import io
import json
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
    assert "was not asked yet" not in page.text()
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


def counted(homes: int, earned_mp: int) -> dict[str, int]:
    """What is kept of a group."""
    return {"homes": homes, "asked": homes - 1, "asks": 2 * homes, "earned_mp": earned_mp}


def test_the_groups_by_how_homes_pay(scene: Scene, visit: Visit) -> None:
    monthly.tell_due(at=NOW + timedelta(days=4))
    kept = MonthFigures.objects.get(starts_on="2026-01-01")
    assert kept.figures["social"]["payment"] == {"": None}
    kept.figures["social"]["payment"] = {
        "": None, "credit": counted(40, 8_000_000), "prepayment": counted(16, 1_600_000)
    }  # fmt: skip
    kept.save()

    page = seen(visit(scene.fay).get(FIGURES))
    rows = {
        row.xpath("string(th)"): [cell.text_content().strip() for cell in row.xpath("td")]
        for row in page.tree.xpath("//section[@aria-labelledby='people']//tbody/tr")
    }
    assert rows["Pay for electricity in advance"] == ["16", "15", "2.0", "£16.00", "£1.00"]
    assert rows["Pay by direct debit or when the bill comes"] == ["40", "39", "2.0", "£80.00", "£2.00"]
    assert rows["Not known how they pay"][0].startswith("not shown: fewer than 15 homes")
    (drawn,) = page.tree.xpath("//script[@id='groups-figure']")
    (bars,) = json.loads(drawn.text)["data"]
    assert (bars["y"], bars["x"]) == (["Pay afterwards", "Prepayment"], [2.0, 1.0])
    file = visit(scene.fay).get(reverse("kpis_csv")).content.decode("utf-8-sig")
    assert "2026-01,social,payment: prepayment,earned_mp,1600000" in file
    assert '2026-01,social,payment: not known,told,"no, fewer than 15 homes"' in file


def test_a_month_of_before_it_was_asked_says_so(scene: Scene, visit: Visit) -> None:
    monthly.tell_due(at=NOW + timedelta(days=4))
    kept = MonthFigures.objects.get(starts_on="2026-01-01")
    del kept.figures["social"]["payment"]
    kept.save()

    page = seen(visit(scene.fay).get(FIGURES)).text()

    assert "How homes pay for electricity was not asked yet when the month was worked out." in page
    assert "Not known how they pay" not in page


@pytest.mark.parametrize("address", ["kpis", "kpis_csv"])
def test_members_and_nobody_are_turned_away(scene: Scene, visit: Visit, address: str) -> None:
    assert visit(scene.alice.user).get(reverse(address)).status_code == 403
    assert visit(None).get(reverse(address)).status_code == 302
