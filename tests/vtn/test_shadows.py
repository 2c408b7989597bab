"""Shadows: what a VEN should be and what it says it is, over the listener, by the certificate that speaks."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from opendsr.kernel.models import OutboxFact
from tests.vtn import hubs
from tests.vtn.test_wsgi import _keep_the_tests_connection as _keep_the_tests_connection
from tests.vtn.test_wsgi import post
from vtn import shadows
from vtn.enrolling import revoke_certificate
from vtn.models import VenShadow, WireLog

pytestmark = pytest.mark.django_db


def said(hub: hubs.TestHub | None, version: int = 0, **reported: object):
    body = json.dumps({"version": version, "reported": reported}).encode()
    return post(hub, body, path=shadows.SHADOW_PATH)


def facts() -> int:
    return OutboxFact.objects.filter(topic=shadows.REPORTED).count()


def test_the_newer_document_is_the_answer_and_an_old_one_is_not_said_again(hub: hubs.TestHub) -> None:
    assert shadows.desire({hub.ven_id: {"assets": ["r1"]}}, at=hubs.AT) == 1
    assert shadows.desire({hub.ven_id: {"assets": ["r1"]}}, at=hubs.AT) == 0

    first = json.loads(said(hub, 0, firmware="1.0").body)
    again = json.loads(said(hub, 1, firmware="1.0").body)
    shadows.desire({hub.ven_id: {"assets": []}}, at=hubs.AT)
    third = json.loads(said(hub, 1, firmware="1.0").body)

    assert first == {"version": 1, "desired": {"assets": ["r1"]}}
    assert again == {"version": 1}
    assert third == {"version": 2, "desired": {"assets": []}}


def test_a_hub_that_lost_its_memory_is_told_anew(hub: hubs.TestHub) -> None:
    shadows.desire({hub.ven_id: {"a": 1}}, at=hubs.AT)
    said(hub, 1)
    assert json.loads(said(hub, 0).body) == {"version": 1, "desired": {"a": 1}}


def test_who_is_desired_nothing_of_is_told_so(hub: hubs.TestHub) -> None:
    assert json.loads(said(hub, 0, firmware="1.0").body) == {"version": 0}
    assert shadows.shadows_of([hub.ven_id])[hub.ven_id].reported == {"firmware": "1.0"}


def test_news_is_a_fact_and_the_same_again_is_none(hub: hubs.TestHub) -> None:
    said(hub, 0, firmware="1.0")
    said(hub, 0, firmware="1.0")
    assert facts() == 1
    said(hub, 0, firmware="1.1")
    assert facts() == 2
    shadow = shadows.shadows_of([hub.ven_id])[hub.ven_id]
    assert (shadow.reported, shadow.is_in_step) == ({"firmware": "1.1"}, True)


def test_a_version_from_the_future_is_not_believed(hub: hubs.TestHub) -> None:
    shadows.desire({hub.ven_id: {"a": 1}}, at=hubs.AT)
    assert json.loads(said(hub, 99).body) == {"version": 1, "desired": {"a": 1}}
    assert VenShadow.objects.get().answered_version == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 1}',
        b'{"version": "1", "reported": {}}',
        b'{"version": true, "reported": {}}',
        b'{"version": -1, "reported": {}}',
        b'{"version": 99999999999, "reported": {}}',
        b'{"version": 1, "reported": []}',
        b'{"version": 1, "reported": {"a": "\\u0000"}}',
        b'{"version": 1, "reported": {"a": "\\ud800"}}',
        b'{"version": 1, "reported": {"a": NaN}}',
        b'{"version": 1, "reported": {"a": 1e999}}',
        b'{"version": 1, "reported": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}",
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_read_is_refused_logged_once_and_changes_nothing(
    hub: hubs.TestHub, body: bytes
) -> None:
    said(hub, 0, firmware="1.0")
    replied = post(hub, body, path=shadows.SHADOW_PATH)

    assert replied.status == 422
    assert WireLog.objects.get().service == "shadow"
    assert VenShadow.objects.get().reported == {"firmware": "1.0"}


def test_too_much_is_refused(hub: hubs.TestHub) -> None:
    assert said(hub, 0, text="x" * shadows.LARGEST_REPORT_BYTES).status == 413


def test_strangers_and_revoked_hubs_hear_nothing(hub: hubs.TestHub) -> None:
    name = shadows.keep_file(b"firmware", at=hubs.AT)
    assert said(None).status == 403
    assert post(None, b"", path=shadows.FILES_PREFIX + name, method="GET").status == 403
    revoke_certificate(ven_id=hub.ven_id, reason="stolen", at=hubs.AT, by="test")
    assert said(hub).status == 403
    assert post(hub, b"", path=shadows.FILES_PREFIX + name, method="GET").status == 403


def test_each_ven_has_its_own(hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    shadows.desire({hub.ven_id: {"whose": hub.ven_id}}, at=hubs.AT)
    said(hub, 0, mine="yes")
    assert json.loads(said(stranger, 0).body) == {"version": 0}
    assert shadows.shadows_of([hub.ven_id, stranger.ven_id])[stranger.ven_id].reported == {}


def test_files_are_named_by_what_they_are(hub: hubs.TestHub) -> None:
    body = bytes(range(256)) * 300
    name = shadows.keep_file(body, at=hubs.AT)
    assert shadows.keep_file(body, at=hubs.AT) == name == sha256(body).hexdigest()
    replied = post(hub, b"", path=shadows.FILES_PREFIX + name, method="GET")
    assert (replied.status, replied.body) == (200, body)
    for wrong in ("0" * 64, "../etc/passwd", "", name.upper() + "\x00"):
        assert post(hub, b"", path=shadows.FILES_PREFIX + wrong, method="GET").status == 404
    assert post(hub, b"", path=shadows.FILES_PREFIX + name).status == 405
    assert post(hub, b"", path=shadows.SHADOW_PATH, method="GET").status == 405


def test_a_file_no_hub_could_fetch_is_refused() -> None:
    with pytest.raises(shadows.FileTooLarge):
        shadows.keep_file(bytes(shadows.LARGEST_FILE_BYTES + 1), at=hubs.AT)


def test_an_id_that_is_no_vens_is_passed_over(hub: hubs.TestHub) -> None:
    assert shadows.desire({"VEN-NONE": {"a": 1}, hub.ven_id: {"a": 1}}, at=hubs.AT) == 1
