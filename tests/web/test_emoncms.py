"""emoncms's API as devices use it: emonhub's and OpenEVSE's own requests, and whatever else may come."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from members import consenting
from members.models import Granularity, Purpose
from metering import emoncms, ingest, registers, retrying, ruling
from metering.adapters.emoncms import EmoncmsRefused, read_bulk, read_post
from metering.intake_models import EmoncmsInput, EmoncmsKey, Message, Register
from opendsr.kernel import clock
from opendsr.web import emoncms as views
from tests.factories import Resident

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
HALF = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    clock.configure(NOW, speed=0)
    views._seen.clear()
    yield
    clock.reset()


@pytest.fixture
def key(alice: Resident) -> str:
    return emoncms.issue_key(home=alice.home, name="emonPi", at=NOW - timedelta(days=60))[1]


@pytest.fixture
def box(key: str) -> Client:
    """A device that sends its key as emonhub does."""
    return Client(headers={"Authorization": f"Bearer {key}"}, enforce_csrf_checks=True)


def inputs() -> dict[str, datetime | None]:
    return {f"{each.node}/{each.name}": each.at for each in EmoncmsInput.objects.all()}


def body_of(response: Any) -> tuple[int, bytes]:
    return response.status_code, response.content


EMONHUB = [
    [EPOCH - 23, 16, 1137],
    [EPOCH - 13, 17, 1437, 3164],
    [EPOCH - 8, "emonpi", {"power1": 1412, "vrms": 241.2}, -67],
]


def test_emonhubs_form_post_is_answered_ok(box):
    data = json.dumps(EMONHUB, separators=(",", ":"))

    response = box.post(
        f"/input/bulk.json?sentat={EPOCH}",
        urlencode({"data": data, "sentat": str(EPOCH)}),
        content_type="application/x-www-form-urlencoded",
    )

    assert body_of(response) == (200, b"ok")
    assert inputs() == {
        "16/1": NOW - timedelta(seconds=23),
        "17/1": NOW - timedelta(seconds=13),
        "17/2": NOW - timedelta(seconds=13),
        "emonpi/power1": NOW - timedelta(seconds=8),
        "emonpi/vrms": NOW - timedelta(seconds=8),
        "emonpi/1": NOW - timedelta(seconds=8),
    }


def test_emonhubs_compressed_post_is_answered_ok(box):
    data = zlib.compress(json.dumps(EMONHUB).encode())

    response = box.post(
        f"/input/bulk.json?sentat={EPOCH}&cb=1", data, content_type="application/octet-stream"
    )

    assert body_of(response) == (200, b"ok")
    assert len(inputs()) == 6


def test_emonhubs_older_post_carries_its_key_in_the_form(key):
    response = Client().post(
        "/emoncms/input/bulk.json?", {"apikey": key, "data": json.dumps(EMONHUB), "sentat": EPOCH}
    )

    assert body_of(response) == (200, b"ok")


def test_a_device_whose_clock_is_wrong_is_put_right(box):
    rows = [[5, "n", 1], [15, "n", 2]]

    box.post("/input/bulk?sentat=20", {"data": json.dumps(rows)})

    assert inputs() == {"n/1": NOW - timedelta(seconds=5)}


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("", 0),
        ("offset=-10", 4),
        ("sentat=-10", 4),
        (f"time={EPOCH - 100}", -106),
        (f"time=0&x={EPOCH}", None),
    ],
)
def test_every_way_to_tell_time(box, query, at):
    rows = [[-10, 16, 1137], [-8, 17, 1437], [-6, 19, 1412]]
    if at is None:
        rows = [[EPOCH - 3, 19, 1]]

    assert body_of(box.get(f"/input/bulk.json?data={quote(json.dumps(rows))}&{query}")) == (200, b"ok")
    assert inputs()["19/1"] == NOW + timedelta(seconds=-3 if at is None else at)


def test_openevse_gets_with_fulljson_and_hears_success(key):
    told = quote('{"amp":0,"wh":0,"temp1":28.2,"state":254}')

    response = Client().get(f"/input/post?fulljson={told}&node=openevse-7b2c&apikey={key}")

    assert (response.status_code, response.json()) == (200, {"success": True})
    assert set(inputs()) == {f"openevse-7b2c/{name}" for name in ("amp", "wh", "temp1", "state")}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/input/post.json?node=10&json={power1:100,power(W):200}", {"10/power1", "10/powerW"}),
        ("/input/post?node=10&csv=100,200,300", {"10/1", "10/2", "10/3"}),
        ("/input/post/emontx?csv=5", {"emontx/1"}),
        ("/input/post?json=%7B%22a%22%3A1%7D", {"0/a"}),
    ],
)
def test_short_forms_are_answered_ok(box, path, names):
    assert body_of(box.get(path)) == (200, b"ok")
    assert set(inputs()) == names


def test_time_inside_the_message_and_the_parameter_that_wins(box):
    box.get("/input/post?node=a&fulljson=" + quote('{"x":1,"time":"2026-01-05T11:00:00+01:00"}'))
    box.get(f"/input/post?node=b&time={EPOCH - 60}&fulljson=" + quote('{"x":1,"time":1}'))

    assert inputs() == {"a/x": datetime(2026, 1, 5, 10, tzinfo=UTC), "b/x": NOW - timedelta(seconds=60)}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/input/post?node=1", "Request contains no data via csv, json or data tag"),
        ("/input/post?fulljson={", "Error decoding JSON string (invalid or too deeply nested)"),
        ('/input/post?fulljson={"a":{"b":1}}', "Error decoding JSON string (invalid or too deeply nested)"),
        ("/input/post?fulljson=[1]", "Input must be a JSON object"),
        ("/input/post?json={:1}", "Format error, json key missing or invalid character"),
        ("/input/post?json={a:x}", "Format error, json value is not numeric"),
        ("/input/post?csv=a", "Format error: csv value is not numeric"),
        ("/input/post?csv=1&time=soon", "Format error, time is neither Unix seconds nor ISO 8601"),
        ("/input/bulk?data=", "Format error, json string supplied is not valid"),
        ("/input/bulk?data=[]", "Format error, json string supplied is not valid"),
        ("/input/bulk?data=[[]]", "Format error, last item in bulk data does not contain any data"),
        ("/input/bulk?data=[[0,{},1]]", "Format error, node must not be an object"),
        ("/input/bulk?data=[[0,1,1]]&sentat=now", "Format error, sentat parameter is not a number"),
    ],
)
def test_what_cannot_be_read_is_refused_in_emoncmss_words(box, path, message):
    response = box.get(path)

    assert (response.status_code, response.json()) == (400, {"success": False, "message": message})
    assert not EmoncmsInput.objects.exists()


def test_bad_rows_do_not_cost_the_good_ones(box):
    rows = [[0, 1], "x", [None, 1, 1], [1, 1, "much"], [2, 1, 7, None, "", 9], [3, [1], 1], [4, 5, 6]]

    assert body_of(box.post("/input/bulk", {"data": json.dumps(rows)})) == (200, b"ok")
    assert set(inputs()) == {"1/1", "1/4", "5/1"}


def test_nobody_posts_without_a_good_key(alice, key):
    _, read_only = emoncms.issue_key(home=alice.home, name="app", at=NOW, access=EmoncmsKey.Access.READ)
    anonymous = Client()
    for path in (
        "/input/post?csv=1",
        "/input/bulk?data=[[0,1,1]]",
        "/feed/list.json",
        "/feed/data.json?id=1",
        "/input/get",
    ):
        assert body_of(anonymous.get(path)) == (401, b"Invalid API key")
        assert anonymous.get(path, {"apikey": "x" * 32}).status_code == 401
    assert anonymous.get(f"/input/post?csv=1&apikey={read_only}").status_code == 403
    assert anonymous.get(f"/feed/list.json?apikey={read_only}").status_code == 200
    emoncms.revoke_key(key_id=EmoncmsKey.objects.get(name="emonPi").pk, at=NOW)
    assert anonymous.get(f"/input/post?csv=1&apikey={key}").status_code == 401
    assert not EmoncmsInput.objects.exists()
    assert key not in str(list(EmoncmsKey.objects.values()))


def test_a_key_dies_with_the_stay_it_was_made_for(alice, key):
    alice.occupancy.ends_at = NOW - timedelta(minutes=1)
    alice.occupancy.save()

    assert Client().get(f"/feed/list.json?apikey={key}").status_code == 401


def test_a_stranger_sees_no_feed_of_another_home(box, carol):
    theirs, secret = emoncms.issue_key(home=carol.home, name="c", at=NOW)

    response = box.get(f"/feed/data.json?id={theirs.pk * 10 + 1}&start=0&end=1")

    assert response.status_code == 404
    assert response.json()["message"] == f"feed {theirs.pk * 10 + 1} does not exist"
    assert Client().get(f"/feed/list.json?apikey={secret}").json()[0]["value"] is None


def test_too_much_and_too_often_are_told(box, monkeypatch):
    monkeypatch.setattr(views, "REQUESTS_A_MINUTE", 3)
    monkeypatch.setattr(views.time, "monotonic", lambda: 1_000.0)
    assert box.post("/input/bulk", b"x" * (3 << 20), content_type="text/plain").status_code == 413
    assert box.delete("/input/bulk").status_code == 405
    statuses = [box.get("/input/post?csv=1").status_code for _ in range(views.REQUESTS_A_MINUTE + 1)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


def test_a_zlib_bomb_is_refused(box):
    response = box.post(
        "/input/bulk?cb=1", zlib.compress(b"[" * (20 << 20)), content_type="application/octet-stream"
    )

    assert (response.status_code, response.json()["success"]) == (400, False)


def test_a_register_becomes_half_hours_and_replays_change_nothing(alice, box):
    start = NOW - timedelta(hours=2)
    rows = [
        [
            int((start + timedelta(seconds=30 * n)).timestamp()),
            "emonpi",
            {"import_kwh": 100 + n / 100, "t1": 5},
        ]
        for n in range(181)
    ]
    data = {"data": json.dumps(rows)}
    for _ in range(2):
        assert body_of(box.post("/input/bulk.json?time=0", data)) == (200, b"ok")
    assert body_of(box.post("/input/bulk.json?time=0", {"data": json.dumps(rows[::-1])})) == (200, b"ok")
    while registers.convert(at=NOW):
        pass

    feed = box.get("/feed/list.json").json()[0]
    span = f"start={int(start.timestamp())}000&end={EPOCH - 1}000"
    told = box.get(f"/feed/data.json?id={feed['id']}&{span}&interval=1800&delta=1").json()
    assert told == [[int((start + n * HALF).timestamp()) * 1000, 0.6] for n in range(3)] + [
        [(EPOCH - 1800) * 1000, None]
    ]


def test_rules_speak_of_frames_too(alice, box):
    rules = [
        {"id": "lab", "match": {"source": "emoncms", "type": "lab"}, "then": "drop"},
        {"id": "wh", "match": {"source": "emoncms", "type": "house", "field": "grid"},
         "then": "reshape", "rename": "import_kwh"},
        {"id": "odd", "match": {"source": "emoncms", "field": "odd"}, "then": "reshape", "set": "much"},
    ]  # fmt: skip
    ruling.publish(wanted=rules, note="", based_on=0, at=NOW, by=None)

    for node in ("lab", "house"):
        answer = box.get("/input/post", {"node": node, "fulljson": json.dumps({"grid": 7.5, "odd": 1})})
        assert answer.json() == {"success": True}

    assert {(each.node, each.name) for each in EmoncmsInput.objects.all()} == {("house", "import_kwh")}
    assert Register.objects.get().latest & (2**50 - 1) == 7_500
    assert dict(Message.objects.values_list("code", "times")) == {"not_a_number": 1}


def test_a_value_is_shown_only_with_consent_to_live_readings(alice, box):
    box.get("/input/post?node=a&csv=5")
    assert box.get("/input/get/a/1").json() == {"time": EPOCH, "value": None, "processList": ""}

    consenting.give_consent(
        member=alice.member,
        occupancy=alice.occupancy,
        purpose=Purpose.ADVICE,
        granularity=Granularity.LIVE,
        channel="web",
        at=NOW,
    )
    box.get("/input/post?node=a&csv=7")
    assert box.get("/input/get").json() == {"a": {"1": {"time": EPOCH, "value": 7.0, "processList": ""}}}
    assert box.get("/input/get?node=b").json() == "Node does not exist"


def test_without_consent_nothing_is_kept(alice, box):
    alice.occupancy.consents.filter(purpose=Purpose.SETTLEMENT).update(ends_at=NOW - timedelta(days=1))

    assert body_of(box.get("/input/post?node=a&json={import_kwh:5,grid:400}")) == (200, b"ok")
    assert not Register.objects.exists()


@pytest.fixture
def year(alice: Resident) -> Resident:
    """Alice's readings over the spring clock change, 500 Wh a half-hour, one day missing."""
    first = datetime(2025, 10, 20, tzinfo=UTC)
    starts = [first + n * HALF for n in range(14 * 48) if not 8 * 48 <= n < 9 * 48]
    report = ingest.store_readings(
        source="generated", name="y", at=NOW, stream_ids=[alice.stream_id] * len(starts), starts_at=starts,
        import_wh=np.full(len(starts), 500), export_wh=np.full(len(starts), 100),
    )  # fmt: skip
    assert report.rows_landed == len(starts)
    return alice


