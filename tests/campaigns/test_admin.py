"""The records admin: campaigns are looked at there, only programmes are written."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, OptRecord, Participation, PlanLine, Programme
from campaigns.opting import skip
from members.models import User
from tests.campaigns.staging import NOON, PaperVtn, make_dispatched, make_programme, make_ready_home, part_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("coop")]
LOOKED_AT = [Campaign, PlanLine, Participation, OptRecord]


def url(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:campaigns_{model.__name__.lower()}_{page}", args=args)


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief@example.org", "x", date_joined=NOON))
    return client


@pytest.mark.parametrize("model", [Programme, *LOOKED_AT])
def test_every_list_and_record_opens(chief: Client, paper_vtn: PaperVtn, model: type) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON, by=None)
    record = model.objects.first()  # type: ignore[attr-defined]

    assert chief.get(url(model, "changelist")).status_code == 200
    assert chief.get(url(model, "change", record.pk)).status_code == 200


@pytest.mark.parametrize("model", LOOKED_AT)
def test_nobody_writes_what_services_write(chief: Client, paper_vtn: PaperVtn, model: type) -> None:
    _, kit = make_ready_home()
    campaign = make_dispatched(kit.assets)
    skip(participation=part_of(campaign, kit.assets[0]), at=NOON, by=None)
    record = model.objects.first()  # type: ignore[attr-defined]

    assert chief.get(url(model, "add")).status_code == 403
    assert chief.post(url(model, "change", record.pk), {}).status_code == 403
    assert chief.post(url(model, "delete", record.pk), {"post": "yes"}).status_code == 403


def test_a_programme_is_never_deleted(chief: Client) -> None:
    programme = make_programme()

    assert chief.post(url(Programme, "delete", programme.pk), {"post": "yes"}).status_code == 403
    assert Programme.objects.count() == 1
