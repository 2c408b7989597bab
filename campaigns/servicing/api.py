"""The addresses of `/api/servicing/v1`: signed requests in, JSON out, errors as problem+json (RFC 9457).

Every address but the description needs a signature; the adapter is the one whose scheme the request uses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from campaigns.models import Direction
from campaigns.servicing import admitting, receiving, reference, running, telling
from campaigns.servicing.admitting import Admitted
from campaigns.servicing.openapi import document
from campaigns.servicing.port import Adapter, RequestInvalid
from campaigns.servicing.signatures import Message
from campaigns.servicing_models import Scope
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.interval import Interval
from opendsr.kernel.problem import MEDIA_TYPE, problem

LARGEST_BODY_BYTES: Final = 16 * 1024
MOST_MINUTES_METERED: Final = 24 * 60
ADAPTERS: Final[dict[str, Adapter]] = {"reference": cast("Adapter", reference)}
"""By the name in the address's `adapter`; the documented one needs no name."""


class BodyTooLarge(DomainError):
    """A body beyond what any signal needs: `most_bytes`."""

    status = 413
    most_bytes: int


@method_decorator(csrf_exempt, name="dispatch")
class ServicingView(View):
    """An address behind a signature."""

    scope: ClassVar[str] = Scope.READ
    adapters: ClassVar[Mapping[str, Any]] = ADAPTERS

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Verify, then do; whatever is refused is answered as problem+json."""
        wall = clock.wall_now()
        try:
            if request.method not in self.methods:
                return _problem(
                    405, "method_not_allowed", f"Use {' or '.join(self.methods)}.", allow=self.methods
                )
            adapter = self.adapters.get(str(kwargs.pop("adapter", "reference")))
            if adapter is None:
                return _problem(404, "unknown_adapter", "There is no adapter of that name.")
            message = _message(request)
            admitted = admitting.admit(adapter, message, wall=wall)
            admitting.require_scope(admitted, self.scope, wall=wall)
            answer = self.answer(adapter, admitted, message, request, wall=wall, **kwargs)
        except DomainError as error:
            answer = _refused(error)
        answer["Cache-Control"] = "no-store"
        return answer

    @property
    def methods(self) -> list[str]:
        return ["GET"]

    def answer(
        self,
        adapter: Adapter,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        raise NotImplementedError


class Signals(ServicingView):
    """Start, stop, emergency stop."""

    scope = Scope.SIGNAL

    @property
    def methods(self) -> list[str]:
        return ["POST"]

    def answer(
        self,
        adapter: Adapter,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """201 with what came of it, 202 where staff have to approve, 422 where it is refused, and why.

        503 where it is written down and not decided yet.
        """
        ask = adapter.parse(message)
        signal, is_new = receiving.receive(
            admitted=admitted, ask=ask, message=message, at=clock.now(), wall=wall
        )
        status = STATUS.get(signal.state, HTTPStatus.CREATED)
        response = JsonResponse(adapter.answer(signal), status=status)
        if not is_new:
            response["Idempotent-Replay"] = "true"
        return response


class Signal(ServicingView):
    """One signal."""

    def answer(
        self,
        adapter: Adapter,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """How it goes."""
        signal_id: UUID = kwargs["signal_id"]
        return JsonResponse(telling.status(receiving.signal_of(admitted.client, signal_id)))


class Availability(ServicingView):
    """What a zone could give."""

    def answer(
        self,
        adapter: Adapter,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """Over the time asked, at once for an hour where none is."""
        at = clock.now().replace(microsecond=0)
        contract = running.contract_for(admitted.client.pk, _zone(request), at=at)
        direction = request.GET.get("direction", Direction.TURN_DOWN.value)
        if direction not in Direction.values:
            raise RequestInvalid(field="direction", value=direction[:80], reason=", ".join(Direction.values))
        starts_at = _instant(request, "starts_at", otherwise=at)
        if starts_at < at:
            raise RequestInvalid(field="starts_at", value=starts_at.isoformat(), reason="not before now")
        minutes = _whole(request, "minutes", otherwise=60, most=contract.longest_minutes)
        interval = Interval(starts_at, starts_at + timedelta(minutes=minutes))
        found = telling.availability(contract, direction=direction, interval=interval, at=at)
        return JsonResponse(
            {
                "zone": found.zone,
                "direction": found.direction,
                "starts_at": found.starts_at.isoformat(),
                "ends_at": found.ends_at.isoformat(),
                "expected_w": found.expected_w,
                "sure_w": found.sure_w,
                "homes": found.homes,
                "assets": found.assets,
                "max_w": found.max_w,
                "approved_w": found.approved_w,
            }
        )


class Metering(ServicingView):
    """What a zone takes, minute by minute."""

    scope = Scope.METER

    def answer(
        self,
        adapter: Adapter,
        admitted: Admitted,
        message: Message,
        request: HttpRequest,
        *,
        wall: datetime,
        **kwargs: Any,
    ) -> HttpResponse:
        """The last half-hour where no time is asked; a day at most."""
        at = clock.now().replace(second=0, microsecond=0)
        contract = running.contract_for(admitted.client.pk, _zone(request), at=at)
        starts_at = _instant(request, "starts_at", otherwise=at - timedelta(minutes=30)).replace(second=0)
        minutes = _whole(request, "minutes", otherwise=30, most=MOST_MINUTES_METERED)
        interval = Interval(starts_at, starts_at + timedelta(minutes=minutes))
        rows = telling.metering(contract, interval=interval, at=at)
        return JsonResponse({"zone": contract.zone, "minutes": rows})


def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI description, for anybody."""
    response = HttpResponse(_schema(), content_type="application/vnd.oai.openapi+json; charset=utf-8")
    response["Access-Control-Allow-Origin"] = "*"
    return response


