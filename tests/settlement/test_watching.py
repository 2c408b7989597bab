"""Homes whose use before a settled event was unlike their own: found in the run, and shown to staff."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from members.models import Role
from opendsr.kernel.periods import period_starts
from settlement.baselines import window_half_hours
from settlement.baselines.presets import DFS_2022
from settlement.models import SettlementRun
from settlement.watching import watch_windows
from tests.factories import make_staff
from tests.settlement.staging import (
    EVENT,
    HISTORY,
    USUAL_WH,
    Stage,
    State,
    make_stage,
    make_terms,
    settle,
    store,
    store_event,
    store_history,
)

pytestmark = pytest.mark.django_db


def make_watched(*pushed_wh: int, rule: str = "dfs_2022") -> tuple[Stage, SettlementRun]:
    """Homes that used so much more than usual in every half-hour of the window, and the run."""
    published = make_terms(baseline_rule=rule)
    stage = make_stage(*[State.OPTED_IN] * len(pushed_wh), published=published)
    window = window_half_hours(DFS_2022, EVENT)
    for resident, wh in zip(stage.residents, pushed_wh, strict=True):
        store(
            resident,
            {start: USUAL_WH + 10 * (day.toordinal() % 5) for day in HISTORY for start in period_starts(day)},
        )
        store(resident, dict.fromkeys(window, USUAL_WH + 20 + wh))
        store_event(resident, *[USUAL_WH - 500] * 4)
    return stage, settle(stage).run


def test_a_pushed_window_is_found_with_its_baseline_with_and_without() -> None:
    stage, run = make_watched(0, 400)

    watch = watch_windows(run)

    assert watch is not None
    assert (watch.homes, watch.known) == (2, 2)
    (flagged,) = watch.flagged
    assert flagged.occupancy_id == stage.residents[1].occupancy.pk
    assert flagged.z > 3
    assert flagged.window_wh == USUAL_WH + 420
    assert flagged.baseline_wh - flagged.unadjusted_wh == pytest.approx(4 * 400, abs=8)


def test_a_rule_without_a_window_has_none_to_push() -> None:
    _, run = make_watched(400, rule="dfs_2023_domestic")

    assert watch_windows(run) is None


def test_staff_see_it_from_the_event_report(client) -> None:
    stage, run = make_watched(0, 400)
    client.force_login(make_staff("fay@example.org", Role.FINANCE))
    page = client.get(reverse("unusual_windows", args=[run.campaign_id]))

    assert page.status_code == 200
    assert "1 of 2 homes that can be judged are past z = 3." in page.content.decode()
    assert stage.residents[1].home.name in page.content.decode()
    report = client.get(reverse("event_report", args=[run.campaign_id]))
    assert reverse("unusual_windows", args=[run.campaign_id]) in report.content.decode()


def test_members_and_unsettled_campaigns_are_refused(client) -> None:
    _, run = make_watched(0)
    url = reverse("unusual_windows", args=[run.campaign_id])
    assert client.get(url).status_code == 302
    client.force_login(make_staff("dan@example.org", Role.INSTALLER))
    assert client.get(url).status_code == 403
    client.force_login(make_staff("fay@example.org", Role.FINANCE))
    other = make_stage(State.OPTED_IN, published=make_terms(), starts_at=EVENT[0] + timedelta(days=1))
    store_history(other.residents[0])
    assert client.get(reverse("unusual_windows", args=[other.campaign.pk])).status_code == 404
