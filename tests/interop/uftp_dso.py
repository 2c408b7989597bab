"""A DSO made of `shapeshifter-uftp`, in an environment of its own: asks, orders, settles over real HTTP.

Arguments: one JSON object with `endpoint` (ours), `public_key` (ours), `key` (its own), `port`,
`certificate`, `certificate_key`, and `said`, a file that gets a line of JSON for each message it hears. Not
a test: `tests/interop/test_uftp.py` starts it. It orders what it is offered and settles it as delivered.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn
from shapeshifter_uftp import transport
from shapeshifter_uftp.service import ShapeshifterDsoService
from shapeshifter_uftp.uftp import (
    AcceptedRejected,
    ContractSettlement,
    ContractSettlementISP,
    ContractSettlementPeriod,
    FlexOffer,
    FlexOfferResponse,
    FlexOrder,
    FlexOrderISP,
    FlexOrderSettlement,
    FlexOrderSettlementISP,
    FlexRequest,
    FlexRequestISP,
    FlexSettlement,
    TestMessage,
)
from xsdata.models.datatype import XmlDate, XmlDuration

OURS, DSO = "coop.example.org", "dso.example.org"
POINT = "ean.123456789012"
DAY = XmlDate(2026, 1, 14)


class Dso(ShapeshifterDsoService):
    """Writes down what it hears, and goes on with the conversation."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(
            DSO,
            given["key"],
            key_lookup_function=lambda domain, role: given["public_key"],
            endpoint_lookup_function=lambda domain, role: given["endpoint"],
        )
        self.said = Path(given["said"])
        self.offer: FlexOffer | None = None
        self.server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                host="127.0.0.1",
                port=given["port"],
                ssl_certfile=given["certificate"],
                ssl_keyfile=given["certificate_key"],
                log_level="warning",
            )
        )

    def note(self, message: Any) -> None:
        """One line for what was heard: a message that its schema took, as its library has it."""
        heard = {"kind": type(message).__name__, **json.loads(transport.to_json(message))}
        with self.said.open("a") as file:
            file.write(json.dumps(heard) + "\n")

    def ask(self) -> None:
        """A test, then a request for two hours: 4 kW less, then 8 kW less."""
        client = self.agr_client(OURS)
        client.send_test_message(TestMessage())
        isps = [
            FlexRequestISP(disposition="Requested", min_power=-4_000, max_power=0, start=33, duration=2),
            FlexRequestISP(disposition="Requested", min_power=-8_000, max_power=0, start=35, duration=2),
            FlexRequestISP(disposition="Available", min_power=0, max_power=9_000, start=37, duration=12),
        ]
        request = FlexRequest(
            isps=isps,
            revision=1,
            expiration_date_time="2026-01-14T14:00:00Z",
            contract_id="CMZ-1",
            service_type="Peak Reduction",
            **flex(),
        )
        client.send_flex_request(request)

    def process_flex_offer(self, message: FlexOffer) -> None:
        """Accept it and order all of it."""
        self.note(message)
        self.offer = message
        client = self.agr_client(OURS)
        client.send_flex_offer_response(
            FlexOfferResponse(
                flex_offer_message_id=message.message_id,
                conversation_id=message.conversation_id,
                result=AcceptedRejected.ACCEPTED,
            )
        )
        option = message.offer_options[0]
        isps = [FlexOrderISP(power=i.power, start=i.start, duration=i.duration) for i in option.isps]
        order = FlexOrder(
            isps=isps,
            flex_offer_message_id=message.message_id,
            conversation_id=message.conversation_id,
            contract_id=message.contract_id,
            price=option.price,
            currency=message.currency,
            order_reference="O-1",
            option_reference=option.option_reference,
            **flex(),
        )
        client.send_flex_order(order)

    def process_flex_order_response(self, message: Any) -> None:
        """Settle it, as if all of it had come."""
        self.note(message)
        assert self.offer is not None
        option = self.offer.offer_options[0]
        lines = [
            FlexOrderSettlementISP(
                start=isp.start + number,
                baseline_power=12_000,
                ordered_flex_power=isp.power,
                actual_power=12_000 + isp.power,
                delivered_flex_power=isp.power,
            )
            for isp in option.isps
            for number in range(isp.duration)
        ]
        order = FlexOrderSettlement(
            isps=lines,
            order_reference="O-1",
            period=DAY,
            contract_id="CMZ-1",
            congestion_point=POINT,
            price=option.price,
            penalty=Decimal(0),
            net_settlement=option.price,
        )
        # The library wants a ContractSettlement, which the specification leaves out where there is none.
        reserved = ContractSettlementISP(start=33, duration=4, reserved_power=8_000)
        contract = ContractSettlement(
            periods=[ContractSettlementPeriod(isps=[reserved], period=DAY)], contract_id="CMZ-1"
        )
        settlement = FlexSettlement(
            flex_order_settlements=[order],
            contract_settlements=[contract],
            period_start=XmlDate(2026, 1, 1),
            period_end=XmlDate(2026, 1, 31),
            currency="GBP",
        )
        self.agr_client(OURS).send_flex_settlement(settlement)

    def process_test_message_response(self, message: Any) -> None:
        self.note(message)

    def process_d_prognosis(self, message: Any) -> None:
        self.note(message)

    process_flex_request_response = process_d_prognosis
    process_flex_offer_revocation = process_d_prognosis
    process_flex_reservation_update_response = process_d_prognosis
    process_flex_settlement_response = process_d_prognosis
    process_dso_portfolio_query_response = process_d_prognosis
    process_dso_portfolio_update_response = process_d_prognosis
    process_metering = process_d_prognosis


def flex() -> dict[str, Any]:
    """What all its flex messages have; the library's own time zone would be Europe/Amsterdam."""
    return {
        "isp_duration": XmlDuration("PT30M"),
        "time_zone": "Europe/London",
        "period": DAY,
        "congestion_point": POINT,
    }


if __name__ == "__main__":
    dso = Dso(json.loads(sys.argv[1]))
    dso.run_in_thread()
    dso.ask()
    if dso.server_thread is not None:
        dso.server_thread.join()
