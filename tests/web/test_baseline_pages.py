"""The pages about baselines: who gets in, what they say, a study from the form to the CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from members.models import Role
from opendsr.kernel.periods import civil_date
from settlement import studying
from settlement.baselines.presets import PRESETS
from settlement.study_models import PlaceboStudy
from tests.factories import make_staff
from tests.web.pages import seen
from tests.web.scene import NOW

LATEST = civil_date(NOW) - timedelta(days=2)


@pytest.fixture
def ada(scene):
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


@pytest.fixture
def olga(scene):
    return make_staff("olga@example.org", Role.AUDITOR)


def asked(**changes):
    wanted = {
        "rules": ["powershaper_three_weeks", "zero"], "earliest": LATEST - timedelta(days=2),
        "latest": LATEST, "ordinal": 34, "half_hours": 4, "at": NOW, "by": "user:1",
    }  # fmt: skip
    return studying.ask_study(**(wanted | changes))


def addresses(scene):
    study = asked()
    occupancy = scene.alice.occupancy.pk
    return {
        "baseline_rules": reverse("baseline_rules"),
        "placebo_studies": reverse("placebo_studies"),
        "placebo_study": reverse("placebo_study", args=[study.pk]),
        "placebo_study_live": reverse("placebo_study_live", args=[study.pk]),
        "placebo_study_csv": reverse("placebo_study_csv", args=[study.pk]),
        "baseline_explained": reverse("baseline_explained", args=[scene.past.pk, occupancy]),
    }


@pytest.mark.parametrize(
    "name",
    [
        "baseline_rules", "placebo_studies", "placebo_study", "placebo_study_live", "placebo_study_csv",
        "baseline_explained",
    ],
)  # fmt: skip
def test_each_door_opens_to_money_people_alone(name, scene, visit, ada, olga, nobody):
    url = addresses(scene)[name]

    for user in (scene.fay, ada, olga):
        assert visit(user).get(url).status_code == 200
    for user in (scene.alice.user, scene.carol.user, scene.sam, nobody):
        response = visit(user).get(url)
        assert response.status_code in (403, 404)
        assert scene.alice.home.name not in response.content.decode()
    assert visit(None).get(url).status_code == 302
    assert visit(scene.fay).put(url).status_code == 405


def test_what_does_not_exist_is_not_found(scene, visit):
    client = visit(scene.fay)
    for name in ("placebo_study", "placebo_study_live", "placebo_study_csv"):
        assert client.get(reverse(name, args=[uuid4()])).status_code == 404
    for campaign, occupancy in (
        (uuid4(), scene.alice.occupancy.pk),
        (scene.past.pk, uuid4()),
        (scene.next.pk, scene.alice.occupancy.pk),
    ):
        assert client.get(reverse("baseline_explained", args=[campaign, occupancy])).status_code == 404


def test_every_rule_is_on_the_page_with_its_source(scene, visit):
    page = visit(scene.fay).get(reverse("baseline_rules")).content.decode()

    for rule in PRESETS.values():
        assert f'id="{rule.name}"' in page
    assert "compare with the operator" in page
    assert "Not confirmed" in page
    assert "Same-day adjustment as a ratio" in page


def test_a_baseline_is_explained(scene, visit):
    url = reverse("baseline_explained", args=[scene.past.pk, scene.alice.occupancy.pk])
    devices = seen(visit(scene.fay).get(url)).text("//section[@aria-labelledby='assets']")
    assert "estimated" in devices
    assert "10 %, assumed" in devices
    page = visit(scene.fay).get(url).content.decode()

    assert scene.alice.home.name in page
    assert "Days used, in kWh" in page
    assert "Mean of the days" in page
    report = visit(scene.fay).get(reverse("event_report", args=[scene.past.pk])).content.decode()
    assert url in report
    assert url not in visit(scene.sam).get(reverse("event_report", args=[scene.past.pk])).content.decode()


def test_a_study_from_the_form_to_the_csv(scene, visit):
    client = visit(scene.fay)
    form = {
        "key": str(uuid4()), "programme": "", "earliest": str(LATEST - timedelta(days=2)),
        "latest": str(LATEST), "starts": "17:00", "half_hours": "4",
        "rules": ["powershaper_three_weeks", "zero"],
    }  # fmt: skip

    first, second = (client.post(reverse("placebo_studies"), form) for _ in range(2))

    assert first.status_code == 302
    assert first.url == second.url
    study = PlaceboStudy.objects.get()
    assert study.steps == 0
    live = client.get(reverse("placebo_study_live", args=[study.pk]))
    assert "<progress" in live.content.decode()

    assert studying.run_due(at=NOW) == 1

    assert client.get(reverse("placebo_study_live", args=[study.pk]))["HX-Refresh"] == "true"
    page = client.get(first.url).content.decode()
    assert "did best" in page
    assert scene.alice.home.name in page
    assert client.get(f"{first.url}?rule=zero").status_code == 200
    assert client.get(f"{first.url}?rule=nonsense&page=zz").status_code == 200
    text = client.get(reverse("placebo_study_csv", args=[study.pk])).content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["rule"] for row in rows} == {"powershaper_three_weeks", "zero"}
    assert scene.alice.home.name not in text
    overview = client.get(reverse("placebo_studies")).content.decode()
    assert "Suggested" in overview


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": []},
        {"rules": ["dfs_2032"]},
        {"rules": ["nominated"]},
        {"latest": "2020-01-01"},
        {"latest": "soon"},
        {"half_hours": "99"},
        {"starts": "17:15"},
        {"programme": "no such"},
        {"programme": "a\0b"},
        {"starts": "23:30", "half_hours": "4"},
    ],
)
def test_a_wrong_form_is_said_at_the_field_and_asks_nothing(wrong, scene, visit):
    form = {
        "key": str(uuid4()), "earliest": str(LATEST), "latest": str(LATEST), "starts": "17:00",
        "half_hours": "4", "rules": ["zero"],
    }  # fmt: skip

    response = visit(scene.fay).post(reverse("placebo_studies"), form | wrong)

    assert response.status_code == 422
    assert "There is a problem" in response.content.decode()
    assert not PlaceboStudy.objects.exists()


def test_an_auditor_looks_and_does_not_start(scene, visit, olga):
    client = visit(olga)

    assert "Start a study" not in client.get(reverse("placebo_studies")).content.decode()
    assert client.post(reverse("placebo_studies"), {}).status_code == 403


def test_a_study_of_nothing_says_what_to_do(scene, visit):
    study = asked(earliest=LATEST - timedelta(days=400), latest=LATEST - timedelta(days=390))
    studying.run_due(at=NOW)

    page = visit(scene.fay).get(reverse("placebo_study", args=[study.pk])).content.decode()
    assert "no home has readings over enough days" in page


def test_the_navigation_leads_there(scene, visit):
    url = reverse("baseline_rules")

    assert f'href="{url}"' in visit(scene.fay).get(reverse("campaign_list")).content.decode()
    assert f'href="{url}"' not in visit(scene.sam).get(reverse("campaign_list")).content.decode()