def data(box: Client, number: int, **query: Any) -> Any:
    key = EmoncmsKey.objects.get(name="emonPi")
    return box.get("/feed/data.json", {"id": key.pk * 10 + number, "timeformat": "unix", **query}).json()


LONDON_DAY = int(datetime(2025, 10, 23, 23, tzinfo=UTC).timestamp())  # midnight of 24 October, summer time


def test_days_of_a_zone_have_their_own_length(year, box):
    told = data(box, 1, start=LONDON_DAY, end=LONDON_DAY + 86_400 * 4, interval="daily", delta=1)

    assert [value for _, value in told] == [24.0, 24.0, 25.0, 24.0]
    assert [at - LONDON_DAY for at, _ in told][:4] == [0, 86_400, 2 * 86_400, 2 * 86_400 + 90_000]


def test_the_day_the_clocks_go_back_has_fifty_half_hours(year, box):
    sunday = int(datetime(2025, 10, 25, 23, tzinfo=UTC).timestamp())

    (first, *_) = data(box, 1, start=sunday, end=sunday + 3600, interval="daily", delta=1)

    assert first == [sunday, 25.0]
    assert len(data(box, 1, start=sunday, end=sunday + 90_000 - 1, interval=1800, delta=1)) == 50


def test_power_counter_and_export(year, box):
    start = int(datetime(2025, 10, 21, tzinfo=UTC).timestamp())

    assert data(box, 3, start=start, end=start + 3600 - 1, interval=1800) == [
        [start, 800.0],
        [start + 1800, 800.0],
    ]
    assert data(box, 3, start=start, end=start + 1, interval=86_400, average=1) == [[start, 800.0]]
    assert data(box, 1, start=start, end=start + 1, interval=1800) == [[start, 24.0]]
    assert data(box, 2, start=start, end=start + 1, interval=3600, delta=1) == [[start, 0.2]]
    assert data(box, 1, start=start, end=start + 1, interval=3600, delta=1, timeformat="notime") == [1.0]
    assert data(box, 1, start=start, end=start + 1, interval=3600, delta=1, timeformat="iso8601") == [
        ["2025-10-21T01:00:00+01:00", 1.0]
    ]


