"""The member API and the calendar by a member's own keys: the same doors as the pages, and what a key may."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

import icalendar
import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from drf_spectacular.drainage import GENERATOR_STATS

from campaigns import cancelling
from campaigns.models import Campaign, Participation
from members import leaving, tokens
from members.models import Consent, StandingOptOut
from members.token_models import PersonalToken
from opendsr.kernel import clock
from opendsr.web import member_api, member_urls
from tests.web.pages import seen
from tests.web.scene import NOW, Scene, freeze

pytestmark = pytest.mark.django_db
Visit = Callable[[object], Client]
API = "/api/member/v1/"
HOSTILE = "<script>x</script>"
SOMETHING = UUID("0190a0a0-0000-7000-8000-000000000000")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


class Program:
    """A program of a member's, with a key."""

    def __init__(self, secret: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {secret}"})

    def get(self, path: str, status: int = 200) -> dict:
        answer = self.client.get(API + path)
        assert answer.status_code == status, answer.content
        return answer.json()

    def post(self, path: str, status: int, **data: object) -> dict:
        answer = self.client.post(API + path, json.dumps(data), content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else {}


def key(resident: object, scope: str, **other: object) -> tokens.NewToken:
    given = {"name": "mine", "days": None, "at": NOW, "wall": clock.wall_now(), "by": "member:x", **other}
    return tokens.make_token(member=resident.member, scope=scope, **given)


@pytest.fixture
def program(scene: Scene) -> Program:
    return Program(key(scene.alice, "act").secret)


def test_it_tells_what_the_pages_tell(scene: Scene, program: Program) -> None:
    me = program.get("me/")
    assert (me["number"], me["full_name"], me["scope"]) == (scene.alice.member.number, "Alice Ash", "act")
    assert [home["id"] for home in me["homes"]] == [str(scene.alice.occupancy.pk)]
    assert me["balance_mp"] == scene.statement_of(scene.alice).posted_mp
    (event,) = program.get("events/")
    assert (event["campaign_id"], event["answer"]) == (str(scene.next.pk), "in")
    assert event["starts_at"] == scene.next.starts_at.isoformat().replace("+00:00", "Z")
    (statement,) = program.get("statements/")["results"]
    whole = program.get(f"statements/{statement['id']}/")
    assert scene.alice.member.number in json.dumps(whole)
    day = program.get("readings/?day=2026-01-14")
    assert len(day["readings"]) == 48
    assert sum(each["net_wh"] for each in day["readings"]) > 0
    assert program.get("readings/?day=1999-01-01")["day"] == day["oldest"]
    assert program.get("plans/") == []
    assert {each["purpose"] for each in program.get("consents/")} == {"flexibility", "settlement"}


def test_an_event_is_skipped_and_taken_up_again(scene: Scene, program: Program) -> None:
    path = f"events/{scene.next.pk}/{scene.alice.occupancy.pk}/answer/"
    for answer, state in (("out", "opted_out"), ("out", "opted_out"), ("in", None)):
        assert program.post(path, 200, answer=answer)["answer"] == answer
        parts = Participation.objects.filter(campaign=scene.next, occupancy=scene.alice.occupancy)
        assert state is None or {part.state for part in parts} == {state}
    wrong = program.post(path, 400, answer="maybe")
    assert wrong["errors"] == [{"field": "answer", "value": "maybe", "fix": '"maybe" is not a valid choice.'}]
    assert program.post(path, 400)["errors"][0]["field"] == "answer"
    other = f"events/{scene.next.pk}/{scene.carol.occupancy.pk}/answer/"
    assert program.post(other, 404, answer="out")["code"]
    assert program.post(f"events/{uuid4()}/{scene.alice.occupancy.pk}/answer/", 404, answer="out")["code"]


def test_wishes_and_consents(scene: Scene, program: Program) -> None:
    home = str(scene.alice.occupancy.pk)
    made = program.post(
        "opt-outs/", 201, home_id=home, weekdays=31, from_time="16:00", to_time="19:00", reason=HOSTILE
    )
    assert [each["id"] for each in program.get("opt-outs/")] == [made["id"]]
    row = StandingOptOut.objects.get()
    assert (row.weekdays, f"{row.from_time:%H:%M}", row.reason) == (31, "16:00", HOSTILE)
    for field, wrong in (
        ("weekdays", 0), ("from_time", "25:00"), ("least_pct", 100), ("season_from", "13-40"),
        ("home_id", "x"), ("starts_at", "soon"), ("reason", "\0"), ("reason", "x" * 200),
    ):  # fmt: skip
        told = program.post(
            "opt-outs/", 422 if field == "season_from" else 400, **{"home_id": home, field: wrong}
        )
        assert field in json.dumps(told)
    assert program.post("opt-outs/", 422, home_id=home, from_time="16:00")["code"]
    assert program.post("opt-outs/", 404, home_id=str(scene.carol.occupancy.pk))["code"] == "no_home_of_yours"
    program.post(f"opt-outs/{made['id']}/end/", 204)
    assert program.get("opt-outs/") == []
    assert program.post(f"opt-outs/{uuid4()}/end/", 404)["code"]

    consent = next(each for each in program.get("consents/") if each["purpose"] == "settlement")
    program.post(f"consents/{consent['id']}/withdraw/", 204)
    assert Consent.objects.get(pk=consent["id"]).ends_at == NOW
    carols = Consent.objects.filter(occupancy=scene.carol.occupancy)[0]
    program.post(f"consents/{carols.pk}/withdraw/", 404)
    assert Consent.objects.get(pk=carols.pk).ends_at is None


def test_the_account_holder_says_who_belongs_to_the_household(scene: Scene, program: Program) -> None:
    bobs = Program(tokens.make_token(
        member=scene.bob, scope="act", name="b", days=None, at=NOW, wall=clock.wall_now(), by="x"
    ).secret)  # fmt: skip
    alice, bob = program.get("household/")["people"]
    assert (alice["number"], alice["is_account_holder"], alice["is_you"]) == (
        scene.alice.member.number, True, True,
    )  # fmt: skip
    assert (bob["full_name"], bob["is_account_holder"], bob["is_you"]) == ("Bob Ash", False, False)
    assert [each["is_you"] for each in bobs.get("household/")["people"]] == [False, True]

    program.post("household/invitations/", 400, email="x")
    program.post("household/invitations/", 202, email="ben@example.org")
    assert [letter.to for letter in mail.outbox] == [["ben@example.org"]]
    refused = bobs.post("household/invitations/", 403, email="ben@example.org")
    assert (refused["code"], "Alice Ash" in refused["detail"]) == ("not_account_holder", True)
    bobs.post(f"household/people/{alice['number']}/remove/", 403)
    for other in (alice["number"], scene.carol.member.number, "M-99999"):
        program.post(f"household/people/{other}/remove/", 404)
    program.post(f"household/people/{bob['number']}/remove/", 204)
    assert mail.outbox[-1].to == ["bob@example.org"]
    freeze(NOW + timedelta(minutes=1))
    assert [each["number"] for each in program.get("household/")["people"]] == [alice["number"]]
    assert bobs.client.get(API + "me/").status_code == 401


ADDRESSES = [
    ("get", "me/"), ("get", "events/"), ("get", "statements/"), ("get", "readings/"), ("get", "plans/"),
    ("get", "consents/"), ("get", "opt-outs/"), ("get", "schema/"), ("post", "opt-outs/"),
    ("post", f"opt-outs/{SOMETHING}/end/"), ("post", f"consents/{SOMETHING}/withdraw/"),
    ("get", "household/"), ("post", "household/invitations/"), ("post", "household/people/x/remove/"),
    ("get", f"statements/{SOMETHING}/"), ("post", f"events/{SOMETHING}/{SOMETHING}/answer/"),
]  # fmt: skip


def test_every_address_is_asked_below() -> None:
    assert len({path.split("/")[0] + path[-4:] for _method, path in ADDRESSES}) >= len(ADDRESSES) - 2
    assert len(ADDRESSES) == len(member_urls.urlpatterns) + 1  # opt-outs/ is both


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_only_a_member_by_a_good_key_comes_in(scene: Scene, visit: Visit, method: str, path: str) -> None:
    def status(client: Client) -> int:
        return getattr(client, method)(API + path).status_code

    assert status(visit(None)) == 401
    assert status(visit(scene.sam)) == 403, "staff are no members"
    good = key(scene.alice, "read")
    revoked = key(scene.alice, "act")
    tokens.revoke_token(
        member=scene.alice.member, token_id=revoked.row.pk, at=NOW, wall=clock.wall_now(), by="x"
    )
    over = key(scene.alice, "act", days=1, wall=clock.wall_now() - timedelta(days=2))
    calendar = key(scene.alice, "calendar")
    for bad in (
        revoked.secret, over.secret, calendar.secret, good.secret[:-1], good.secret + "x", "", "odsr__",
        "x_y_z", f"odsr_{good.row.prefix}_", f"vtn{good.secret[4:]}", "odsr_\x7f_x", "\xd9" * 9, "x" * 5_000,
    ):  # fmt: skip
        assert status(Program(bad).client) == 401, bad[:40]
    if method == "post":
        assert status(Program(good.secret).client) == 403, "a key that reads changes nothing"
    else:
        assert status(Program(good.secret).client) in (200, 404)


def test_a_key_ends_with_the_membership_and_is_used_no_more_than_so_often(scene: Scene) -> None:
    program = Program(key(scene.alice, "read").secret)
    program.get("me/")
    assert PersonalToken.objects.get().last_used_wall_at is not None
    answers = [program.client.get(API + "me/").status_code for _ in range(125)]
    assert answers.count(429) > 0
    cache.clear()
    leaving.leave(member=scene.alice.member, at=NOW, by="x")
    freeze(NOW + timedelta(minutes=1))
    assert program.client.get(API + "me/").status_code == 401


@pytest.mark.parametrize(
    "position",
    ["\0", "yesterday", "2026-01-15 13:00:00", "2026-13-45 00:00:00+00:00", "0001-01-01 00:00+14:00"],
)
def test_a_cursor_made_up_is_no_page(scene: Scene, program: Program, position: str) -> None:
    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    assert program.get(f"statements/?{urlencode({'cursor': cursor})}", 404)["code"] == "not_found"


def test_a_refusal_names_the_field_what_stood_there_and_what_to_write(scene: Scene, program: Program) -> None:
    home = str(scene.alice.occupancy.pk)
    for sent, field, value, fix in (
        ({"from_time": "17:00"}, "to_time", None, "Give the hours both ends, and not the same."),
        ({"season_from": "02-30"}, "season_from", "02-30", "write it as"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at", "2020-01-01T00:00:00Z", "That day is over already."),
    ):
        (error,) = program.post("opt-outs/", 422, home_id=home, **sent)["errors"]
        assert (error["field"], error["value"]) == (field, value)
        assert fix in error["fix"]
    (error,) = program.get("readings/?day=soon", 422)["errors"]
    assert (error["field"], error["value"]) == ("day", "soon")


def test_times_are_utc_in_summer_too(scene: Scene, program: Program) -> None:
    home = str(scene.alice.occupancy.pk)
    made = program.post(
        "opt-outs/", 201, home_id=home, starts_at="2026-07-01T18:00:00", ends_at="2026-07-02T00:00+01:00"
    )
    assert (made["starts_at"], made["ends_at"]) == ("2026-07-01T18:00:00Z", "2026-07-01T23:00:00Z")


def test_the_schema_names_every_address() -> None:
    document = member_api.schema_document()
    assert len(document["paths"]) == len(member_urls.urlpatterns) - 1
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names)) == len(ADDRESSES) - 1


def test_the_schema_is_made_without_a_guess(capfd: pytest.CaptureFixture[str]) -> None:
    """A field whose kind the describer cannot tell is one that programs are told wrongly."""
    GENERATOR_STATS.reset()

    document = member_api.schema_document.__wrapped__()

    assert "Warning" not in capfd.readouterr().err
    assert document["components"]["schemas"]["OptOutField"]["properties"]["reason"] == {"type": "string"}


def test_keys_are_made_shown_once_and_revoked(scene: Scene, visit: Visit) -> None:
    client, page = visit(scene.alice.user), reverse("my_apps")
    assert seen(client.get(page)).faults() == []
    made = client.post(page, {"name": HOSTILE, "scope": "read", "days": ""})
    assert made.status_code == 200
    assert HOSTILE not in made.content.decode()
    (secret,) = (each for each in seen(made).tree.xpath("//code/text()") if each.startswith("odsr_"))
    assert Program(secret).get("me/")["scope"] == "read"
    assert secret not in client.get(page).content.decode()
    row = PersonalToken.objects.get()
    assert secret.split("_", 2)[2] not in str(vars(row))
    for wrong in ({"name": ""}, {"scope": "all"}, {"days": "0"}, {"days": "x"}, {"name": "\0"}):
        assert client.post(page, {"name": "x", "scope": "read", **wrong}).status_code == 422
    stranger = visit(scene.carol.user)
    assert stranger.post(reverse("revoke_token", args=[row.pk])).status_code == 404
    assert visit(None).post(reverse("revoke_token", args=[row.pk])).status_code == 302
    assert visit(scene.sam).get(page).status_code == 404
    assert client.post(reverse("revoke_token", args=[row.pk])).status_code == 302
    assert Program(secret).client.get(API + "me/").status_code == 401
    for number in range(tokens.MOST_TOKENS):
        assert client.post(page, {"name": f"k{number}", "scope": "read"}).status_code == 200
    assert "revoke one first" in seen(client.post(page, {"name": "one more", "scope": "read"})).text()


def test_a_form_sent_twice_makes_one_key_and_shows_it_again(scene: Scene, visit: Visit) -> None:
    client, page = visit(scene.alice.user), reverse("my_apps")
    (drawn,) = seen(client.get(page)).tree.xpath("//input[@name='key']/@value")
    fields = {"key": drawn, "name": "phone", "scope": "read", "days": ""}

    first, again = ([*seen(client.post(page, fields)).tree.xpath("//code/text()")] for _ in range(2))

    assert first == again
    row = PersonalToken.objects.get()
    (secret,) = (each for each in first if each.startswith("odsr_"))
    assert Program(secret).get("me/")["scope"] == "read"
    stranger = seen(visit(scene.carol.user).post(page, fields)).text()
    assert secret not in stranger
    assert PersonalToken.objects.count() == 2
    client.post(page, fields | {"name": "tablet"})
    assert PersonalToken.objects.filter(member=row.member).count() == 2
    client.post(reverse("revoke_token", args=[row.pk]))
    refused = client.post(page, fields)
    assert refused.status_code == 422
    assert "Open the page again for another" in seen(refused).text()


def test_a_calendar_folds_long_lines_and_escapes_what_was_written(scene: Scene) -> None:
    name = "Café; ¾, tea\\ " + "ŵŷ\N{ELECTRIC LIGHT BULB}" * 25
    Campaign.objects.filter(pk=scene.next.pk).update(name=name, reason="BEGIN:VALARM\r\nACTION:AUDIO")
    body = Client().get(reverse("calendar", args=[key(scene.alice, "calendar").secret])).content
    lines = body.split(b"\r\n")
    assert lines[-1] == b""
    assert max(len(line) for line in lines) <= 75
    assert not [line for line in lines if b"\n" in line or line.startswith((b"BEGIN:VALARM", b"ACTION"))]
    found = {str(each["summary"]): each for each in icalendar.Calendar.from_ical(body).events}
    assert str(found[name]["description"]).startswith("BEGIN:VALARM\nACTION:AUDIO")
    assert found[name]["dtstart"].to_ical() == b"20260115T170000Z"


def test_a_calendar_tells_the_events_to_whoever_has_its_address(scene: Scene, visit: Visit) -> None:
    client = visit(scene.alice.user)
    made = client.post(reverse("my_apps"), {"name": "phone", "scope": "calendar"})
    (address,) = (each for each in seen(made).tree.xpath("//code/text()") if each.endswith(".ics"))

    def events() -> dict[str, icalendar.Event]:
        answer = Client().get(address)
        assert answer["Content-Type"] == "text/calendar; charset=utf-8"
        return {
            str(each["uid"]).partition("@")[0][:36]: each
            for each in icalendar.Calendar.from_ical(answer.content).events
        }

    found = events()
    assert set(found) == {str(scene.past.pk), str(scene.next.pk)}
    event = found[str(scene.next.pk)]
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (scene.next.starts_at, scene.next.ends_at)
    assert (event["summary"], event["status"]) == (scene.next.name, "CONFIRMED")
    freeze(NOW + timedelta(minutes=5))
    Program(key(scene.alice, "act").secret).post(
        f"events/{scene.next.pk}/{scene.alice.occupancy.pk}/answer/", 200, answer="out"
    )
    skipped = events()[str(scene.next.pk)]
    assert skipped["status"] == "CANCELLED"
    assert skipped["uid"] == event["uid"]
    assert skipped["sequence"] > event["sequence"]
    assert skipped.decoded("dtstamp") > event.decoded("dtstamp")
    cancelling.cancel_campaign(campaign_id=scene.next.pk, at=NOW, by=scene.sam)
    called_off = events()[str(scene.next.pk)]
    assert called_off["status"] == "CANCELLED"
    assert called_off["sequence"] > skipped["sequence"]
    assert Client().get(address.replace(".ics", "x.ics")).status_code == 404
    assert Client().get(reverse("calendar", args=[key(scene.alice, "read").secret])).status_code == 404
    assert Client().post(address).status_code == 405
