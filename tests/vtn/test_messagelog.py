"""The message log: what is written, when, how long it stays; and what it tells of a VEN by the way."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from tests.vtn import hubs
from tests.vtn.hubs import AT, notice_to
from tests.vtn.test_wsgi import post
from vtn import messagelog, wsgi
from vtn.models import MessageLog, VenWatch, WireLog
from vtn.port import Vtn
from vtn.tasks import prune_messages

pytestmark = pytest.mark.django_db
EVENTS_PATH = "/OpenADR2/Simple/2.0b/EiEvent"


@pytest.fixture(autouse=True)
def _keep_the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)
    monkeypatch.setattr(messagelog, "_seen", {})


def request_of(hub: hubs.TestHub) -> bytes:
    return codec.serialise(m.RequestEvent("R1", hub.ven_id))


def exchange_of(hub: hubs.TestHub, **changes: object) -> messagelog.Exchange:
    settings: dict[str, object] = {
        "ven_pk": hub.ven.pk,
        "service": "EiEvent",
        "message": None,
        "message_name": "oadrRequestEvent",
        "reply_name": "oadrDistributeEvent",
        "code": 200,
        "at": AT,
        "request_body": b"<a/>",
        "reply_body": b"<b/>",
    }
    return messagelog.Exchange(**(settings | changes))  # type: ignore[arg-type]


def test_an_exchange_is_one_row_without_its_bodies(hub: hubs.TestHub) -> None:
    replied = post(hub, request_of(hub), path=EVENTS_PATH, environ={"HTTP_USER_AGENT": "hub/1.2 <script>"})

    row = MessageLog.objects.get()
    assert (row.ven, row.message, row.reply, row.code) == (
        hub.ven,
        "oadrRequestEvent",
        "oadrDistributeEvent",
        "200",
    )
    assert (row.request_bytes, row.reply_bytes) == (len(request_of(hub)), len(replied.body))
    assert (row.request_body, row.reply_body, row.is_refused) == ("", "", False)
    assert not WireLog.objects.exists()
    assert VenWatch.objects.get(ven=hub.ven).software == "hub/1.2 script"


def test_a_poll_with_nothing_new_is_never_logged(hub: hubs.TestHub) -> None:
    post(hub, codec.serialise(m.Poll(hub.ven_id)))

    assert not MessageLog.objects.exists()


def test_a_poll_that_brings_an_event_is(vtn: Vtn, hub: hubs.TestHub) -> None:
    clock.configure(AT, speed=0)
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    post(hub, codec.serialise(m.Poll(hub.ven_id)))

    row = MessageLog.objects.get()
    assert (row.message, row.reply) == ("oadrPoll", "oadrDistributeEvent")


def test_bodies_are_kept_redacted_while_the_ven_is_watched(hub: hubs.TestHub) -> None:
    wall = clock.wall_now()
    assert messagelog.watch(ven_pk=hub.ven.pk, wall=wall) > wall
    body = codec.serialise(m.CreatePartyRegistration("R1", hub.ven.registration_id, ven_name="Alice Ash"))

    post(hub, body, path="/OpenADR2/Simple/2.0b/EiRegisterParty")
    messagelog.unwatch(ven_pk=hub.ven.pk)
    post(hub, request_of(hub), path=EVENTS_PATH)

    watched, later = MessageLog.objects.order_by("pk")
    assert "oadrCreatePartyRegistration" in watched.request_body
    assert "oadrCreatedPartyRegistration" in watched.reply_body
    for kept in (watched.request_body, watched.reply_body):
        assert "Alice" not in kept
        assert hub.ven.registration_id not in kept
    assert not later.has_body


def test_all_bodies_are_kept_where_the_site_says_so(hub: hubs.TestHub, settings: Settings) -> None:
    settings.VTN_LOG_BODIES = True
    post(hub, request_of(hub), path=EVENTS_PATH)

    assert MessageLog.objects.get().has_body


def test_a_refused_message_is_kept_with_what_was_wrong(hub: hubs.TestHub) -> None:
    body = codec.serialise(m.CancelPartyRegistration("R1", "REG-made-up", hub.ven_id))
    post(hub, body, path="/OpenADR2/Simple/2.0b/EiRegisterParty")

    row = MessageLog.objects.get()
    assert (row.is_refused, row.reply) == (True, "oadrCanceledPartyRegistration")
    assert "oadrCancelPartyRegistration" in row.request_body
    assert "REG-made-up" not in row.request_body + row.excerpt
    assert WireLog.objects.get().pk == row.pk


def test_a_client_s_quirks_and_clock_are_remembered(hub: hubs.TestHub) -> None:
    opt = m.CreateOpt("R1", "O1", "optOut", "economic", hub.ven_id, AT + timedelta(seconds=90))
    messagelog.note(exchange_of(hub, message=opt, tolerances=("opt_type_none",)))
    messagelog.note(exchange_of(hub, tolerances=("power_real_type",)))

    seen = VenWatch.objects.get(ven=hub.ven)
    assert seen.quirks == ["opt_type_none", "power_real_type"]
    assert seen.clock_skew_seconds == 90
    assert seen.transport == "http"


@pytest.mark.parametrize("seconds", [-(10**12), -60, 0, 60, 10**12])
def test_any_clock_fits(seconds: int) -> None:
    created = AT + timedelta(seconds=max(-(10**9), min(seconds, 10**9)))
    message = m.CreateOpt("R1", "O1", "optOut", "economic", "V", created)

    assert messagelog.skew_seconds(message, at=AT) == max(-(10**9), min(seconds, 10**9))
    assert messagelog.skew_seconds(m.Poll("V"), at=AT) is None


@pytest.mark.django_db(transaction=True)
def test_the_writer_gathers_and_writes_in_groups(hub: hubs.TestHub) -> None:
    messagelog.start_writer()
    for _ in range(50):
        messagelog.note(exchange_of(hub))
    messagelog.stop_writer()

    assert MessageLog.objects.filter(ven=hub.ven).count() == 50


def test_retention_takes_bodies_first_and_rows_later(hub: hubs.TestHub, settings: Settings) -> None:
    settings.VTN_BODY_DAYS, settings.VTN_LOG_DAYS = 30, 90
    wall = clock.wall_now()
    for days in (1, 31, 91):
        messagelog.note(exchange_of(hub))
        MessageLog.objects.filter(pk=MessageLog.objects.latest("pk").pk).update(
            recorded_wall_at=wall - timedelta(days=days), request_body="<a/>"
        )
    said = StringIO()

    call_command("vtn_prune", "--dry-run", stdout=said)
    assert said.getvalue().startswith("2 bodies older than 30 days would be emptied, 1 messages")
    assert MessageLog.objects.exclude(request_body="").count() == 3

    prune_messages()
    assert list(MessageLog.objects.order_by("pk").values_list("request_body", flat=True)) == ["<a/>", ""]
    call_command("vtn_prune", stdout=said)
    assert "0 bodies older than 30 days were emptied, 0 messages" in said.getvalue()


def test_retention_reads_no_more_than_it_deletes(
    hub: hubs.TestHub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Months on the oldest rows lie behind new ones on disk, which stand where rows were deleted before."""
    settings.VTN_LOG_DAYS = 90
    monkeypatch.setattr(messagelog, "PRUNE_BATCH", 100)
    wall = clock.wall_now()
    messagelog.note(exchange_of(hub))
    written = MessageLog.objects.values().get()
    for first, count, days in ((10_000, 20_000, 1), (1, 100, 91)):
        recorded = wall - timedelta(days=days)
        MessageLog.objects.bulk_create(
            MessageLog(**written | {"id": written["id"] + first + number, "recorded_wall_at": recorded})
            for number in range(count)
        )
    MessageLog.objects.filter(pk=written["id"]).delete()
    looked_at: list[int] = []

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params, many, context)
            looked_at.append(_rows_read(context["cursor"].fetchone()[0][0]["Plan"]))
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE vtn_wire_log")
    with connection.execute_wrapper(explained):
        assert messagelog.prune(wall=wall) == messagelog.Pruned(bodies=0, rows=100)

    assert MessageLog.objects.count() == 20_000
    assert max(looked_at) == 100


def _rows_read(plan: dict[str, Any]) -> int:
    removed = sum(rows for name, rows in plan.items() if name.startswith("Rows Removed"))
    return int(max([plan["Actual Rows"] + removed, *map(_rows_read, plan.get("Plans", ()))]))
