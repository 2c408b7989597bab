"""From an enquiry to a membership: answers saved step by step, judged, decided by a person, then agreed to.

Answers are sealed under the enquiry's own key. A member's is made only when they accept the terms
(`join`), from a link that was sent to their address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.db import transaction

from members import consenting, entry, joining, moving, supplying, terms
from members.assessing import Particulars, Verdict, assess, rules_in_force
from members.enquiry_models import Application, ChampionCode, Invitation, Shareholding, Tenure, Told
from members.models import Channel, Granularity, Home, Member, Purpose
from members.partner_models import Partner, PartnerHome
from members.queries import current_occupancies
from members.supply_models import LONGEST_SUPPLIER, PaymentMethod
from opendsr.kernel import audit, encryption, outbox
from opendsr.kernel.errors import DomainError, NotFound
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.periods import civil_date

SALT: Final = "members.application"
LINK_LIFE: Final = timedelta(days=60)
FORGOTTEN_AFTER: Final = timedelta(days=365)
JOINED: Final = "members.application.joined"
State = Application.State
OPEN: Final = (State.STARTED, State.ASKED)
ANSWERS: Final = (
    "full_name", "email", "phone", "postcode", "address", "mpan", "supplier", "payment_method",
    "tenure", "landlord", "landlord_agrees", "smart_meter", "asset_kinds", "heaters", "notes", "question",
)  # fmt: skip
NEEDED: Final = ("full_name", "email", "postcode", "address", "mpan", "tenure", "smart_meter")


class ApplicationNotFound(NotFound):
    """No such enquiry, or its link is too old."""


class ApplicationClosed(DomainError):
    """The enquiry is being looked at, decided or forgotten: its answers stand."""

    state: str


class AnswersMissing(DomainError):
    """These questions have no answer yet."""

    fields: tuple[str, ...]


class NotDecidable(DomainError):
    """Only an enquiry that was handed in is decided."""

    state: str


class NotApproved(DomainError):
    """Only an approved enquiry becomes a membership."""

    state: str


class OwnHomeAlready(DomainError):
    """This household lives in the home already."""

    field: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An enquiry with its answers opened."""

    application: Application
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Questions without which it cannot be handed in."""
        absent = [name for name in NEEDED if not self.answers.get(name)]
        return tuple(absent)


@transaction.atomic
def start(
    *,
    full_name: str,
    email: str,
    at: datetime,
    phone: str = "",
    invitation: Invitation | None = None,
    champion: ChampionCode | None = None,
    member: Member | None = None,
) -> Application:
    """Begin an enquiry: an entry in the funnel from the first click on. Raises InvalidField."""
    answers: dict[str, Any] = {
        "full_name": entry.one_line(full_name, field="full_name", longest=120),
        "email": entry.email(email),
        "phone": entry.one_line(phone, field="phone", longest=30, may_be_empty=True),
    }
    listed = invitation.listed if invitation is not None else None
    application = Application(
        pk=new_uuid(),
        since=at,
        started_at=at,
        invitation=invitation,
        champion=champion,
        partner=listed.partner if listed is not None else None,
        member=member,
    )
    if listed is not None:
        answers |= {
            "address": listed.address,
            "postcode": listed.postcode,
            "mpan": listed.mpan,
            "tenure": Tenure.SOCIAL,
            "landlord_agrees": Told.YES,
        }
    _seal(application, answers)
    application.save(force_insert=True)
    if invitation is not None and invitation.taken_at is None:
        invitation.taken_at = at
        invitation.save(update_fields=["taken_at"])
    return application


@transaction.atomic
def answer(*, application_id: UUID, given: Mapping[str, Any], at: datetime) -> Standing:
    """Keep some answers; the others stand. Raises InvalidField, ApplicationNotFound, ApplicationClosed."""
    held = _locked(application_id)
    if held.application.state not in OPEN:
        raise ApplicationClosed(state=held.application.state)
    answers = held.answers | {name: _fit(name, value) for name, value in given.items()}
    _seal(held.application, answers)
    held.application.save()
    return Standing(held.application, answers)


@transaction.atomic
def submit(*, application_id: UUID, at: datetime) -> Verdict:
    """Hand the enquiry in: judged by the rules in force, then a person looks. Again changes nothing.

    Raises ApplicationNotFound, ApplicationClosed, AnswersMissing.
    """
    held = _locked(application_id)
    application = held.application
    if application.state == State.SUBMITTED:
        return verdict_of(held, at)
    if application.state not in OPEN:
        raise ApplicationClosed(state=application.state)
    if held.missing:
        raise AnswersMissing(fields=held.missing)
    verdict = verdict_of(held, at)
    application.state, application.since, application.submitted_at = State.SUBMITTED, at, at
    application.rules_version = rules_in_force(at).version
    application.verdict = verdict.outcome
    application.save()
    _record(application, "applicant", "application.submitted", at, verdict=verdict.outcome)
    return verdict


@transaction.atomic
def decide(*, application_id: UUID, decision: str, reason: str, by: str, at: datetime) -> Application:
    """Approve, decline or ask more (`approved`, `declined`, `asked`), with the reason the person is told.

    What was declined may be approved later. Raises InvalidField, ApplicationNotFound, NotDecidable.
    """
    if decision not in (State.APPROVED, State.DECLINED, State.ASKED):
        raise entry.InvalidField(field="decision", problem="not_a_choice")
    reason = entry.one_line(reason, field="reason", longest=500)
    application = _locked(application_id).application
    if application.state not in (State.SUBMITTED, State.ASKED, State.DECLINED, State.APPROVED):
        raise NotDecidable(state=application.state)
    if application.answers_sealed is None:
        raise NotDecidable(state="forgotten")
    application.state, application.since = decision, at
    application.decided_at, application.decided_by, application.decision_reason = at, by, reason
    application.save()
    _record(application, by, f"application.{decision}", at)
    return application


@transaction.atomic
def withdraw(*, application_id: UUID, at: datetime) -> Application:
    """Let go of an enquiry at its maker's wish: it is forgotten at once."""
    application = _locked(application_id).application
    if application.state == State.JOINED:
        raise ApplicationClosed(state=application.state)
    application.state, application.since = State.WITHDRAWN, at
    _forget(application)
    _record(application, "applicant", "application.withdrawn", at)
    return application


