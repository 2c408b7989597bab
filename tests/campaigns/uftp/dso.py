"""A DSO on paper: seals what it says with a key of its own, posts it to the door, keeps what it is told."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.http import HttpResponse
from django.test import Client
from lxml import etree

from campaigns.models import MarketParty
from campaigns.uftp import arranging, wire
from campaigns.uftp.wire import Element
from members.models import Role
from opendsr.kernel import calling_out, outbox
from tests.campaigns.market.trading import make_buyer
from tests.campaigns.staging import NOON
from tests.factories import make_staff

US, DSO_DOMAIN = "coop.example.org", "dso.example.org"
POINT = "ean.123456789012"
URL = "/shapeshifter/api/v3/message"
FLEX = {"ISP-Duration": "PT30M", "TimeZone": "Europe/London", "Period": "2026-01-14"}
ISPS = [(33, 2, -4_000), (35, 2, -8_000)]
"""16:00 to 18:00 on the staged Wednesday, to use less."""


@dataclass
class PaperDso:
    """A DSO with its buyer, its key and what it heard; `status` is what its endpoint answers."""

    party: MarketParty
    key: Ed25519PrivateKey
    heard: list[Element] = field(default_factory=list)
    status: int | None = 200

    def say(
        self, kind: str, fields: dict[str, str], parts: Sequence[Element] = (), **meta: object
    ) -> HttpResponse:
        """Seal and post a message, then let what was answered go out."""
        response = post(self.sealed(self.text(kind, fields, parts, **meta)))
        self.hear()
        return response

    def text(self, kind: str, fields: dict[str, str], parts: Sequence[Element], **meta: object) -> bytes:
        """The message; `meta` changes what all messages have."""
        root = etree.Element(kind)
        common = {
            "Version": "3.1.0",
            "SenderDomain": DSO_DOMAIN,
            "RecipientDomain": US,
            "TimeStamp": "2026-01-14T12:00:00Z",
            "MessageID": str(uuid4()),
            "ConversationID": str(uuid4()),
        }
        for name, value in {**common, **meta, **fields}.items():
            root.set(name, str(value))
        root.extend(parts)
        return bytes(etree.tostring(root))

    def sealed(self, text: bytes, *, key: Ed25519PrivateKey | None = None, domain: str = DSO_DOMAIN) -> bytes:
        """The message in its wrapper."""
        body = base64.b64encode((key or self.key).sign(text) + text).decode()
        return f'<SignedMessage SenderDomain="{domain}" SenderRole="DSO" Body="{body}"/>'.encode()

    def request(self, isps: list[tuple[int, int, int]] | None = None, **fields: str) -> HttpResponse:
        """A FlexRequest for two hours, offers until two o'clock."""
        parts = [
            wire.part(
                "ISP",
                {
                    "Disposition": "Requested",
                    "MinPower": str(min(power, 0)),
                    "MaxPower": str(max(power, 0)),
                    "Start": str(start),
                    "Duration": str(length),
                },
            )
            for start, length, power in (ISPS if isps is None else isps)
        ]
        wanted = {
            **FLEX,
            "CongestionPoint": POINT,
            "Revision": "1",
            "ExpirationDateTime": "2026-01-14T14:00:00Z",
            "ContractID": "CMZ-1",
            **fields,
        }
        return self.say("FlexRequest", wanted, parts)

    def order(self, offer: Element, *, factor: str = "1.00", **fields: str) -> HttpResponse:
        """A FlexOrder for an offer, or for a part of it."""
        option = offer.find("OfferOption")
        parts = [
            wire.part("ISP", {**each.attrib, "Power": str(round(int(each.get("Power")) * float(factor)))})
            for each in option.findall("ISP")
        ]
        wanted = {
            **FLEX,
            "CongestionPoint": POINT,
            "FlexOfferMessageID": offer.get("MessageID"),
            "ContractID": "CMZ-1",
            "Price": f"{float(option.get('Price')) * float(factor):.4f}",
            "Currency": "GBP",
            "OrderReference": "O-1",
            "OptionReference": option.get("OptionReference"),
            "ActivationFactor": factor,
            **fields,
        }
        return self.say("FlexOrder", wanted, parts, ConversationID=offer.get("ConversationID"))

    def hear(self) -> None:
        """Let everything due go out."""
        outbox.drain()

    def latest(self, kind: str) -> Element:
        """What was heard last of a kind."""
        return [each for each in self.heard if each.tag == kind][-1]

    def call(self, url: str, body: bytes) -> calling_out.Answer:
        """Its endpoint: what we post is unsealed with our public key."""
        if self.status is None:
            raise calling_out.NotCalled("nobody there")
        if self.status == 200:
            ours = arranging.identity()
            assert ours is not None
            wrapper = wire.unwrap(body)
            assert (wrapper.sender_domain, wrapper.sender_role) == (US, "AGR")
            text = wire.unseal(wrapper.body, public=base64.b64decode(ours.public_key))
            self.heard.append(etree.fromstring(text))
        return calling_out.Answer(self.status, b"")


def make_dso(*, sign: str = "deviation", direction: str = "turn_down", **fields: object) -> PaperDso:
    """A buyer that speaks UFTP, with one congestion point: the CMZ Calder at 60 p, penalty 20 p."""
    staff = make_staff("ursula@example.org", Role.ADMINISTRATOR)
    party = make_buyer(**fields)  # type: ignore[arg-type]
    key = Ed25519PrivateKey.generate()
    arranging.make_identity(domain=US, at=NOON, by=staff)
    arranging.set_terms(
        party_id=party.pk,
        domain=DSO_DOMAIN,
        endpoint="https://dso.example.org/shapeshifter/api/v3/message",
        public_key="cs1." + base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        sign=sign,
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
        direction=direction,
        preset="local",
        price_mp_per_kwh=60_000,
        penalty_mp_per_kwh=20_000,
        at=NOON,
        by=staff,
    )
    return PaperDso(party, key)


def post(body: bytes, *, content_type: str = "text/xml; charset=utf-8") -> HttpResponse:
    """A body to the door, as it is."""
    return Client().post(URL, body, content_type=content_type)  # type: ignore[return-value]
