"""The member API, `/api/member/v1/`: what the portal shows and does, for programs of the member's own.

`Authorization: Bearer odsr_...` with a token made on the page *Apps and calendar*, or the site's session.
Objects come through the same policy functions as the pages; a token that may only read changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

import campaigns.policy
import campaigns.queries
import members.policy
import members.queries
import settlement.queries
from campaigns import needs, opting
from campaigns.models import HomePlan, OptRecord, Participation
from members import consenting, leaving, opting_out, tokens
from members.models import Member, Occupancy, User
from members.recurring import Recurrence, season_day
from members.token_models import PersonalToken
from metering import store
from opendsr.kernel import clock, problem
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import period_starts
from opendsr.web import housemates, member_home
from opendsr.web import member_api_fields as fields
from opendsr.web.api import ByInstant, InUtc
from opendsr.web.usage import used_wh
from settlement import statements as settled
from settlement.models import RoundKind, Statement
from settlement.policy import access_statement
from vtn.api import BoundedJson

Scope = PersonalToken.Scope
TITLE: Final = "OpenDSR for members"
DESCRIPTION: Final = (
    "What a member sees and does on the site, for programs of their own. Times are UTC, power in W, energy "
    "in Wh, money in millipence (1/1000 p). Errors are problem+json (RFC 9457)."
)


class NoHomeOfYours(DomainError):
    """The household lives in no such home at the moment."""

    status = 404
    home_id: str


class TokenAuthentication(BaseAuthentication):
    """A personal token speaks for its member; none is no identity, a bad one is refused."""

    def authenticate(self, request: Request) -> tuple[User, PersonalToken] | None:
        """The member's account and the token, None without a token; raises AuthenticationFailed."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        text = parts[1].decode("utf-8", "replace") if len(parts) == 2 else ""
        held = tokens.holder_of(text, scopes=(Scope.READ, Scope.ACT), at=clock.now(), wall=clock.wall_now())
        if held is None or held[0].user is None:
            raise AuthenticationFailed("The token is unknown, revoked or out of date: make another.")
        return held[0].user, held[1]

    def authenticate_header(self, request: Request) -> str:
        """What a client without a token is asked for."""
        return 'Bearer realm="member"'


class _TokenScheme(OpenApiAuthenticationExtension):
    target_class = "opendsr.web.member_api.TokenAuthentication"
    name = "personalToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "Made on the page Apps and calendar."}


class IsMember(BasePermission):
    """A member, by session or token; a token that may only read changes nothing."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the request comes from a member; PermissionDenied where the token's scope is too narrow."""
        if members.queries.member_of(request.user) is None:
            return False
        is_reading = request.method in ("GET", "HEAD", "OPTIONS")
        if isinstance(request.auth, PersonalToken) and not is_reading and request.auth.scope != Scope.ACT:
            raise PermissionDenied(
                "This token may only read: make one that may act.", code="token_only_reads"
            )
        return True