@transaction.atomic
def join(
    *,
    application_id: UUID,
    terms_sha256: str,
    shares: int,
    purposes: Mapping[str, str],
    at: datetime,
    password: str | None = None,
    gsp_group: str = "",
    channel: str = Channel.WEB,
) -> Member:
    """Make the approved applicant a member: number, shares, terms accepted, home, stay, and consents given.

    `purposes` are the consents given, each with its granularity; none is needed to be a member. A member who
    adds a home keeps number and account. Raises InvalidField, NotApproved, TermsChanged, TermsNotPublished,
    EmailTaken, HomeOccupied, OwnHomeAlready, GspGroupUnknown, NoConsentText.
    """
    held = _locked(application_id)
    application, answers = held.application, held.answers
    if application.state != State.APPROVED:
        raise NotApproved(state=application.state)
    rules = rules_in_force(at)
    member = application.member
    is_new = member is None
    if is_new and not rules.least_shares <= shares <= rules.most_shares:
        raise entry.InvalidField(
            field="shares", problem="out_of_range", least=rules.least_shares, most=rules.most_shares
        )
    terms.require_terms("assurance", at)
    home = moving.home_of_mpan(
        address=answers["address"], postcode=answers["postcode"], mpan=answers["mpan"], gsp_group=gsp_group,
        at=at,
    )  # fmt: skip
    if member is None:
        member = joining.join_member(
            full_name=answers["full_name"], email=answers["email"], password=password, at=at
        )
        Shareholding.objects.create(
            member=member, shares=shares, share_value_pence=rules.share_value_pence, taken_at=at
        )
    terms.accept_terms(member=member, sha256=terms_sha256, channel=channel, at=at)
    living = current_occupancies([home.pk], at).get(home.pk)
    if living is not None and living.household_id == member.household_id:
        raise OwnHomeAlready(field="mpan")
    stay = joining.move_in(household=member.household, home=home, at=at)
    joining.open_stream(occupancy=stay, at=at)
    # Enquiries from when names were not bounded yet may have a longer one.
    supplier = answers.get("supplier", "")[:LONGEST_SUPPLIER].strip()
    payment_method = answers.get("payment_method", "")
    if supplier or payment_method:
        supplying.note_supply(
            occupancy=stay, supplier=supplier, payment_method=payment_method, starts_on=civil_date(at), at=at,
            by=f"member:{member.number}",
        )  # fmt: skip
    for purpose, granularity in purposes.items():
        consenting.give_consent(
            member=member, occupancy=stay, purpose=purpose, granularity=granularity, channel=channel, at=at
        )
    if application.partner_id is not None:
        _link(application, home, at)
    application.state, application.since, application.joined_at = State.JOINED, at, at
    application.member, application.home = member, home
    application.save()
    _record(application, f"member:{member.number}", "application.joined", at, member=member.number)
    outbox.record(JOINED, at=at, key=str(application.pk), application_id=application.pk, home_id=home.pk)
    return member


def forget_old(*, at: datetime, limit: int = 500) -> int:
    """Shred what enquiries told that came to nothing a year ago, or joined: the records have it."""
    old = Application.objects.filter(
        answers_sealed__isnull=False,
        state__in=[State.STARTED, State.ASKED, State.DECLINED, State.APPROVED, State.JOINED],
        since__lt=at - FORGOTTEN_AFTER,
    ).order_by("since")[:limit]
    count = 0
    for application in old:
        with transaction.atomic():
            _forget(_locked(application.pk).application)
        count += 1
    return count


