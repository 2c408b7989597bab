"""The usage pages and the data health board: what they show, to whom, and what a stranger gets."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from members import consenting, looking
from members.models import Granularity, Purpose, Role, User
from metering import health, packing
from metering.ingest import store_readings
from metering.intake_models import Sender
from metering.live import store_power
from metering.models import Completeness, HalfHourlyRate
from opendsr.kernel import clock
from opendsr.kernel.periods import day_interval, period_starts
from opendsr.web import beside
from tests.factories import make_staff
from tests.web.pages import seen

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 4, 8, 12, tzinfo=UTC)
SHORT = date(2026, 3, 29)


@pytest.fixture(autouse=True)
def _now(coop) -> None:
    clock.configure(NOW, speed=0)


def client(user: User | None) -> Client:
    found = Client()
    if user is not None:
        found.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return found


def put(stream_id, days, wh=500, *, leave_out=0) -> None:
    starts = [start for day in days for start in period_starts(day)]
    starts = starts[: len(starts) - leave_out]
    store_readings(
        source="supplier",
        name=f"{days}",
        at=NOW,
        stream_ids=[stream_id],
        starts_at=starts,
        import_wh=[[wh] * len(starts)],
        export_wh=[[7] * len(starts)],
    )


def test_a_week_shows_its_days_its_gaps_and_the_week_before(alice):
    monday = date(2026, 3, 23)
    put(alice.stream_id, [monday - timedelta(days=7 - n) for n in range(7)], 1_000)
    put(alice.stream_id, [monday + timedelta(days=n) for n in range(7)], leave_out=3)
    packing.pack_closed(at=NOW)

    page = (
        client(alice.user).get(reverse("usage"), {"view": "week", "day": SHORT.isoformat()}).content.decode()
    )

    assert "3 half-hours have no reading" in page
    assert '<td class="number">24.000</td>' in page
    assert '<td class="number">21.500</td>' in page  # 43 of the short day's 46
    assert "50 % less than the week before" in page
    assert "No half-hourly price is known" in page


def test_price_and_carbon_stand_beside_the_use_of_a_day_a_week_and_a_year(alice):
    put(alice.stream_id, [SHORT], 1_000, leave_out=1)
    starts = period_starts(SHORT)[1:]
    for kind, value in (("import_price", "20"), ("carbon", "150")):
        HalfHourlyRate.objects.bulk_create(
            HalfHourlyRate(kind=kind, starts_at=start, value=value, source="test", known_at=NOW)
            for start in starts
        )
    browser = client(alice.user)

    pages = [
        browser.get(address, {**query, "day": SHORT.isoformat()}).content.decode()
        for address, query in (
            (reverse("home"), {}),
            (reverse("usage"), {"view": "week"}),
            (reverse("usage"), {"view": "halves"}),
            (reverse("usage"), {"view": "year"}),
        )
    ]

    for page in pages:  # 44 half-hours of 1 kWh at 20p and 150 g have both a reading and a price
        assert "that comes to £8.80; making it emitted 6.6 kg of CO₂" in page
        assert "1 half-hour without a price is left out" in page
    assert '<td class="number">£8.80</td>' in pages[1]
    assert '<td class="number">20.00</td>' in pages[0]
    assert pages[2].count('<td class="number">20.00</td>') == 45
    assert "p/kWh" in pages[2]


@given(
    st.lists(
        st.tuples(st.integers(0, 50_000), st.booleans(), st.integers(-(10**7), 10**7), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_a_cost_is_the_exact_sum_of_what_is_known(rows):
    used, is_read, rate, is_known = (np.array(column) for column in zip(*rows, strict=True))

    found = beside.weighed(used, is_read, np.arange(len(rows)), rate, is_known, unit=10_000)

    exact = [Fraction(wh * each, 10_000) for wh, read, each, known in rows if read and known]
    total = found.total()
    assert (total is None) == (not exact)
    assert total is None or -Fraction(1, 2) < total - sum(exact) <= Fraction(1, 2)


def test_a_year_shows_months_and_a_day_without_readings_is_no_nought(alice):
    put(alice.stream_id, [date(2026, 1, 5), SHORT])

    page = client(alice.user).get(reverse("usage"), {"view": "year"}).content.decode()

    assert page.count("–</td>") > 8
    assert "half-hours have no reading" in page


def test_nothing_yet_and_nonsense_are_said_kindly(alice):
    answer = client(alice.user).get(reverse("usage"), {"view": "decade", "day": "never"})

    assert answer.status_code == 200
    assert "No readings yet" in answer.content.decode()


def test_everything_can_be_taken_away_as_csv_and_json(alice, carol):
    put(alice.stream_id, [SHORT])
    put(carol.stream_id, [SHORT], 9)
    start = period_starts(SHORT)[0]
    store_readings(
        source="supplier", name="put right", at=NOW + timedelta(hours=1), stream_ids=[alice.stream_id],
        starts_at=[start], import_wh=[[501]],
    )  # fmt: skip
    consenting.give_consent(
        member=alice.member, occupancy=alice.occupancy, purpose=Purpose.ADVICE, granularity=Granularity.LIVE,
        channel="web", at=NOW - timedelta(hours=1),
    )  # fmt: skip
    at = NOW - timedelta(minutes=5)
    store_power(
        source="cad_power", at=NOW, stream_ids=[alice.stream_id], measured_at=[at], power_w=np.array([-420])
    )

    text = b"".join(client(alice.user).get(reverse("usage_csv")).streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    listed = json.loads(b"".join(client(alice.user).get(reverse("usage_json")).streaming_content))

    assert len(rows) == len(listed) == 46 + 1 + 1
    assert {row["meter"] for row in rows} == {str(alice.stream_id)}
    names = ("starts_at", "import_wh", "quality", "revision", "in_use")
    assert [tuple(row[name] for name in names) for row in rows[:2]] == [
        ("2026-03-29T00:00:00+00:00", "500", "measured", "0", "False"),
        ("2026-03-29T00:00:00+00:00", "501", "measured", "1", "True"),
    ]
    assert listed[-2]["ends_at"] == "2026-03-29T23:00:00+00:00"
    live = listed[-1]
    assert (live["period"], live["starts_at"], live["power_w"]) == ("instant", at.isoformat(), -420)
    assert not [row for row in listed if row["period"] == "half_hour" and row["power_w"] is not None]
    empty = client(carol.user).get(reverse("usage_json"))
    assert json.loads(b"".join(empty.streaming_content))


def test_usage_is_the_members_own(alice, sam):
    assert client(None).get(reverse("usage")).status_code == 302
    assert client(sam).get(reverse("usage_csv")).status_code == 404
    assert client(sam).get(reverse("usage")).status_code == 302


def test_the_board_tells_completeness_silence_drift_and_reasons(alice, carol):
    put(alice.stream_id, [date(2026, 4, 4)])
    Sender.objects.create(kind="glow", name="AABBCC", received_at=NOW - timedelta(hours=2), drift_seconds=95)
    store_readings(
        source="supplier", name="bad", at=NOW, stream_ids=[alice.stream_id],
        starts_at=[day_interval(SHORT).starts_at], import_wh=[-1],
    )  # fmt: skip
    assert health.measure(at=NOW) > 0
    assert health.measure(at=NOW) == 0
    ada = make_staff("ada@example.org", Role.ADMINISTRATOR)

    page = client(ada).get(reverse("data_health")).content.decode()

    row = Completeness.objects.get(day=date(2026, 4, 4))
    assert (row.expected, row.by_d1, row.by_d3) == (96, 0, 0)  # they came after
    for words in ("AABBCC", "+95 seconds", "negative", "2 of 2 meters"):
        assert words in page


def test_a_day_read_in_time_counts_at_d1(alice):
    day = date(2026, 4, 4)
    store_readings(
        source="supplier", name="z", at=day_interval(day).ends_at + timedelta(hours=6),
        stream_ids=[alice.stream_id], starts_at=period_starts(day), import_wh=[[5] * 48],
    )  # fmt: skip
    health.measure(at=NOW)

    row = Completeness.objects.get(day=day)
    assert (row.expected, row.by_d1, row.by_d3) == (48, 48, 48)


def test_the_board_is_for_staff_and_a_look_into_a_home_is_noted(alice, sam):
    put(alice.stream_id, [date(2026, 4, 7)])
    assert client(alice.user).get(reverse("data_health")).status_code == 403
    assert client(sam).get(reverse("data_health")).status_code == 403
    page = reverse("home_readings", args=[alice.occupancy.pk])
    auditor = make_staff("aud@example.org", Role.AUDITOR)
    assert client(auditor).get(reverse("data_health")).status_code == 200
    assert client(auditor).get(page).status_code == 403

    ada = make_staff("ada@example.org", Role.ADMINISTRATOR)
    asked = seen(client(ada).get(page))
    assert asked.faults() == []
    assert "Say why you look" in asked.text()
    assert "48 / 48" not in asked.text()
    for why in ("", "x", "\0bad reason"):
        assert client(ada).post(page, {"why": why}).status_code == 422
    assert client(auditor).post(page, {"why": "I am curious"}).status_code == 403

    shown = client(ada).post(page, {"why": "your readings stopped"})

    assert seen(shown).faults() == []
    assert "48 / 48" in shown.content.decode()
    assert "0 / 48" in shown.content.decode()
    looks = [look for look in looking.looks_at(alice.member) if look.page == "readings of a home"]
    assert [look.why for look in looks if "readings" in look.kinds] == ["your readings stopped"]


def test_a_member_chooses_how_finely_readings_are_kept(alice, carol):
    given = alice.occupancy.consents.get(purpose="settlement")
    address = reverse("choose_resolution", args=[given.pk])

    answer = client(alice.user).post(address, {"granularity": "daily"}, follow=True)
    assert "kept this finely and no finer" in answer.content.decode()
    now = alice.occupancy.consents.get(purpose="settlement", ends_at__isnull=True)
    assert (now.granularity, now.starts_at) == ("daily", NOW)
    given.refresh_from_db()
    assert given.ends_at == NOW

    again = reverse("choose_resolution", args=[now.pk])
    assert client(alice.user).post(again, {"granularity": "daily"}).status_code == 302
    assert alice.occupancy.consents.filter(purpose="settlement").count() == 2
    assert client(alice.user).post(again, {"granularity": "yearly"}, follow=True).status_code == 200
    assert client(carol.user).post(again, {"granularity": "live"}).status_code == 404
    assert client(None).post(again, {"granularity": "live"}).status_code == 302
