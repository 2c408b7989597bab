"""The forecast's page and file: fan, table, filters in the address, scores, and who may not see it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import plotly.graph_objects as plotly
import pytest
from django.urls import reverse

from assets.models import Asset
from campaigns.forecasting import issuing
from campaigns.models import FlexibilityForecast
from opendsr.web import charts
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene


def test_before_the_first_the_page_says_what_will_come(scene: Scene, visit: Visit) -> None:
    assert "None yet" in seen(visit(scene.sam).get(reverse("forecast"))).text()


def test_the_fan_its_table_and_its_score(scene: Scene, visit: Visit) -> None:
    issuing.issue(at=NOW)
    row = FlexibilityForecast.objects.filter(zone_kind="everywhere", kind="", direction="turn_down").get()
    row.was_w, row.before_w = list(issuing.fan_of(row.there_w)[1]), [9_000] * len(row.most_w)
    row.save()

    page = seen(visit(scene.sam).get(reverse("forecast")))

    assert page.faults() == []
    assert len(page.tree.xpath("//section[@aria-labelledby='fan']//tbody/tr")) == 96
    assert len(page.tree.xpath("//div[@class='chart']")) == 2
    assert "100 %" in page.text()


def test_the_address_narrows_it_and_a_wrong_one_is_told(scene: Scene, visit: Visit) -> None:
    issuing.issue(at=NOW)
    sam = visit(scene.sam)
    zone = FlexibilityForecast.objects.exclude(zone="").values_list("zone_kind", "zone").first()
    assert zone is not None
    where = {"zone": ":".join(zone), "direction": "turn_up"}

    page = seen(sam.get(reverse("forecast"), where))
    wrong = sam.get(reverse("forecast"), {"zone": "cmz:Nowhere", "kind": "toaster"})
    wrong_file = sam.get(reverse("forecast_csv"), {"direction": "sideways"})

    assert page.tree.xpath("//select[@name='zone']/option[@selected]/@value") == [where["zone"]]
    assert page.tree.xpath("//select[@name='direction']/option[@selected]/@value") == ["turn_up"]
    assert wrong.status_code == wrong_file.status_code == 422
    assert "cmz:Nowhere" in seen(wrong).text()
    assert "direction" in wrong_file.content.decode()


def test_the_file_has_the_fan_by_half_hour_and_gaps_where_nothing_is_known(
    scene: Scene, visit: Visit
) -> None:
    issuing.issue(at=NOW)

    answer = visit(scene.sam).get(reverse("forecast_csv"), {"direction": "turn_up"})

    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 108
    assert {row["direction"] for row in rows} == {"turn_up"}
    assert all(int(row["asked_10_w"]) <= int(row["asked_90_w"]) <= int(row["most_w"]) for row in rows)
    assert {row["was_w"] for row in rows} == {""}


def test_one_asset_by_half_hour_and_none_that_is_not_there(scene: Scene, visit: Visit) -> None:
    asset = Asset.objects.filter(hub__home=scene.alice.home).order_by("pk")[0]
    sam = visit(scene.sam)

    page = seen(sam.get(reverse("forecast"), {"asset": str(asset.pk), "direction": "turn_up"}))

    assert page.faults() == []
    assert asset.name in page.text()
    assert len(page.tree.xpath("//tbody/tr")) == 96
    for wrong in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        assert sam.get(reverse("forecast"), {"asset": wrong}).status_code == 404
    assert visit(scene.alice.user).get(reverse("forecast"), {"asset": str(asset.pk)}).status_code == 403


@pytest.mark.parametrize("hours", [46, 48, 50])
def test_a_fan_is_what_plotly_reads(hours: int) -> None:
    starts = [
        NOW.replace(minute=0, second=0, microsecond=0) + n * timedelta(minutes=30) for n in range(hours)
    ]
    figure = charts.fan_figure(
        element_id="x",
        label="x",
        starts=starts,
        fan_kw=[[1.0] * hours, [2.0] * hours, [3.0] * hours],
        lines=[("was", "#d9730d", [None] * hours)],
    )

    plotly.Figure(figure.data)
