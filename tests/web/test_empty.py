"""An installation on its first day: nothing founded, nothing created, nobody home."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Programme
from members.models import User
from opendsr.kernel.models import Installation
from tests.web.conftest import Visit
from tests.web.pages import seen

pytestmark = pytest.mark.django_db


def test_sign_in_shows_before_a_co_op_is_founded(client: Client) -> None:
    assert not Installation.objects.exists()

    response = client.get(reverse("account_login"))

    assert response.status_code == 200
    assert "OpenDSR" in seen(response).text("//header")
    assert client.get("/nowhere").status_code == 404


def test_without_any_campaign_the_list_leads_to_the_first(sam: User, visit: Visit) -> None:
    page = seen(visit(sam).get("/campaigns/"))

    assert "No campaign yet." in page.text()
    assert page.tree.xpath("//main//a[@href='/campaigns/new/']")


def test_without_a_programme_the_form_says_where_to_add_one(sam: User, visit: Visit) -> None:
    assert not Programme.objects.exists()

    assert "There is no programme to run a campaign under." in seen(visit(sam).get("/campaigns/new/")).text()


def test_the_demo_says_that_it_is_one(client: Client) -> None:
    assert "Demo co-op" not in client.get(reverse("account_login")).content.decode()

    Installation.objects.create(coop_name="Demo", is_demo=True, founded_at="2026-01-01T00:00:00Z")

    assert "Demo co-op: the people are invented" in client.get(reverse("account_login")).content.decode()
