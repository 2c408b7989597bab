"""Money in the stock admin: everything can be looked at, nothing changed, not even by a superuser."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.urls import reverse

from members import roles
from members.models import Role, User
from opendsr.kernel import installation
from settlement import policies, rights
from settlement.models import Entry, HardshipMark, SettlementTerms, Statement
from settlement.settling import settle_campaign
from settlement.sharing import SharePolicy
from settlement.studying import ask_study
from tests.factories import make_staff
from tests.settlement.staging import AFTER, make_measured

SHOWN = [model for model in apps.get_app_config("settlement").get_models() if model in admin.site._registry]


@pytest.fixture
def settled(db):
    # A transactional test before this one may have emptied the tables of rights.
    for grants in (rights.GRANTS, rights.STUDY_GRANTS):
        roles.grant("settlement", grants).code(apps, SimpleNamespace(connection=connection))
    installation.found(coop_name="Test co-op", is_demo=False, at=AFTER)
    ask_study(
        rules=["zero"], earliest=date(2026, 11, 1), latest=date(2026, 11, 2), ordinal=34, half_hours=4,
        at=AFTER, by="user:1",
    )  # fmt: skip
    stage = make_measured(700, 300)
    household = stage.residents[0].household
    policies.publish_policy(name="Co-op", policy=SharePolicy(), effective_from=AFTER, at=AFTER)
    policies.choose_gift(household=household, pct=Decimal(1), at=AFTER, by=None)
    HardshipMark.objects.create(household=household, starts_at=AFTER)
    return settle_campaign(campaign_id=stage.campaign.pk, at=AFTER).run


def test_finance_looks_at_everything(client, settled):
    client.force_login(make_staff("fay@example.org", Role.FINANCE))
    answers = {}
    for model in SHOWN:
        name = f"admin:settlement_{model._meta.model_name}"
        record = model.objects.first()
        answers[model.__name__] = (
            client.get(reverse(f"{name}_changelist")).status_code,
            client.get(reverse(f"{name}_change", args=[record.pk])).status_code,
        )

    assert answers == dict.fromkeys(answers, (200, 200))
    assert len(answers) == len(SHOWN) > 10


def test_even_a_superuser_changes_nothing(client, settled):
    client.force_login(User.objects.create_superuser("root@example.org", "correct horse battery"))
    answers = {}
    for model in SHOWN:
        name = f"admin:settlement_{model._meta.model_name}"
        record = model.objects.first()
        answers[model.__name__] = (
            client.get(reverse(f"{name}_add")).status_code,
            client.post(reverse(f"{name}_change", args=[record.pk]), {}).status_code,
            client.post(reverse(f"{name}_delete", args=[record.pk]), {"post": "yes"}).status_code,
        )

    assert answers == dict.fromkeys(answers, (403, 403, 403))


@pytest.mark.parametrize("model", [Entry, SettlementTerms, Statement])
def test_a_dispatcher_sees_no_money(client, settled, sam, model):
    client.force_login(sam)

    assert client.get(reverse(f"admin:settlement_{model._meta.model_name}_changelist")).status_code == 403
