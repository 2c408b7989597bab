"""The market's addresses of `/api/servicing/v1`: a buyer's signed messages in, how its requests stand out.

Keys, clock, nonces, rate and sandbox are those of the door (`campaigns/servicing`). A message is idempotent
by its reference: the same again is answered the same, another of that reference is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from django.http import HttpRequest, HttpResponse, JsonResponse

from campaigns.market import ordering, receiving, reference
from campaigns.market.port import Kind, MarketAdapter, Said
from campaigns.models import MarketAvailability, MarketParty, MarketRequest
from campaigns.servicing.admitting import Admitted
from campaigns.servicing.api import ServicingView
from campaigns.servicing.signatures import Message
from campaigns.servicing_models import Scope
from opendsr.kernel import clock
from opendsr.kernel.errors import NotAllowed, NotFound

ADAPTERS: Final[dict[str, MarketAdapter]] = {"reference": cast("MarketAdapter", reference)}
"""By the name in the address's `adapter`; the documented one needs no name."""
WRITTEN_AS: Final[Mapping[str, str]] = {
    "preset": "kind",
    "price_mp_per_kwh": "price_pence_per_kwh",
    "penalty_mp_per_kwh": "penalty_pence_per_kwh",
}
"""Fields of a request by what the door calls them."""


class NoSuchBuyer(NotAllowed):
    """The client signs for no buyer of the market: `client`."""

    client: str


class ReferenceUnknown(NotFound):
    """The buyer has sent no request of that reference: `reference`."""

    reference: str


class MarketView(ServicingView):
    """An address behind a signature of a client that is a buyer."""

    scope = Scope.MARKET
    adapters: ClassVar[Mapping[str, Any]] = ADAPTERS


class Messages(MarketView):
    """Requests, orders and withdrawals."""

    @property
    def methods(self) -> list[str]:
        return ["POST"]

    def answer(
        self,
        adapter: Any,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """201 with how the request stands, 200 where the message came before."""
        party = _party(admitted)
        found, is_new = act(party, adapter.parse(message), at=clock.now())
        response = JsonResponse(adapter.answer(found), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK)
        if not is_new:
            response["Idempotent-Replay"] = "true"
        return response


class Request(MarketView):
    """One request of the buyer's."""

    def answer(
        self,
        adapter: Any,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """How it stands, with our offer."""
        return JsonResponse(adapter.answer(_request(_party(admitted), str(kwargs["reference"]))))


class Availability(MarketView):
    """What was declared to the buyer."""

    def answer(
        self,
        adapter: Any,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """What holds now or later, soonest first."""
        declared = MarketAvailability.objects.filter(
            party=_party(admitted), withdrawn_at=None, ends_at__gt=clock.now()
        )
        rows = [
            {
                "direction": each.direction,
                "zone_kind": each.zone_kind,
                "zone": each.zone,
                "starts_at": each.starts_at.isoformat(),
                "ends_at": each.ends_at.isoformat(),
                "available_w": each.available_w,
            }
            for each in declared.order_by("starts_at", "pk")[:1_000]
        ]
        return JsonResponse({"availability": rows})


def act(party: MarketParty, said: Said, *, at: datetime) -> tuple[MarketRequest, bool]:
    """Do what a buyer's message says; its request, and whether anything changed.

    Raises what the services raise; RequestInvalid names the fields as the buyer writes them.
    """
    if said.kind == Kind.REQUEST and said.asked is not None:
        try:
            return receiving.receive_request(
                party=party, asked=said.asked, source=MarketRequest.Source.DOOR, at=at, by=None
            )
        except receiving.RequestInvalid as error:
            errors = {WRITTEN_AS.get(field, field): why for field, why in error.errors.items()}
            raise receiving.RequestInvalid(errors=errors) from None
    found = _request(party, said.reference)
    before = found.state
    if said.kind == Kind.ORDER:
        ordering.receive_order(
            request_id=found.pk,
            reference=said.order_reference,
            ordered_w=said.ordered_w,
            at=at,
            by=None,
        )
    else:
        receiving.withdraw_request(request_id=found.pk, at=at, by=None)
    found.refresh_from_db()
    return found, found.state != before


def _party(admitted: Admitted) -> MarketParty:
    party = MarketParty.objects.filter(client=admitted.client).select_related("programme", "client").first()
    if party is None:
        raise NoSuchBuyer(client=admitted.client.name)
    return party


def _request(party: MarketParty, named: str) -> MarketRequest:
    found = None
    if named.isprintable():
        found = MarketRequest.objects.filter(party=party, reference=named[:80]).first()
    if found is None:
        raise ReferenceUnknown(reference=named[:80])
    return found
