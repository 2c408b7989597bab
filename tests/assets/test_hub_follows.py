"""A real hub against the real listener follows the registry: needs, limits, service, its lost config."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets import commissioning, installing, rolling_out, servicing, shadowing, vtn_door
from assets.differences import differences
from assets.models import Asset, Hub
from assets.registry_models import RelayCount
from hems.__main__ import main
from hems.agent import Agent
from hems.drivers.bus import LocalBroker
from hems.drivers.real_device import RealDevice, SwitchedDevice
from hems.instants import written
from hems.keys import enrol
from opendsr.kernel import clock as kernel_clock
from tests.factories import make_asset_kinds, make_home, new_serial
from tests.hems.conftest import FIVE, HandClock
from tests.hems.local_broker import PASSWORD, FakeTasmota, mosquitto, wait_for
from tests.vtn.listening import Listener, listening

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def listener(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    settings.VTN_PKI_DIR = tmp_path / "pki"
    settings.VTN_PKI_DIR.mkdir()
    monkeypatch.setenv("WORLD_CLOCK_ANCHOR", f"{written(FIVE)}/{written(FIVE)}")
    monkeypatch.setenv("WORLD_CLOCK_SPEED", "0")
    kernel_clock.reset()
    with listening(settings.VTN_PKI_DIR) as running:
        yield running


@dataclass
class Fitted:
    hub: Hub
    asset: Asset
    folder: Path
    url: str

    def start(self) -> Agent:
        return Agent(self.folder, vtn=self.url, clock=HandClock(FIVE), shadow_seconds=0.01)

    def contact(self, agent: Agent, times: int = 2) -> None:
        """Tell and take in, and tell that it was taken in; with the outbox's consumer between."""
        for _ in range(times):
            agent.contact()
            rolling_out.hub_reported(ven_id=str(self.hub.ven_id), at=FIVE)

    def found(self) -> list[tuple[str, str, str]]:
        shadow = vtn_door.shadows_of([str(self.hub.ven_id)])[str(self.hub.ven_id)]
        return [
            (each.what, each.desired, each.reported) for each in differences(shadow.desired, shadow.reported)
        ]


def furnish(folder: Path, broker: LocalBroker, asset: Asset) -> None:
    (folder / "broker.password").write_text(PASSWORD)
    (folder / "broker.password").chmod(0o600)
    (folder / "hub.toml").write_text(
        f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\nusername = "hub"\n'
        'password_file = "broker.password"\n'
        f'[[assets]]\nresource_id = "{asset.resource_id}"\nkind = "immersion_heater"\nrated_w = 3000\n'
        'driver = "tasmota"\ntopic = "water"\n'
    )


def sign(folder: Path, planned: installing.PlannedHub) -> Hub:
    made = commissioning.commission_hub(
        serial=planned.hub.serial,
        enrolment_code=planned.enrolment_code,
        csr_pem=(folder / "csr.pem").read_text(),
        at=FIVE,
    )
    (folder / "certificate.pem").write_text(made.certificate_pem)
    (folder / "ca.pem").write_text(made.ca_pem)
    return made.hub


@pytest.fixture
def tasmota(broker: LocalBroker) -> Iterator[FakeTasmota]:
    with FakeTasmota(broker, "water") as running:
        yield running


@pytest.fixture
def fitted(listener: Listener, broker: LocalBroker, tasmota: FakeTasmota, tmp_path: Path) -> Fitted:
    make_asset_kinds()
    planned = installing.plan_hub(home=make_home(), serial=new_serial(), at=FIVE)
    asset = installing.install_asset(
        hub=planned.hub, kind_code="immersion_heater", name="water", rated_w=3000, at=FIVE
    )
    folder = tmp_path / planned.hub.serial
    enrol(folder, serial=planned.hub.serial)
    hub = sign(folder, planned)
    furnish(folder, broker, asset)
    return Fitted(hub, asset, folder, f"https://localhost:{listener.port}/OpenADR2/Simple/2.0b")


