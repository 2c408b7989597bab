"""Pages of notices: choices, number, links that take a press, webhooks that take a signature, staff's log."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import cancelling
from campaigns.models import OptRecord, Participation
from members import leaving
from members.models import Role, User
from notices import choosing, delivering, hooks, links, receipts
from notices.kinds import Kind
from notices.models import Choice, Contact, InboundSms, Notice
from opendsr.kernel import clock
from opendsr.web import telling
from tests.factories import make_staff
from tests.web.conftest import Visit
from tests.web.scene import NOW, Scene

SECRET = "a-shared-secret"
PHONE = "+447700900123"
HOSTILE = "<script>alert(1)</script>\u202e'\"--"
DOORS = [
    ("my_notices", "get", {"anonymous": 302, "alice": 200, "carol": 200, "sam": 404}),
    ("my_notices", "post", {"anonymous": 302, "alice": 422, "sam": 404}),
    ("my_number", "post", {"anonymous": 302, "alice": 422, "sam": 404}),
    ("notice_log", "get", {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403}),
    ("resend_notice", "post", {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403}),
    ("notice_link", "get", {"anonymous": 404, "alice": 404, "sam": 404}),
    ("notice_link", "post", {"anonymous": 404, "alice": 404}),
    ("sms_in", "post", {"anonymous": 403, "alice": 403, "sam": 403}),
    ("receipts_in", "post", {"anonymous": 403, "alice": 403, "sam": 403}),
]
ARGUMENTS: dict[str, list[Any]] = {"notice_link": ["nonsense"], "resend_notice": [uuid4()]}


@pytest.mark.parametrize(
    ("name", "method", "who", "status"),
    [(name, method, who, status) for name, method, answers in DOORS for who, status in answers.items()],
)
def test_each_door_opens_to_those_it_should(name, method, who, status, scene: Scene, visit: Visit):
    people = {"alice": scene.alice.user, "carol": scene.carol.user, "sam": scene.sam, "fay": scene.fay}

    response = getattr(visit(people.get(who)), method)(reverse(name, args=ARGUMENTS.get(name, [])))

    assert response.status_code == status


def scheduled(scene: Scene) -> Notice:
    """Alice's notice of the next event."""
    telling.tell_scheduled(campaign_id=scene.next.pk, at=NOW)
    return Notice.objects.get(member=scene.alice.member, kind=Kind.EVENT_SCHEDULED, channel="email")


class TestLinks:
    def test_looking_changes_nothing_and_a_press_skips(self, scene: Scene):
        notice = scheduled(scene)
        url = reverse("notice_link", args=[links.token(notice, links.SKIP)])
        for method in ("get", "head", "get"):
            response = getattr(Client(), method)(url)
            assert response.status_code == 200
            assert response["Cache-Control"].startswith("max-age=0")
        assert states(scene) == {"sent"}

        browser = Client(enforce_csrf_checks=True)
        page = browser.get(url).content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page).group(1)
        assert browser.post(url).status_code == 403, "a form of this site, or nothing"
        assert browser.post(url, {"csrfmiddlewaretoken": token}).status_code == 200
        assert states(scene) == {"opted_out"}
        assert OptRecord.objects.filter(participation__campaign=scene.next, opt="out").count() == len(
            list(mine(scene))
        )
        assert Client().post(url).status_code == 200, "twice is once"

    def test_it_ends_with_the_event(self, scene: Scene):
        notice = scheduled(scene)
        url = reverse("notice_link", args=[links.token(notice, links.SKIP)])
        clock.configure(scene.next.ends_at, speed=0)

        assert Client().get(url).status_code == 410
        assert Client().post(url).status_code == 410
        assert states(scene) == {"sent"}

    def test_who_was_taken_out_of_the_household_skips_nothing(self, scene: Scene):
        telling.tell_scheduled(campaign_id=scene.next.pk, at=NOW)
        notice = Notice.objects.get(member=scene.bob, kind=Kind.EVENT_SCHEDULED, channel="email")
        url = reverse("notice_link", args=[links.token(notice, links.SKIP)])
        stop = reverse("notice_link", args=[links.token(notice, links.STOP)])
        leaving.remove_housemate(holder=scene.alice.member, number=scene.bob.number, at=NOW, by="test")

        assert Client().get(url).status_code == 410
        assert Client().post(url).status_code == 410
        assert states(scene) == {"sent"}
        assert Client().post(stop).status_code == 200

    def test_of_an_event_called_off_it_says_so(self, scene: Scene):
        url = reverse("notice_link", args=[links.token(scheduled(scene), links.SKIP)])
        cancelling.cancel_campaign(campaign_id=scene.next.pk, at=NOW, by=scene.sam)

        answer = Client().post(url)

        assert answer.status_code == 409
        assert "called off, so there is nothing to answer" in answer.content.decode()

    @pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x" + t[1:], lambda t: t.upper(),
                                        lambda t: t.replace(".", ""), lambda t: HOSTILE])  # fmt: skip
    def test_a_changed_link_leads_nowhere(self, scene: Scene, change):
        token = change(links.token(scheduled(scene), links.SKIP))
        response = Client().post(f"/n/{token.replace('/', '')}/")

        assert response.status_code == 404
        assert "<script>alert" not in response.content.decode()
        assert states(scene) == {"sent"}

    def test_a_press_stops_the_class_by_that_channel(self, scene: Scene):
        notice = scheduled(scene)
        url = reverse("notice_link", args=[links.token(notice, links.STOP)])
        assert Client().get(url).status_code == 200
        assert not Choice.objects.exists()

        Client().post(url)
        row = Choice.objects.get()
        assert (row.member, row.notice_class, row.channel, row.is_wanted, row.how) == (
            scene.alice.member, "event", "email", False, "link",
        )  # fmt: skip