def test_gaps_are_null_or_left_out(year, box):
    gap = int(datetime(2025, 10, 28, tzinfo=UTC).timestamp())

    told = data(box, 1, start=gap - 1800, end=gap + 1800, interval=1800, delta=1)
    assert [value for _, value in told] == [0.5, None, None]
    assert len(data(box, 1, start=gap - 1800, end=gap + 1800, interval=1800, delta=1, skipmissing=1)) == 1


@pytest.mark.parametrize("interval", ["weekly", "monthly", "annual", 0, 5])
def test_other_intervals_conserve_the_energy(year, box, interval):
    start = int(datetime(2025, 10, 1, tzinfo=UTC).timestamp())

    told = data(box, 1, start=start, end=EPOCH, interval=interval, delta=1, skipmissing=1)

    assert round(sum(value for _, value in told), 6) == 13 * 24.0


@pytest.mark.parametrize(
    "query",
    [
        {"start": "", "end": 5},
        {"start": 5, "end": 4},
        {"start": 1, "end": 2, "interval": "hourly"},
        {"start": 0, "end": EPOCH, "interval": 1800},
        {"start": 1, "end": 2, "timezone": "Mars/Base"},
        {"start": 1, "end": 2, "timezone": "../etc"},
        {"start": "nan", "end": 2},
        {"start": 1, "end": 2, "timeformat": "roman"},
        {"start": "1e300", "end": "1e301"},
    ],
)
def test_a_request_for_data_that_makes_no_sense_is_told_why(year, box, query):
    key = EmoncmsKey.objects.get(name="emonPi")

    response = box.get("/feed/data.json", {"id": key.pk * 10 + 1, **query})

    assert response.status_code == 400
    assert response.json()["message"]


