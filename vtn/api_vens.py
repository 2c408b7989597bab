"""The API's VENs: found, enrolled, changed, told; their certificates, opts and messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import ProtectedError, Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from opendsr.kernel import audit, clock
from opendsr.kernel.errors import DomainError, NotFound
from vtn import api_fields as fields
from vtn import desk, enrolling, enrolment_codes, registering, ven_page
from vtn.api import VtnView, created_once, principal_of
from vtn.api_queue import queued_shown
from vtn.models import EventOpt, MessageLog, Ven, VenCertificate
from vtn.policy import Deed
from vtn.port import UnknownVen
from vtn.push_address import set_push_address
from vtn.services.registration import poll_seconds

QUERY = OpenApiTypes.STR


class VenInUse(DomainError):
    """The VEN has a history, so it is not deleted: `ven_id`, `reason`."""


class UnknownMessage(NotFound):
    """No such exchange in the VEN's log: `message_id`."""


def asked(request: Request, name: str, longest: int = 200) -> str:
    """A query parameter as plain text."""
    return str(request.query_params.get(name, "")).replace("\0", "").strip()[:longest]


class VenList(VtnView):
    """VENs."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_CERTIFICATES}

    @extend_schema(
        operation_id="vens_list",
        parameters=[
            OpenApiParameter("q", QUERY, description="VEN id, name or fingerprint."),
            OpenApiParameter("state", QUERY, enum=desk.STATES),
            OpenApiParameter("certificate", QUERY, enum=desk.CERTIFICATES),
            OpenApiParameter("trouble", QUERY, enum=desk.TROUBLES),
            OpenApiParameter("group", QUERY),
            OpenApiParameter("order", QUERY, enum=tuple(desk.ORDERS)),
        ],
        responses=fields.VenSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Search VENs, a page at a time."""
        at, wall = clock.now(), clock.wall_now()
        rows = desk.find_vens(
            desk.vens(at=at, wall=wall),
            at=at,
            wall=wall,
            words=asked(request, "q"),
            state=asked(request, "state"),
            certificate=asked(request, "certificate"),
            trouble=asked(request, "trouble"),
            group=asked(request, "group"),
            order=asked(request, "order"),
        )
        return self.page(request, rows, lambda ven: ven_shown(ven, wall=wall))

    @extend_schema(
        operation_id="vens_enrol",
        request=fields.VenEnrolSerializer,
        responses={201: fields.EnrolledSerializer},
        parameters=[OpenApiParameter("Idempotency-Key", QUERY, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request) -> Response:
        """Enrol a VEN: sign its hub's request."""
        body = fields.VenEnrolSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        by = principal_of(request).actor
        return created_once(
            request, lambda: enrolled_shown(enrolling.enrol_ven(**body.validated_data, at=clock.now(), by=by))
        )


class CodeList(VtnView):
    """One-time codes."""

    deeds: ClassVar = {"POST": Deed.MANAGE_CERTIFICATES}

    @extend_schema(
        operation_id="enrolment_codes_create",
        request=fields.CodeAskSerializer,
        responses={201: fields.CodeSerializer},
    )
    def post(self, request: Request) -> Response:
        """Issue a code by which a hub enrols itself; the subject's earlier one is void. It is told once."""
        body = fields.CodeAskSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        issued = enrolment_codes.issue_code(
            **body.validated_data, at=clock.now(), by=principal_of(request).actor
        )
        shown = {"subject": issued.subject, "code": issued.code, "expires_at": issued.expires_at}
        return Response(shown, status=201)


class CodeVoid(VtnView):
    """Ending a code."""

    deeds: ClassVar = {"DELETE": Deed.MANAGE_CERTIFICATES}

    @extend_schema(operation_id="enrolment_codes_delete", responses={204: None})
    def delete(self, request: Request, subject: str) -> Response:
        """End the subject's open code; without one, nothing changes."""
        enrolment_codes.void_code(
            subject=subject.replace("\0", ""), at=clock.now(), by=principal_of(request).actor
        )
        return Response(status=204)


class VenDetail(VtnView):
    """One VEN."""

    deeds: ClassVar = {"GET": Deed.SEE, "PATCH": Deed.MANAGE_VENS, "DELETE": Deed.MANAGE_VENS}

    @extend_schema(operation_id="vens_retrieve", responses=fields.VenSerializer)
    def get(self, request: Request, ven_id: str) -> Response:
        """All that is known of a VEN."""
        wall = clock.wall_now()
        return Response(ven_shown(desk.ven(ven_id, at=clock.now(), wall=wall), wall=wall))

    @extend_schema(
        operation_id="vens_update", request=fields.VenChangeSerializer, responses=fields.VenSerializer
    )
    def patch(self, request: Request, ven_id: str) -> Response:
        """Change a VEN's name, poll interval or security."""
        body = fields.VenChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        principal, at = principal_of(request), clock.now()
        changes = dict(body.validated_data)
        with transaction.atomic():
            ven = only_ven(ven_id)
            if (security := changes.pop("security", None)) is not None:
                enrolling.set_security(ven_id=ven_id, security=security, at=at, by=principal.actor)
            if (url := changes.pop("push_url", None)) is not None:
                set_push_address(ven_id=ven_id, url=url, at=at, by=principal.actor)
            if changes:
                Ven.objects.filter(pk=ven.pk).update(**changes)
                audit.record(
                    at=at,
                    actor=principal.actor,
                    verb="vtn.ven.changed",
                    target=f"ven:{ven_id}",
                    detail=changes,
                )
        return self.get(request, ven_id)

    @extend_schema(operation_id="vens_delete", responses={204: None})
    def delete(self, request: Request, ven_id: str) -> Response:
        """Forget a VEN that was enrolled and never used; one with a history is only ever turned away."""
        at = clock.now()
        with transaction.atomic():
            ven = only_ven(ven_id)
            is_used = ven.is_registered or ven.registered_at or ven.events.exists() or ven.queue.exists()
            if is_used or ven.certificates.filter(revoked_at=None).exists():
                raise VenInUse(
                    ven_id=ven_id,
                    reason="it has a history or a certificate in force: revoke its certificates instead",
                )
            try:
                ven.certificates.all().delete()
                ven.prompt_runs.all().delete()
                ven.delete()
            except ProtectedError as error:
                kept = ", ".join(sorted({str(row._meta.verbose_name) for row in error.protected_objects}))
                raise VenInUse(ven_id=ven_id, reason=f"kept of it: {kept}") from error
            audit.record(
                at=at, actor=principal_of(request).actor, verb="vtn.ven.deleted", target=f"ven:{ven_id}"
            )
        return Response(status=204)


class VenReregister(VtnView):
    """Asking a VEN to register again."""

    deeds: ClassVar = {"POST": Deed.MANAGE_VENS}

    @extend_schema(
        operation_id="vens_request_reregistration", request=None, responses={202: fields.QueuedSerializer}
    )
    def post(self, request: Request, ven_id: str) -> Response:
        """Queue oadrRequestReregistration."""
        by = principal_of(request).actor
        queued = registering.request_reregistration(ven_id=ven_id, at=clock.now(), by=by)
        return Response(queued_shown(queued), status=202)


class VenCancelRegistration(VtnView):
    """Cancelling a registration over the wire."""

    deeds: ClassVar = {"POST": Deed.MANAGE_VENS}

    @extend_schema(
        operation_id="vens_cancel_registration", request=None, responses={202: fields.QueuedSerializer}
    )
    def post(self, request: Request, ven_id: str) -> Response:
        """Queue oadrCancelPartyRegistration; the certificate stands."""
        by = principal_of(request).actor
        queued = registering.cancel_registration(ven_id=ven_id, at=clock.now(), by=by)
        return Response(queued_shown(queued), status=202)


class VenCleanRegistration(VtnView):
    """Ending a registration here."""

    deeds: ClassVar = {"POST": Deed.MANAGE_VENS}

    @extend_schema(operation_id="vens_clean_registration", request=None, responses={204: None})
    def post(self, request: Request, ven_id: str) -> Response:
        """End the registration at once, for a VEN that has lost its own."""
        registering.clear_registration(ven_id=ven_id, at=clock.now(), by=principal_of(request).actor)
        return Response(status=204)


class VenCertificates(VtnView):
    """Certificates of a VEN."""

    deeds: ClassVar = {"GET": Deed.SEE, "POST": Deed.MANAGE_CERTIFICATES}

    @extend_schema(operation_id="vens_certificates_list", responses=fields.CertificateSerializer(many=True))
    def get(self, request: Request, ven_id: str) -> Response:
        """Every certificate that ever spoke for it, latest end first."""
        wall = clock.wall_now()
        rows = VenCertificate.objects.filter(ven=only_ven(ven_id)).select_related("ven")
        return self.page(
            request, rows.order_by("-not_after", "-pk"), lambda row: certificate_shown(row, wall=wall)
        )

    @extend_schema(
        operation_id="vens_certificates_issue",
        request=fields.CsrSerializer,
        responses={201: fields.EnrolledSerializer},
        parameters=[OpenApiParameter("Idempotency-Key", QUERY, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request, ven_id: str) -> Response:
        """Sign another request: a renewal, or with `revoke_others` a replaced hub."""
        body = fields.CsrSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        by = principal_of(request).actor
        issue = (
            enrolling.replace_certificates
            if body.validated_data["revoke_others"]
            else enrolling.issue_certificate
        )
        return created_once(
            request,
            lambda: enrolled_shown(
                issue(ven_id=ven_id, csr_pem=body.validated_data["csr_pem"], at=clock.now(), by=by)
            ),
        )


class CertificateRevoke(VtnView):
    """Revocation."""

    deeds: ClassVar = {"POST": Deed.MANAGE_CERTIFICATES}

    @extend_schema(
        operation_id="vens_certificates_revoke",
        request=fields.ReasonSerializer,
        responses=fields.RevokedSerializer,
    )
    def post(self, request: Request, ven_id: str, fingerprint: str) -> Response:
        """End a certificate (`all`: each of the VEN's), with effect on the next request."""
        body = fields.ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        revoked = enrolling.revoke_certificate(
            ven_id=ven_id,
            fingerprint=None if fingerprint == "all" else fingerprint,
            reason=body.validated_data["reason"],
            at=clock.now(),
            by=principal_of(request).actor,
        )
        return Response({"revoked": revoked})


class CertificateList(VtnView):
    """Certificates of all VENs."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(
        operation_id="certificates_list",
        parameters=[
            OpenApiParameter("state", QUERY, enum=["in_force", "revoked", "expired"]),
            OpenApiParameter("ends_before", OpenApiTypes.DATETIME),
        ],
        responses=fields.CertificateSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Certificates by their end, those that end first before the others."""
        wall = clock.wall_now()
        rows: QuerySet[VenCertificate] = VenCertificate.objects.select_related("ven").order_by(
            "not_after", "pk"
        )
        match asked(request, "state"):
            case "in_force":
                rows = rows.filter(revoked_at=None, not_before__lte=wall, not_after__gt=wall)
            case "revoked":
                rows = rows.filter(revoked_at__isnull=False)
            case "expired":
                rows = rows.filter(not_after__lte=wall)
        if (before := instant(request, "ends_before")) is not None:
            rows = rows.filter(not_after__lt=before)
        return self.page(request, rows, lambda row: certificate_shown(row, wall=wall))


class VenOpts(VtnView):
    """What a VEN said about events."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="vens_opts_list", responses=fields.OptSerializer(many=True))
    def get(self, request: Request, ven_id: str) -> Response:
        """Its opts, newest first."""
        rows = EventOpt.objects.filter(event__ven=only_ven(ven_id)).select_related("event").order_by("-pk")
        return self.page(request, rows, opt_shown)


class VenOptSchedules(VtnView):
    """A VEN's standing advice."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="vens_opt_schedules_list", responses=fields.OptScheduleSerializer(many=True))
    def get(self, request: Request, ven_id: str) -> Response:
        """Its opt schedules, newest first."""
        rows = only_ven(ven_id).opt_schedules.order_by("-received_at", "-pk")
        names = (
            "opt_id",
            "opt",
            "reason",
            "market_context",
            "resource_ids",
            "periods",
            "received_at",
            "cancelled_at",
        )
        return self.page(request, rows, lambda row: {name: getattr(row, name) for name in names})


class VenResources(VtnView):
    """Resources of a VEN."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(operation_id="vens_resources_list", responses=fields.ResourceSerializer(many=True))
    def get(self, request: Request, ven_id: str) -> Response:
        """Resource ids it was addressed by, opted for or reports of: OpenADR 2.0b has no register of them."""
        found = desk.resources_of(only_ven(ven_id))
        return self.page(request, found, lambda resource_id: {"resource_id": resource_id})


LOG_PARAMETERS = [
    OpenApiParameter("refused", OpenApiTypes.BOOL),
    OpenApiParameter("service", QUERY),
    OpenApiParameter("q", QUERY, description="In the message's or reply's name, or the code."),
]


class MessageList(VtnView):
    """The message log."""

    deeds: ClassVar = {"GET": Deed.SEE}

    @extend_schema(
        operation_id="messages_list",
        parameters=LOG_PARAMETERS,
        responses=fields.MessageSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Exchanges of all VENs and of strangers, newest first."""
        return self.log(request, MessageLog.objects.all())

    def log(self, request: Request, rows: QuerySet[MessageLog]) -> Response:
        """A page of the rows that the address asks for."""
        rows = rows.select_related("ven").order_by("-pk")
        if asked(request, "refused") in ("true", "1"):
            rows = rows.filter(is_refused=True)
        if service := asked(request, "service"):
            rows = rows.filter(service=service)
        if words := asked(request, "q"):
            rows = rows.filter(Q(message__icontains=words) | Q(reply__icontains=words) | Q(code=words))
        may_read = principal_of(request).may(Deed.READ_BODIES)
        return self.page(request, rows, lambda row: message_shown(row, may_read=may_read))


class VenMessages(MessageList):
    """One VEN's message log."""

    @extend_schema(
        operation_id="vens_messages_list",
        parameters=LOG_PARAMETERS,
        responses=fields.MessageSerializer(many=True),
    )
    def get(self, request: Request, ven_id: str) -> Response:  # type: ignore[override]
        """Exchanges of one VEN, newest first."""
        return self.log(request, MessageLog.objects.filter(ven=only_ven(ven_id)))


# ---- as the API shows them


def only_ven(ven_id: str) -> Ven:
    """The VEN; raises UnknownVen."""
    found = None if "\0" in ven_id else Ven.objects.filter(ven_id=ven_id).first()
    if found is None:
        raise UnknownVen(ven_id=ven_id)
    return found


def instant(request: Request, name: str) -> datetime | None:
    """A query parameter as an instant; raises a field error for one that is none."""
    text = asked(request, name).replace(" ", "+")
    if not text:
        return None
    try:
        found: datetime = fields.UtcField().run_validation(text)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error
    return found


def ven_shown(ven: Any, *, wall: datetime) -> dict[str, Any]:
    """A VEN as the API gives it."""
    watch = ven_page.watch_of(ven)
    return {
        "ven_id": ven.ven_id,
        "ven_name": ven.ven_name,
        "is_registered": ven.is_registered,
        "registered_at": ven.registered_at,
        "enrolled_at": ven.enrolled_at,
        "is_online": desk.is_online(ven, wall=wall),
        "last_seen_at": ven.last_seen_wall_at,
        "certificate_not_after": ven.not_after,
        "certificate_days_left": desk.days_left(ven.not_after, wall=wall),
        "transport": ven_page.transport_code(ven),
        "profile": ven.profile_name,
        "security": ven.security,
        "is_report_only": ven.is_report_only,
        "poll_seconds": poll_seconds(ven),
        "push_url": ven.push_url,
        "software": watch.software,
        "quirks": watch.quirks,
        "clock_skew_seconds": watch.clock_skew_seconds,
        "undelivered": ven.undelivered,
    }


def enrolled_shown(enrolled: enrolling.EnrolledVen) -> dict[str, Any]:
    return {
        "ven_id": enrolled.ven_id,
        "certificate_pem": enrolled.certificate_pem,
        "ca_pem": enrolled.ca_pem,
        "fingerprint": enrolled.fingerprint,
    }


def certificate_shown(row: VenCertificate, *, wall: datetime) -> dict[str, Any]:
    return {
        "ven_id": row.ven.ven_id,
        "fingerprint": row.fingerprint,
        "serial": row.serial,
        "issuer": row.issuer,
        "not_before": row.not_before,
        "not_after": row.not_after,
        "is_in_force": row.revoked_at is None and row.not_before <= wall < row.not_after,
        "revoked_at": row.revoked_at,
        "revocation_reason": row.revocation_reason,
    }


def opt_shown(row: EventOpt) -> dict[str, Any]:
    names = ("opt", "modification_number", "source", "reason", "opt_id", "resource_ids", "received_at")
    return {"event_id": row.event.event_id} | {name: getattr(row, name) for name in names}


def message_shown(row: MessageLog, *, may_read: bool) -> dict[str, Any]:
    names = (
        "at", "direction", "transport", "service", "message", "reply", "code", "http_status", "is_refused",
        "reason", "tolerances", "request_bytes", "reply_bytes",
    )  # fmt: skip
    return {
        "id": row.pk,
        "recorded_at": row.recorded_wall_at,
        "ven_id": row.ven.ven_id if row.ven else None,
        **{name: getattr(row, name) for name in names},
        "request_body": row.request_body if may_read else None,
        "reply_body": row.reply_body if may_read else None,
    }