class PerToken(SimpleRateThrottle):
    """So many requests a minute of one token or account."""

    scope = "member"
    rate = "120/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """One count for each token, or account without one."""
        held = request.auth
        whose = held.prefix if isinstance(held, PersonalToken) else f"user-{request.user.pk}"
        return self.cache_format % {"scope": self.scope, "ident": whose}


class MemberView(InUtc):
    """An address of the API."""

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (IsMember,)
    parser_classes = (BoundedJson,)
    throttle_classes = (PerToken,)

    @property
    def member(self) -> Member:
        """Who asks."""
        found = members.queries.member_of(self.request.user)
        assert found is not None  # noqa: S101 IsMember has seen to it
        return found

    def stays(self) -> list[Occupancy]:
        """The homes whose use and events the member may see."""
        return member_home.stays_of(self.member, clock.now())

    def stay(self, home_id: UUID) -> Occupancy:
        """One of them; raises NoHomeOfYours."""
        for each in self.stays():
            if each.pk == home_id:
                return each
        raise NoHomeOfYours(home_id=str(home_id))

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Nothing of it is kept on the way."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store, private"
        return response


class Me(MemberView):
    """Who the token speaks for."""

    @extend_schema(operation_id="me", responses=fields.MeField)
    def get(self, request: Request) -> Response:
        """Member, household, homes and balance."""
        stays = self.stays()
        told = {
            "number": self.member.number,
            "full_name": self.member.full_name,
            "household": self.member.household.name,
            "balance_mp": member_home.balance_mp(stays),
            "homes": [
                {
                    "id": each.pk,
                    "name": each.home.name,
                    "postcode": each.home.postcode,
                    "since": each.starts_at,
                }
                for each in stays
            ],
            "scope": request.auth.scope if isinstance(request.auth, PersonalToken) else None,
        }
        return Response(fields.MeField(told).data)


class HouseholdPeople(MemberView):
    """The people who share the member's homes."""

    @extend_schema(operation_id="household", responses=fields.HouseholdField)
    def get(self, request: Request) -> Response:
        """Everybody of the household whose membership runs, the account holder before the others."""
        at = clock.now()
        you = members.policy.household_member(request.user, at)
        people = [*leaving.others_of(you, at), *([you] if you.is_current(at) else [])]
        told = [
            {
                "number": each.number,
                "full_name": each.full_name,
                "since": each.joined_at,
                "is_account_holder": place == 0,
                "is_you": each == you,
            }
            for place, each in enumerate(sorted(people, key=lambda each: (each.joined_at, each.number)))
        ]
        return Response(fields.HouseholdField({"name": you.household.name, "people": told}).data)


class HouseholdInvitation(MemberView):
    """An invitation into the household."""

    @extend_schema(operation_id="invite", request=fields.NewInvitationField, responses={202: None})
    def post(self, request: Request) -> Response:
        """Send a link that works once, within 14 days. Only the account holder may."""
        at = clock.now()
        holder = members.policy.account_holder(request.user, at)
        email = _given(fields.NewInvitationField, request)["email"]
        if not housemates.invite(request._request, member=holder, email=email, at=at):
            raise LetterNotSent()
        return Response(status=202)


class HousematesEnd(MemberView):
    """Somebody taken out of the household."""

    @extend_schema(operation_id="remove_person", request=None, responses={204: None})
    def post(self, request: Request, number: str) -> Response:
        """End their membership: they see nothing of the household any more. Only the account holder may."""
        at = clock.now()
        holder = members.policy.account_holder(request.user, at)
        if all(each.number != number for each in leaving.others_of(holder, at)):
            raise members.policy.MemberNotFound(number=number[:20])
        housemates.remove(holder=holder, number=number, at=at, by=f"member:{holder.number}")
        return Response(status=204)


class LetterNotSent(DomainError):
    """The mail server would not take the letter: ask again later."""


class Events(MemberView):
    """What the homes are asked for."""

    @extend_schema(operation_id="events", responses=fields.EventField(many=True))
    def get(self, request: Request) -> Response:
        """Events under way and to come, the soonest first."""
        return Response(fields.EventField(upcoming(self.stays()), many=True).data)


class EventAnswer(MemberView):
    """A household's answer to one event."""

    @extend_schema(operation_id="answer_event", request=fields.AnswerField, responses=fields.EventField)
    def post(self, request: Request, campaign_id: UUID, home_id: UUID) -> Response:
        """Skip the event for the whole home, or take part again; the same answer again changes nothing."""
        at, stay = clock.now(), self.stay(home_id)
        given = _given(fields.AnswerField, request)
        part = stay.participations.filter(campaign=campaign_id).first()
        if part is None:
            raise opting.ParticipationNotFound(participation_id=campaign_id)
        campaigns.policy.access_participation_to_answer(request.user, part.pk, at)
        answer = opting.opt_home_back_in if given["answer"] == "in" else opting.skip_home
        answer(
            campaign_id=campaign_id,
            occupancy_id=stay.pk,
            at=at,
            by=self.member.user,
            source=OptRecord.Source.PORTAL,
        )
        found = [each for each in upcoming([stay]) if each["campaign_id"] == campaign_id]
        if not found:
            raise opting.ParticipationNotFound(participation_id=campaign_id)
        return Response(fields.EventField(found[0]).data)


