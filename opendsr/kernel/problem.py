"""What APIs answer when they refuse: a problem of RFC 9457, its media type, and its shape for OpenAPI."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457: what was refused, and for each field what stood there and what to do.",
    "required": ["type", "title", "status", "code", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "value", "fix"],
                "properties": {
                    "field": {"type": "string"},
                    "value": {"nullable": True},
                    "fix": {"type": "string"},
                },
            },
        },
    },
}
RESPONSE: Final[dict[str, Any]] = {
    "description": "Refused.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
METHODS: Final = ("get", "post", "put", "patch", "delete")


def problem(status: int, code: str, detail: str, errors: Sequence[Any] = ()) -> dict[str, Any]:
    """The body: `code` for machines, `detail` for people, `errors` of field, value and fix.

    What was refused is repeated in it, and may be what no JSON in UTF-8 can carry: lone
    surrogates become question marks, numbers beyond measure their names.
    """
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": _sendable(detail),
        "errors": [_sendable(each) for each in errors],
    }


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {_sendable(name): _sendable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(each) for each in value]
    return value


def describe(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document that every operation may answer with a problem instead."""
    document["components"].setdefault("schemas", {})["Problem"] = SCHEMA
    for methods in document["paths"].values():
        for method in METHODS:
            if method in methods:
                methods[method]["responses"]["default"] = RESPONSE
