"""Expiry: the list to look at and the alarms, each given once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opendsr.kernel import clock
from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from vtn import enrolling, expiring, pki
from vtn.expiring import AUTHORITY_EXPIRING, CERTIFICATE_EXPIRING, expiring_certificates, raise_alarms
from vtn.models import VenCertificate

pytestmark = pytest.mark.django_db


def thresholds() -> list[int]:
    facts = OutboxFact.objects.filter(topic=CERTIFICATE_EXPIRING).order_by("recorded_wall_at")
    return [fact.payload["threshold_days"] for fact in facts]


def test_alarms_come_at_30_14_and_3_days_and_once_each(hub: hubs.TestHub) -> None:
    end = VenCertificate.objects.get(ven=hub.ven).not_after
    for days_left in (40, 31, 30, 29, 15, 14, 13, 4, 3, 2, 0):
        for _ in range(2):
            raise_alarms(at=hubs.AT, wall=end - timedelta(days=days_left, seconds=-1))

    assert thresholds() == [30, 14, 3]


def test_one_found_late_gives_the_alarm_it_is_at(hub: hubs.TestHub) -> None:
    end = VenCertificate.objects.get(ven=hub.ven).not_after

    raise_alarms(at=hubs.AT, wall=end - timedelta(days=2))

    assert thresholds() == [3]


def test_a_renewed_or_revoked_or_expired_one_is_no_news(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    end = VenCertificate.objects.get(ven=hub.ven).not_after
    enrolling.issue_certificate(ven_id=hub.ven_id, csr_pem=hubs.csr_of(hubs.new_key()), at=hubs.AT)
    VenCertificate.objects.filter(ven=hub.ven).exclude(fingerprint=hub.fingerprint).update(
        not_after=end + timedelta(days=300)
    )
    enrolling.revoke_certificate(ven_id=stranger.ven_id, reason="stolen", at=hubs.AT)
    gone = hubs.new_hub("gone")
    VenCertificate.objects.filter(ven=gone.ven).update(not_after=end - timedelta(days=10))

    wall = end - timedelta(days=2)
    raise_alarms(at=hubs.AT, wall=wall)

    assert thresholds() == []
    assert expiring_certificates(wall=wall) == []


def test_the_list_has_the_soonest_first(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    end = VenCertificate.objects.get(ven=hub.ven).not_after
    VenCertificate.objects.filter(ven=stranger.ven).update(not_after=end - timedelta(days=5))

    listed = expiring_certificates(wall=end - timedelta(days=20))

    assert [(each.ven_id, each.days_left) for each in listed] == [(stranger.ven_id, 15), (hub.ven_id, 20)]
    assert expiring_certificates(wall=end - timedelta(days=40)) == []


def test_the_list_is_one_query(
    hub: hubs.TestHub, stranger: hubs.TestHub, django_assert_num_queries: object
) -> None:
    end = VenCertificate.objects.get(ven=hub.ven).not_after
    with django_assert_num_queries(1):  # type: ignore[operator]
        expiring_certificates(wall=end - timedelta(days=20))


def test_the_cas_own_ends_are_told_once(hub: hubs.TestHub) -> None:
    pki.authority().server_files(host="localhost", at=clock.wall_now())
    ends = {end.name: end for end in expiring.authority_ends(wall=clock.wall_now())}
    assert set(ends) == {"root.pem", "issuing.pem", "server.pem"}
    wall = ends["issuing.pem"].not_after - timedelta(days=50)

    for _ in range(2):
        raise_alarms(at=hubs.AT, wall=wall)

    told = [
        (fact.payload["name"], fact.payload["threshold_days"])
        for fact in OutboxFact.objects.filter(topic=AUTHORITY_EXPIRING)
    ]
    assert ("issuing.pem", 60) in told
    assert len(told) == len(set(told))