def test_a_hub_follows_the_registry_and_its_differences_are_told(fitted: Fitted):
    with fitted.start() as agent:
        [driver] = agent.place.drivers
        assert isinstance(driver, RealDevice)
        wait_for("the heater", lambda: agent.place.apply(FIVE) or driver.available)
        fitted.contact(agent)
        assert fitted.found() == []

        name = fitted.asset.resource_id
        shadowing.set_needs(asset_id=fitted.asset.pk, needs={"minimum_c": 48}, at=FIVE, by="staff:1")
        assert (f"{name} minimum_c", "48", "None") in fitted.found()
        fitted.contact(agent)
        assert fitted.found() == []
        assert driver.settings.manners.minimum_c == 48.0

        # What it cannot follow it says, and keeps what it had.
        shadowing.set_needs(asset_id=fitted.asset.pk, needs={"minimum_c": 480}, at=FIVE, by="staff:1")
        fitted.contact(agent)
        [(_, _, told)] = [each for each in fitted.found() if each[0] == "fault"]
        assert "minimum_c: 480 is no temperature from 0 to 95 C" in told
        assert driver.settings.manners.minimum_c == 48.0

        servicing.report_fault(asset_id=fitted.asset.pk, at=FIVE, by="staff:1")
        fitted.contact(agent)
        assert not agent.reported()["assets"][0]["is_in_service"]
    # What it was told holds without contact, after a restart.
    with fitted.start() as again:
        assert not again.reported()["assets"][0]["is_in_service"]


def test_a_hub_tells_how_often_its_relay_switched(fitted: Fitted, tasmota: FakeTasmota):
    with fitted.start() as agent:
        [driver] = agent.place.drivers
        assert isinstance(driver, SwitchedDevice)
        wait_for("the heater", lambda: agent.place.apply(FIVE) or driver.available)
        for number in (1, 2):
            for is_on in (True, False):
                tasmota.is_pressed(is_on=is_on)
                wait_for("the press", lambda wanted=is_on: agent.place.apply(FIVE) or _shows(driver, wanted))
            agent.step(FIVE)
            fitted.contact(agent, times=1)
            count = RelayCount.objects.get(asset=fitted.asset)
            assert (count.cycles, count.told_by) == (number, fitted.hub.ven_id)
    # Counting goes on where it stood.
    with fitted.start() as again:
        assert again.reported()["counts"]["cycles"] == {fitted.asset.resource_id: 2}


def _shows(driver: SwitchedDevice, is_on: bool) -> bool:
    return driver.relay.shown is is_on


def test_the_hub_that_takes_its_place_has_its_config(fitted: Fitted, tmp_path: Path, capsys):
    with fitted.start() as agent:
        fitted.contact(agent)
    config = (fitted.folder / "hub.toml").read_text()
    planned = servicing.plan_replacement(hub_id=fitted.hub.pk, serial=new_serial(), at=FIVE, by="staff:1")
    folder = tmp_path / planned.hub.serial
    enrol(folder, serial=planned.hub.serial)
    hub = sign(folder, planned)

    assert main(["restore", "--dir", str(folder), "--vtn", fitted.url]) == 0

    assert (folder / "hub.toml").read_text() == config
    assert main(["restore", "--dir", str(folder), "--vtn", fitted.url]) == 2
    assert "there already" in capsys.readouterr().err
    # The old one's certificate speaks for nobody any more; the new one is as it should be.
    with fitted.start() as old:
        old.contact()
        assert "403" in old.status(FIVE)["failure"]
    (folder / "broker.password").write_text(PASSWORD)
    (folder / "broker.password").chmod(0o600)
    new = Fitted(hub, fitted.asset, folder, fitted.url)
    with new.start() as agent:
        [driver] = agent.place.drivers
        wait_for("the heater", lambda: agent.place.apply(FIVE) or driver.available)
        new.contact(agent)
        assert new.found() == []
    assert Asset.objects.get(pk=fitted.asset.pk).hub == hub
