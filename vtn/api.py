"""What every address of the management API shares: who asks, what they may, problem+json, pages, keys.

Applications send `Authorization: Bearer vtn_...`; staff may use their session. Each view
names the deed that each of its methods needs (`vtn.policy`). A creating POST takes an
`Idempotency-Key`: the same request again gets the same answer and is done once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from django.db import transaction
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, ParseError, ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError, Invalid
from opendsr.kernel.problem import MEDIA_TYPE, problem
from vtn import policy, tokens
from vtn.models import IdempotentReply
from vtn.policy import Deed, Principal
from vtn.staff_door import sentence

KEY_HEADER: Final = "Idempotency-Key"
LONGEST_KEY: Final = 200
LONGEST_VALUE: Final = 100
LARGEST_BODY_BYTES: Final = 2 * 1024 * 1024


class IdempotencyKeyInvalid(Invalid):
    """A key that is empty, too long or not printable: `field`, `reason`."""


class IdempotencyKeyReused(Invalid):
    """The key came before with another request: `field`, `reason`."""


class BodyTooLarge(DomainError):
    """A body beyond what any request needs: `reason`."""

    status = 413


class Application:
    """The user of a request that came with a token."""

    is_authenticated = True
    is_active = True
    is_anonymous = False
    pk = None

    def __init__(self, principal: Principal) -> None:
        self.principal = principal


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer vtn_<prefix>_<secret>`; no token is no identity, a bad one is refused."""

    def authenticate(self, request: Request) -> tuple[Application, None] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("send Authorization: Bearer and the token, once")
        principal = tokens.principal_of(parts[1].decode("utf-8", "replace"), wall=clock.wall_now())
        if principal is None:
            raise AuthenticationFailed(
                "the token is unknown, revoked or out of date: ask an administrator for one"
            )
        return Application(principal), None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="vtn"'


class _TokenScheme(OpenApiAuthenticationExtension):
    target_class = "vtn.api.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token made by an administrator."}


class MayDo(BasePermission):
    """The principal may do what the view says this method needs."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        deeds: Mapping[str, Deed] = getattr(view, "deeds", {})
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        deed = deeds.get(method, Deed.SEE)  # a method that the view has not is a 405 for those who may see
        principal = principal_of(request)
        if principal is policy.NOBODY:
            return False  # asked to say who they are
        policy.require(principal, deed)
        return True


class Pages(PageNumberPagination):
    """`page` and `page_size`, with the whole count."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1_000


class BoundedJson(JSONParser):
    """JSON of a bounded size and depth."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        length = parser_context["request"].META.get("CONTENT_LENGTH") or "0" if parser_context else "0"
        if not str(length).isdigit() or int(length) > LARGEST_BODY_BYTES:
            raise BodyTooLarge(reason=f"more than {LARGEST_BODY_BYTES} bytes: send it in parts")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("nested too deeply") from error


class VtnView(APIView):
    """An address of the API."""

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (MayDo,)
    parser_classes = (BoundedJson,)
    pagination_class = Pages
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()
    schema = AutoSchema()
    deeds: ClassVar[Mapping[str, Deed]] = {}

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return problem_handler

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store, private"
        return response

    def page(self, request: Request, rows: Any, shown: Callable[[Any], Mapping[str, Any]]) -> Response:
        """One page of rows, each as `shown`."""
        pages = Pages()
        found: list[Any] = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response([shown(each) for each in found])


def principal_of(request: Request) -> Principal:
    """Who asks and what they may do."""
    user = request.user
    return user.principal if isinstance(user, Application) else policy.principal_of(user)


def created_once(request: Request, make: Callable[[], Mapping[str, Any]], *, status: int = 201) -> Response:
    """Do a creating request; with an Idempotency-Key, the same again is answered from what was kept."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return Response(make(), status=status)
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise IdempotencyKeyInvalid(field=KEY_HEADER, reason=f"1 to {LONGEST_KEY} printable characters")
    digest = hashlib.sha256(
        json.dumps([request.method, request.path, request.data], sort_keys=True, default=str).encode()
    ).hexdigest()
    with transaction.atomic():
        row, is_new = IdempotentReply.objects.select_for_update().get_or_create(
            principal=principal_of(request).actor,
            key=key,
            defaults={"request_digest": digest, "recorded_wall_at": clock.wall_now()},
        )
        if not is_new and row.request_digest != digest:
            raise IdempotencyKeyReused(
                field=KEY_HEADER, reason="this key came with another request: take a new one"
            )
        if not is_new and row.status is not None:
            return Response(row.body, status=row.status, headers={"Idempotent-Replay": "true"})
        row.body = json.loads(JSONRenderer().render(make()))
        row.status = status
        row.save(update_fields=["body", "status"])
    return Response(row.body, status=row.status)


def problem_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Answer every refusal as RFC 9457 problem+json, with field, value and fix where there is a field."""
    request: Request | None = context.get("request")
    if isinstance(exception, DomainError):
        return _problem(exception.status, exception.code, sentence(exception), _fields_of(exception, request))
    if isinstance(exception, ValidationError):
        errors = list(_flat(exception.detail, (), _data_of(request)))
        detail = "; ".join(f"{each['field']}: {each['fix']}" for each in errors[:3])
        return _problem(422, "invalid", detail, errors)
    response = exception_handler(exception, context)
    if response is None:
        return None
    told = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    code = str(getattr(told, "code", "")) or "refused"
    answer = _problem(response.status_code, code, str(told), [])
    for header in ("Allow", "WWW-Authenticate", "Retry-After"):
        if header in response.headers:
            answer[header] = response.headers[header]
    return answer


def _problem(status: int, code: str, detail: str, errors: list[dict[str, Any]]) -> Response:
    return Response(problem(status, code, detail, errors), status=status, content_type=MEDIA_TYPE)


def _fields_of(error: DomainError, request: Request | None) -> list[dict[str, Any]]:
    field = error.data.get("field")
    if not field:
        return []
    data = _data_of(request)
    value = data.get(field) if isinstance(data, Mapping) else None
    return [
        {"field": str(field), "value": _short(value), "fix": str(error.data.get("reason", sentence(error)))}
    ]


def _flat(detail: Any, path: tuple[str, ...], value: Any) -> Any:
    """Every message of a serializer's nested errors, with its path and what stood there."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(
                inner, path if name == "non_field_errors" else (*path, str(name)), _at(value, name)
            )
    elif isinstance(detail, list) and any(isinstance(each, Mapping | list) for each in detail):
        for number, inner in enumerate(detail):
            yield from _flat(inner, (*path, str(number)), _at(value, number))
    else:
        for message in detail if isinstance(detail, list) else [detail]:
            yield {"field": ".".join(path) or "body", "value": _short(value), "fix": str(message)}


def _at(value: Any, place: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(place)
    if isinstance(value, list) and str(place).isdigit() and int(place) < len(value):
        return value[int(place)]
    return None


def _data_of(request: Request | None) -> Any:
    if request is not None and request.method in ("GET", "HEAD"):
        return request.query_params
    try:
        return request.data if request is not None else None
    except Exception:  # noqa: BLE001 - the body itself may be what is refused
        return None


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:LONGEST_VALUE]
    return (
        value
        if isinstance(value, int | float | bool) or value is None
        else json.dumps(value, default=str)[:LONGEST_VALUE]
    )
