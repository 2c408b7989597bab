"""The API about the VTN itself: its configuration, its schema, and a page that documents it."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import problem
from vtn import api_fields as fields
from vtn import policy, reporting
from vtn.api import VtnView
from vtn.notices import vtn_id
from vtn.policy import Deed
from vtn.staff_door import door, show
from vtn.transports.offers import profiles

TITLE = "OpenADR VTN management"
VERSION = "1"
DESCRIPTION = (
    "VENs, events, reports, opts, certificates and messages of the VTN. "
    "Times are UTC, durations whole seconds. "
    "Errors are problem+json (RFC 9457), each naming field, value and fix. A creating POST with an "
    "Idempotency-Key is done once."
)


class Configuration(VtnView):
    """How this VTN is set up."""

    deeds: ClassVar = {"GET": Deed.SEE_CONFIGURATION}

    @extend_schema(operation_id="configuration_retrieve", responses=fields.ConfigurationSerializer)
    def get(self, request: Request) -> Response:
        """The configuration in force, without anything secret."""
        names = (
            "name",
            "report_name",
            "item",
            "report_type",
            "reading_type",
            "granularity_seconds",
            "report_back_seconds",
        )
        return Response(
            {
                "vtn_id": vtn_id(),
                "profiles": [profile.name for profile in profiles()],
                "poll_seconds": int(settings.VTN_POLL_SECONDS),
                "keeps_bodies": bool(getattr(settings, "VTN_LOG_BODIES", False)),
                "body_days": int(settings.VTN_BODY_DAYS),
                "log_days": int(settings.VTN_LOG_DAYS),
                "report_rules": [
                    {name: getattr(rule, name) for name in names} for rule in reporting.configurations()
                ],
                "rights": {deed.value: sorted(roles) for deed, roles in policy.rights().items()},
            }
        )


class Schema(VtnView):
    """The OpenAPI description."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """The schema, as YAML."""
        body = document_yaml(at_path=request.path.removesuffix("/schema/"))
        return HttpResponse(body, content_type="application/vnd.oai.openapi; charset=utf-8")


@require_GET
@door(Deed.SEE)
def docs(request: HttpRequest) -> HttpResponse:
    """Every address with what it takes and gives, made from the same schema."""
    document = schema_document()
    operations: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method in problem.METHODS:
            if method in methods:
                shown = _operation(path, method, methods[method], document)
                operations.setdefault(shown["group"], []).append(shown)
    shapes = document["components"]["schemas"]
    context = {
        "description": DESCRIPTION,
        "groups": [{"name": name, "operations": found} for name, found in operations.items()],
        "shapes": [_shape(name, shapes[name]) for name in sorted(shapes)],
    }
    return show(request, "vtn/api_docs.html", context, section="api")


@cache
def schema_document() -> dict[str, Any]:
    """The OpenAPI document of this API alone, wherever a project mounts it."""
    generator = SchemaGenerator(urlconf="vtn.api_urls")
    document: dict[str, Any] = generator.get_schema(request=None, public=True)
    document["info"] = {"title": TITLE, "version": VERSION, "description": DESCRIPTION}
    problem.describe(document)
    return document


def document_yaml(*, at_path: str = "") -> str:
    """The same as YAML; `at_path` says below which path of this server the addresses lie."""
    document = schema_document() | ({"servers": [{"url": at_path}]} if at_path else {})
    rendered: bytes = OpenApiYamlRenderer().render(document, renderer_context={})
    return rendered.decode()


def _operation(path: str, method: str, found: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    content = found.get("requestBody", {}).get("content", {}).get("application/json", {})
    return {
        "group": path.strip("/").split("/")[0],
        "path": path,
        "method": method.upper(),
        "id": found["operationId"],
        "words": found.get("description", ""),
        "parameters": [
            {
                "name": each["name"],
                "where": each["in"],
                "kind": _kind(each.get("schema", {})),
                "words": each.get("description", ""),
            }
            for each in found.get("parameters", [])
        ],
        "takes": _kind(content.get("schema", {})) if content else "",
        "gives": [
            {
                "status": status,
                "kind": _kind(_content(answer).get("schema", {})),
            }
            for status, answer in found.get("responses", {}).items()
        ],
    }


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = list(answer.get("content", {}).values())
    return kinds[0] if kinds else {}


def _shape(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    needed = schema.get("required", [])
    return {
        "name": name,
        "words": schema.get("description", ""),
        "values": schema.get("enum", []),
        "fields": [
            {
                "name": field,
                "kind": _kind(inner),
                "is_needed": field in needed,
                "words": inner.get("description", ""),
            }
            for field, inner in schema.get("properties", {}).items()
        ],
    }


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    for choice in ("oneOf", "allOf", "anyOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[choice]))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return str(schema.get("format") or schema.get("type") or "")