def test_values_of_feeds_and_csv(year, box):
    key = EmoncmsKey.objects.get(name="emonPi")
    clock.configure(datetime(2025, 11, 3, tzinfo=UTC), speed=0)
    one = key.pk * 10 + 1

    assert box.get(f"/feed/value.json?id={one}").json() == 13 * 24 - 0.5
    assert box.get(f"/feed/timevalue.json?id={one}").json()["value"] == 13 * 24 - 0.5
    assert box.get(f"/feed/fetch.json?ids={one},999,{one + 2}").json() == [13 * 24 - 0.5, False, 800.0]
    assert box.get("/feed/value.json?id=x").status_code == 404
    start = int(datetime(2025, 10, 21, tzinfo=UTC).timestamp())
    query = {"ids": f"{one},{one + 2}", "start": start, "end": start + 1, "interval": 1800, "delta": "1,0"}
    assert [each["data"][0][1] for each in box.get("/feed/data.json", query).json()] == [0.5, 800.0]
    assert box.get("/feed/csvexport.json", query).content == f"{start}000,0.5,800.0\n".encode()


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)


@given(
    st.lists(st.lists(values, max_size=5) | values, max_size=5),
    st.dictionaries(
        st.sampled_from(["sentat", "offset", "time", "cb", "c", "data"]), st.text(max_size=6), max_size=3
    ),
)
def test_any_bulk_is_read_or_refused_in_words(rows, extra):
    for parameters in ({"data": json.dumps(rows), **extra}, {**extra, "data": json.dumps(rows)}):
        with contextlib.suppress(EmoncmsRefused):
            found = read_bulk(parameters, b"", now=NOW)
            assert all(frame.values and frame.node for frame in found.frames)


