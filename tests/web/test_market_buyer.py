"""The page of a buyer that speaks UFTP: set up, what was exchanged, sent again where it did not arrive."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.urls import reverse

from campaigns.models import MarketParty, UftpIdentity, UftpMessage, UftpPoint, UftpTerms
from campaigns.uftp import arranging
from members.models import Role, User
from opendsr.kernel import calling_out, clock, outbox, waking
from tests.campaigns.market.trading import make_buyer
from tests.campaigns.staging import NOON
from tests.factories import make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen

pytestmark = pytest.mark.django_db
KEY = "cs1." + base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
TERMS = {
    "domain": "DSO.example.org",
    "endpoint": "https://dso.example.org/shapeshifter/api/v3/message",
    "public_key": KEY,
    "sign": "deviation",
    "tolerance_pct": "5",
}
POINT = {
    "congestion_point": "ea1.2026-01.org.example:calder",
    "zone_kind": "cmz",
    "zone": "Calder",
    "direction": "turn_down",
    "preset": "local",
    "price_pence_per_kwh": "60.5",
    "penalty_pence_per_kwh": "0",
}


@pytest.fixture
def ann(db: None) -> User:
    """Staff: an administrator."""
    return make_staff("ann@example.org", Role.ADMINISTRATOR)


@pytest.fixture
def party(monkeypatch: pytest.MonkeyPatch) -> MarketParty:
    """A buyer; it is noon."""
    monkeypatch.setattr(clock, "now", lambda: NOON)
    monkeypatch.setattr(waking, "wake_on_commit", lambda queues: None)
    return make_buyer()


def act(visit: Visit, user: User, party: MarketParty, verb: str, **fields: str) -> int:
    """The status of a press on the buyer's page."""
    return visit(user).post(reverse("market_buyer_action", args=[party.pk, verb]), fields).status_code


def test_a_buyer_is_set_up_changed_and_its_history_kept(party: MarketParty, ann: User, visit: Visit) -> None:
    page = reverse("market_buyer", args=[party.pk])
    assert act(visit, ann, party, "key", domain="Coop.example.org") == 302
    assert act(visit, ann, party, "terms", **TERMS) == 302
    assert act(visit, ann, party, "point", **POINT) == 302
    assert act(visit, ann, party, "terms", **{**TERMS, "sign": "reduction", "is_barred": "on"}) == 302

    identity, terms, point = UftpIdentity.objects.get(), UftpTerms.objects.get(), UftpPoint.objects.get()
    assert (identity.domain, terms.domain, terms.is_barred) == ("coop.example.org", "dso.example.org", True)
    assert f"cs1.{terms.public_key}" == KEY
    assert (point.price_mp_per_kwh, point.zone) == (60_500, "Calder")
    text = seen(visit(ann).get(page)).text()
    assert f"cs1.{identity.public_key}" in text
    assert "sign: reduction" in text
    assert "/shapeshifter/api/v3/message" in text
    private = arranging.private_key(identity)
    assert private not in bytes(identity.sealed_key)
    assert base64.b64encode(private).decode() not in text
    assert act(visit, ann, party, "end-point", point=str(point.pk)) == 302
    assert "None: every request is refused" in seen(visit(ann).get(page)).text()
    assert "UFTP" in seen(visit(ann).get(reverse("market_buyers"))).text()


@pytest.mark.parametrize(
    ("verb", "change", "field"),
    [
        ("key", {"domain": "no domain"}, "domain"),
        ("terms", {"endpoint": "http://dso.example.org/"}, "endpoint"),
        ("terms", {"endpoint": "https://dso.example.org:22/"}, "endpoint"),
        ("terms", {"endpoint": "https://me:too@dso.example.org/"}, "endpoint"),
        ("terms", {"public_key": "cs1.AAAA"}, "public_key"),
        ("terms", {"sign": ""}, "sign"),
        ("terms", {"domain": "dso"}, "domain"),
        ("terms", {"tolerance_pct": "51"}, "tolerance_pct"),
        ("point", {"congestion_point": "Calder"}, "congestion_point"),
        ("point", {"price_pence_per_kwh": "0"}, "price_pence_per_kwh"),
        ("point", {"zone": ""}, "zone"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    party: MarketParty, ann: User, visit: Visit, verb: str, change: dict[str, str], field: str
) -> None:
    whole = {"key": {"domain": "coop.example.org"}, "terms": TERMS, "point": POINT}[verb]

    response = visit(ann).post(reverse("market_buyer_action", args=[party.pk, verb]), {**whole, **change})

    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not UftpTerms.objects.exists()
    assert not UftpPoint.objects.exists()


def test_a_test_that_does_not_arrive_is_sent_again(
    party: MarketParty, ann: User, sam: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(visit, ann, party, "terms", **TERMS)
    assert act(visit, sam, party, "test") == 302
    assert not UftpMessage.objects.exists()
    act(visit, ann, party, "key", domain="coop.example.org")
    answers = iter((401, 200))
    monkeypatch.setattr(arranging, "call", lambda url, body: calling_out.Answer(next(answers), b""))
    act(visit, sam, party, "test")
    outbox.drain()
    row = UftpMessage.objects.get()
    assert "HTTP 401" in seen(visit(sam).get(reverse("market_buyer", args=[party.pk]))).text()

    assert act(visit, sam, party, "again", message=str(row.pk)) == 302
    outbox.drain()

    row.refresh_from_db()
    assert row.state == "sent"
    assert act(visit, sam, party, "again", message=str(row.pk)) == 404
    assert act(visit, sam, party, "again", message="x") == 404
    assert act(visit, sam, party, "terms", **TERMS) == 403
    assert act(visit, ann, party, "nonsense") == 404