class NewestFirst(ByInstant):
    """Newest first, a hundred a page."""

    ordering = ("-issued_at", "-id")
    page_size = 100


class Statements(MemberView, ListAPIView[Statement]):
    """What was earned."""

    serializer_class = fields.StatementField
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Statement]:
        """The member's statements."""
        return settlement.queries.statements_of(self.member)

    @extend_schema(operation_id="statements", responses=fields.StatementField(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Statements, newest first, by cursor."""
        page: Sequence[Statement] = self.paginate_queryset(self.get_queryset()) or []
        told = [
            {
                "id": row.pk,
                "home_id": row.occupancy_id,
                "issued_at": row.issued_at,
                "posted_mp": row.posted_mp,
                "is_provisional": row.round.kind == RoundKind.PROVISIONAL,
            }
            for row in page
        ]
        return self.get_paginated_response(fields.StatementField(told, many=True).data)


class StatementDocument(MemberView):
    """One statement in full."""

    @extend_schema(operation_id="statement", responses={(200, "application/json"): OpenApiTypes.OBJECT})
    def get(self, request: Request, statement_id: UUID) -> HttpResponse:
        """The statement with all that is needed to work it out again, and a hash."""
        row = access_statement(request.user, statement_id, clock.now())
        return HttpResponse(settled.render_json(row), content_type="application/json; charset=utf-8")


class Readings(MemberView):
    """Use by half-hour."""

    @extend_schema(
        operation_id="readings",
        parameters=[OpenApiParameter("day", OpenApiTypes.DATE, description="Europe/London; else the newest")],
        responses=fields.DayField,
    )
    def get(self, request: Request) -> Response:
        """A day of the household's net import; 404 while there are no readings."""
        streams = list(members.queries.streams_of([each.pk for each in self.stays()], clock.now()).values())
        span = store.day_span(streams) if streams else None
        if span is None:
            raise NoReadings()
        oldest, newest = span
        day = min(max(_day(request) or newest, oldest), newest)
        starts = period_starts(day)
        used = used_wh(streams, day, len(starts))
        rows = [{"starts_at": start, "net_wh": wh} for start, wh in zip(starts, used, strict=True)]
        told = {"day": day, "oldest": oldest, "newest": newest, "readings": rows}
        return Response(fields.DayField(told).data)


class NoReadings(DomainError):
    """No readings have come in yet."""

    status = 404


class DayUnreadable(DomainError):
    """That is no date: write it as 2026-01-15."""

    status = 422
    field: str
    value: str


class Plans(MemberView):
    """What the assets do tonight."""

    @extend_schema(operation_id="plans", responses=fields.PlanField(many=True))
    def get(self, request: Request) -> Response:
        """The newest plan of each home."""
        homes = [each.pk for each in self.stays()]
        plans = HomePlan.objects.filter(occupancy__in=homes).order_by("occupancy_id", "-night")
        newest = plans.distinct("occupancy_id").select_related("tariff").prefetch_related("lines__asset")
        told = [
            {
                "home_id": plan.occupancy_id,
                "night": plan.night,
                "tariff": plan.tariff.name,
                "starts_at": needs.night_of(plan.night).starts[0],
                "is_sent": plan.sent_at is not None,
                "lines": [
                    {
                        "asset": row.asset.name,
                        "power_w": row.power_w,
                        "cost_mp": row.cost_mp,
                        "unplanned_cost_mp": row.unplanned_cost_mp,
                        "is_stopped": row.stopped_at is not None,
                    }
                    for row in plan.lines.all()
                ],
            }
            for plan in newest
        ]
        return Response(fields.PlanField(told, many=True).data)


class Consents(MemberView):
    """What the household agreed to."""

    @extend_schema(operation_id="consents", responses=fields.ConsentField(many=True))
    def get(self, request: Request) -> Response:
        """Consents in force."""
        found = members.queries.consents_in_force([each.pk for each in self.stays()], clock.now())
        return Response(fields.ConsentField(found, many=True).data)


class ConsentWithdrawal(MemberView):
    """A consent taken back."""

    @extend_schema(operation_id="withdraw_consent", request=None, responses={204: None})
    def post(self, request: Request, consent_id: UUID) -> Response:
        """Take it back: from now on nothing is done under it."""
        consenting.withdraw_consent(consent_id=consent_id, member=self.member, at=clock.now())
        return Response(status=204)


class OptOuts(MemberView):
    """Standing wishes."""

    @extend_schema(operation_id="opt_outs", responses=fields.OptOutField(many=True))
    def get(self, request: Request) -> Response:
        """Those that hold now or later."""
        homes = [each.pk for each in self.stays()]
        found = members.queries.standing_opt_outs_to_come(homes, clock.now())
        return Response(fields.OptOutField(found, many=True).data)

    @extend_schema(
        operation_id="add_opt_out", request=fields.NewOptOutField, responses={201: fields.OptOutField}
    )
    def post(self, request: Request) -> Response:
        """One more; those that overlap add up."""
        at, given = clock.now(), _given(fields.NewOptOutField, request)
        for name in ("season_from", "season_to"):
            if given[name] and season_day(given[name]) is None:
                raise DayUnreadable(field=name, value=given[name])
        made = opting_out.start_standing_opt_out(
            occupancy=self.stay(given["home_id"]),
            at=at,
            starts_at=given.get("starts_at") or at,
            ends_at=given.get("ends_at"),
            reason=given["reason"],
            rule=Recurrence(
                given["weekdays"], given.get("from_time"), given.get("to_time"), given["season_from"],
                given["season_to"],
            ),
            least_pct=given.get("least_pct"),
        )  # fmt: skip
        return Response(fields.OptOutField(made).data, status=201)


class OptOutEnd(MemberView):
    """A standing wish taken back."""

    @extend_schema(operation_id="end_opt_out", request=None, responses={204: None})
    def post(self, request: Request, opt_out_id: UUID) -> Response:
        """Take part again from now on."""
        at = clock.now()
        found = members.policy.access_opt_out(request.user, opt_out_id, at)
        if found.occupancy.household_id != self.member.household_id:
            raise members.policy.OptOutNotFound(opt_out_id=str(opt_out_id))
        opting_out.end_standing_opt_out(opt_out_id=found.pk, at=at)
        return Response(status=204)


class Schema(MemberView):
    """The OpenAPI description."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """The schema, as YAML."""
        body = OpenApiYamlRenderer().render(schema_document(), renderer_context={})
        return HttpResponse(body, content_type="application/vnd.oai.openapi; charset=utf-8")


@cache
def schema_document() -> dict[str, Any]:
    """The OpenAPI document of this API alone."""
    document: dict[str, Any] = SchemaGenerator(urlconf="opendsr.web.member_urls").get_schema(public=True)
    document["info"] = {"title": TITLE, "version": "1", "description": DESCRIPTION}
    document["servers"] = [{"url": reverse("member_api:schema").removesuffix("/schema/")}]
    problem.describe(document)
    return document


def upcoming(stays: Sequence[Occupancy]) -> list[dict[str, Any]]:
    """What the homes are asked for from now on, one entry a campaign and home."""
    key: Callable[[Participation], Any] = lambda part: (part.starts_at, part.campaign_id, part.occupancy_id)  # noqa: E731
    found = campaigns.queries.upcoming_participations([each.pk for each in stays], clock.now())
    told = []
    for _key, group in groupby(sorted(found, key=key), key=key):
        parts = list(group)
        first, running = parts[0], [part for part in parts if part.state not in member_home.OUT]
        told.append(
            {
                "campaign_id": first.campaign_id,
                "home_id": first.occupancy_id,
                "name": first.campaign.name,
                "why": first.campaign.reason,
                "direction": first.campaign.direction,
                "starts_at": first.campaign.starts_at,
                "ends_at": first.campaign.ends_at,
                "expected_w": sum(part.expected_w for part in running),
                "assets": [part.asset.name for part in parts],
                "answer": "out" if not running else "in" if len(running) == len(parts) else "partly",
            }
        )
    return told


def _given(kind: type[Any], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = given.validated_data
    return found


def _day(request: Request) -> date | None:
    text = request.query_params.get("day", "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DayUnreadable(field="day", value=text[:40]) from None
