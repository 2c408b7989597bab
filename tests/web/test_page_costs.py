"""Lists ask the database the same number of things for thirty rows as for three."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign, Participation
from members import applying, asking
from members.models import Role, User
from opendsr.kernel.ids import new_uuid
from tests.factories import make_resident, make_staff
from tests.web.scene import JOINED_AT, NOW, Scene

pytestmark = pytest.mark.django_db
Visit = Callable[[User | None], Client]


def more_campaigns(scene: Scene, count: int) -> None:
    part = scene.part_of(scene.alice)
    for _ in range(count):
        campaign = Campaign.objects.get(pk=scene.past.pk)
        campaign.pk, campaign._state.adding = new_uuid(), True
        campaign.starts_at += timedelta(days=1)
        campaign.ends_at += timedelta(days=1)
        campaign.save()
        Participation.objects.create(
            campaign=campaign,
            asset=part.asset,
            occupancy=part.occupancy,
            ven_id=part.ven_id,
            starts_at=campaign.starts_at,
            ends_at=campaign.ends_at,
            expected_w=1_000,
            state=Participation.State.CANCELLED,
        )


def more_enquiries(_: Scene, count: int) -> None:
    for number in range(count):
        applying.start(full_name=f"Nia {number}", email=f"{new_uuid()}@example.org", at=NOW)


def more_requests(_: Scene, count: int) -> None:
    for number in range(count):
        member = make_resident(f"Ray {number}", at=JOINED_AT).member
        asking.open_request(
            member=member, kind="complaint", at=NOW, channel="web", by="test", words="Nobody came."
        )


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/campaigns/", more_campaigns),
        ("/vtn/events/", more_campaigns),
        ("/funnel/", more_enquiries),
        ("/data-requests/", more_requests),
        ("/registry/", more_requests),
    ],
)
def test_thirty_rows_cost_what_three_do(
    path: str, more: Callable[[Scene, int], None], scene: Scene, visit: Visit
) -> None:
    client = visit(make_staff("ada@example.org", Role.ADMINISTRATOR))
    more(scene, 3)
    client.get(path)
    few = _queries(client, path)
    more(scene, 27)
    client.get(path)

    assert _queries(client, path) == few


def _queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)
