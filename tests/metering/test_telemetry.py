"""OpenADR reports: to the household's stream and the hub's assets, each once, or kept with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metering import retrying, ruling, telemetry
from metering.intake_models import AssetState, FeedCursor, Message, Register, ReportLink, RuleCount
from metering.vtn_door import Cursor, Report, ReportPoint, VenId
from tests.factories import HubKit, Resident, make_hub
from tests.metering.meters import wh_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HALF = timedelta(minutes=30)


class Feed:
    """A VTN that has received these reports."""

    def __init__(self, *reports: Report) -> None:
        self.reports = list(reports)

    def reports_since(self, cursor: Cursor, *, limit: int = 1000) -> tuple[list[Report], Cursor]:
        later = [report for report in self.reports if report.sequence > cursor][:limit]
        return later, Cursor(later[-1].sequence if later else cursor)


@pytest.fixture
def kit(alice: Resident) -> HubKit:
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    for r_id, role, unit in (
        ("used", "import_energy", "kWh"), ("sold", "export_energy", "Wh"), ("reg", "import_register", "kWh"),
    ):  # fmt: skip
        ReportLink.objects.create(hub=kit.hub, r_id=r_id, role=role, unit=unit)
    ReportLink.objects.create(hub=kit.hub, r_id="on", role="asset_state", asset=kit.assets[0])
    return kit


def point(
    r_id: str, value: float, at: datetime = NOW - HALF, seconds: int = 1800, quality: str = ""
) -> ReportPoint:
    return ReportPoint(r_id, at, seconds, value, quality)


def report(kit: HubKit, sequence: int, *points: ReportPoint, ven: str | None = None) -> Report:
    return Report(VenId(ven or kit.ven_id), "TELEMETRY_USAGE", points, NOW, sequence)


@pytest.fixture
def feed(monkeypatch) -> Any:
    def put(*reports: Report) -> None:
        monkeypatch.setattr(telemetry, "vtn", lambda: Feed(*reports))

    return put


def test_usage_and_status_land_once(alice, kit, feed):
    resource = kit.assets[0].resource_id
    usage = report(kit, 1, point("used", 0.25), point("sold", 100.0), point("used", 0.5, NOW - 2 * HALF))
    status = report(
        kit, 2, point(resource, 2900.0, NOW, 0), point("on", 1.0, NOW, 0), point("reg", 12.5, NOW, 0)
    )
    feed(usage, status)

    first, second = telemetry.read_reports(at=NOW), telemetry.read_reports(at=NOW)

    assert (first.reports, first.points, first.refused, second.reports) == (2, 6, {}, 0)
    assert wh_of(alice.stream_id) == [500, 250]
    state = AssetState.objects.get()
    assert (state.power_w, state.is_on) == (2900, True)
    assert Register.objects.get().latest & (2**50 - 1) == 12_500
    assert FeedCursor.objects.get().cursor == 2


def test_the_same_report_read_again_changes_nothing(alice, kit, feed):
    feed(report(kit, 1, point("used", 0.25)))
    telemetry.read_reports(at=NOW)
    FeedCursor.objects.update(cursor=0)
    telemetry.read_reports(at=NOW)

    assert wh_of(alice.stream_id) == [250]


def test_each_point_that_cannot_be_used_says_why_and_costs_no_other(alice, kit, feed):
    feed(
        report(
            kit, 1, point("what", 1.0), point("used", -1.0), point("used", 1.0, NOW - timedelta(minutes=20)),
            point("used", 1.0, seconds=60), point("used", 1.0, quality="Quality Bad - Comm Failure"),
            point("used", float("nan")), point("reg", 1.0, NOW + HALF),
            point("reg", 1.0, NOW - timedelta(days=9)), point("used", 0.125),
        ),
        report(kit, 2, point("used", 1.0), ven="nobody"),
    )  # fmt: skip

    done = telemetry.read_reports(at=NOW)

    assert wh_of(alice.stream_id) == [125]
    assert done.refused == {
        "no_link": 1, "negative": 1, "off_grid": 2, "bad_quality": 1, "implausible": 1, "clock_ahead": 1,
        "too_late": 1, "unknown_sender": 1,
    }  # fmt: skip
    assert Message.objects.filter(source="openadr").count() == 8
    assert all(Message.objects.values_list("detail", flat=True))


def test_the_status_of_a_known_asset_is_no_letter(alice, kit, feed):
    resource = kit.assets[0].resource_id
    feed(
        report(
            kit,
            1,
            point(f"{resource}/status/online", 1.0, NOW, 0),
            point(f"{resource}/status/manual_override", 0.0, NOW, 0),
            point("another/status/online", 1.0, NOW, 0),
        )
    )
    assert telemetry.read_reports(at=NOW).refused == {"no_link": 1}
    assert not AssetState.objects.exists()


def test_rules_drop_change_and_keep_points_of_reports(alice, kit, feed):
    publish(
        {"id": "no sold", "match": {"source": "openadr", "type": "*/sold"}, "then": "drop"},
        {"id": "kilo", "match": {"source": "openadr", "field": "r_id", "op": "=", "value": "used"},
         "then": "reshape", "field": "value", "scale": 2},
        {"id": "watch", "match": {"source": "openadr", "field": "value", "op": ">", "value": 0.4},
         "then": "alarm"},
        {"id": "cads", "match": {"source": "glow"}, "then": "drop"},
    )  # fmt: skip
    feed(report(kit, 1, point("used", 0.25), point("sold", 100.0)))

    told = telemetry.read_reports(at=NOW)

    assert (told.points, told.refused) == (2, {})
    assert wh_of(alice.stream_id) == [500]
    assert dict(RuleCount.objects.values_list("rule", "hits")) == {"no sold": 1, "kilo": 1, "watch": 1}
    assert Message.objects.get().outcome == "alarm"


def test_a_letter_is_used_once_its_rid_is_linked(alice, kit, feed):
    feed(report(kit, 1, point("meter", 0.25), point("other", 1.0)))
    telemetry.read_reports(at=NOW)
    ids = list(Message.objects.values_list("pk", flat=True))
    ReportLink.objects.create(hub=kit.hub, r_id="meter", role="import_energy", unit="kWh")

    done = retrying.retry(message_ids=ids, at=NOW, actor="test")

    assert (done.used, done.dead, done.bare) == (1, 1, 0)
    assert wh_of(alice.stream_id) == [250]
    left = Message.objects.get()
    assert (left.code, left.times, left.retried_at) == ("no_link", 1, NOW)


def publish(*wanted: dict[str, Any]) -> None:
    ruling.publish(wanted=list(wanted), note="", based_on=0, at=NOW, by=None)
