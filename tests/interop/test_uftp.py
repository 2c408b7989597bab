"""A DSO nobody here wrote, `shapeshifter-uftp`: request, offer, order, campaigns, settlement, by HTTP."""

from __future__ import annotations

import base64
import datetime
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from campaigns import vtn_door
from campaigns.market import offering
from campaigns.models import Campaign, MarketOrder, MarketRequest, UftpMessage
from campaigns.uftp import arranging, settling
from members.models import Role
from opendsr.kernel import clock, outbox, waking
from tests.campaigns.market.trading import make_buyer
from tests.campaigns.servicing.operating import make_habits
from tests.campaigns.staging import NOON, STARTS_AT, PaperVtn, make_history, make_ready_home, make_rules
from tests.campaigns.uftp.dso import DSO_DOMAIN, POINT, URL, US
from tests.factories import make_staff
from tests.interop.test_openleadr import ROOT, ForeignHub
from tests.interop.test_openleadr import environment_of_its_own as environment_of_its_own

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PYTHON = ROOT / ".venv-interop-uftp" / "bin" / "python"


@contextmanager
def foreign_dso(given: dict[str, Any], folder: Path) -> Iterator[ForeignHub]:
    """The DSO's process, and what it heard."""
    said, log = folder / "said", folder / "log"
    said.touch()
    words = [
        str(PYTHON),
        str(Path(__file__).with_name("uftp_dso.py")),
        json.dumps({**given, "said": str(said)}),
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=subprocess.STDOUT, text=True, env=os.environ | {"NO_PROXY": "*"}
        )
    try:
        yield ForeignHub(process, said, log)
    finally:
        process.terminate()
        process.wait(30)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 and its key, of the test's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    wall = datetime.datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wall - timedelta(days=1))
        .not_valid_after(wall + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "dso.pem", folder / "dso.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_a_foreign_dso_asks_is_offered_orders_and_settles(
    environment_of_its_own: None,
    live_server: LiveServer,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.configure(NOON, speed=0)
    vtn = PaperVtn()
    monkeypatch.setattr(vtn_door, "vtn", lambda: vtn)
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)
    make_rules()
    homes = [make_ready_home(cmz="Calder")[0] for _ in range(4)]
    make_habits(*homes)
    make_history({home.stream_id: 3_000 for home in homes})
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pem, pem_key = certificate(tmp_path)
    settings.UFTP_NETWORKS, settings.UFTP_PORTS, settings.UFTP_CA = ["127.0.0.0/8"], [port], str(pem)
    staff, party, key = (
        make_staff("ursula@example.org", Role.ADMINISTRATOR),
        make_buyer(),
        Ed25519PrivateKey.generate(),
    )
    private, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    ours = arranging.make_identity(domain=US, at=NOON, by=staff)
    arranging.set_terms(
        party_id=party.pk,
        domain=DSO_DOMAIN,
        endpoint=f"https://127.0.0.1:{port}{URL}",
        public_key=base64.b64encode(public).decode(),
        sign="deviation",
        baseline_reference="",
        tolerance_pct=5,
        is_barred=False,
        at=NOON,
        by=staff,
    )
    arranging.add_point(
        party_id=party.pk,
        congestion_point=POINT,
        zone_kind="cmz",
        zone="Calder",
        direction="turn_down",
        preset="local",
        price_mp_per_kwh=60_000,
        penalty_mp_per_kwh=0,
        at=NOON,
        by=staff,
    )
    given = {
        "endpoint": live_server.url + URL,
        "public_key": ours.public_key,
        "key": base64.b64encode(private + public).decode(),
        "port": port,
        "certificate": str(pem),
        "certificate_key": str(pem_key),
    }

    with foreign_dso(given, tmp_path) as dso:

        def heard(kind: str) -> dict[str, Any] | None:
            outbox.sweep()
            return next((each for each in dso.said if each["kind"] == kind), None)

        dso.wait_for("the answer to its test", lambda: heard("TestMessageResponse"))
        answer = dso.wait_for("the answer to its request", lambda: heard("FlexRequestResponse"))
        assert answer["Result"] == "Accepted"
        request = MarketRequest.objects.get()
        assert (request.direction, request.profile_w) == ("turn_down", [4_000, 4_000, 8_000, 8_000])
        assert request.starts_at == STARTS_AT
        offering.make_offers(request_ids=[request.pk], at=NOON, by=None)
        offer = dso.wait_for("our offer", lambda: heard("FlexOffer"))
        ordered = dso.wait_for("the answer to its order", lambda: heard("FlexOrderResponse"))
        dso.wait_for(
            "its settlement",
            lambda: UftpMessage.objects.filter(kind="FlexSettlement", state="waiting").first(),
        )
        first, second = Campaign.objects.order_by("starts_at")
        half = timedelta(minutes=30)
        measured = {
            first.pk: {STARTS_AT + n * half: 2_000 for n in (0, 1)},
            second.pk: {STARTS_AT + n * half: 4_000 for n in (2, 3)},
        }
        row = UftpMessage.objects.get(kind="FlexSettlement")
        settling.answer(message_pk=row.pk, tries=0, measured=measured, at=NOON)
        settled = dso.wait_for("the answer to its settlement", lambda: heard("FlexSettlementResponse"))

    assert offer["TimeZone"] == "Europe/London"
    assert [(i["Power"], i["Start"], i["Duration"]) for i in offer["OfferOption"][0]["ISP"]] == [
        (-4_000, 33, 2),
        (-8_000, 35, 2),
    ]
    assert ordered["Result"] == "Accepted"
    assert MarketOrder.objects.get().reference == "O-1"
    assert {first.state, second.state} == {"planned"}
    assert settled["FlexOrderSettlementStatus"][0]["Disposition"] == "Accepted"
    assert not UftpMessage.objects.filter(state__in=["failed", "due", "rejected"]).exists()