class TestOwnPage:
    def test_choices_are_kept_and_shown(self, scene: Scene, visit: Visit):
        browser = visit(scene.alice.user)
        url = reverse("my_notices")
        assert "Nothing yet." in browser.get(url).content.decode()

        browser.post(url, {"account_email": "on", "marketing_email": "on", "language": "cy"})
        held = choosing.choices_of([scene.alice.member.pk])[scene.alice.member.pk]
        assert held == {("event", "email"): False, ("event", "sms"): False, ("marketing", "email"): True}
        assert Choice.objects.get(notice_class="marketing").wording
        assert Contact.objects.get().language == "cy"
        boxes = re.findall(r'<input type="checkbox"[^>]*>', browser.get(url).content.decode())
        checked = {re.search(r'name="(\w+)"', box).group(1) for box in boxes if " checked" in box}
        assert checked == {"account_email", "marketing_email"}

    def test_a_number_is_confirmed_by_its_code(self, scene: Scene, visit: Visit, capsys):
        browser = visit(scene.alice.user)
        url = reverse("my_number")
        assert browser.post(url, {"do": "number", "phone": "07700 900123"}).status_code == 302
        code = re.search(r"\b(\d{6})\b", capsys.readouterr().out).group(1)

        wrong = browser.post(url, {"do": "confirm", "code": "12"})
        assert wrong.status_code == 422
        assert "That is not the code" in wrong.content.decode()
        browser.post(url, {"do": "confirm", "code": f" {code} "})
        assert Contact.objects.get(phone_index=PHONE).confirmed_at == NOW
        assert PHONE in browser.get(reverse("my_notices")).content.decode()
        browser.post(url, {"do": "drop"})
        assert Contact.objects.get().phone == ""

    @pytest.mark.parametrize("phone", ["", "12", HOSTILE, "0" * 31, "\x00"])
    def test_what_is_no_number_is_said_beside_the_field(self, scene: Scene, visit: Visit, phone):
        response = visit(scene.alice.user).post(reverse("my_number"), {"do": "number", "phone": phone})

        assert response.status_code in (400, 422)
        assert "<script>alert" not in response.content.decode()
        assert not Contact.objects.exists()

    def test_nobody_elses_notices_are_there(self, scene: Scene, visit: Visit):
        scheduled(scene)
        Notice.objects.exclude(member=scene.alice.member).delete()

        assert "Event scheduled" in visit(scene.alice.user).get(reverse("my_notices")).content.decode()
        assert "Event scheduled" not in visit(scene.bob.user).get(reverse("my_notices")).content.decode()


class TestHooks:
    @pytest.fixture(autouse=True)
    def _secret(self, settings: Any) -> None:
        settings.NOTICE_HOOK_SECRET = SECRET

    def call(self, name: str, body: object, *, secret: str = SECRET, **signed_as: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        header = hooks.sign(raw, secret=secret, wall=clock.wall_now())
        return Client().post(
            reverse(name), raw, content_type="application/json", headers={hooks.HEADER: header} | signed_as
        )

    def text(self, words: str, *, number: str = "1") -> str:
        response = self.call("sms_in", {"id": number, "from": PHONE, "text": words})
        assert response.status_code == 200
        return str(response.json()["reply"])

    @pytest.fixture
    def phone(self, scene: Scene) -> None:
        code = choosing.give_number(member=scene.alice.member, phone=PHONE, at=NOW)
        choosing.confirm_number(member=scene.alice.member, code=code, at=NOW)

    def test_skip_in_and_stop_by_text(self, scene: Scene, phone: None):
        assert "You are out on Thu 15 Jan" in self.text("Skip")
        assert states(scene) == {"opted_out"}
        assert "You are out" in self.text("Skip"), "the same message again"
        assert "No event" in self.text("SKIP", number="2")
        assert "You take part" in self.text("IN", number="3")
        assert "opted_out" not in states(scene)
        assert "no more texts" in self.text("STOP", number="4")
        assert "members can reply" in self.text("SKIP", number="5")
        assert "opted_out" not in states(scene)
        assert InboundSms.objects.count() == 5

    def test_a_receipt_reaches_its_notice(self, scene: Scene):
        scheduled(scene)
        delivering.send_due(at=NOW)
        notice = Notice.objects.get(member=scene.alice.member)
        body = {"id": notice.provider_id, "outcome": "delivered"}

        assert self.call("receipts_in", body).json() == {"known": True}
        assert self.call("receipts_in", body | {"id": "other"}).json() == {"known": False}
        notice.refresh_from_db()
        assert (notice.state, notice.answered_at) == ("delivered", NOW)

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"id": 3}',
        b'{"id": "", "outcome": "delivered"}',
        b'{"id": "\\u0000", "outcome": "delivered"}', b'{"id": "x", "outcome": "lost"}', b"\xff",
        b'{"id": "\\ud800", "outcome": "delivered"}', b"[" * 9_000])  # fmt: skip
    def test_what_makes_no_sense_is_refused_in_words(self, scene: Scene, body):
        response = self.call("receipts_in", body)

        assert response.status_code in (400, 422)
        assert response.json()["error"]

    def test_too_much_is_413_and_another_secret_403(self, scene: Scene):
        assert self.call("sms_in", b"x" * 20_000).status_code == 413
        assert self.call("sms_in", {"id": "1", "from": PHONE, "text": "x"}, secret="b").status_code == 403
        assert not InboundSms.objects.exists()


