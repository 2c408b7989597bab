"""The OpenAPI description of `/api/servicing/v1`: what each address takes and gives."""

from __future__ import annotations

from typing import Any, Final

from campaigns.market_models import MARKET_ZONE_KINDS, MOST_HALF_HOURS
from campaigns.models import Direction, MarketRequest, ServicingSignal
from campaigns.servicing.reference import CAPS, LARGEST_SEQUENCE, LARGEST_W, LONGEST_MINUTES
from opendsr.kernel import problem

PREFIX: Final = "/api/servicing/v1"
DESCRIPTION: Final = (
    "A network operator starts and stops flexibility in the zones of its contracts; a buyer of the market "
    "asks for flexibility and orders what it is offered. Every request is "
    "signed with the client's Ed25519 key by HTTP message signatures (RFC 9421), over @method, @target-uri, "
    "content-digest (RFC 9530) where there is a body and idempotency-key where there is one, with created "
    "(within 60 seconds of now), keyid and a nonce that is used once. Power is in W, times are UTC; what is "
    "refused says why as problem+json (RFC 9457). A sandbox client is answered the same and nothing is sent."
)
TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer"}
TIME: Final = {"type": "string", "format": "date-time"}
ID: Final = {"type": "string", "format": "uuid"}
POWERS: Final = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_HALF_HOURS,
    "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_W},
}
PENCE: Final = {
    "oneOf": [
        {"type": "string", "pattern": r"^[0-9]{1,7}(\.[0-9]{1,3})?$"},
        {"type": "number", "minimum": 0, "maximum": LARGEST_W // 1_000},
    ]
}
"""As text, or as a number."""


def document() -> dict[str, Any]:
    """The description, OpenAPI 3.0."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "OpenDSR direct load control and market",
            "version": "1",
            "description": DESCRIPTION,
        },
        "security": [{"signature": []}],
        "paths": {
            f"{PREFIX}/signals/": {
                "post": _operation(
                    "signals_create",
                    "Start, stop, emergency stop, or cap a zone. The same Idempotency-Key again gets the "
                    "same answer.",
                    answers={
                        "201": ("Done: dispatched, stopped, in force or, of a sandbox, rehearsed.", "Signal"),
                        "202": ("Planned, and waits for the co-op's staff to approve.", "Signal"),
                        "422": ("Refused: nothing was sent; a problem where it could not be read.", "Signal"),
                        "503": (
                            "Written down and decided within seconds: ask again after Retry-After, same key.",
                            "Problem",
                        ),
                    },
                    parameters=[_parameter("Idempotency-Key", TEXT, where="header", is_needed=True)],
                    body="Ask",
                )
            },
            f"{PREFIX}/signals/{{signal_id}}/": {
                "get": _operation(
                    "signals_retrieve",
                    "How a signal goes.",
                    answers={"200": ("As it stands.", "Status")},
                    parameters=[_parameter("signal_id", ID, where="path", is_needed=True)],
                )
            },
            f"{PREFIX}/availability/": {
                "get": _operation(
                    "availability_retrieve",
                    "What a zone could give, up to the contract's limit: the mean, and what is sure.",
                    answers={"200": ("What it could give.", "Availability")},
                    parameters=[
                        _parameter("zone", _words(60), is_needed=True),
                        _parameter("direction", {"type": "string", "enum": list(Direction.values)}),
                        _parameter("starts_at", TIME),
                        _parameter("minutes", {**WHOLE, "minimum": 1, "maximum": LONGEST_MINUTES}),
                    ],
                )
            },
            f"{PREFIX}/market/messages/": {
                "post": _operation(
                    "market_messages_create",
                    "A buyer's request, order or withdrawal. The same message again is answered the same.",
                    answers={
                        "201": ("Taken in.", "Standing"),
                        "200": ("It came before.", "Standing"),
                    },
                    parameters=[],
                    body="Said",
                )
            },
            f"{PREFIX}/market/requests/{{reference}}/": {
                "get": _operation(
                    "market_requests_retrieve",
                    "How a request stands, with what is offered for it.",
                    answers={"200": ("As it stands.", "Standing")},
                    parameters=[_parameter("reference", TEXT, where="path", is_needed=True)],
                )
            },
            f"{PREFIX}/market/availability/": {
                "get": _operation(
                    "market_availability_list",
                    "What the co-op declared to the buyer, from now on.",
                    answers={"200": ("Soonest first.", "Declared")},
                    parameters=[],
                )
            },
            f"{PREFIX}/metering/": {
                "get": _operation(
                    "metering_list",
                    "What a zone takes, minute by minute, over many homes together and never of few.",
                    answers={"200": ("A row a minute.", "Metering")},
                    parameters=[
                        _parameter("zone", _words(60), is_needed=True),
                        _parameter("starts_at", TIME),
                        _parameter("minutes", WHOLE),
                    ],
                )
            },
        },
        "components": {
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Signature",
                    "description": "RFC 9421, with Signature-Input.",
                }
            },
            "schemas": SCHEMAS,
        },
    }


def _operation(
    name: str,
    words: str,
    *,
    answers: dict[str, tuple[str, str]],
    parameters: list[dict[str, Any]],
    body: str = "",
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        status: {"description": told, "content": {"application/json": {"schema": _shape(shape)}}}
        for status, (told, shape) in answers.items()
    }
    if "422" in responses:
        responses["422"]["content"][problem.MEDIA_TYPE] = {"schema": _shape("Problem")}
    if "503" in responses:
        responses["503"]["content"] = {problem.MEDIA_TYPE: {"schema": _shape("Problem")}}
    responses["default"] = {
        "description": "Refused at the door, or not understood.",
        "content": {problem.MEDIA_TYPE: {"schema": _shape("Problem")}},
    }
    found: dict[str, Any] = {"operationId": name, "description": words, "parameters": parameters}
    if body:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _shape(body)}}}
    return {**found, "responses": responses}


def _parameter(
    name: str, schema: dict[str, Any], *, where: str = "query", is_needed: bool = False
) -> dict[str, Any]:
    return {"name": name, "in": where, "required": is_needed, "schema": schema}


def _shape(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(needed: list[str], **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": needed, "properties": fields}


def _exactly(needed: list[str], **fields: dict[str, Any]) -> dict[str, Any]:
    return {**_object(needed, **fields), "additionalProperties": False}


def _only(value: str) -> dict[str, Any]:
    return {"type": "string", "enum": [str(value)]}


def _words(longest: int) -> dict[str, Any]:
    return {**TEXT, "minLength": 1, "maxLength": longest}


SCHEMAS: Final[dict[str, Any]] = {
    "Ask": {"oneOf": [_shape(each) for each in ("Start", "Stop", "EmergencyStop", "Cap")]},
    "Start": _exactly(
        ["signal", "zone", "size_w", "minutes"],
        signal=_only(ServicingSignal.Kind.START),
        zone=_words(60),
        direction={"type": "string", "enum": list(Direction.values)},
        size_w={**WHOLE, "minimum": 1, "maximum": LARGEST_W},
        minutes={**WHOLE, "minimum": 1, "maximum": LONGEST_MINUTES, "description": "How long."},
        starts_at={**TIME, "description": "Left out, as soon as the contract's notice allows."},
        reference={**_words(80), "description": "The operator's own, kept with it."},
    ),
    "Stop": _exactly(
        ["signal", "of"],
        signal=_only(ServicingSignal.Kind.STOP),
        of={**ID, "description": "The signal_id of the start."},
        reference=_words(80),
    ),
    "EmergencyStop": _exactly(
        ["signal"],
        signal=_only(ServicingSignal.Kind.EMERGENCY_STOP),
        zone={**_words(60), "description": "Left out, for every zone."},
        reference=_words(80),
    ),
    "Cap": _exactly(
        ["signal", "zone", "cap", "cap_w", "sequence"],
        signal=_only(ServicingSignal.Kind.CAP),
        zone=_words(60),
        cap={"type": "string", "enum": list(CAPS)},
        cap_w={
            **WHOLE,
            "minimum": 0,
            "maximum": LARGEST_W,
            "description": "What the zone's homes may take or export together. Without another within the "
            "contract's silence, the cap agreed there holds.",
        },
        sequence={
            **WHOLE,
            "minimum": 0,
            "maximum": LARGEST_SEQUENCE,
            "description": "Above that of the cap before: the operator's count, or seconds since 1970.",
        },
        reference=_words(80),
    ),
    "Signal": _object(
        ["signal_id", "state"],
        signal_id=ID,
        state={"type": "string", "enum": list(ServicingSignal.State.values)},
        reason={**TEXT, "description": "Of a refusal: a word for machines."},
        detail={"type": "object", "description": "Of a refusal: the field, what was asked and the limit."},
        starts_at=TIME,
        ends_at=TIME,
        asked_w=WHOLE,
        expected_w={**WHOLE, "description": "The mean of what those asked will give."},
        sure_w={**WHOLE, "description": "What they will give with the chance that the co-op's rules want."},
        shortfall_w={**WHOLE, "description": "What is surely given lacks of what was asked."},
        homes=WHOLE,
        assets=WHOLE,
        events={**WHOLE, "description": "How many hubs were sent an event."},
        displaced={**WHOLE, "description": "How many assets were taken from other campaigns."},
        campaigns={**WHOLE, "description": "Of a stop, or a cap that lets go: how many were ended."},
        cap={**TEXT, "description": "Of a cap, and so the rest: import or export."},
        cap_w=WHOLE,
        **{
            "from": {
                **TEXT,
                "description": "Whose cap it is: operator, or silence where the agreed one holds.",
            }
        },
        since={**TIME, "description": "Since when this cap is in force."},
        flow_w={
            **WHOLE,
            "nullable": True,
            "description": "What the zone would take or export if nothing were asked; null where too few "
            "meters tell, or where one home makes up much of it: then the cap goes by it, untold.",
        },
        metered_homes={**WHOLE, "description": "Of how many homes that is known."},
        wanted_w={
            **WHOLE,
            "nullable": True,
            "description": "How much that is over the cap; null where it is not told.",
        },
        given_w={**WHOLE, "description": "What was given before this."},
        did={"type": "string", "enum": ["asked", "let_go", "kept", "unmet"]},
        why={**TEXT, "description": "Why it is not met: a word for machines."},
    ),
    "Status": _object(
        ["signal_id", "signal", "state", "asked", "answer", "times"],
        signal_id=ID,
        signal=TEXT,
        state=TEXT,
        reason=TEXT,
        asked={"type": "object"},
        answer={"type": "object"},
        times={"type": "object", "description": "When it was received, decided and published: wall clock."},
        campaign={
            "type": "object",
            "nullable": True,
            "description": "Its state, its assets by where they are, and what is still expected.",
        },
    ),
    "Availability": _object(
        ["zone", "direction", "starts_at", "ends_at", "expected_w", "sure_w", "homes", "assets"],
        zone=TEXT,
        direction=TEXT,
        starts_at=TIME,
        ends_at=TIME,
        expected_w=WHOLE,
        sure_w=WHOLE,
        homes=WHOLE,
        assets=WHOLE,
        max_w=WHOLE,
        approved_w={**WHOLE, "description": "Up to here a start needs nobody's approval."},
    ),
    "Metering": _object(
        ["zone", "minutes"],
        zone=TEXT,
        minutes={
            "type": "array",
            "items": _object(
                ["starts_at"],
                starts_at=TIME,
                mean_w={**WHOLE, "nullable": True, "description": "To 100 W; null where too few homes told."},
                homes={**WHOLE, "nullable": True},
            ),
        },
    ),
    "Said": {"oneOf": [_shape(each) for each in ("Request", "Order", "Withdrawal")]},
    "Request": _exactly(
        [
            "message",
            "reference",
            "kind",
            "direction",
            "zone_kind",
            "starts_at",
            "profile_w",
            "price_pence_per_kwh",
            "deadline_at",
        ],
        message=_only("request"),
        reference={**_words(80), "description": "The buyer's own; one a request."},
        kind={**_words(20), "description": "The kind of market, such as local."},
        direction={"type": "string", "enum": list(Direction.values)},
        zone_kind={"type": "string", "enum": [code for code, _ in MARKET_ZONE_KINDS]},
        zone={**_words(60), "description": "Left out where the zone kind is everywhere."},
        starts_at={**TIME, "description": "A whole half-hour."},
        profile_w={**POWERS, "description": "W by half-hour."},
        price_pence_per_kwh={**PENCE, "description": "At most three decimals."},
        penalty_pence_per_kwh={**PENCE, "description": "For what was offered and lacks."},
        deadline_at={**TIME, "description": "Until when offers are taken."},
    ),
    "Order": _exactly(
        ["message", "reference", "order_reference"],
        message=_only("order"),
        reference={**_words(80), "description": "Of the request."},
        order_reference={**_words(80), "description": "The buyer's own."},
        ordered_w={**POWERS, "description": "At most what was offered; left out, all of it."},
    ),
    "Withdrawal": _exactly(
        ["message", "reference"],
        message=_only("withdrawal"),
        reference={**_words(80), "description": "Of the request."},
    ),
    "Standing": _object(
        ["request_id", "reference", "state", "offer", "order"],
        request_id=ID,
        reference=TEXT,
        state={"type": "string", "enum": list(MarketRequest.State.values)},
        reason={**TEXT, "description": "Of one declined."},
        deadline_at=TIME,
        offer={
            "type": "object",
            "nullable": True,
            "description": "W by half-hour, price, until when.",
        },
        order={"type": "object", "nullable": True},
    ),
    "Declared": _object(
        ["availability"],
        availability={
            "type": "array",
            "items": _object(
                ["direction", "zone_kind", "zone", "starts_at", "ends_at", "available_w"],
                direction=TEXT,
                zone_kind=TEXT,
                zone=TEXT,
                starts_at=TIME,
                ends_at=TIME,
                available_w=WHOLE,
            ),
        },
    ),
    "Problem": problem.SCHEMA,
}