STATUS: Final = {"refused": HTTPStatus.UNPROCESSABLE_ENTITY, "waiting": HTTPStatus.ACCEPTED}


@cache
def _schema() -> str:
    return json.dumps(document(), indent=2)


def _message(request: HttpRequest) -> Message:
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    is_number = length.isascii() and length.isdigit() and len(length) < 10
    if not is_number or int(length) > LARGEST_BODY_BYTES:
        raise BodyTooLarge(most_bytes=LARGEST_BODY_BYTES)
    return Message(
        method=str(request.method),
        url=request.build_absolute_uri(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body,
    )


def _zone(request: HttpRequest) -> str:
    zone = request.GET.get("zone", "").strip()
    if not 0 < len(zone) <= 60 or not zone.isprintable():
        raise RequestInvalid(field="zone", value=zone[:80], reason="name the zone: 1 to 60 letters")
    return zone


def _instant(request: HttpRequest, field: str, *, otherwise: datetime) -> datetime:
    text = request.GET.get(field, "")
    if not text:
        return otherwise
    try:
        at = datetime.fromisoformat(text)
        if at.utcoffset() is None or not 2000 <= at.year <= 2100:
            raise ValueError
    except ValueError:
        raise RequestInvalid(
            field=field,
            value=text[:80],
            reason="an ISO 8601 time with its zone, such as 2026-01-14T17:00:00Z",
        ) from None
    return at.astimezone(UTC).replace(microsecond=0)


def _whole(request: HttpRequest, field: str, *, otherwise: int, most: int) -> int:
    text = request.GET.get(field, "")
    if not text:
        return min(otherwise, most)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise RequestInvalid(field=field, value=text[:80], reason=f"a whole number, 1 to {most}")
    return int(text)


def _refused(error: DomainError) -> HttpResponse:
    field = error.data.get("field")
    errors = []
    by_field = error.data.get("errors")
    if isinstance(by_field, Mapping):
        errors = [{"field": name, "value": None, "fix": str(fix)} for name, fix in by_field.items()]
    if field:
        reason = error.data.get("reason") or str(error)
        errors.append({"field": str(field), "value": error.data.get("value"), "fix": str(reason)})
    answer = _problem(error.status, error.code, str(error), errors=errors)
    if isinstance(error, receiving.Delayed):
        answer["Retry-After"] = str(error.retry_after_seconds)
    return answer


def _problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[dict[str, Any]] | None = None,
    allow: list[str] | None = None,
) -> HttpResponse:
    body = problem(status, code, detail[:300], errors or [])
    response = JsonResponse(body, status=status, content_type=MEDIA_TYPE)
    if allow:
        response["Allow"] = ", ".join(allow)
    if status == HTTPStatus.UNAUTHORIZED:
        response["Accept-Signature"] = 'sig=("@method" "@target-uri" "content-digest");created;keyid;nonce'
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response["Retry-After"] = "60"
    return response
