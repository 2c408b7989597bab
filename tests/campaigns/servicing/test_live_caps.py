"""Active network management over live streams: meters at a broker, hubs at the VTN, a signed operator.

Fifteen homes with panels export 6 kW each. Their CADs say so twice a minute through Mosquitto and the
intake; each home's hub takes its events and heats water when asked, so its meter tells less. Nothing in
between is replaced; the minutes alone are the test's own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from assets import installing
from campaigns.models import Participation, ServicingSignal
from campaigns.opting import skip
from campaigns.servicing import capping
from hems.book import Book
from members import consenting
from members.models import Granularity, Purpose
from metering import broker
from metering.intake_models import Message, Sender
from metering.models import LivePower
from metering.mqtt import Listener
from oadr import messages as m
from opendsr.kernel import outbox
from tests.campaigns.servicing.operating import Operator, make_habits, make_operator, told
from tests.campaigns.staging import NOON, make_rules
from tests.campaigns.test_river import hub_of
from tests.factories import JOINED_AT, HubKit, Resident, make_hub, make_resident
from tests.hems.test_book import Thing
from tests.metering.brokers import Device, mosquitto, wait_for
from tests.vtn.hubs import TestHub

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.process]
ItIs = Callable[[datetime], None]
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
HOMES, PANELS_W, HEATER_W = 15, 6_000, 3_000


@dataclass
class Home:
    """A household with panels and an immersion heater: its hub, what that was told, and its meter's CAD."""

    resident: Resident
    kit: HubKit
    hub: TestHub
    book: Book
    cad: str
    device: Device
    panels_w: int = PANELS_W
    export_wh: float = 0.0

    @property
    def heater(self) -> Thing:
        return Thing(self.kit.assets[0].resource_id, HEATER_W)

    def asked(self, at: datetime) -> str:
        """Which way the heater is driven at `at`: up, down, or not at all."""
        running = [each for each in self.book.orders([self.heater]) if each.starts_at <= at < each.ends_at]
        return running[0].direction if running else ""

    def listens(self, at: datetime) -> None:
        """The hub polls, and takes and answers what has come."""
        message = self.hub.polls(at=at)
        if isinstance(message, m.DistributeEvent):
            self.book, answers = self.book.take(message, at=at, ven_id=self.kit.ven_id, assets=[self.heater])
            said = m.CreatedEvent(m.EiResponse(request_id="R"), self.kit.ven_id, tuple(answers))
            self.hub.says("EiEvent", said, at=at)

    def reads(self, at: datetime) -> None:
        """The CAD tells the meter's power at `at`, export below zero."""
        export_w = self.panels_w - (HEATER_W if self.asked(at) == "up" else 0)
        self.export_wh += export_w / 120
        power = {"value": -export_w / 1_000, "units": "kW"}
        energy = {
            "import": {"cumulative": 5_000.0, "units": "kWh", "mpan": "1"},
            "export": {"cumulative": round(self.export_wh / 1_000, 3), "units": "kWh"},
        }
        told = {"timestamp": at.isoformat().replace("+00:00", "Z"), "energy": energy, "power": power}
        self.device.say(
            f"glow/{self.cad}/SENSOR/electricitymeter", json.dumps({"electricitymeter": told}).encode()
        )


@dataclass
class Street:
    """The homes, and the clock that all of them go by."""

    homes: list[Home]
    it_is: ItIs

    def lives(self, since: int, until: int) -> None:
        """The minutes past noon from `since` to `until`: hubs listen, meters tell, caps are followed."""
        for minute in range(since, until):
            at = NOON + minute * MINUTE
            self.it_is(at)
            for home in self.homes:
                home.listens(at)
            outbox.drain()
            whole = LivePower.objects.count() + 2 * len(self.homes)
            for second in (10, 40):
                self.it_is(at + second * SECOND)
                for home in self.homes:
                    home.reads(at + second * SECOND)
            wait_for(lambda whole=whole: LivePower.objects.count() == whole)
            self.it_is(at + MINUTE)
            capping.follow(at=at + MINUTE)

    def heating(self, minutes: int) -> int:
        """How many heaters were driven in the last of so many minutes."""
        return sum(home.asked(NOON + (minutes - 1) * MINUTE) == "up" for home in self.homes)


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Callable[[list[str]], list[Device]]]:
    """A broker that carries these CADs to the intake's own listener, which stores what it hears."""
    closing: list[Callable[[], None]] = []

    def run(cads: list[str]) -> list[Device]:
        passwords = [broker.issue_password(kind=Sender.Kind.GLOW, name=cad, at=NOON)[1] for cad in cads]
        running = mosquitto(tmp_path / "broker")
        at = running.__enter__()
        closing.append(lambda: running.__exit__(None, None, None))
        listener = Listener(at.url, batch_seconds=0.1)

        def listen() -> None:
            try:
                listener.run()
            finally:
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        closing.extend([thread.join, listener.stop])
        wait_for(lambda: listener.is_ready)
        devices = [Device(at, cad, password) for cad, password in zip(cads, passwords, strict=True)]
        closing.extend(device.close for device in devices)
        return devices

    yield run
    for close in reversed(closing):
        close()