class TestLog:
    @pytest.fixture
    def mo(self, scene: Scene) -> User:
        return make_staff("mo@example.org", Role.MEMBER_SERVICES)

    def bounced(self, scene: Scene) -> Notice:
        scheduled(scene)
        delivering.send_due(at=NOW)
        notice = Notice.objects.get(member=scene.alice.member)
        receipts.receive(provider_id=notice.provider_id, outcome="bounced", at=NOW)
        return notice

    def test_what_did_not_arrive_is_found_and_sent_again(self, scene: Scene, visit: Visit, mo: User):
        notice = self.bounced(scene)
        browser = visit(mo)
        page = browser.get(reverse("notice_log"), {"state": "not_arrived"}).content.decode()
        assert page.count('<th scope="row">') == 1
        assert scene.alice.member.number in page
        assert "alice@example.org" not in page
        assert scene.alice.member.full_name not in page

        response = browser.post(
            reverse("resend_notice", args=[notice.pk]), {"back": "state=not_arrived&next=//evil.example"}
        )
        assert response.url == f"{reverse('notice_log')}?state=not_arrived"
        notice.refresh_from_db()
        assert (notice.state, notice.again) == ("queued", 1)
        again = browser.post(reverse("resend_notice", args=[notice.pk]), follow=True)
        assert "under way" in again.content.decode()
        assert browser.post(reverse("resend_notice", args=[uuid4()])).status_code == 404

    @pytest.mark.parametrize("given", [{"state": HOSTILE}, {"kind": "x"}, {"channel": "pigeon"},
                                       {"number": HOSTILE}, {"page": "x"}])  # fmt: skip
    def test_filters_that_mean_nothing_are_harmless(self, scene: Scene, visit: Visit, mo: User, given):
        response = visit(mo).get(reverse("notice_log"), given)

        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()

    def test_a_long_log_takes_as_many_statements_as_a_short_one(
        self, scene: Scene, visit: Visit, mo: User, django_assert_max_num_queries
    ):
        row = self.bounced(scene)
        Notice.objects.bulk_create(
            Notice(
                member=row.member, kind=row.kind, notice_class=row.notice_class, channel=row.channel,
                key=f"many {number}", facts="{}", queued_at=NOW - timedelta(minutes=number), due_at=NOW,
                expires_at=NOW + timedelta(days=1), next_try_wall_at=clock.wall_now(),
            )
            for number in range(120)
        )  # fmt: skip
        browser = visit(mo)
        with django_assert_max_num_queries(12):
            page = browser.get(reverse("notice_log"))
        assert "Page 1 of 3" in page.content.decode()


def test_a_test_message_is_sent_from_setup(scene: Scene, visit: Visit, ada: User, capsys):
    page = visit(ada).get(reverse("setup")).content.decode()
    assert "Text messages" in page

    response = visit(ada).post(reverse("setup_try", args=["text"]), {"phone": "07700 900123"}, follow=True)
    assert "Testing" not in response.content.decode()
    assert "SMS to …123" in capsys.readouterr().out
    bad = visit(ada).post(reverse("setup_try", args=["text"]), {"phone": "12"}, follow=True)
    assert "area code" in bad.content.decode()


def test_on_a_live_site_letters_whose_links_lead_nowhere_are_told(
    scene: Scene, visit: Visit, ada: User, settings: Any
):
    settings.EMAIL_BACKEND, settings.IS_PRODUCTION = "django.core.mail.backends.smtp.EmailBackend", True
    assert "Set SITE_URL" in visit(ada).get(reverse("setup")).content.decode()
    settings.SITE_URL = "https://coop.example"
    assert "Set SITE_URL" not in visit(ada).get(reverse("setup")).content.decode()


def mine(scene: Scene) -> Any:
    return Participation.objects.filter(campaign=scene.next, occupancy=scene.alice.occupancy)


def states(scene: Scene) -> set[str]:
    return set(mine(scene).values_list("state", flat=True))