@given(
    st.dictionaries(
        st.sampled_from(["json", "fulljson", "csv", "data", "time", "node"]), st.text(max_size=20), max_size=4
    )
)
def test_any_post_is_read_or_refused_in_words(parameters):
    with contextlib.suppress(EmoncmsRefused):
        assert read_post(parameters, now=NOW).values


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["", "?cb=1", "?c=1", "?data=%00", "?time=9e99"]))
def test_no_body_is_a_fault(box, body, query):
    response = box.post(f"/input/bulk.json{query}", body, content_type="application/x-www-form-urlencoded")

    assert 200 <= response.status_code < 500


def test_a_letter_is_used_once_its_input_has_the_right_role(alice, box):
    rows = [[EPOCH - 60 * n, "house", {"total": 7_500 - n, "import_kwh": 0}] for n in range(3)]
    box.post("/input/bulk.json?time=0", {"data": json.dumps(rows)})
    EmoncmsInput.objects.filter(name="total").update(role="import_kwh")
    far = [[EPOCH - 30, "house", {"total": 9e12, "t1": 21.5}]]
    box.post("/input/bulk.json?time=0", {"data": json.dumps(far)})
    assert {each.code: (each.topic, each.times) for each in Message.objects.all()} == {
        "zero_register": ("house", 3), "implausible": ("house", 1),
    }  # fmt: skip
    letter = Message.objects.get(code="implausible")
    assert json.loads(letter.body) == {"at": "2026-01-05T11:59:30+00:00", "values": {"total": 9e12}}
    EmoncmsInput.objects.filter(name="total").update(role="import_wh")

    ids = list(Message.objects.values_list("pk", flat=True))
    done = retrying.retry(message_ids=ids, at=NOW + HALF, actor="staff:1")

    assert (done.used, done.dead, done.bare) == (1, 1, 0)
    assert Register.objects.get().latest & (2**50 - 1) == int(9e12)
    left = Message.objects.get()
    assert (left.code, left.times, left.retried_at) == ("zero_register", 3, NOW + HALF)


def test_a_letter_of_a_key_that_was_revoked_says_so(alice, box):
    box.get("/input/post?node=a&json={import_kwh:0}")
    emoncms.revoke_key(key_id=EmoncmsKey.objects.get(name="emonPi").pk, at=NOW)

    done = retrying.retry(message_ids=[Message.objects.get().pk], at=NOW, actor="staff:1")

    assert (done.used, done.dead) == (0, 1)
    assert Message.objects.get().detail == "the key was revoked, or its household moved"


def test_a_letter_that_was_cut_off_says_so(alice, box):
    box.get("/input/post?node=a&json={import_kwh:0}")
    letter = Message.objects.get()
    letter.body = '{"at": "2026-01-05T12:00'
    letter.save(update_fields=["body"])

    done = retrying.retry(message_ids=[Message.objects.get().pk], at=NOW, actor="staff:1")

    assert (done.used, done.dead) == (0, 1)
    assert Message.objects.get().detail == "the frame was too long to be kept whole"
