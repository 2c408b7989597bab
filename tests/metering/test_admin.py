"""Imports in the admin site: staff with the right may look, nobody may write, strangers see nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse

from members.models import Role
from members.roles import give
from metering.rights import GRANTS
from tests.factories import make_staff
from tests.metering.meters import lcl_lines, offer

pytestmark = pytest.mark.django_db
PAGES = ["importrun", "importreject", "importgap"]


@pytest.fixture
def run_id(ash, coop):
    return offer(lcl_lines(["0.1", "Null", "0.3"]), {"ASH": ash}).run_id


@pytest.fixture
def device_manager(db):
    from django.apps import apps

    give(apps, "default", "metering", GRANTS)
    return make_staff("dan@example.org", Role.DEVICE_MANAGER)


@pytest.mark.parametrize("page", PAGES)
def test_a_device_manager_reads_and_cannot_write(client, device_manager, run_id, page):
    client.force_login(device_manager)

    listed = client.get(reverse(f"admin:metering_{page}_changelist"))

    assert listed.status_code == 200
    assert client.get(reverse(f"admin:metering_{page}_add")).status_code == 403
    if page == "importrun":
        address = reverse("admin:metering_importrun_change", args=[run_id])
        shown = client.get(address)
        assert shown.status_code == 200
        assert f"importreject/?run__id__exact={run_id}" in shown.content.decode()
        assert client.post(address, {"name": "other"}).status_code == 403


def test_the_refusals_of_one_run_are_a_list(client, device_manager, run_id):
    client.force_login(device_manager)

    page = client.get(reverse("admin:metering_importreject_changelist"), {"run__id__exact": run_id})

    assert "no value" in page.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_a_dispatcher_a_member_and_a_stranger_see_no_imports(client, sam, alice, run_id, page):
    address = reverse(f"admin:metering_{page}_changelist")

    assert client.get(address).status_code == 302
    client.force_login(alice.user)
    assert client.get(address).status_code in {302, 403}
    client.force_login(sam)
    assert client.get(address).status_code == 403
