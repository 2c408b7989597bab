"""The records admin of devices: lists stay quick, what services write is read-only, roles see their part."""

from __future__ import annotations

import pytest
from django.urls import reverse

from assets import installing
from assets.models import Asset, AssetKind, Cad, Hub
from members.models import Role, User
from tests.factories import JOINED_AT, make_home, make_hub, make_staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("coop")]
MODELS = [AssetKind, Hub, Cad, Asset]


def url(model, page, *args) -> str:
    return reverse(f"admin:assets_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def chief(client):
    client.force_login(User.objects.create_superuser("chief@example.org", "x"))
    return client


@pytest.fixture
def fitted(db):
    kits = [make_hub(make_home(), through_vtn=False) for _ in range(12)]
    for number, kit in enumerate(kits):
        installing.pair_cad(home=kit.hub.home, serial=f"CAD-{number}", at=JOINED_AT)
    return kits


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_records_open(chief, fitted, model, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        assert chief.get(url(model, "changelist")).status_code == 200
    assert chief.get(url(model, "changelist"), {"q": "HUB"}).status_code == 200
    assert chief.get(url(model, "change", model.objects.first().pk)).status_code == 200


def test_a_hub_is_never_made_changed_or_deleted_here(chief, fitted):
    hub = fitted[0].hub

    assert chief.get(url(Hub, "add")).status_code == 403
    assert chief.post(url(Hub, "change", hub.pk), {"serial": "X"}).status_code == 403
    assert chief.post(url(Hub, "delete", hub.pk), {"post": "yes"}).status_code == 403


def test_the_codes_hash_is_not_shown(chief, fitted):
    hub = installing.plan_hub(home=make_home(), serial="HUB-SECRET", at=JOINED_AT).hub

    assert hub.enrolment_code_sha256 not in chief.get(url(Hub, "change", hub.pk)).content.decode()


def test_an_assets_powers_may_be_put_right_but_not_its_state(client, fitted):
    client.force_login(make_staff("dev@example.org", Role.DEVICE_MANAGER))
    asset = fitted[0].assets[0]

    client.post(
        url(Asset, "change", asset.pk),
        {"name": "Charger", "rated_w": 7000, "flexible_w": 1500, "state": "retired"},
    )

    asset.refresh_from_db()
    assert (asset.name, asset.rated_w, asset.flexible_w, asset.state) == ("Charger", 7000, 1500, "active")


def test_more_than_rated_is_explained(chief, fitted):
    asset = fitted[0].assets[0]

    answer = chief.post(
        url(Asset, "change", asset.pk), {"name": "Charger", "rated_w": 7000, "flexible_w": 7001}
    )

    assert answer.status_code == 200
    asset.refresh_from_db()
    assert asset.name != "Charger"


@pytest.mark.parametrize(
    ("role", "opens"),
    [
        (Role.ADMINISTRATOR, set(MODELS)),
        (Role.DEVICE_MANAGER, set(MODELS)),
        (Role.DISPATCHER, set(MODELS)),
        (Role.MEMBER_SERVICES, set(MODELS)),
        (Role.INSTALLER, set(MODELS)),
        (Role.AUDITOR, set(MODELS)),
        (Role.FINANCE, set()),
        (Role.PARTNER, set()),
        (Role.API_APPLICATION, set()),
    ],
)
def test_each_role_opens_the_lists_it_works_with(client, role, opens):
    client.force_login(make_staff("staff@example.org", role))

    assert {model for model in MODELS if client.get(url(model, "changelist")).status_code == 200} == opens