def forget_of(member: Member) -> None:
    """Shred what the member's own enquiries told, inside the caller's transaction: the member is erased."""
    for pk in Application.objects.filter(member=member).order_by("pk").values_list("pk", flat=True):
        _forget(_locked(pk).application)


def standing(application_id: UUID) -> Standing:
    """The enquiry with its answers; raises ApplicationNotFound."""
    application = (
        Application.objects.select_related("invitation__listed", "partner", "champion", "member", "home")
        .filter(pk=application_id)
        .first()
    )
    if application is None:
        raise ApplicationNotFound()
    return Standing(application, opened(application))


def opened(application: Application) -> dict[str, Any]:
    """What the enquiry told; empty once it is forgotten."""
    if application.answers_sealed is None:
        return {}
    text = encryption.unseal(application.pk, bytes(application.answers_sealed), _context(application))
    answers: dict[str, Any] = json.loads(text)
    return answers


def verdict_of(held: Standing, at: datetime) -> Verdict:
    """What the rules in force say of the answers so far."""
    answers = held.answers
    return assess(
        Particulars(
            postcode=answers.get("postcode", ""),
            smart_meter=answers.get("smart_meter", ""),
            asset_kinds=frozenset(answers.get("asset_kinds", ())),
            tenure=answers.get("tenure", ""),
            landlord_agrees=answers.get("landlord_agrees", ""),
            is_partners=held.application.partner_id is not None,
        ),
        rules_in_force(at),
    )


def link_token(application: Application) -> str:
    """What the link that takes an enquiry up again carries."""
    return signing.dumps(str(application.pk), salt=SALT)


def application_of_token(token: str) -> Application:
    """The enquiry that a link takes up; raises ApplicationNotFound when it is no link of ours or too old."""
    try:
        found = signing.loads(token, salt=SALT, max_age=LINK_LIFE)
    except signing.BadSignature:
        raise ApplicationNotFound() from None
    return standing(UUID(found)).application


def granularity_for(purpose: str) -> str:
    """The granularity that a consent given while joining has."""
    if purpose == Purpose.FLEXIBILITY:
        return Granularity.NONE
    return Granularity.DAILY if purpose == Purpose.PARTNER_TOTALS else Granularity.HALF_HOURLY


def _link(application: Application, home: Home, at: datetime) -> None:
    """The home is the partner's from today on, unless it is linked already."""
    partner: Partner = application.partner  # type: ignore[assignment]
    if application.invitation is not None and application.invitation.listed is not None:
        listed = application.invitation.listed
        listed.home = home
        listed.save(update_fields=["home"])
    if not PartnerHome.objects.filter(home=home, ends_on__isnull=True).exists():
        PartnerHome.objects.create(partner=partner, home=home, starts_on=civil_date(at))


def _fit(name: str, value: Any) -> Any:
    """One answer, fit to keep."""
    makers: Mapping[str, Any] = {
        "email": entry.email,
        "postcode": entry.postcode,
        "mpan": entry.mpan,
        "payment_method": lambda text: entry.choice(PaymentMethod, text, name).value,
        "tenure": lambda text: entry.choice(Tenure, text, name).value,
        "smart_meter": lambda text: entry.choice(Told, text, name).value,
        "landlord_agrees": lambda text: entry.choice(Told, text, name).value,
    }
    if name not in ANSWERS:
        raise entry.InvalidField(field=name, problem="not_a_question")
    if name == "asset_kinds":
        return sorted({entry.one_line(each, field=name, longest=24) for each in value})
    if value and name in makers:
        return makers[name](value)
    longest = {"address": 200, "notes": 1000, "question": 1000, "supplier": LONGEST_SUPPLIER}.get(name, 120)
    return entry.one_line(value, field=name, longest=longest, may_be_empty=True)


def _locked(application_id: UUID) -> Standing:
    application = Application.objects.select_for_update().filter(pk=application_id).first()
    if application is None:
        raise ApplicationNotFound()
    return Standing(application, opened(application))


def _seal(application: Application, answers: Mapping[str, Any]) -> None:
    application.answers_sealed = encryption.seal(application.pk, json.dumps(answers), _context(application))
    application.district = str(answers.get("postcode", "")).split(" ")[0][:4]
    application.tenure = answers.get("tenure", "")


def _forget(application: Application) -> None:
    application.answers_sealed = None
    application.save()
    encryption.shred(application.pk)


def _context(application: Application) -> str:
    return f"members_application.answers {application.pk}"


def _record(application: Application, by: str, verb: str, at: datetime, **detail: object) -> None:
    audit.record(at=at, actor=by, verb=verb, target=f"application:{application.pk}", detail=detail)
