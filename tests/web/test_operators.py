"""Pages of network operators and of the campaigns' rules."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.urls import reverse

from campaigns import rules
from campaigns.approving import RampTaken
from campaigns.models import (
    Campaign,
    Programme,
    ServicingClient,
    ServicingContract,
    ServicingSignal,
    UseCase,
)
from campaigns.servicing import capping
from campaigns.servicing.port import Ask
from members.models import User
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from opendsr.web import wording
from opendsr.web.refusals import sentence
from tests.campaigns.servicing.operating import make_operator
from tests.web.conftest import Visit
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('x')</script>\x00"
NO_KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"
CONTRACT = {
    "zone_kind": "cmz",
    "zone": "Calder Bank",
    "max_kw": "500",
    "approved_kw": "200.5",
    "longest_minutes": "60",
    "notice_seconds": "0",
    "stagger_seconds": "30",
}


def make_programme() -> Programme:
    return Programme.objects.create(
        code="dlc",
        name="Thermostat Program",
        use_case=UseCase.LOAD_CONTROL,
        market_context="http://coop.example/dlc",
        settlement_terms_id=UUID(int=7),
    )


def add_operator(visit: Visit, ada: User, **fields: str) -> ServicingClient:
    wanted = {"name": "Northern Networks", "scopes": "signal", "requests_per_minute": "60", **fields}
    answer = visit(ada).post(reverse("operator_list"), wanted)
    assert answer.status_code == 302
    return ServicingClient.objects.get(name=wanted["name"])


def test_an_operator_is_let_in_with_key_and_contract_and_a_second_person_confirms(
    scene: Scene, visit: Visit, ada: User
) -> None:
    make_programme()
    client = add_operator(visit, ada)
    page, admin = reverse("operator", args=[client.pk]), visit(ada)
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()

    added = admin.post(
        reverse("operator_action", args=[client.pk, "key"]), {"key_id": "nn-2026", "public_key": key}
    )
    agreed = admin.post(
        reverse("operator_action", args=[client.pk, "contract"]), {"programme": "dlc", **CONTRACT}
    )

    assert (added.status_code, agreed.status_code) == (302, 302)
    contract = ServicingContract.objects.get()
    assert (contract.max_w, contract.approved_w, contract.stagger_seconds) == (500_000, 200_500, 30)
    shown = admin.get(page).content.decode()
    assert "not confirmed" in shown
    assert "nn-2026" in shown
    confirm = reverse("operator_action", args=[client.pk, "confirm"])
    refused = admin.post(confirm, {"contract": str(contract.pk)}, follow=True)
    assert "another person confirms it" in refused.content.decode()
    visit(scene.sam).post(confirm, {"contract": str(contract.pk)})
    contract.refresh_from_db()
    assert contract.confirmed_by == scene.sam
    shown = admin.get(page).content.decode()
    assert "not confirmed" not in shown
    assert "contract confirmed" in shown


def test_a_new_contract_about_a_zone_takes_the_place_of_the_one_before(
    scene: Scene, visit: Visit, ada: User
) -> None:
    make_programme()
    client = add_operator(visit, ada)
    address = reverse("operator_action", args=[client.pk, "contract"])
    visit(ada).post(address, {"programme": "dlc", **CONTRACT})
    clock.configure(clock.now() + timedelta(minutes=1), speed=0)

    visit(ada).post(address, {"programme": "dlc", **CONTRACT, "max_kw": "600"})

    old, new = ServicingContract.objects.order_by("starts_at")
    assert (old.ends_at, new.ends_at, new.max_w) == (new.starts_at, None, 600_000)
    visit(ada).post(reverse("operator_action", args=[client.pk, "end"]), {"contract": str(new.pk)})
    new.refresh_from_db()
    assert new.ends_at == clock.now()


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("key", {"key_id": HOSTILE, "public_key": HOSTILE}),
        ("key", {"key_id": "a b", "public_key": "AAAA"}),
        (
            "key",
            {"key_id": "fine", "public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
        ),
        ("contract", {"programme": HOSTILE, **CONTRACT, "zone": HOSTILE}),
        ("contract", {"programme": "dlc", **CONTRACT, "approved_kw": "501"}),
        ("contract", {"programme": "dlc", **CONTRACT, "max_kw": "NaN"}),
        ("contract", {"programme": "dlc", **CONTRACT, "longest_minutes": "241"}),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    scene: Scene, visit: Visit, ada: User, verb: str, fields: dict[str, str]
) -> None:
    make_programme()
    client = add_operator(visit, ada)

    answer = visit(ada).post(reverse("operator_action", args=[client.pk, verb]), fields)

    assert answer.status_code == 422
    assert "There is a problem" in answer.content.decode()
    assert "<script>alert" not in answer.content.decode()
    assert not client.keys.exists()
    assert not client.contracts.exists()


def test_a_hostile_name_is_shown_as_text(scene: Scene, visit: Visit, ada: User) -> None:
    client = add_operator(visit, ada, name="<b>Networks</b>")

    for address in (reverse("operator_list"), reverse("operator", args=[client.pk])):
        page = visit(ada).get(address).content.decode()
        assert "&lt;b&gt;Networks&lt;/b&gt;" in page
        assert "<b>Networks" not in page
    again = visit(ada).post(
        reverse("operator_list"), {"name": client.name, "scopes": "read", "requests_per_minute": "1"}
    )
    assert again.status_code == 422


def test_a_dispatcher_looks_and_confirms_and_changes_nothing_else(
    scene: Scene, visit: Visit, ada: User
) -> None:
    make_programme()
    client = add_operator(visit, ada)

    assert visit(scene.sam).get(reverse("operator", args=[client.pk])).status_code == 200
    for verb in ("key", "contract", "revoke-key", "end", "close"):
        assert visit(scene.sam).post(reverse("operator_action", args=[client.pk, verb])).status_code == 403
    assert visit(ada).post(reverse("operator_action", args=[client.pk, "nonsense"])).status_code == 404
    assert visit(ada).post(reverse("operator_action", args=[client.pk, "end"])).status_code == 404
    visit(ada).post(reverse("operator_action", args=[client.pk, "close"]))
    client.refresh_from_db()
    assert client.closed_at is not None


def test_rules_are_set_with_a_reason_and_kept(scene: Scene, visit: Visit, ada: User) -> None:
    address = reverse("campaign_rules")
    wanted = {
        "second_from_kw": "0.5",
        "substation_kw_per_minute": "2000",
        "chance_pct": "90",
        "most_asks": "8",
        "why": "the board's minute 12",
    }

    assert visit(ada).post(address, {**wanted, "chance_pct": "100"}).status_code == 422
    assert visit(ada).post(address, wanted).status_code == 302

    assert rules.in_force().second_from_w == 500
    assert rules.in_force().portfolio_w_per_minute is None
    page = visit(scene.sam).get(address).content.decode()
    assert "minute 12" in page
    assert "all homes together may change as fast as they like" in page


def test_a_cap_for_all_homes_together_is_set_seen_and_written_down(
    scene: Scene, visit: Visit, ada: User
) -> None:
    address = reverse("campaign_rules")
    wanted = {
        "second_from_kw": "1000",
        "substation_kw_per_minute": "1000",
        "portfolio_kw_per_minute": "2500.5",
        "chance_pct": "90",
        "most_asks": "8",
        "why": "the board's minute 13",
    }

    for bad in ("0", "-1", "nonsense", "9" * 12):
        refused = visit(ada).post(address, {**wanted, "portfolio_kw_per_minute": bad})
        assert refused.status_code == 422
        assert refused.context["form"].errors.keys() == {"portfolio_kw_per_minute"}
    assert visit(ada).post(address, wanted).status_code == 302

    assert rules.in_force().portfolio_w_per_minute == 2_500_500
    page = visit(ada).get(address)
    assert "all homes together change by 2,500.5 kW a minute at most" in page.content.decode()
    assert page.context["form"].initial["portfolio_kw_per_minute"] == "2500.5"
    set_last = AuditEntry.objects.filter(verb="campaigns.rules.set").latest("pk")
    assert set_last.detail["portfolio_w_per_minute"] == 2_500_500
    assert "2,500.5 kW in all" in visit(ada).get(reverse("settings_list")).content.decode()


def test_a_refused_approval_says_how_much_is_left_and_what_to_do(
    scene: Scene, visit: Visit, ada: User
) -> None:
    planned = Campaign.objects.filter(state="planned").first()
    assert planned is not None
    asked_w = sum(planned.plan_lines.values_list("expected_w", flat=True))
    rules.set_rules(
        second_from_w=1_000_000_000,
        substation_w_per_minute=1_000_000,
        portfolio_w_per_minute=1,
        chance_pct=95,
        most_asks=12,
        why="a test",
        at=clock.now(),
        by=ada,
    )

    approve = reverse("campaign_action", args=[planned.pk, "approve"])
    said = visit(ada).post(approve, follow=True).content.decode()

    assert "All homes together may change by" in said
    assert f"this asks {wording.power(asked_w)}" in said
    assert "Plan again: the plan then keeps to that." in said
    planned.refresh_from_db()
    assert planned.state == "planned"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "change at that time, and this asks 2 kW there"),
        (["Peak"], "change at that time, beside Peak, and this asks 2 kW there"),
        (["A", "B", "C", "D", "E"], "at that time, beside A, B, C and 2 more, and this"),
    ],
)
def test_who_shares_a_ramp_is_named(names: list[str], words: str) -> None:
    said = sentence(RampTaken(substation="Mill Lane", asked_w=2_000, most_w=500, campaigns=names))

    assert "The rules let 0.5 kW more of the load of Mill Lane change" in said
    assert words in said


def test_a_large_campaign_is_sent_by_the_second_person_who_approves(
    scene: Scene, visit: Visit, ada: User
) -> None:
    rules.set_rules(
        second_from_w=1,
        substation_w_per_minute=1_000_000,
        chance_pct=95,
        most_asks=12,
        why="a test",
        at=clock.now(),
        by=ada,
    )
    planned = Campaign.objects.filter(state="planned").first()
    assert planned is not None
    approve = reverse("campaign_action", args=[planned.pk, "approve"])

    first = visit(ada).post(approve, follow=True).content.decode()
    again = visit(ada).post(approve, follow=True).content.decode()
    second = visit(scene.sam).post(approve, follow=True).content.decode()

    assert "a second person has to approve it; nothing is sent before" in first
    assert "You approved it already" in again
    assert "The hubs are being told now" in second
    planned.refresh_from_db()
    assert (planned.first_approved_by, planned.approved_by) == (ada, scene.sam)


def test_the_cap_in_force_is_told_with_whom_it_is_from(scene: Scene, visit: Visit, ada: User) -> None:
    make_programme()
    client = add_operator(visit, ada)
    page, admin = reverse("operator", args=[client.pk]), visit(ada)
    agreed = {**CONTRACT, "import_cap_kw": "16.5", "silence_minutes": "5", "hold_minutes": "15"}
    admin.post(reverse("operator_action", args=[client.pk, "contract"]), {"programme": "dlc", **agreed})
    contract = ServicingContract.objects.get()
    assert (contract.import_cap_w, contract.export_cap_w, contract.silence_minutes) == (16_500, None, 5)
    before = text(admin.get(page))
    assert "none yet" in before

    capping.follow(at=clock.now() + timedelta(minutes=5))

    shown = text(admin.get(page))
    assert "none yet" not in shown
    for words in ("import cap on silence 16.5 kW", "silence", "nobody", "the site itself", "few meters"):
        assert words in shown


@pytest.fixture
def capped(scene: Scene) -> Campaign:
    """The scene's next campaign, as if an operator's cap of 16 kW had asked it."""
    operator = make_operator(import_cap_w=16_000)
    scene.next.programme = operator.contract.programme
    scene.next.save()
    ServicingSignal.objects.create(
        client=operator.client,
        contract=operator.contract,
        campaign=scene.next,
        key_id=operator.key_id,
        idempotency_key="a cap",
        digest="0" * 64,
        kind="cap",
        state="dispatched",
        asked=Ask(ServicingSignal.Kind.CAP, "Calder", "import", 16_000, sequence=1).shown(),
        answer={"from": "operator", "since": clock.now().isoformat()},
        received_at=clock.now(),
        received_wall_at=clock.wall_now(),
        decided_wall_at=clock.wall_now(),
    )
    return scene.next


def test_staff_say_for_how_long_a_cap_asks_nobody_and_take_it_back(
    scene: Scene, capped: Campaign, visit: Visit, ada: User
) -> None:
    sam, page = visit(scene.sam), reverse("campaign_detail", args=[capped.pk])
    cancel, let = (reverse("campaign_action", args=[capped.pk, verb]) for verb in ("cancel", "let-ask"))
    choice = text(sam.get(page))
    assert "A cap asked it, and would ask again within a minute." in choice
    for words in ("until the cap changes", "for 240 minutes", "not at all: it asks again within a minute"):
        assert words in choice
    assert "A cap asked it" not in text(sam.get(reverse("campaign_detail", args=[scene.planned.pk])))
    assert "hold" in text(sam.post(cancel, {"hold": HOSTILE}, follow=True))
    capped.refresh_from_db()
    assert capped.state == "dispatched"

    told = text(sam.post(cancel, {"hold": "60"}, follow=True))

    assert "The cap that asked it asks nobody meanwhile." in told
    assert f"as {scene.sam} said, until" in told
    assert "The cap that asked it asks nobody for 60 minutes." in told
    operator = reverse("operator", args=[ServicingClient.objects.get().pk])
    assert "held by staff" in text(visit(ada).get(operator))
    assert "asks nobody" in text(visit(ada).get(operator))
    assert visit(scene.fay).post(let).status_code == 403
    assert "The cap asks again, from the next minute on." in text(sam.post(let, follow=True))
    assert "the cap is held" not in text(sam.get(page))
    assert "may ask again" in text(visit(ada).get(operator))
    assert sam.post(let).status_code == 404


def test_a_stop_without_a_word_holds(scene: Scene, capped: Campaign, visit: Visit) -> None:
    told = text(visit(scene.sam).post(reverse("campaign_action", args=[capped.pk, "cancel"]), follow=True))

    assert "until it is another than 16 kW" in told


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_every_contract_can_be_reached_and_ended_however_many_there_are(
    scene: Scene, visit: Visit, ada: User
) -> None:
    programme = make_programme()
    client = add_operator(visit, ada)
    for number in range(27):
        ServicingContract.objects.create(
            client=client,
            programme=programme,
            zone_kind="cmz",
            zone=f"Zone {number:02d}",
            max_w=1_000,
            approved_w=0,
            longest_minutes=60,
            notice_seconds=0,
            stagger_seconds=0,
            starts_at=clock.now() - timedelta(days=100 - number),
            agreed_by=ada,
        )
    oldest = ServicingContract.objects.get(zone="Zone 00")
    page = reverse("operator", args=[client.pk])

    shown = [visit(ada).get(page, {"contracts": number}).content.decode() for number in (1, 2)]

    assert [str(oldest.pk) in each for each in shown] == [False, True]
    assert "Page 1 of 2" in shown[0]