@pytest.fixture
def street(intake: Callable[[list[str]], list[Device]], it_is: ItIs) -> Street:
    it_is(NOON)
    make_rules()
    cads = [f"BCDDC2C6A9{number:02X}" for number in range(HOMES)]
    found = []
    for cad in cads:
        resident = make_resident(cmz="Calder", consents=[Purpose.FLEXIBILITY])
        kit = make_hub(resident.home, kinds=["immersion_heater"], flexible_w=HEATER_W)
        consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose=Purpose.SETTLEMENT,
            granularity=Granularity.LIVE,
            channel="web",
            at=JOINED_AT,
        )
        installing.pair_cad(home=resident.home, serial=cad, at=JOINED_AT)
        found.append((resident, kit))
    make_habits(*(resident for resident, _ in found))
    devices = intake(cads)
    return Street(
        [
            Home(resident, kit, hub_of(kit), Book(cad), cad, device)
            for (resident, kit), cad, device in zip(found, cads, devices, strict=True)
        ],
        it_is,
    )


def cap(operator: Operator, kind: str, cap_w: int, sequence: int) -> dict[str, Any]:
    body = {"signal": "cap", "zone": "Calder", "cap": kind, "cap_w": cap_w, "sequence": sequence}
    return told(operator.send("/signals/", body))


def test_an_export_cap_is_kept_by_what_live_meters_tell(street: Street) -> None:
    operator = make_operator(
        max_w=60_000,
        approved_w=60_000,
        longest_minutes=60,
        import_cap_w=60_000,
        export_cap_w=66_000,
        silence_minutes=4,
        hold_minutes=4,
    )

    def zone_w() -> int:
        """What the operator reads of the zone's newest minute: net import, export below zero."""
        newest = told(operator.send("/metering/?zone=Calder"))["minutes"][-1]
        assert (newest["starts_at"], newest["homes"]) == ((NOON + (now - 1) * MINUTE).isoformat(), HOMES)
        return int(newest["mean_w"])

    assert cap(operator, "export", 100_000, 1)["why"] == "few_meters", "nothing was told yet"
    street.lives(0, now := 1)
    assert zone_w() == -HOMES * PANELS_W

    first = cap(operator, "export", 75_000, 2)
    assert (first["did"], first["flow_w"], first["metered_homes"]) == ("asked", 90_000, HOMES)
    assert (first["wanted_w"], first["asked_w"]) == (15_000, 18_000)
    street.lives(now, now := 3)
    assert street.heating(now) == first["homes"] < HOMES
    assert zone_w() == first["homes"] * HEATER_W - HOMES * PANELS_W >= -75_000
    assert cap(operator, "export", 75_000, 3)["did"] == "kept", "what is given is added back"

    part = Participation.objects.order_by("pk")[0]
    skip(participation=part, at=NOON + now * MINUTE, by=None)
    street.lives(now, now := 4)
    assert street.heating(now) == first["homes"] - 1
    lower = cap(operator, "export", 69_000, 4)
    assert (lower["did"], lower["wanted_w"]) == ("asked", 21_000)
    street.lives(now, now := 5)
    assert zone_w() >= -69_000
    assert Participation.objects.filter(occupancy=part.occupancy).count() == 1, "left in peace"

    raised = cap(operator, "export", 100_000, 5)
    assert (raised["did"], raised["campaigns"]) == ("let_go", 1), "the other is held for four minutes"
    street.lives(now, now := 6)
    assert street.heating(now) == lower["homes"]

    street.lives(now, now := 9)
    own = ServicingSignal.objects.filter(key_id="", kind="cap").latest("received_at")
    assert (own.answer["from"], own.answer["cap_w"], own.answer["did"]) == ("silence", 66_000, "asked")
    street.lives(now, now := 10)
    assert zone_w() >= -66_000

    turned_down = cap(operator, "import", 39_000, 1)
    assert (turned_down["did"], turned_down["wanted_w"]) == ("asked", 6_000)
    street.lives(now, now := 11)
    assert sum(home.asked(NOON + 10 * MINUTE) == "down" for home in street.homes) == turned_down["homes"] > 0
    assert street.heating(now) > 0

    street.homes.pop().device.close()
    street.lives(16, now := 17)
    few = cap(operator, "export", 66_000, 6)
    assert (few["did"], few["why"], few["flow_w"]) == ("unmet", "few_meters", None), "fourteen homes"
    assert not Message.objects.exists(), "no letter of any meter lies undelivered"


def test_a_cap_goes_by_what_is_not_told(street: Street) -> None:
    """One large array makes up more of the zone than may be told: the cap is kept, the flow stays untold."""
    operator = make_operator(
        max_w=60_000, approved_w=60_000, longest_minutes=60, export_cap_w=120_000, hold_minutes=4
    )
    street.homes[0].panels_w = 4 * PANELS_W
    street.lives(0, 1)

    first = cap(operator, "export", 95_000, 1)

    assert (first["did"], first["flow_w"], first["wanted_w"], first["metered_homes"]) == (
        "asked",
        None,
        None,
        HOMES,
    )
    assert first["asked_w"] == 18_000, "13 kW over and a band of 3 on top, in whole bands"
    street.lives(1, 3)
    assert street.heating(3) == first["homes"] > 0
    newest = told(operator.send("/metering/?zone=Calder"))["minutes"][-1]
    assert (newest["mean_w"], newest["homes"]) == (None, None)
    kept = cap(operator, "export", 95_000, 2)
    assert (kept["did"], kept["flow_w"], kept["given_w"]) == ("kept", None, 18_000)
    raised = cap(operator, "export", 120_000, 3)
    assert raised["did"] == "kept", "held for four minutes"
    street.lives(3, 7)
    assert street.heating(7) == 0
