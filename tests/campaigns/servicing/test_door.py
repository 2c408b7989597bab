"""The network operator's door, by HTTP: what is verified acts at once, anything else changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from urllib.parse import quote
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from django.urls import reverse
from drf_spectacular.validation import validate_schema

from campaigns import freezing, selecting
from campaigns.models import (
    Campaign,
    CampaignRule,
    Participation,
    ServicingNonce,
    ServicingRefusal,
    ServicingSignal,
)
from campaigns.selecting import Offer
from campaigns.servicing import (
    admitting,
    api,
    contracting,
    explaining,
    openapi,
    receiving,
    reference,
    signatures,
)
from campaigns.servicing.admitting import Admitted
from campaigns.servicing.port import Ask, Credential
from campaigns.servicing.signatures import Message
from campaigns.servicing_models import Scope
from members import consenting, opting_out
from members.models import Consent, Purpose, Role
from opendsr.kernel import clock, outbox
from opendsr.kernel.models import AuditEntry, OutboxDelivery
from tests.campaigns.servicing.operating import (
    HOST,
    PREFIX,
    Operator,
    make_habits,
    make_operator,
    repeat,
    told,
)
from tests.campaigns.staging import NOON, PaperVtn, make_dispatched, make_ready_home, part_of
from tests.factories import HubKit, Resident, make_staff

pytestmark = pytest.mark.django_db
ItIs = Callable[[datetime], None]
MINUTE = timedelta(minutes=1)
ARGUMENT, OPEN_API = re.compile(r"<[a-z]+:([a-z_]+)>"), r"{\1}"


@pytest.fixture
def street(paper_vtn: PaperVtn, it_is: ItIs) -> list[tuple[Resident, HubKit]]:
    """Four homes in the zone with a charger each, whose habits are known; it is noon."""
    it_is(NOON)
    homes = [make_ready_home(cmz="Calder") for _ in range(4)]
    make_habits(*(resident for resident, _ in homes))
    return homes


@pytest.fixture
def operator(street: list[tuple[Resident, HubKit]]) -> Operator:
    return make_operator()


def nothing_was_done(paper_vtn: PaperVtn) -> bool:
    return not (paper_vtn.events or Campaign.objects.exists() or Participation.objects.exists())


def test_a_start_is_planned_approved_and_sent_at_once(operator: Operator, paper_vtn: PaperVtn) -> None:
    answer = operator.start(reference="NN-77")

    assert (answer["http"], answer["state"]) == (201, "dispatched")
    campaign = Campaign.objects.get()
    parts = list(campaign.participations.all())
    assert answer["events"] == answer["homes"] == answer["assets"] == len(parts) == len(paper_vtn.live())
    assert answer["sure_w"] >= 2_000
    assert answer["shortfall_w"] == 0
    assert (campaign.state, campaign.zone, campaign.size_w) == ("dispatched", "Calder", 2_000)
    assert (campaign.starts_at, campaign.ends_at) == (NOON, NOON + 30 * MINUTE)
    assert all(part.state == "sent" and part.sent_at == NOON and part.vtn_event_id for part in parts)
    event = paper_vtn.live()[0]
    assert (event.notice.priority, event.notice.start_tolerance_seconds) == (1, 0)
    assert event.key.startswith(f"campaign:{campaign.pk}:")
    verbs = list(AuditEntry.objects.filter(target=f"campaign:{campaign.pk}").values_list("verb", flat=True))
    assert set(verbs) == {"campaign.draft", "campaign.planned", "campaign.approved", "campaign.dispatched"}
    outbox.drain()
    lines = list(campaign.plan_lines.all())
    assert len(lines) == 4
    assert sum(not line.left_out for line in lines) == answer["assets"]
    assert sum(line.expected_w for line in lines) == sum(part.expected_w for part in parts)
    assert all(line.why.startswith("In," if not line.left_out else "Out:") for line in lines)


def test_its_status_tells_where_homes_are_and_when_each_leg_was(operator: Operator) -> None:
    started = operator.start()

    answer = told(operator.send(f"/signals/{started['signal_id']}/"))

    assert answer["http"] == 200
    assert answer["campaign"]["state"] == "dispatched"
    assert answer["campaign"]["assets"] == started["assets"]
    assert answer["times"]["received_at"] <= answer["times"]["decided_at"]
    assert answer["times"]["published_at"]


def test_a_stop_ends_it_and_gives_the_assets_back(
    operator: Operator, paper_vtn: PaperVtn, it_is: ItIs
) -> None:
    started = operator.start()
    it_is(NOON + 10 * MINUTE)

    answer = told(operator.send("/signals/", {"signal": "stop", "of": started["signal_id"]}))

    assert (answer["http"], answer["state"], answer["campaigns"]) == (201, "stopped", 1)
    assert paper_vtn.live() == []
    campaign = Campaign.objects.get()
    assert (campaign.state, campaign.ends_at) == ("dispatched", NOON + 10 * MINUTE)
    assert {part.ends_at for part in campaign.participations.all()} == {NOON + 10 * MINUTE}
    outbox.drain()
    campaign.refresh_from_db()
    assert campaign.state == "completed"
    assert operator.start()["state"] == "dispatched"


def test_an_emergency_stop_ends_all_that_is_the_clients(operator: Operator, paper_vtn: PaperVtn) -> None:
    other = make_operator(zone="Calder")
    assert operator.start(size_w=500)["state"] == "dispatched"
    assert other.start(size_w=500)["state"] == "dispatched"
    before = len(paper_vtn.live())

    answer = told(operator.send("/signals/", {"signal": "emergency_stop"}))

    assert (answer["state"], answer["campaigns"]) == ("stopped", 1)
    assert 0 < len(paper_vtn.live()) < before
    assert told(operator.send("/signals/", {"signal": "emergency_stop", "zone": "Calder"}))["campaigns"] == 0


def test_an_emergency_stop_of_a_zone_misspelt_is_refused_not_called_stopped(
    operator: Operator, paper_vtn: PaperVtn
) -> None:
    operator.start()

    answer = told(operator.send("/signals/", {"signal": "emergency_stop", "zone": "Caldre"}))

    assert (answer["http"], answer["state"], answer["reason"]) == (422, "refused", "unknown_zone")
    assert paper_vtn.live()


@pytest.mark.parametrize("minutes", ["000000060" + "9" * 20, "000000060" + "9" * 5_000, "0", "121", "²"])
@pytest.mark.parametrize("address", ["availability", "metering"])
def test_minutes_beyond_measure_are_refused_at_their_field(
    operator: Operator, address: str, minutes: str
) -> None:
    if (address, minutes) == ("metering", "121"):
        minutes = "1441"

    answer = told(operator.send(f"/{address}/?zone=Calder&minutes={quote(minutes)}"))

    assert (answer["http"], answer["errors"][0]["field"]) == (422, "minutes")


def test_a_host_with_a_port_that_is_none_is_refused(operator: Operator) -> None:
    signed = 'sig=("@method" "@target-uri");created=1;keyid="nn";nonce="nonce-01"'
    headers = {"host": "testserver:99999", "signature-input": signed, "signature": "sig=:AAAA:"}

    assert told(repeat("POST", "/signals/", b"{}", headers))["http"] == 401


def test_nobody_stops_what_another_client_started(operator: Operator, paper_vtn: PaperVtn) -> None:
    started = operator.start()
    stranger = make_operator(zone="Elsewhere")

    stopped = told(stranger.send("/signals/", {"signal": "stop", "of": started["signal_id"]}))
    seen = told(stranger.send(f"/signals/{started['signal_id']}/"))

    assert (stopped["http"], stopped["reason"]) == (422, "nothing_to_stop")
    assert (seen["http"], seen["code"]) == (404, "signal_not_found")
    assert paper_vtn.live()


@pytest.mark.parametrize(
    "fields",
    [
        {"key": Ed25519PrivateKey.from_private_bytes(bytes(32))},
        {"key_id": "nobody's"},
        {"wall": clock.wall_now() - timedelta(days=2)},
    ],
    ids=["wrong key", "unknown key", "old"],
)
def test_a_wrong_signature_is_refused_and_counted(
    operator: Operator, paper_vtn: PaperVtn, fields: dict[str, object]
) -> None:
    body = {"signal": "start", "zone": "Calder", "size_w": 2_000, "minutes": 30}

    answer = told(operator.send("/signals/", body, **fields))

    assert (answer["http"], answer["code"]) == (401, "signature_refused")
    assert nothing_was_done(paper_vtn)
    assert not ServicingSignal.objects.exists()
    assert ServicingRefusal.objects.get().reason == "signature_refused"


def test_nothing_unsigned_comes_in(operator: Operator, paper_vtn: PaperVtn) -> None:
    body = b'{"signal": "start", "zone": "Calder", "size_w": 2000, "minutes": 30}'
    for method, path in (("POST", "/signals/"), ("GET", "/availability/"), ("GET", "/metering/")):
        answer = repeat(method, path, body if method == "POST" else b"", {})
        assert answer.status_code == 401
        assert "Accept-Signature" in answer
    assert nothing_was_done(paper_vtn)


def test_the_same_message_again_is_a_replay(operator: Operator, paper_vtn: PaperVtn) -> None:
    raw = json.dumps({"signal": "start", "zone": "Calder", "size_w": 2_000, "minutes": 30}).encode()
    message = Message("POST", f"{HOST}{PREFIX}/signals/", {"idempotency-key": "one"}, raw)
    headers = message.headers | signatures.sign(  # type: ignore[operator]
        message, key=operator.key, key_id=operator.key_id, created_at=clock.wall_now(), nonce="nonce-once"
    )

    first, again = (told(repeat("POST", "/signals/", raw, headers)) for _ in range(2))

    assert first["http"] == 201
    assert (again["http"], again["code"]) == (401, "replayed")
    assert Campaign.objects.count() == 1


def test_a_repeat_with_the_same_key_gets_the_same_answer(operator: Operator, paper_vtn: PaperVtn) -> None:
    first, again = operator.start(idempotency_key="k-1"), operator.start(idempotency_key="k-1")
    other = operator.start(idempotency_key="k-1", size_w=1_000)

    assert first == again
    assert (other["http"], other["code"]) == (422, "idempotency_key_reused")
    assert Campaign.objects.count() == ServicingSignal.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"zone": "Ribble"}, "unknown_zone"),
        ({"size_w": 10_001}, "over_contract"),
        ({"minutes": 121}, "over_contract"),
        ({"starts_at": "2026-01-14T11:00:00Z"}, "notice_too_short"),
        ({"starts_at": "2026-02-14T11:00:00Z"}, "notice_too_short"),
    ],
)
def test_what_the_contract_does_not_cover_is_refused_and_kept(
    operator: Operator, paper_vtn: PaperVtn, fields: dict[str, object], reason: str
) -> None:
    answer = operator.start(**fields)

    assert (answer["http"], answer["state"], answer["reason"]) == (422, "refused", reason)
    assert nothing_was_done(paper_vtn)
    signal = ServicingSignal.objects.get()
    assert (signal.state, signal.reason, signal.campaign) == ("refused", reason, None)
    assert AuditEntry.objects.filter(target=f"servicing_signal:{signal.pk}").count() == 1


def test_what_runs_counts_against_the_contracts_limit(operator: Operator) -> None:
    assert operator.start(size_w=500)["state"] == "dispatched"

    answer = operator.start(size_w=9_501)

    assert (answer["reason"], answer["detail"]["limit"]) == ("over_contract", 9_500)


def test_above_what_is_approved_in_advance_staff_decide(operator: Operator, paper_vtn: PaperVtn) -> None:
    answer = operator.start(size_w=5_001)

    assert (answer["http"], answer["state"], answer["events"]) == (202, "waiting", 0)
    assert (Campaign.objects.get().state, paper_vtn.events) == ("planned", {})


def test_nothing_is_approved_in_advance_before_a_second_person_confirms(
    street: list[tuple[Resident, HubKit]], paper_vtn: PaperVtn
) -> None:
    operator = make_operator(is_confirmed=False)

    assert operator.start(size_w=100)["state"] == "waiting"
    assert operator.contract.agreed_by is not None
    with pytest.raises(contracting.ConfirmByAnother):
        contracting.confirm(contract_id=operator.contract.pk, at=NOON, by=operator.contract.agreed_by)
    contracting.confirm(
        contract_id=operator.contract.pk, at=NOON, by=make_staff("cat@example.org", Role.ADMINISTRATOR)
    )
    assert operator.start(size_w=100)["state"] == "dispatched"


def test_a_sandbox_plans_and_sends_nothing(
    street: list[tuple[Resident, HubKit]], paper_vtn: PaperVtn
) -> None:
    operator = make_operator(is_sandbox=True)

    answer = operator.start()

    assert (answer["http"], answer["state"], answer["events"]) == (201, "rehearsed", 0)
    assert answer["homes"] > 0
    assert nothing_was_done(paper_vtn)


def test_nothing_starts_while_sending_is_frozen_and_a_stop_still_does(
    operator: Operator, paper_vtn: PaperVtn
) -> None:
    started = operator.start(size_w=500)
    freezing.freeze(at=NOON, by=None, reason="a drill")

    assert operator.start(size_w=500)["reason"] == "frozen"
    assert (
        told(operator.send("/signals/", {"signal": "stop", "of": started["signal_id"]}))["state"] == "stopped"
    )
    assert paper_vtn.live() == []


def test_who_said_no_is_not_asked(operator: Operator, street: list[tuple[Resident, HubKit]]) -> None:
    (one, _), (two, _), (three, _), _ = street
    opting_out.start_standing_opt_out(occupancy=one.occupancy, at=NOON, starts_at=NOON)
    consent = Consent.objects.get(occupancy=two.occupancy, purpose=Purpose.FLEXIBILITY)
    consenting.withdraw_consent(consent_id=consent.pk, member=two.member, at=NOON)

    operator.start(size_w=5_000)

    asked = set(Participation.objects.values_list("occupancy_id", flat=True))
    outbox.drain()
    left_out = dict(Campaign.objects.get().plan_lines.values_list("asset__hub__home", "left_out"))
    assert left_out[one.home.pk] == "standing_opt_out"
    assert left_out[two.home.pk] == "no_consent"
    assert left_out[three.home.pk] == ""
    assert one.occupancy.pk not in asked
    assert two.occupancy.pk not in asked
    assert three.occupancy.pk in asked


def test_a_zone_without_anybody_is_refused_with_why(operator: Operator, paper_vtn: PaperVtn) -> None:
    operator = make_operator(zone="Empty")

    answer = operator.start()

    assert (answer["http"], answer["reason"]) == (422, "nobody_to_ask")
    assert nothing_was_done(paper_vtn)


def test_direct_load_control_takes_what_a_market_holds(
    operator: Operator, street: list[tuple[Resident, HubKit]], paper_vtn: PaperVtn
) -> None:
    assets = [kit.assets[0] for _, kit in street]
    market = make_dispatched(assets, starts_at=NOON + 30 * MINUTE, ends_at=NOON + 90 * MINUTE)

    answer = operator.start(size_w=5_000, minutes=60)

    assert answer["displaced"] == answer["assets"] > 0
    taken = Participation.objects.filter(campaign=market, left_out="displaced")
    assert taken.count() == answer["displaced"]
    assert {part.state for part in taken} == {"cancelled"}
    assert {event.key.split(":")[1] for event in paper_vtn.live()} >= {
        str(Campaign.objects.get(programme="dlc").pk)
    }
    assert AuditEntry.objects.filter(target=f"campaign:{market.pk}", verb="campaign.displaced").count() == 1


def test_only_the_assets_taken_leave_their_hubs_event(operator: Operator, paper_vtn: PaperVtn) -> None:
    resident, kit = make_ready_home("ev_charger", "immersion_heater", cmz="Ribble")
    make_habits(resident)
    ribble = make_operator(zone="Ribble")
    market = make_dispatched(kit.assets, starts_at=NOON + 30 * MINUTE, ends_at=NOON + 90 * MINUTE)

    ribble.start(size_w=1, minutes=60)

    states = {part_of(market, asset).state for asset in kit.assets}
    assert states == {"cancelled", "sent"}
    left = next(asset for asset in kit.assets if part_of(market, asset).state == "sent")
    event = next(each for each in paper_vtn.live() if str(market.pk) in each.key)
    assert event.notice.resource_ids == (left.resource_id,)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "signal"),
        ({"signal": "go"}, "signal"),
        ({"signal": "start"}, "zone"),
        ({"signal": "start", "zone": "a\x00b", "size_w": 1, "minutes": 1}, "zone"),
        ({"signal": "start", "zone": "Calder", "size_w": "2000", "minutes": 1}, "size_w"),
        ({"signal": "start", "zone": "Calder", "size_w": True, "minutes": 1}, "size_w"),
        ({"signal": "start", "zone": "Calder", "size_w": 10**30, "minutes": 1}, "size_w"),
        ({"signal": "start", "zone": "Calder", "size_w": 1, "minutes": 241}, "minutes"),
        ({"signal": "start", "zone": "Calder", "size_w": 1, "minutes": 1, "starts_at": "soon"}, "starts_at"),
        ({"signal": "start", "zone": "Calder", "size_w": 1, "minutes": 1, "starts_at": 5}, "starts_at"),
        ({"signal": "start", "zone": "Calder", "size_w": 1, "minutes": 1, "direction": "left"}, "direction"),
        ({"signal": "start", "zone": "Calder", "size_w": 1, "minutes": 1, "colour": "red"}, "colour"),
        ({"signal": "stop", "of": "it"}, "of"),
        ({"signal": "emergency_stop", "zone": 7}, "zone"),
    ],
)
def test_what_cannot_be_read_names_field_and_fix(operator: Operator, body: object, field: str) -> None:
    answer = told(operator.send("/signals/", body))

    assert (answer["http"], answer["code"], answer["errors"][0]["field"]) == (422, "request_invalid", field)
    assert answer["errors"][0]["fix"]
    assert not ServicingSignal.objects.exists()


def test_a_signal_needs_an_idempotency_key(operator: Operator) -> None:
    body = {"signal": "emergency_stop"}

    assert told(operator.send("/signals/", body, idempotency_key=None))["code"] == "idempotency_key_invalid"


def test_a_client_does_what_its_scopes_say(
    street: list[tuple[Resident, HubKit]], paper_vtn: PaperVtn
) -> None:
    reader = make_operator(scopes=[Scope.READ])

    assert (reader.start()["http"], reader.start()["code"]) == (403, "scope_missing")
    assert told(reader.send("/metering/?zone=Calder"))["http"] == 403
    assert told(reader.send("/availability/?zone=Calder"))["http"] == 200
    assert nothing_was_done(paper_vtn)


def test_more_than_its_rate_is_refused_and_the_store_of_nonces_is_bounded(operator: Operator) -> None:
    operator.client.requests_per_minute = 3
    operator.client.save()

    answers = [told(operator.send("/availability/?zone=Calder"))["http"] for _ in range(5)]

    assert answers == [200, 200, 200, 429, 429]
    assert ServicingNonce.objects.count() == 3
    later = clock.wall_now() + timedelta(minutes=10)
    admitting.spend(operator.client, Credential(operator.key_id, "nonce-later", later), wall=later)
    assert ServicingNonce.objects.count() == 1


def test_a_key_that_was_revoked_or_rotated_out_ends(operator: Operator) -> None:
    by = make_staff("dot@example.org", Role.ADMINISTRATOR)
    wall = clock.wall_now()
    new = Ed25519PrivateKey.generate()
    contracting.add_key(
        client_id=operator.client.pk,
        key_id="nn-new",
        public_key=_pem(new),
        is_rotation=True,
        at=NOON,
        wall=wall,
        by=by,
    )
    assert told(operator.send("/availability/?zone=Calder"))["http"] == 200
    assert told(operator.send("/availability/?zone=Calder", key=new, key_id="nn-new"))["http"] == 200
    operator.client.keys.filter(key_id=operator.key_id).get()
    assert operator.client.keys.get(key_id=operator.key_id).ends_wall_at == wall + contracting.OVERLAP

    contracting.revoke_key(client_id=operator.client.pk, key_id="nn-new", at=NOON, wall=wall, by=by)

    assert told(operator.send("/availability/?zone=Calder", key=new, key_id="nn-new"))["http"] == 401
    contracting.close_client(client_id=operator.client.pk, at=NOON, by=by)
    assert told(operator.send("/availability/?zone=Calder"))["http"] == 401


def test_availability_is_what_a_start_would_get(operator: Operator) -> None:
    operator = make_operator(max_w=40_000, approved_w=40_000)

    offered = told(operator.send("/availability/?zone=Calder&minutes=30"))
    started = operator.start(size_w=40_000)

    for figure in ("sure_w", "expected_w", "homes", "assets", "starts_at", "ends_at"):
        assert offered[figure] == started[figure]
    assert started["shortfall_w"] == 40_000 - started["sure_w"]
    for query, field in (
        ("", "zone"),
        ("?zone=Calder&minutes=x", "minutes"),
        ("?zone=Calder&starts_at=x", "starts_at"),
    ):
        refused = told(operator.send(f"/availability/{query}"))
        assert (refused["http"], refused["errors"][0]["field"]) == (422, field)


def test_a_signal_whose_worker_died_is_decided_by_the_outbox(operator: Operator, it_is: ItIs) -> None:
    ask = Ask(ServicingSignal.Kind.START, zone="Calder", direction="turn_down", size_w=2_000, minutes=30)
    message = Message("POST", "", {"idempotency-key": "k"}, b"{}")
    signal, _ = receiving._write_down(
        Admitted(operator.client, operator.key_id), ask, message, at=NOON, wall=clock.wall_now()
    )
    it_is(NOON + receiving.LEFT_BEHIND)

    outbox.drain()

    signal.refresh_from_db()
    assert signal.state == "dispatched"
    assert OutboxDelivery.objects.filter(consumer="campaigns.servicing").count() == 1


def test_a_length_that_is_no_number_is_too_large() -> None:
    for length in ("²", "9" * 5_000, "ten"):
        answer = Client().generic("POST", f"{PREFIX}/signals/", b"{}", CONTENT_LENGTH=length)
        assert answer.status_code == 413


def test_the_description_is_valid_and_names_every_address() -> None:
    document = json.loads(Client().get(reverse("servicing:schema")).content)

    validate_schema(document)
    assert document == json.loads(json.dumps(openapi.document()))
    from campaigns.servicing.urls import signed, traded

    addresses = [str(each.pattern) for each in signed] + [f"market/{each.pattern}" for each in traded]
    assert set(document["paths"]) == {f"{PREFIX}/{ARGUMENT.sub(OPEN_API, each)}" for each in addresses}


def test_another_operators_scheme_is_one_module(
    operator: Operator, street: list[tuple[Resident, HubKit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain:
        """Trusts a header; for this test alone."""

        def verify(self, message, *, key_of, wall):  # type: ignore[no-untyped-def]
            key_of(message.headers["x-key"])
            return Credential(message.headers["x-key"], message.headers["x-once"], wall)

        parse = staticmethod(reference.parse)

        def answer(self, signal: ServicingSignal) -> dict[str, object]:
            return {"ok": signal.state == "dispatched"}

    monkeypatch.setitem(api.ADAPTERS, "plain", Plain())  # type: ignore[arg-type]
    body = json.dumps({"signal": "start", "zone": "Calder", "size_w": 2_000, "minutes": 30}).encode()
    headers = {"x-key": operator.key_id, "x-once": "once-only", "idempotency-key": "k"}

    answer = told(repeat("POST", "/by/plain/signals/", body, headers))

    assert answer == {"ok": True, "http": 201}
    assert repeat("POST", "/by/nobody/signals/", body, headers).status_code == 404


def _pem(key: Ed25519PrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_what_was_kept_of_a_start_is_explained_as_it_was_chosen() -> None:
    dice = Random(11)
    offers = [
        Offer(
            asset_id=UUID(int=number + 1),
            expected_w=dice.randint(100, 7_000),
            chance_out=dice.random(),
            asked_lately=dice.randint(0, 13),
            substation=dice.choice(["", "Mill", "Weir"]),
            is_held=dice.random() < 0.2,
        )
        for number in range(60)
    ]
    assets = [offer.asset_id for offer in offers] + [UUID(int=900)]
    stays = [UUID(int=2**64 + number) for number in range(60)] + [None]
    rule = CampaignRule(second_from_w=1, substation_w_per_minute=20_000, chance_pct=90, most_asks=12)
    told = explaining.kept(
        explaining.Looked(assets, stays, [""] * 60 + ["no_household"], offers, range(60)),
        size_w=60_000,
        rule=rule,
        stagger_seconds=120,
    )
    chosen = selecting.select(offers, size_w=60_000, rule=rule, stagger_seconds=120)

    lines = explaining._lines(json.loads(json.dumps(told)))

    assert [line["why"] for line in lines] == [chosen.why(number) for number in range(60)] + [""]
    assert {place for place, line in enumerate(lines) if not line["left_out"]} == set(chosen.chosen)
    assert [line["occupancy"] for line in lines] == [stay and str(stay) for stay in stays]
    assert sum(int(str(line["expected_w"])) for line in lines) == sum(
        offers[number].expected_w for number in chosen.chosen
    )
    assert lines[-1]["left_out"] == "no_household"
    assert {line["left_out"] for line in lines[:-1]} == {"", "not_needed"}
