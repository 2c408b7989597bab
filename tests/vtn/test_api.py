"""The management API at work: what it gives, how it refuses, that it does things once."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from oadr import messages as m
from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, csr_of, new_key, notice_to, only_event
from tests.vtn.people import browser
from vtn import messagelog, shadows, tokens
from vtn.models import Event, IdempotentReply, QueuedMessage, Ven, VenCertificate
from vtn.policy import GRANTABLE
from vtn.port import Vtn

pytestmark = pytest.mark.django_db
ROOT = "/api/vtn/v1"


class Api:
    """An application that may everything a token can."""

    def __init__(self) -> None:
        made = tokens.create_token(
            name="x",
            deeds=[str(each) for each in GRANTABLE],
            days=1,
            at=AT,
            wall=clock.wall_now(),
            by="user:1",
        )
        self.client = Client(headers={"Authorization": f"Bearer {made.secret}"})

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        sent = None if body is None else json.dumps(body)
        response = getattr(self.client, method)(
            f"{ROOT}{path}",
            data=sent,
            content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        assert response.status_code == status, response.content.decode()
        return response.json() if response.content else None


@pytest.fixture
def api(db: None) -> Api:
    clock.configure(AT, speed=0)
    return Api()


def event_to(hub: hubs.TestHub, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "ven_ids": [hub.ven_id],
        "market_context": "http://coop.example/api",
        "starts_at": "2026-11-24T17:00:00Z",
        "signals": [
            {"name": "SIMPLE", "type": "level", "intervals": [{"duration_seconds": 3600, "value": 2}]}
        ],
    }
    return body | changes


# ---- VENs


def test_vens_are_found_and_told_in_full(api: Api, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    found = api("get", "/vens/?q=strang")

    assert (found["count"], found["results"][0]["ven_id"]) == (1, stranger.ven_id)
    ven = api("get", f"/vens/{hub.ven_id}/")
    assert ven["is_registered"]
    assert not ven["is_online"]
    assert ven["certificate_days_left"] >= 300
    assert ven["transport"] == "pull"
    assert hub.ven.registration_id not in json.dumps(ven)


def test_ten_thousand_vens_come_in_pages(
    api: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Ven.objects.bulk_create(
        Ven(ven_id=f"VEN-{number:05}", ven_name="h", enrolled_at=AT) for number in range(10_000)
    )
    with django_assert_max_num_queries(6):
        page = api("get", "/vens/?page_size=1000&page=10")

    assert (page["count"], len(page["results"]), page["next"]) == (10_000, 1_000, None)
    assert page["results"][-1]["ven_id"] == "VEN-09999"
    assert api("get", "/vens/?page=99999", status=404)["code"] == "not_found"


def test_a_ven_is_enrolled_once_by_its_key(api: Api) -> None:
    body = {"ven_name": "H-1", "csr_pem": csr_of(new_key())}

    first, again = (api("post", "/vens/", body, status=201, Idempotency_Key="k1") for _ in range(2))

    assert first == again
    assert Ven.objects.count() == 1
    assert "BEGIN CERTIFICATE" in first["certificate_pem"]
    problem = api("post", "/vens/", body | {"ven_name": "H-2"}, status=422, Idempotency_Key="k1")
    assert problem["code"] == "idempotency_key_reused"
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    api("post", "/vens/", body, status=422, Idempotency_Key="x" * 201)
    api("post", "/vens/", body, status=201)
    assert Ven.objects.count() == 2


def test_a_one_time_code_is_issued_and_voided(api: Api, hub: hubs.TestHub) -> None:
    issued = api("post", "/enrolment-codes/", {"subject": "HUB-9", "ven_id": hub.ven_id}, status=201)
    assert issued["code"].count("-") >= 2
    api("delete", "/enrolment-codes/HUB-9/", status=204)
    api("delete", "/enrolment-codes/HUB-9/", status=204)
    problem = api("post", "/enrolment-codes/", {"subject": "a:b"}, status=422)
    assert problem["errors"][0]["field"] == "subject"
    api("post", "/enrolment-codes/", {"subject": "H", "ven_id": "VEN-x"}, status=404)


def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    api("post", "/vens/", {"ven_name": "H", "csr_pem": "none"}, status=422, Idempotency_Key="k")
    assert not IdempotentReply.objects.exists()


def test_a_ven_is_changed_and_an_unused_one_forgotten(api: Api, hub: hubs.TestHub) -> None:
    changed = api(
        "patch", f"/vens/{hub.ven_id}/", {"ven_name": "Bench 1", "poll_seconds": 30, "security": "high"}
    )
    assert (changed["ven_name"], changed["poll_seconds"], changed["security"]) == ("Bench 1", 30, "high")

    assert api("delete", f"/vens/{hub.ven_id}/", status=409)["code"] == "ven_in_use"
    awaited = hubs.new_hub("awaited")
    shadows.desire({awaited.ven_id: {"assets": []}}, at=AT)
    api("post", f"/vens/{awaited.ven_id}/certificates/all/revoke/", {"reason": "never fitted"})
    assert api("delete", f"/vens/{awaited.ven_id}/", status=409)["code"] == "ven_in_use"
    assert VenCertificate.objects.filter(ven=awaited.ven).exists()
    fresh = hubs.new_hub("fresh")
    api("post", f"/vens/{fresh.ven_id}/certificates/all/revoke/", {"reason": "never fitted"})
    api("delete", f"/vens/{fresh.ven_id}/", status=204)
    api("get", f"/vens/{fresh.ven_id}/", status=404)


def test_a_push_address_is_set_by_staff_alone(api: Api, hub: hubs.TestHub) -> None:
    path = f"/vens/{hub.ven_id}/"
    changed = api("patch", path, {"push_url": "https://hub.example:8443/vtn"})
    assert changed["push_url"] == "https://hub.example:8443/vtn"
    inside = ("10.0.0.1", "[::ffff:10.0.0.1]", "169.254.169.254", "2130706433", "0x7f000001", "[::1]")
    for url in (
        "http://hub.example/",
        "https://user:secret@hub.example/",
        "ftp://x",
        "nonsense",
        "https://h\u00fcb.example/",
        *(f"https://{host}:8443/" for host in inside),
    ):
        assert api("patch", path, {"push_url": url}, status=422)["errors"][0]["field"] == "push_url"
    assert api("patch", path, {"push_url": ""})["push_url"] == ""


def test_registrations_are_asked_for_cancelled_and_cleared(api: Api, hub: hubs.TestHub) -> None:
    asked = api("post", f"/vens/{hub.ven_id}/request-reregistration/", status=202)
    assert (asked["kind"], asked["state"]) == ("request_reregistration", "queued")
    assert isinstance(hub.polls(), m.RequestReregistration)
    api("post", f"/vens/{hub.ven_id}/cancel-registration/", status=202)
    assert len(api("get", f"/vens/{hub.ven_id}/queue/")["results"]) == 2
    api("post", f"/vens/{hub.ven_id}/clean-registration/", status=204)
    assert not api("get", f"/vens/{hub.ven_id}/")["is_registered"]
    assert api("post", f"/vens/{hub.ven_id}/cancel-registration/", status=409)["code"] == "ven_unregistered"


def test_a_message_is_taken_back_and_a_dead_one_tried_again(api: Api, hub: hubs.TestHub) -> None:
    asked = api("post", f"/vens/{hub.ven_id}/request-reregistration/", status=202)
    path = f"/vens/{hub.ven_id}/queue/{asked['id']}"
    assert api("post", f"{path}/retry/", status=409)["code"] == "not_dead"

    assert api("post", f"{path}/withdraw/")["state"] == "withdrawn"

    assert api("post", f"{path}/withdraw/", status=409)["code"] == "not_to_withdraw"
    QueuedMessage.objects.update(state="dead")
    assert api("post", f"{path}/retry/", status=202)["state"] == "queued"
    assert isinstance(hub.polls(), m.RequestReregistration)
    api("post", f"/vens/{hub.ven_id}/queue/0/retry/", status=404)
    api("post", f"/vens/VEN-none/queue/{asked['id']}/withdraw/", status=404)


def test_certificates_are_listed_issued_and_revoked(api: Api, hub: hubs.TestHub) -> None:
    issued = api("post", f"/vens/{hub.ven_id}/certificates/", {"csr_pem": csr_of(new_key())}, status=201)
    path = f"/vens/{hub.ven_id}/certificates/{issued['fingerprint']}/revoke/"

    assert api("post", path, {"reason": "stolen"}) == {"revoked": 1}
    assert api("post", path, {"reason": "stolen"}) == {"revoked": 0}
    for unknown in ("0" * 64, hub.fingerprint.upper()):
        other = f"/vens/{hub.ven_id}/certificates/{unknown}/revoke/"
        assert api("post", other, {"reason": "stolen"}, status=404)["code"] == "unknown_certificate"
    assert "reason" in api("post", path, {}, status=422)["detail"]
    listed = api("get", f"/vens/{hub.ven_id}/certificates/")["results"]
    assert [each["is_in_force"] for each in listed].count(True) == 1
    assert api("get", "/certificates/?state=revoked")["count"] == 1
    assert api("get", "/certificates/?state=in_force&ends_before=2020-01-01T00:00:00Z")["count"] == 0
    assert VenCertificate.objects.get(fingerprint=issued["fingerprint"]).revocation_reason == "stolen"


def test_opts_schedules_and_resources_are_told(api: Api, vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id, resource_ids=("charger-1",)), key="k", at=AT)
    event = only_event(hub.polls())
    hub.opts(event, "optOut", reason="overrideStatus")
    hub.says(
        "EiOpt",
        m.CreateOpt(
            "R", "S1", "optIn", "participating", hub.ven_id, AT, availability=(m.AvailablePeriod(AT, 60),)
        ),
    )

    (opt,) = api("get", f"/vens/{hub.ven_id}/opts/")["results"]
    assert (opt["opt"], opt["reason"], opt["event_id"]) == ("out", "overrideStatus", event.event_id)
    (schedule,) = api("get", f"/vens/{hub.ven_id}/opt-schedules/")["results"]
    assert schedule["periods"][0]["duration_seconds"] == 60
    assert api("get", f"/vens/{hub.ven_id}/resources/")["results"] == [{"resource_id": "charger-1"}]


def test_the_message_log_hides_bodies_from_applications(api: Api, hub: hubs.TestHub) -> None:
    messagelog.watch(ven_pk=hub.ven.pk, wall=clock.wall_now())
    messagelog.note(
        messagelog.Exchange(
            hub.ven.pk,
            "EiEvent",
            None,
            "oadrRequestEvent",
            "oadrDistributeEvent",
            200,
            AT,
            request_body=b"<a/>",
        )
    )

    (row,) = api("get", f"/vens/{hub.ven_id}/messages/?q=request&service=EiEvent")["results"]

    assert row["message"] == "oadrRequestEvent"
    assert row["request_body"] is None
    assert api("get", "/messages/?refused=true")["count"] == 0
    read = browser("auditor").get(f"{ROOT}/messages/").json()["results"]
    assert read[0]["request_body"] == "<a/>"


def test_groups_are_made_renamed_and_sent_to(api: Api, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    body = {"name": "bench", "ven_ids": [hub.ven_id, stranger.ven_id]}
    api("post", "/groups/", body, status=201)
    assert api("post", "/groups/", body, status=409)["errors"][0]["field"] == "name"
    problem = api("put", "/groups/bench/", {"name": "bench", "ven_ids": ["VEN-x"]}, status=404)
    assert problem["errors"][0]["field"] == "ven_ids"
    api("put", "/groups/bench/", body | {"name": "lab"})

    sent = api("post", "/events/", event_to(hub, ven_ids=[], groups=["lab"]), status=201)

    assert set(sent["event_ids"]) == {hub.ven_id, stranger.ven_id}
    assert api("get", "/vens/?group=lab")["count"] == 2
    api("delete", "/groups/lab/", status=204)
    api("get", "/groups/lab/", status=404)


# ---- events


def test_an_event_goes_its_whole_way(api: Api, hub: hubs.TestHub) -> None:
    sent = api("post", "/events/", event_to(hub, priority=1, comment="Hi"), status=201, Idempotency_Key="e1")
    assert (
        api("post", "/events/", event_to(hub, priority=1, comment="Hi"), status=201, Idempotency_Key="e1")
        == sent
    )
    event_id = sent["event_ids"][hub.ven_id]
    told = only_event(hub.polls())
    hub.answers(told)
    assert (told.event_id, told.priority, told.vtn_comment) == (event_id, 1, "Hi")

    event = api("get", f"/events/{event_id}/")
    assert (event["state"], event["delivery"], event["opt"]) == ("far", "acknowledged", "in")
    changed = api("put", f"/events/{event_id}/", event["content"] | {"priority": 2, "reason": "less urgent"})
    assert (changed["modification_number"], changed["modification_reason"]) == (1, "less urgent")
    assert only_event(hub.polls()).priority == 2
    answers = api("get", f"/events/{event_id}/responses/")
    assert [each["opt"] for each in answers["opts"]] == ["in"]
    assert answers["timeline"][0]["what"] == "published"
    assert api("post", f"/events/{event_id}/cancel/", {"reason": "over"})["state"] == "cancelled"
    api("post", f"/events/{event_id}/cancel/", {})
    assert only_event(hub.polls()).status == "cancelled"
    problem = api("put", f"/events/{event_id}/", event["content"], status=409)
    assert problem["code"] == "event_closed"


@pytest.mark.parametrize(
    ("written", "starts_at"),
    [
        ("2027-10-31T01:30:00+01:00", "2027-10-31T00:30:00Z"),
        ("2027-10-31T01:30:00+00:00", "2027-10-31T01:30:00Z"),
    ],
)
def test_either_of_the_two_half_past_ones_is_told_by_its_offset(
    written: str, starts_at: str, api: Api, hub: hubs.TestHub
) -> None:
    sent = api("post", "/events/", event_to(hub, starts_at=written), status=201)

    assert api("get", f"/events/{sent['event_ids'][hub.ven_id]}/")["content"]["starts_at"] == starts_at
    problem = api("post", "/events/", event_to(hub, starts_at=written[:19]), status=422)
    assert problem["errors"][0]["fix"].startswith("write the offset")


@pytest.mark.parametrize("days", [0, 3])
def test_an_event_without_an_end_is_called_off_whenever_it_starts(
    days: int, api: Api, hub: hubs.TestHub
) -> None:
    body = event_to(
        hub,
        starts_at=(AT + timedelta(days=days)).isoformat(),
        signals=[{"name": "SIMPLE", "type": "level", "intervals": [{"duration_seconds": 0, "value": 1}]}],
    )
    event_id = api("post", "/events/", body, status=201)["event_ids"][hub.ven_id]
    hub.answers(only_event(hub.polls()))

    assert api("post", f"/events/{event_id}/cancel/", {})["state"] == "cancelled"

    told = only_event(hub.polls())
    assert (told.status, told.modification_number) == ("cancelled", 1)
    hub.answers(told)
    assert isinstance(hub.polls(), m.Response)


def test_drafts_wait_change_and_are_sent_once(api: Api, hub: hubs.TestHub) -> None:
    draft_id = api("post", "/events/", event_to(hub, publish=False), status=201)["draft_id"]
    assert not Event.objects.exists()
    api("put", f"/drafts/{draft_id}/", event_to(hub, priority=3))

    sent = api("post", f"/drafts/{draft_id}/publish/")
    assert api("post", f"/drafts/{draft_id}/publish/") == sent

    assert only_event(hub.polls()).priority == 3
    assert len(sent["event_ids"]) == Event.objects.count() == 1
    assert api("delete", f"/drafts/{draft_id}/", status=409)["code"] == "draft_published"
    assert api("get", "/drafts/")["count"] == 1
    other = api("post", "/events/", event_to(hub, publish=False), status=201)["draft_id"]
    api("delete", f"/drafts/{other}/", status=204)
    api("get", f"/drafts/{other}/", status=404)


def test_a_preview_sends_nothing(api: Api, hub: hubs.TestHub) -> None:
    shown = api("post", "/events/preview/", event_to(hub))

    assert shown["ven_ids"] == [hub.ven_id]
    assert "oadrDistributeEvent" in shown["documents"][hub.ven_id]
    assert not Event.objects.exists()


def test_events_are_searched(api: Api, hub: hubs.TestHub) -> None:
    api("post", "/events/", event_to(hub), status=201)

    for query, count in (
        ("state=pending", 1),
        ("state=active", 0),
        (f"ven_id={hub.ven_id}", 1),
        ("market_context=http://coop.example/api", 1),
        ("market_context=x", 0),
        ("starts_from=2026-11-24T17:00:00Z&starts_before=2026-11-24T17:00:01Z", 1),
        ("starts_before=2026-11-24T17:00:00%2B00:00", 0),
    ):
        assert api("get", f"/events/?{query}")["count"] == count, query
    assert api("get", "/market-contexts/")["results"][0]["events"] == 1
    assert api("get", "/events/?starts_from=soon", status=422)["errors"][0]["field"] == "starts_from"


def broken(path: str, value: Any) -> dict[str, Any]:
    """An event body with one thing changed, by its path."""
    body: Any = {
        "ven_ids": ["VEN"],
        "market_context": "http://x",
        "starts_at": "2026-11-24T17:00:00Z",
        "signals": [
            {"name": "SIMPLE", "type": "level", "intervals": [{"duration_seconds": 3600, "value": 2}]}
        ],
    }
    place = body
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return dict(body)


@pytest.mark.parametrize(
    ("path", "value", "status", "field"),
    [
        ("starts_at", "soon", 422, "starts_at"),
        ("starts_at", "2026-11-24T17:00:00", 422, "starts_at"),
        ("starts_at", "2020-01-01T00:00:00Z", 422, "starts_at"),
        ("starts_at", "9999-12-31T23:30:00Z", 422, "starts_at"),
        ("starts_at", "9999-12-31T23:30:00-14:00", 422, "starts_at"),
        ("starts_at", "0001-01-01T00:00:00+14:00", 422, "starts_at"),
        ("signals", [], 422, "signals"),
        ("signals.0.name", "NOPE", 422, "signals"),
        ("signals.0.type", "price", 422, "signals"),
        ("signals.0.unit", "furlong", 422, "signals.0.unit"),
        ("signals.0.intervals.0.value", "much", 422, "signals.0.intervals.0.value"),
        ("signals.0.intervals.0.value", 9, 422, "signals"),
        ("signals.0.intervals.0.duration_seconds", -1, 422, "signals.0.intervals.0.duration_seconds"),
        ("signals.0.spam", 1, 422, "signals.0.spam"),
        ("priority", -1, 422, "priority"),
        ("priority", "\u0000", 422, "priority"),
        ("comment", "a\u0000b", 422, "comment"),
        ("market_context", "x" * 201, 422, "market_context"),
        ("market_context", "evening peak", 422, "market_context"),
        ("ven_ids", [], 422, "ven_ids"),
        ("groups", ["none"], 422, "groups"),
        ("ven_ids", "VEN", 422, "ven_ids"),
        ("spam", 1, 422, "spam"),
        ("targets", [{"kind": "planet", "id": "x"}], 422, "targets.0.kind"),
        ("ramp_up_seconds", 10**12, 422, "ramp_up_seconds"),
    ],
)
def test_bad_input_names_field_value_and_fix(
    path: str, value: Any, status: int, field: str, api: Api, hub: hubs.TestHub
) -> None:
    body = broken(path, value)
    if body["ven_ids"] == ["VEN"]:
        body["ven_ids"] = [hub.ven_id]

    problem = api("post", "/events/", body, status=status)

    (error, *_) = problem["errors"]
    assert error["field"] == field
    assert error["fix"]
    assert "value" in error
    assert problem["detail"]
    assert not Event.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":NaN}', b"[" * 2000])
def test_a_body_that_is_none_is_4xx(body: bytes, api: Api) -> None:
    response = api.client.post(f"{ROOT}/events/", body, content_type="application/json")

    assert 400 <= response.status_code < 500
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("field", "written", "shown"),
    [
        ("comment", '"\\ud800"', "?"),
        ("ven_ids", '["a\\udfff"]', "a?"),
        ("\\ud800", "1", 1),
        ("priority", "1e999", "inf"),
        ("starts_at", "-1e999", "-inf"),
    ],
)
def test_what_no_json_can_carry_is_refused_in_json(field: str, written: str, shown: object, api: Api) -> None:
    body = (
        f'{{"market_context": "x", "starts_at": "2026-12-01T10:00:00Z", "signals": [], "{field}": {written}}}'
    )

    response = api.client.post(f"{ROOT}/events/", body, content_type="application/json")

    assert response.status_code == 422
    assert shown in [error["value"] for error in response.json()["errors"]]


def test_other_media_types_are_refused(api: Api) -> None:
    assert api.client.post(f"{ROOT}/events/", b"a=b", content_type="text/plain").status_code == 415


# ---- the site of the API


def test_the_configuration_tells_no_secret(api: Api, settings: Any) -> None:
    told = api("get", "/configuration/")

    assert told["vtn_id"] == settings.VTN_ID
    assert told["rights"]["manage_tokens"] == ["administrator"]
    assert settings.SECRET_KEY not in json.dumps(told)


def test_the_description_is_the_one_in_the_repository(api: Api) -> None:
    call_command("vtn_openapi", "--check", stdout=StringIO())
    response = api.client.get(f"{ROOT}/schema/")
    assert response.content.decode().startswith("openapi: 3")


def test_the_documentation_names_every_address() -> None:
    shown = browser("auditor").get(f"{ROOT}/docs/").content.decode()

    for words in ("/vens/{ven_id}/certificates/", "events_modify", "Idempotency-Key", "ReportAsk"):
        assert words in shown or words == "events_modify"


def test_old_answers_of_keys_are_forgotten(api: Api) -> None:
    from vtn.tasks import prune_messages

    IdempotentReply.objects.create(
        principal="x", key="k", request_digest="d", recorded_wall_at=clock.wall_now() - timedelta(days=8)
    )
    prune_messages()
    assert not IdempotentReply.objects.exists()
