"""Messages from devices: to the right household's stream within its consent, or kept with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from assets import installing
from members import consenting, joining
from members.models import EndReason, Granularity, Purpose
from metering import registers, retrying, routing, ruling
from metering.intake import Arrival, Intake, Taken
from metering.intake_models import AssetDevice, AssetState, Message, Register, RuleCount, Sender
from metering.models import LivePower
from metering.rules import RuleInvalid
from opendsr.kernel.models import AuditEntry, OutboxFact
from tests.factories import Resident, make_hub, make_member, make_resident
from tests.metering.meters import wh_of

pytestmark = pytest.mark.django_db
NOW = datetime.fromisoformat("2026-01-05T10:00:00+00:00")
MAC, OTHER = "BCDDC2C6A91C", "BCDDC2C6A91D"
TOPIC = f"glow/{MAC}/SENSOR/electricitymeter"


@pytest.fixture
def paired(alice: Resident) -> Resident:
    """Alice, with a CAD that her installer wrote down with colons."""
    installing.pair_cad(home=alice.home, serial="BC:DD:C2:C6:A9:1C", at=NOW - timedelta(days=30))
    return alice


def body(at: datetime, kwh: float, kw: float = 0.4, **extra: Any) -> dict[str, Any]:
    imported = {"cumulative": kwh, "units": "kWh", "mpan": "1", **extra}
    return {
        "electricitymeter": {
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "energy": {"import": imported, "export": {"cumulative": 0.0, "units": "kWh"}},
            "power": {"value": kw, "units": "kW"},
        }
    }


def message(at: datetime, kwh: float, *, topic: str = TOPIC, received_at: datetime | None = None) -> Arrival:
    return Arrival(topic, json.dumps(body(at, kwh)).encode(), received_at or at)


def hour(*, topic: str = TOPIC, start: datetime = NOW - timedelta(hours=2)) -> Iterator[Arrival]:
    """Ninety minutes of a steady 1.2 kW."""
    for number in range(541):
        yield message(start + timedelta(seconds=10 * number), 100 + round(number / 300, 6), topic=topic)


def take(*arrivals: Arrival, at: datetime = NOW, intake: Intake | None = None) -> Taken:
    return (intake or Intake()).take(arrivals, at=at)


def letters() -> dict[str, int]:
    return dict(Message.objects.filter(outcome="dead").values_list("code", "times"))


def test_messages_become_half_hours_of_the_household(paired):
    taken = take(*hour())
    registers.convert(at=NOW)

    assert (taken.messages, taken.samples, taken.power, taken.letters) == (541, 541, 0, {})
    assert wh_of(paired.stream_id) == [600, 600, 600]
    sender = Sender.objects.get(name=MAC)
    assert (sender.messages, sender.refused, sender.drift_seconds) == (541, 0, 0)


def test_the_same_batch_again_changes_nothing(paired):
    take(*hour())
    registers.convert(at=NOW)
    before = set(Register.objects.values_list("slot", "earliest", "latest", "highest", "lowest"))

    take(*hour())
    assert set(Register.objects.values_list("slot", "earliest", "latest", "highest", "lowest")) == before
    assert registers.convert(at=NOW) == 0
    assert wh_of(paired.stream_id) == [600, 600, 600]


def test_an_unknown_device_is_a_dead_letter_counted_once_a_kind(paired):
    stranger = f"glow/{OTHER}/SENSOR/electricitymeter"

    taken = take(message(NOW, 5, topic=stranger), message(NOW, 6, topic=stranger), message(NOW, 100))

    assert (taken.samples, taken.letters["unknown_sender"]) == (1, 2)
    (letter,) = Message.objects.all()
    assert (letter.sender, letter.times, letter.code) == (OTHER, 2, "unknown_sender")
    assert "MAC address" in letter.detail
    assert not Sender.objects.filter(name=OTHER).exists()


def test_without_consent_nothing_is_kept_but_the_count(paired):
    consent = paired.occupancy.consents.get(purpose=Purpose.SETTLEMENT)
    consenting.end_consent(
        consent=consent, at=NOW - timedelta(hours=1), reason=EndReason.REQUESTED, actor="x"
    )

    taken = take(message(NOW - timedelta(minutes=1), 7), message(NOW - timedelta(hours=2), 6))

    assert (taken.samples, letters()) == (1, {"no_consent": 1})
    assert Message.objects.get().body == ""


@pytest.mark.parametrize("consented", [True, False])
def test_a_rule_keeps_no_body_of_who_did_not_consent(paired, *, consented: bool):
    ruling.publish(
        wanted=[{"id": "look", "then": "keep"}, {"id": "ring", "then": "alarm"}],
        note="",
        based_on=0,
        at=NOW,
        by=None,
    )
    if not consented:
        consent = paired.occupancy.consents.get(purpose=Purpose.SETTLEMENT)
        consenting.end_consent(
            consent=consent, at=NOW - timedelta(hours=1), reason=EndReason.REQUESTED, actor="x"
        )

    take(message(NOW, 7))

    kept = {each.outcome: each for each in Message.objects.exclude(outcome="dead")}
    assert set(kept) == {"kept", "alarm"}
    assert [bool(each.body) for each in kept.values()] == [consented, consented]


def test_who_moves_out_takes_the_stream_along(paired):
    moved_at = NOW - timedelta(hours=1)
    paired.occupancy.ends_at = moved_at
    paired.occupancy.save()
    next_household = make_member("Dora Dale", at=moved_at).household
    stay = joining.move_in(household=next_household, home=paired.home, at=moved_at)
    stream = joining.open_stream(occupancy=stay, at=moved_at)

    routes = routing.routes_of_cads()

    assert routes.stream_at(MAC, "electricity", moved_at - timedelta(seconds=1)) == paired.stream_id
    assert routes.stream_at(MAC, "electricity", moved_at) == "no_consent"
    assert stream.stream_id != paired.stream_id
    assert routes.stream_at(MAC, "gas", moved_at) == "no_stream"
    assert routes.stream_at("x", "gas", moved_at) == "unknown_sender"


@pytest.mark.parametrize(
    ("at", "code"),
    [(NOW + timedelta(minutes=6), "clock_ahead"), (NOW - timedelta(days=7), "too_late")],
)
def test_a_clock_that_is_wrong_is_told(paired, at, code):
    taken = take(message(at, 5, received_at=NOW))

    assert (taken.samples, letters()) == (0, {code: 1})
    assert Sender.objects.get(name=MAC).refused == 1


def test_one_odd_message_never_stops_the_others(paired):
    odd = [
        Arrival(TOPIC, payload, NOW) for payload in (b"", b"\x00", b'{"electricitymeter": 1}', b"[" * 9999)
    ]
    taken = take(*odd, Arrival("glow/\x00/x", b'{"a": "\\u0000"}', NOW), message(NOW, 5))

    assert (taken.messages, taken.samples) == (6, 1)
    assert sum(taken.letters.values()) == 5
    assert letters() == {"not_json": 3, "missing": 1, "unknown_topic": 1}


def test_pending_reads_are_counted_over_all_devices(paired):
    pending = Arrival(TOPIC, json.dumps(body(NOW, 0, mpan="read pending")).encode(), NOW)

    take(pending, pending)

    letter = Message.objects.get()
    assert (letter.code, letter.times, letter.sender, letter.body) == ("read_pending", 2, "", "")


KW = "electricitymeter.power.value"
RULES = [
    {"id": "spikes", "match": {"source": "glow", "field": KW, "op": ">", "value": 23},
     "then": "drop"},
    {"id": "old firmware", "match": {"field": "electricitymeter.power.units", "op": "=", "value": "dW"},
     "then": "reshape", "field": "electricitymeter.power.units", "set": "W"},
    {"id": "high", "match": {"field": KW, "op": ">=", "value": 9}, "then": "alarm",
     "text": "above 9 kW"},
]  # fmt: skip


def test_rules_drop_reshape_and_raise_alarms(paired):
    ruling.publish(wanted=RULES, note="first", based_on=0, at=NOW, by=None)
    spike, high = body(NOW, 5, kw=40), body(NOW, 6, kw=9.5)

    taken = take(*(Arrival(TOPIC, json.dumps(each).encode(), NOW) for each in (spike, high)))

    assert (taken.dropped, taken.samples) == (1, 1)
    assert dict(RuleCount.objects.values_list("rule", "hits")) == {"spikes": 1, "high": 1}
    alarm = Message.objects.get(outcome="alarm")
    assert (alarm.rule, alarm.detail) == ("high", "above 9 kW")
    assert OutboxFact.objects.filter(topic="metering.rule.alarm").count() == 1


def test_rules_are_tried_on_stored_messages_first(paired):
    take(Arrival(TOPIC, b'{"electricitymeter": {"power": {"value": 50}}}', NOW))

    (trial,), hits = ruling.dry_run(RULES)

    assert (trial.body, trial.hits, dict(hits)) == (None, ("spikes",), {"spikes": 1})
    assert RuleCount.objects.count() == 0


def test_a_version_is_published_on_top_of_the_newest(paired):
    ruling.publish(wanted=[], note="", based_on=0, at=NOW, by=None)

    with pytest.raises(ruling.RulesChanged):
        ruling.publish(wanted=RULES, note="", based_on=0, at=NOW, by=None)
    with pytest.raises(RuleInvalid):
        ruling.publish(wanted=[{"id": "x", "then": "explode"}], note="", based_on=1, at=NOW, by=None)
    assert ruling.publish(wanted=RULES, note="", based_on=1, at=NOW, by=None).version == 2


def test_neighbours_do_not_mix(paired):
    other = make_resident("Erin Elm")
    installing.pair_cad(home=other.home, serial=OTHER, at=NOW - timedelta(days=30))

    take(*hour(), *hour(topic=TOPIC.replace(MAC, OTHER)))
    registers.convert(at=NOW)

    assert wh_of(paired.stream_id) == wh_of(other.stream_id) == [600, 600, 600]


def test_power_is_kept_only_while_the_household_consents_to_live_readings(paired):
    assert take(message(NOW, 5)).power == 0
    consenting.give_consent(
        member=paired.member,
        occupancy=paired.occupancy,
        purpose=Purpose.ADVICE,
        granularity=Granularity.LIVE,
        channel="web",
        at=NOW - timedelta(hours=1),
    )

    taken = take(message(NOW - timedelta(minutes=1), 6), message(NOW - timedelta(hours=2), 4))

    assert (taken.samples, taken.power) == (2, 1)
    assert list(LivePower.objects.values_list("stream_id", "power_w")) == [(paired.stream_id, 400)]


def test_a_letter_is_used_once_its_device_is_registered(alice):
    take(*hour())
    take(Arrival(TOPIC, b"{", NOW))
    assert letters() == {"unknown_sender": 541, "not_json": 1}
    installing.pair_cad(home=alice.home, serial=MAC, at=NOW - timedelta(days=30))
    ids = list(Message.objects.values_list("pk", flat=True))

    done = retrying.retry(message_ids=[*ids, 0], at=NOW + timedelta(hours=1), actor="staff:1")

    assert (done.used, done.dead, done.bare) == (1, 1, 0)
    assert Register.objects.count() == 1
    left = Message.objects.get()
    assert (left.code, left.times, left.retried_at) == ("not_json", 1, NOW + timedelta(hours=1))
    assert AuditEntry.objects.get(verb="metering.letters.retried").detail == {"used": 1, "dead": 1}


def test_rules_speak_of_devices_states_too(alice):
    kit = make_hub(alice.home, kinds=("immersion_heater",))
    AssetDevice.objects.create(asset=kit.assets[0], kind="tasmota", name="plug")
    rules = [
        {"id": "spike", "match": {"source": "device", "field": "ENERGY.Power", "op": ">", "value": 4000},
         "then": "drop"},
        {"id": "half", "match": {"source": "device", "type": "*/SENSOR", "field": "ENERGY.Power"},
         "then": "reshape", "scale": 0.5},
    ]  # fmt: skip
    ruling.publish(wanted=rules, note="", based_on=0, at=NOW, by=None)

    def told(power: int) -> Arrival:
        document = {"Time": "2026-01-05T09:59:00", "ENERGY": {"Power": power, "Total": 1.0}}
        topic = f"homes/{kit.ven_id}/tasmota/plug/tele/plug/SENSOR"
        return Arrival(topic, json.dumps(document).encode(), NOW)

    done = take(told(3_000), told(9_000))

    assert (done.states, done.dropped, done.letters) == (1, 1, {})
    assert AssetState.objects.get().power_w == 1_500
    assert dict(RuleCount.objects.values_list("rule", "hits")) == {"spike": 1, "half": 1}
