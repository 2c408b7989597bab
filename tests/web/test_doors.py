"""Every address by everybody: owner, same household, stranger, staff of each kind, nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from django.urls import URLPattern, reverse

from campaigns.models import Campaign, OptRecord
from opendsr.web.urls import api_urls, market_urls, urlpatterns
from settlement.models import SettlementRun
from tests.web.conftest import Visit
from tests.web.scene import Scene

HOUSEHOLD_ONLY = {
    "anonymous": 302,
    "alice": 200,
    "bob": 200,
    "carol": 404,
    "sam": 404,
    "fay": 200,
    "nobody": 404,
}
STAFF_ONLY = {"anonymous": 302, "alice": 404, "sam": 200, "fay": 200, "nobody": 404}
STAFF_LIST = {"anonymous": 302, "alice": 403, "sam": 200, "fay": 200, "nobody": 403}
MACHINES = {"anonymous": 403, "alice": 403, "sam": 200, "fay": 200, "robot": 200, "nobody": 403}
MONEY = {"anonymous": 302, "alice": 403, "sam": 403, "fay": 200, "nobody": 403}
MONEY_404 = {**MONEY, "fay": 404}
EVERYBODY = {"anonymous": 200, "alice": 200, "sam": 200}


@dataclass(frozen=True, slots=True)
class Door:
    """An address and who gets which status there."""

    name: str
    answers: Mapping[str, int]
    method: str = "get"
    of: str = ""
    verb: str = ""
    data: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.name} {self.of}{self.verb}".strip()

    def url(self, scene: Scene) -> str:
        """The address, for something of Alice's where it is somebody's."""
        if self.name.startswith("statement"):
            return reverse(self.name, args=[scene.statement_of(scene.alice).pk])
        if self.name in ("round_page", "round_statements"):
            return reverse(self.name, args=[scene.run.round_id])
        if self.name == "round_action":
            return reverse(self.name, args=[scene.run.round_id, "nonsense"])
        if self.name in ("payment_batch", "batch_file"):
            return reverse(self.name, args=[uuid4()])
        if self.name in ("first_run", "setup_try"):
            return reverse(self.name, args=["nonsense"])
        if self.name == "home_readings":
            return reverse(self.name, args=[scene.alice.occupancy.pk])
        if self.name == "own_asset":
            return reverse(self.name, args=[scene.homes[0].hub.assets[0].pk])
        if self.name in ("answer_landlord", "choose_tariff"):
            return reverse(self.name, args=[scene.alice.occupancy.pk])
        if self.name in ("choose_resolution", "partner_detail", "take_back_opt_out", "withdraw_consent"):
            return reverse(self.name, args=[uuid4()])
        if self.name in ("take_copy", "lift_restriction", "rights_request"):
            return reverse(self.name, args=[uuid4()])
        if self.name in ("market_request", "market_buyer"):
            return reverse(self.name, args=[uuid4()])
        if self.name in ("market_action", "market_buyer_action"):
            return reverse(self.name, args=[uuid4(), self.verb])
        if self.name in ("operator", "operator_vtn"):
            return reverse(self.name, args=[uuid4()])
        if self.name in ("operator_action", "operator_vtn_action"):
            return reverse(self.name, args=[uuid4(), self.verb])
        if self.name == "sending_action":
            return reverse(self.name, args=[self.verb])
        if self.name in ("batch_action", "dispute_action", "surplus_action"):
            return reverse(self.name, args=[uuid4(), "nonsense"])
        if self.name == "answer_event":
            return reverse(self.name, args=[scene.next.pk, scene.alice.occupancy.pk])
        if self.name == "campaign_action":
            return reverse(self.name, args=[getattr(scene, self.of).pk, self.verb])
        if self.of:
            url = reverse(self.name, args=[getattr(scene, self.of).pk])
            return f"{url}?state={getattr(scene, self.of).state}" if self.name == "campaign_live" else url
        return reverse(self.name)


DOORS = [
    Door("home", {"anonymous": 302, "alice": 200, "bob": 200, "carol": 200, "sam": 302, "nobody": 200}),
    Door("set_language", {"alice": 302, "sam": 302, "nobody": 302}, method="post"),
    Door("statement", HOUSEHOLD_ONLY),
    Door("statement_csv", HOUSEHOLD_ONLY),
    Door("statement_json", HOUSEHOLD_ONLY),
    Door("statement_pdf", HOUSEHOLD_ONLY),
    Door("earnings", {"anonymous": 302, "alice": 200, "bob": 200, "carol": 200, "sam": 404, "nobody": 404}),
    Door("choose_gift", {"anonymous": 302, "alice": 422, "sam": 404}, method="post"),
    Door("change_bank", {"anonymous": 302, "alice": 422, "sam": 404}, method="post"),
    *(Door(name, MONEY) for name in ("round_list", "payment_list", "dispute_list", "policy_list", "surplus")),
    *(
        Door(name, {**MONEY, "fay": 422}, method="post")
        for name in (
            "round_list",
            "payment_list",
            "dispute_list",
            "policy_list",
            "surplus",
            "surplus_society",
        )
    ),
    Door("surplus_action", MONEY_404, method="post"),
    Door("round_page", MONEY),
    Door("round_statements", {**MONEY, "fay": 409}),
    Door("round_action", MONEY_404, method="post"),
    Door("payment_batch", {**MONEY, "fay": 404}),
    Door("batch_file", {**MONEY, "fay": 404}),
    Door("batch_action", MONEY_404, method="post"),
    Door("payment_status", {**MONEY, "fay": 302}, method="post"),
    Door("dispute_action", MONEY_404, method="post"),
    Door("usage", {"anonymous": 302, "alice": 200, "bob": 200, "carol": 200, "sam": 302, "nobody": 302}),
    *(
        Door(name, {"anonymous": 302, "alice": 200, "bob": 200, "carol": 200, "sam": 404, "nobody": 404})
        for name in ("usage_csv", "usage_json")
    ),
    Door("choose_resolution", {"anonymous": 302, "alice": 404, "sam": 404, "nobody": 404}, method="post"),
    Door(
        "answer_landlord",
        {"anonymous": 302, "alice": 302, "bob": 302, "carol": 404, "sam": 404, "fay": 404, "nobody": 404},
        method="post",
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 404, "sam": 404, "fay": 404, "nobody": 404})
        for name in ("partner_home", "partner_csv")
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403, "nobody": 403}, method=method)
        for name in ("partner_list", "partner_detail", "register_import")
        for method in ("get", "post")
    ),
    *(
        Door("preferences", {"anonymous": 302, "sam": 404, "nobody": 404, **own}, method=method)
        for method, own in (("get", {"alice": 200}), ("post", {}))
    ),
    *(
        Door("first_run", {"anonymous": 404, "alice": 404, "sam": 404}, method=method)
        for method in ("get", "post")
    ),
    Door("setup", {"anonymous": 302, "alice": 403, "fay": 403, "nobody": 403}),
    Door("setup_try", {"anonymous": 302, "alice": 403, "fay": 403, "nobody": 403}, method="post"),
    *(
        Door(
            "own_asset",
            {"anonymous": 302, "carol": 404, "sam": 404, "fay": 404, "nobody": 404, **own},
            method=method,
        )
        for method, own in (("get", {"alice": 200, "bob": 200}), ("post", {"alice": 422, "bob": 422}))
    ),
    Door("own_needs", {"anonymous": 302, "alice": 200, "bob": 200, "sam": 404, "nobody": 404}),
    Door("own_needs", {"anonymous": 302, "sam": 404, "nobody": 404}, method="post"),
    *(
        Door("household_needs", {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403}, method=method)
        for method in ("get", "post")
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 404, "carol": 404, "sam": 404, "nobody": 404}, method="post")
        for name in ("take_back_opt_out", "withdraw_consent")
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 200, "sam": 404, "nobody": 404})
        for name in ("my_rights", "erase_me")
    ),
    Door("my_rights", {"anonymous": 302, "alice": 422, "sam": 404}, method="post", data={"do": "complain"}),
    Door(
        "erase_me",
        {"anonymous": 302, "alice": 422, "sam": 404, "nobody": 404},
        method="post",
        data={"x": "1"},
    ),
    *(
        Door("take_copy", {"anonymous": 302, "alice": 404, "carol": 404, "sam": 404}, method=method)
        for method in ("get", "post")
    ),
    Door("lift_restriction", {"anonymous": 302, "alice": 404, "carol": 404, "sam": 404}, method="post"),
    *(
        Door(name, {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403, "nobody": 403}, method=method)
        for name in ("rights_list", "rights_request")
        for method in ("get", "post")
    ),
    Door("processing_record", {"anonymous": 302, "alice": 403, "sam": 403, "nobody": 403}),
    Door("my_plan", {"anonymous": 302, "alice": 200, "carol": 200, "sam": 200, "nobody": 200}),
    Door(
        "choose_tariff",
        {"anonymous": 302, "alice": 302, "bob": 302, "carol": 404, "sam": 404, "fay": 404, "nobody": 404},
        method="post",
    ),
    Door("night_plans", STAFF_LIST),
    Door("forecast", STAFF_LIST),
    Door("forecast_csv", STAFF_LIST),
    Door("today", STAFF_LIST),
    Door("search", STAFF_LIST),
    *(
        Door(name, {"anonymous": 302, "alice": 403, "sam": 200, "fay": 403, "nobody": 403})
        for name in ("operator_list", "campaign_rules")
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403, "nobody": 403}, method="post")
        for name in ("operator_list", "campaign_rules")
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 403, "sam": 200, "fay": 403, "nobody": 403})
        for name in (
            "market_list",
            "market_new",
            "market_file",
            "market_choice",
            "market_buyers",
            "market_entry",
        )
    ),
    *(
        Door(name, {"anonymous": 302, "alice": 403, "sam": 422, "fay": 403, "nobody": 403}, method="post")
        for name in ("market_new", "market_file")
    ),
    Door(
        "market_buyers",
        {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403},
        method="post",
    ),
    Door(
        "market_entry",
        {"anonymous": 302, "alice": 403, "sam": 403, "fay": 403, "nobody": 403},
        method="post",
    ),
    Door(
        "market_choice",
        {"anonymous": 302, "alice": 403, "sam": 302, "fay": 403, "nobody": 403},
        method="post",
    ),
    Door("market_buyer", {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403}),
    Door(
        "market_buyer_action",
        {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403},
        method="post",
        verb="terms",
    ),
    Door("market_request", {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403}),
    Door(
        "market_action",
        {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403},
        method="post",
        verb="offer",
    ),
    Door("operator", {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403}),
    Door("operator_vtn", {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403}),
    Door(
        "operator_vtn_action",
        {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403},
        method="post",
        verb="terms",
    ),
    Door(
        "operator_action",
        {"anonymous": 302, "alice": 403, "sam": 404, "fay": 403, "nobody": 403},
        method="post",
        verb="close",
    ),
    *(
        Door(
            "sending_action",
            {"anonymous": 302, "alice": 403, "fay": 403, "nobody": 403, "sam": status},
            method="post",
            verb=verb,
        )
        for verb, status in (("freeze", 302), ("thaw", 302), ("release", 302), ("nonsense", 404))
    ),
    Door("data_health", {"anonymous": 302, "alice": 403, "sam": 403, "nobody": 403}),
    *(
        Door("home_readings", {"anonymous": 302, "alice": 403, "sam": 403, "nobody": 403}, method=method)
        for method in ("get", "post")
    ),
    Door("campaign_list", STAFF_LIST),
    Door("campaign_new", {**STAFF_LIST, "fay": 403}),
    Door("campaign_new", {"anonymous": 302, "alice": 403, "fay": 403, "sam": 422}, method="post"),
    *(Door("campaign_detail", STAFF_ONLY, of=each) for each in ("past", "next", "planned")),
    *(
        Door(
            "campaign_change", {"anonymous": 302, "alice": 404, "fay": 403, "sam": status}, method, "planned"
        )
        for method, status in (("get", 200), ("post", 422))
    ),
    *(Door("campaign_live", STAFF_ONLY, of=each) for each in ("past", "next", "planned")),
    *(Door("event_report", STAFF_ONLY, of=each) for each in ("past", "next", "planned")),
    *(Door(f"event_evidence_{form}", STAFF_ONLY, of="past") for form in ("csv", "json", "pdf")),
    Door(
        "answer_event",
        {"anonymous": 302, "alice": 302, "bob": 302, "carol": 404, "sam": 302, "fay": 403, "nobody": 404},
        method="post",
    ),
    *(
        Door(
            "campaign_action",
            {"anonymous": 302, "alice": 404, "fay": 403, "nobody": 404, "sam": 302},
            "post",
            of,
            verb,
        )
        for of, verb in (("planned", "plan"), ("planned", "approve"), ("next", "cancel"))
    ),
    Door(
        "campaign_action",
        {"anonymous": 302, "alice": 404, "sam": 403, "fay": 302, "nobody": 404},
        "post",
        "past",
        "settle",
    ),
    Door("api_campaigns", MACHINES),
    Door("api_campaign_report", MACHINES, of="past"),
    Door("livez", EVERYBODY),
    Door("readyz", EVERYBODY),
    Door("admin:index", {"anonymous": 302, "alice": 302, "sam": 200, "fay": 200}),
    Door("admin:members_member_changelist", {"anonymous": 302, "alice": 302, "sam": 403, "fay": 200}),
    Door("admin:settlement_entry_changelist", {"anonymous": 302, "sam": 403, "fay": 200}),
]
CASES = [(door, who, status) for door in DOORS for who, status in door.answers.items()]


@pytest.mark.parametrize(("door", "who", "status"), CASES, ids=[f"{door} {who}" for door, who, _ in CASES])
def test_each_door_opens_to_those_it_should(
    door: Door, who: str, status: int, scene: Scene, visit: Visit, request: pytest.FixtureRequest
) -> None:
    people = {"alice": scene.alice.user, "bob": scene.bob.user, "carol": scene.carol.user}
    people |= {"sam": scene.sam, "fay": scene.fay}
    user = request.getfixturevalue(who) if who in ("nobody", "robot") else people.get(who)
    before = _counts()

    response = getattr(visit(user), door.method)(door.url(scene), data=dict(door.data))

    assert response.status_code == status
    if who == "anonymous" and status == 302:
        to_sign_in = ("/accounts/login/?next=/", "/records/login/?next=/")
        assert response.url.startswith(to_sign_in)
    if status >= 400 or who == "anonymous":
        assert _counts() == before
        body = response.content.decode()
        assert scene.alice.member.full_name not in body
        assert scene.alice.home.name not in body


def test_every_address_of_the_site_is_in_the_table() -> None:
    named = {door.name for door in DOORS}

    assert {
        each.name for each in (*urlpatterns, *market_urls, *api_urls) if isinstance(each, URLPattern)
    } == {name for name in named if ":" not in name}


@pytest.mark.parametrize("door", [door for door in DOORS if ":" not in door.name], ids=str)
def test_the_wrong_method_is_405(door: Door, scene: Scene, visit: Visit) -> None:
    user = (
        scene.fay
        if door.verb == "settle"
        else scene.sam
        if door.of or "campaign" in door.name
        else scene.alice.user
    )
    allowed = {d.method for d in DOORS if d.name == door.name} | {"head", "options"}

    statuses = {
        method: getattr(visit(user), method)(door.url(scene)).status_code
        for method in ("get", "post", "put", "patch", "delete")
        if method not in allowed
    }

    assert set(statuses.values()) == {405}, statuses


def test_what_does_not_exist_is_not_found_by_anybody(scene: Scene, visit: Visit) -> None:
    missing = uuid4()
    for user in (scene.alice.user, scene.sam):
        client = visit(user)
        for name in ("statement", "statement_csv", "campaign_detail", "campaign_live", "event_report"):
            assert client.get(reverse(name, args=[missing])).status_code == 404
        assert client.post(reverse("answer_event", args=[scene.next.pk, missing])).status_code == 404
        assert (
            client.post(reverse("answer_event", args=[missing, scene.alice.occupancy.pk])).status_code == 404
        )
        assert client.post(reverse("campaign_action", args=[missing, "approve"])).status_code == 404
    assert visit(scene.sam).get(reverse("api_campaign_report", args=[missing])).status_code == 404


def test_the_records_are_entered_by_the_site_s_own_sign_in(db: None, visit: Visit) -> None:
    response = visit(None).get("/records/members/member/", follow=True)

    assert response.redirect_chain[-1] == ("/accounts/login/?next=%2Frecords%2Fmembers%2Fmember%2F", 302)


def test_a_stranger_learns_no_more_than_that_there_is_nothing(scene: Scene, visit: Visit) -> None:
    client = visit(scene.carol.user)
    theirs = client.get(reverse("statement", args=[scene.statement_of(scene.alice).pk]))
    nobodys = client.get(reverse("statement", args=[uuid4()]))

    assert theirs.status_code == nobodys.status_code == 404
    assert _without_tokens(theirs.content.decode()) == _without_tokens(nobodys.content.decode())


def test_signing_in_leads_back_to_the_page_and_never_to_a_press(scene: Scene, visit: Visit) -> None:
    page = reverse("statement", args=[scene.statement_of(scene.alice).pk])
    press = reverse("answer_event", args=[scene.next.pk, scene.alice.occupancy.pk])

    assert visit(None).get(page)["Location"] == f"/accounts/login/?next={page}"
    assert visit(None).post(press)["Location"] == "/accounts/login/?next=/"


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(scene: Scene, visit: Visit) -> None:
    page = reverse("campaign_detail", args=[scene.next.pk])

    response = visit(None).get(
        reverse("campaign_live", args=[scene.next.pk]),
        headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"},
    )

    assert response.status_code == 401
    assert response["HX-Redirect"] == f"/accounts/login/?next={page}"


def test_what_is_shown_to_one_person_is_kept_by_no_cache(scene: Scene, visit: Visit) -> None:
    for user, name in ((scene.alice.user, "home"), (scene.sam, "campaign_list")):
        response = visit(user).get(reverse(name))
        assert "no-store" in response["Cache-Control"]
        assert "private" in response["Cache-Control"]


def _counts() -> tuple[int, int, int, list[str]]:
    states = list(Campaign.objects.order_by("pk").values_list("state", flat=True))
    return OptRecord.objects.count(), SettlementRun.objects.count(), Campaign.objects.count(), states


def _without_tokens(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if "csrfmiddlewaretoken" not in line)
