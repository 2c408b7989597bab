"""The staff pages on groups: made, found, changed, sent to, dissolved."""

from __future__ import annotations

import pytest
from django.test import Client

from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.vtn import hubs
from tests.vtn.hubs import AT
from tests.vtn.people import browser
from vtn.models import VenGroup

pytestmark = pytest.mark.django_db
GROUPS = "/vtn/groups/"


@pytest.fixture
def dee(db: None) -> Client:
    """A device manager's browser."""
    clock.configure(AT, speed=0)
    return browser("device_manager")


def members(name: str) -> list[str]:
    return sorted(VenGroup.objects.get(name=name).vens.values_list("ven_id", flat=True))


def test_a_group_is_made_changed_renamed_and_dissolved(
    dee: Client, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    assert "No group yet." in dee.get(GROUPS).content.decode()
    both = sorted([hub.ven_id, stranger.ven_id])

    dee.post(GROUPS, {"name": "street", "description": "One feeder", "ven_ids": ", ".join(both)})

    assert members("street") == both
    assert "One feeder" in dee.get(GROUPS).content.decode()
    page = dee.get(f"{GROUPS}street/").content.decode()
    assert all(f"/vtn/vens/{each}/" in page for each in both)
    moved = dee.post(f"{GROUPS}street/", {"name": "road", "ven_ids": hub.ven_id})
    assert moved["Location"] == f"{GROUPS}road/"
    assert members("road") == [hub.ven_id]
    assert 'href="/vtn/groups/road/"' in dee.get(f"/vtn/vens/{hub.ven_id}/").content.decode()
    assert dee.post(f"{GROUPS}road/dissolve/")["Location"] == GROUPS
    assert not VenGroup.objects.exists()
    assert hub.polls() is not None  # the VEN stays
    verbs = list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))
    assert [each for each in verbs if each.startswith("vtn.group")] == [
        "vtn.group.saved",
        "vtn.group.saved",
        "vtn.group.dissolved",
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "Name: This field is required"),
        ({"name": "two words"}, "Name: Enter a valid"),
        ({"name": "there"}, "Name: There is such a group already"),
        ({"ven_ids": "VEN-none"}, "There is no VEN VEN-none"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    fields: dict[str, str], words: str, dee: Client, hub: hubs.TestHub
) -> None:
    VenGroup.objects.create(name="there")
    VenGroup.objects.create(name="here").vens.add(hub.ven)

    for url in (GROUPS, f"{GROUPS}here/"):
        response = dee.post(url, {"name": "new", "description": "keep me", "ven_ids": ""} | fields)
        assert response.status_code == 422
        assert words in response.content.decode()
        assert "keep me" in response.content.decode()

    assert members("here") == [hub.ven_id]
    assert VenGroup.objects.count() == 2


def test_a_group_nobody_made_is_not_found(dee: Client) -> None:
    assert dee.get(f"{GROUPS}none/").status_code == 404
    assert dee.post(f"{GROUPS}none/", {"name": "none"}).status_code == 404
    assert dee.post(f"{GROUPS}none/dissolve/").status_code == 404
