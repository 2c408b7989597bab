"""The co-op as a VEN under a VTN nobody here wrote: `openleadr`'s sends an event that begins, homes act and
their meters tell it, and when it is cancelled they are let go.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_django import Settings

from campaigns.models import (
    Campaign,
    OperatorEvent,
    OperatorMessage,
    OperatorReport,
    OperatorVtn,
    Participation,
)
from campaigns.ven import arranging, contacting
from hems.book import Book
from members import consenting
from members.models import Granularity, Purpose
from metering import live
from metering.aggregates import LEAST_HOMES
from oadr import messages as m
from opendsr.kernel import clock, outbox, waking
from tests.campaigns.servicing.operating import make_habits, make_operator
from tests.campaigns.test_river import hub_of
from tests.campaigns.ven.neighbour import client_certificate, connect
from tests.factories import JOINED_AT, HubKit, Resident, make_hub, make_resident
from tests.hems.small_vtn import Authority
from tests.hems.test_book import Thing
from tests.interop.test_openleadr import PATIENCE_SECONDS, PYTHON, ROOT
from tests.interop.test_openleadr import environment_of_its_own as environment_of_its_own
from tests.redises import free_port
from tests.vtn.hubs import TestHub
from vtn.models import Event

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CONTEXT: Final = "oadr://unknown.context"
"""What openleadr says where nobody told it a market context."""
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
BEGINS_IN_SECONDS: Final = 20
CAR_W, OTHER_W = 3_000, 500


@dataclass
class Home:
    """A home with a car that charges unless its hub holds it, and a meter that tells both."""

    resident: Resident
    kit: HubKit
    hub: TestHub
    book: Book = field(default_factory=lambda: Book("seed"))

    @property
    def car(self) -> Thing:
        return Thing(self.kit.assets[0].resource_id, CAR_W)

    def listens(self, at: datetime) -> None:
        """The hub polls, and takes and answers what has come."""
        message = self.hub.polls(at=at)
        if isinstance(message, m.DistributeEvent):
            self.book, answers = self.book.take(message, at=at, ven_id=self.kit.ven_id, assets=[self.car])
            said = m.CreatedEvent(m.EiResponse(request_id="R"), self.kit.ven_id, tuple(answers))
            self.hub.says("EiEvent", said, at=at)

    def power_w(self, at: datetime) -> int:
        """What the home draws at `at`."""
        is_held = any(
            each.direction == "down" and each.starts_at <= at < each.ends_at
            for each in self.book.orders([self.car])
        )
        return OTHER_W + (0 if is_held else CAR_W)


@dataclass
class Operator:
    """openleadr's VTN in a process of its own, and what it says it heard."""

    process: subprocess.Popen[bytes]
    folder: Path
    vtn: OperatorVtn

    def said(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / "said").read_text().splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def cancels(self) -> None:
        (self.folder / "cancel").touch()

    def wait_for(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` finds, one contact of the co-op after the other."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            OperatorVtn.objects.update(due_wall_at=clock.wall_now())
            contacting.contact(vtn_id=self.vtn.pk, wall=clock.wall_now())
            if found := look():
                return found
            time.sleep(0.2)
        self.vtn.refresh_from_db()
        log = (self.folder / "log").read_text()[-3000:]
        raise AssertionError(f"waited for {what} in vain ({self.vtn.problem}); {log}")


@pytest.fixture
def street(tmp_path: Path, settings: Settings) -> list[Home]:
    """Homes enough for a total that may be told, all of whose live power may be read."""
    settings.VTN_PKI_DIR = tmp_path / "pki"
    homes = []
    for _ in range(LEAST_HOMES):
        resident = make_resident(cmz="Calder", consents=[Purpose.FLEXIBILITY])
        consenting.give_consent(
            member=resident.member,
            occupancy=resident.occupancy,
            purpose=Purpose.SETTLEMENT,
            granularity=Granularity.LIVE,
            channel="web",
            at=JOINED_AT,
        )
        kit = make_hub(resident.home, kinds=["ev_charger"], through_vtn=True)
        homes.append(Home(resident, kit, hub_of(kit)))
    make_habits(*(home.resident for home in homes))
    return homes


@pytest.fixture
def operator(
    environment_of_its_own: None, street: list[Home], tmp_path: Path, settings: Settings
) -> Iterator[Operator]:
    """The operator's contract is of the street's zone; its event begins soon after the co-op registers."""
    signed = make_operator(max_w=9_000, approved_w=9_000)
    authority, port = Authority("DNO CA"), free_port()
    settings.OPERATOR_VTN_NETWORKS, settings.OPERATOR_VTN_PORTS = ["127.0.0.0/8", "::1/128"], [port]
    certificate_pem, key_pem = client_certificate(authority)
    vtn = connect(
        signed,
        f"https://localhost:{port}/OpenADR2/Simple/2.0b",
        authority,
        certificate_pem=certificate_pem,
        private_key_pem=key_pem,
    )
    arranging.add_place(
        client_id=signed.client.pk,
        name=CONTEXT,
        zone="Calder",
        moderate_pct=33,
        high_pct=67,
        special_pct=100,
        at=clock.now(),
        by=vtn.changed_by,  # type: ignore[arg-type]
    )
    certificate, key = authority.server_identity(tmp_path)
    ca, ours = tmp_path / "ca.pem", tmp_path / "ours.pem"
    ca.write_bytes(authority.pem)
    ours.write_text(certificate_pem)
    (tmp_path / "said").touch()
    words = [PYTHON, Path(__file__).with_name("openleadr_vtn.py"), port, certificate, key, ca, ours]
    words += [tmp_path / "said", tmp_path / "cancel", BEGINS_IN_SECONDS]
    with (tmp_path / "log").open("w") as output:
        process = subprocess.Popen(
            [str(word) for word in words], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
        )
    try:
        yield Operator(process, tmp_path, vtn)
    finally:
        process.terminate()
        process.wait(60)


def meters_tell(street: list[Home], begun_at: datetime, until: datetime) -> dict[datetime, int]:
    """Every meter's power each ten seconds goes into the store; the street's mean W by minute."""
    instants = [begun_at + number * 10 * SECOND for number in range((until - begun_at) // (10 * SECOND))]
    rows = [(home, at) for home in street for at in instants]
    report = live.store_power(
        source="cad",
        at=until,
        stream_ids=[home.resident.stream_id for home, _ in rows],
        measured_at=[at for _, at in rows],
        power_w=[home.power_w(at) for home, at in rows],
    )
    assert report.rows_stored == len(rows)
    minutes = [begun_at + number * MINUTE for number in range((until - begun_at) // MINUTE + 1)]
    return {
        minute: sum(
            round(sum(home.power_w(at) for at in instants if minute <= at < after) / 6) for home in street
        )
        for minute, after in pairwise(minutes)
    }


def test_openleadrs_event_begins_is_seen_at_the_meters_and_its_cancellation_lets_homes_go(
    street: list[Home], operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)
    operator.wait_for("the optIn", lambda: operator.said("opt"))
    assert operator.said("opt") == [{"kind": "opt", "event_id": "foreign-event", "opt": "optIn"}]
    assert operator.said("registered")[0]["ven_name"] == operator.vtn.ven_name
    assert operator.said("offered")[0]["measurement"] == "RealPower"
    campaign = Campaign.objects.get()
    assert (campaign.state, campaign.zone, campaign.size_w) == ("dispatched", "Calder", 2_970)
    assert clock.now() < campaign.starts_at, "told before it began"
    asked = set(Participation.objects.exclude(vtn_event_id="").values_list("asset_id", flat=True))
    assert 0 < len(asked) < len(street)
    for home in street:
        home.listens(clock.now())
    outbox.drain()
    assert set(Participation.objects.filter(state="opted_in").values_list("asset_id", flat=True)) == asked

    # Both clocks come to the start; then the minutes that meters fill go by on ours alone.
    planned_at = datetime.fromisoformat(operator.said("planned")[0]["starts_at"])
    assert abs(campaign.starts_at - planned_at) < SECOND
    operator.wait_for("the beginning", lambda: clock.now() > campaign.starts_at)
    assert OperatorEvent.objects.get().state == "taken"
    until = campaign.starts_at.replace(second=0, microsecond=0) + 6 * MINUTE
    clock.configure(until)
    report = OperatorReport.objects.get()
    told_w = meters_tell(street, report.starts_at, until)
    reported = operator.wait_for("the metering", lambda: operator.said("reported"))
    values = {datetime.fromisoformat(at): value for each in reported for at, value in each["values"]}
    held_w = len(asked) * CAR_W
    assert len(values) >= 5
    assert values == {at: round(told_w[at] / 100) * 100 for at in values}
    whole_w = len(street) * (CAR_W + OTHER_W)
    assert values[max(values)] == whole_w - held_w, "the event is in the readings"

    operator.cancels()
    operator.wait_for("the cancellation", lambda: OperatorEvent.objects.filter(state="cancelled"))
    outbox.drain()
    campaign.refresh_from_db()
    assert (campaign.state, campaign.starts_at < campaign.ends_at < clock.now()) == ("completed", True)
    assert not Event.objects.filter(cancelled_at=None).exists()
    for home in street:
        home.listens(clock.now())
    over = clock.now() + MINUTE
    assert sum(home.power_w(over) for home in street) == whole_w, "every car charges again"
    operator.vtn.refresh_from_db()
    assert operator.vtn.problem == ""
    assert OperatorMessage.objects.filter(kind="oadrCreatedEvent", words__contains="optIn").exists()
