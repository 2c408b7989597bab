"""Turns the cast into members, homes, consents and sign-ins, through the services that staff use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import transaction

from members import consenting, joining, opting_out, supplying, terms
from members.draft_terms import DRAFTS
from members.models import Granularity, Home, Member, Occupancy, Purpose, Role, User
from opendsr.demo.cast import PASSWORD, STAFF_EMAIL, TREASURER_EMAIL, HomeSpec, Story
from opendsr.kernel.periods import civil_date

FLEXIBILITY_WORDS = """\
I agree that the co-op may ask my hub to use less, or more, electricity for a while at times it tells me
beforehand. My hub never leaves us without hot water or a car charged by the time I set. I can skip any event,
stop it at the device at any moment, or withdraw this agreement at any time, without giving a reason."""
SETTLEMENT_WORDS = """\
I agree that the co-op may read my electricity use in half-hours from my meter, to work out what I used less
in an event, what that earned, and to show it to me. Nobody outside the co-op sees my readings. I can withdraw
this agreement at any time; readings are then no longer taken."""


@dataclass(frozen=True, slots=True)
class Household:
    """A cast household in the database."""

    spec: HomeSpec
    home: Home
    occupancy: Occupancy
    stream_id: UUID
    members: tuple[Member, ...]


def publish_consent_texts(*, at: datetime) -> None:
    """Publish the words that members agree to."""
    consenting.publish_text(purpose=Purpose.FLEXIBILITY, body=FLEXIBILITY_WORDS, at=at)
    consenting.publish_text(purpose=Purpose.SETTLEMENT, body=SETTLEMENT_WORDS, at=at)
    for kind, words in DRAFTS.items():
        terms.publish_terms(kind=kind, body=words, at=at, by="demo")


@transaction.atomic
def hire_staff(*, at: datetime) -> User:
    """Make the two staff logins and return the dispatcher."""
    sam = User.objects.create_user(STAFF_EMAIL, PASSWORD, is_staff=True, date_joined=at)
    sam.groups.set(Group.objects.filter(name__in=[Role.ADMINISTRATOR, Role.DISPATCHER]))
    sam.is_superuser = True
    sam.save(update_fields=["is_superuser"])
    tess = User.objects.create_user(TREASURER_EMAIL, PASSWORD, is_staff=True, date_joined=at)
    tess.groups.set(Group.objects.filter(name__in=[Role.FINANCE, Role.AUDITOR]))
    return sam


def join_everybody(specs: Sequence[HomeSpec], *, at: datetime) -> Iterator[Household]:
    """Join each household in order: members, home, occupancy, meter stream and dated consents."""
    for index, spec in enumerate(specs):
        yield _join(spec, at=at + timedelta(hours=index % 24))


@transaction.atomic
def _join(spec: HomeSpec, *, at: datetime) -> Household:
    first = joining.join_member(
        full_name=spec.members[0],
        household_name=f"{spec.surname} household",
        email=spec.emails[0] if spec.emails else None,
        password=PASSWORD if spec.emails else None,
        at=at,
    )
    others = [
        joining.join_member(full_name=name, household=first.household, email=email, password=PASSWORD, at=at)
        for name, email in zip(spec.members[1:], spec.emails[1:], strict=False)
    ]
    home = joining.register_home(
        name=f"{spec.surname}, {spec.road}",
        address=spec.road,
        postcode=f"OL14 {5 + spec.number % 4}{chr(65 + spec.number % 20)}B",
        mpan=spec.mpan,
        gsp_group="G",
        cmz=spec.zone,
        primary_substation=spec.zone,
        at=at,
    )
    occupancy = joining.move_in(household=first.household, home=home, at=at)
    stream = joining.open_stream(occupancy=occupancy, at=at)
    if spec.payment_method:
        supplying.note_supply(
            occupancy=occupancy, payment_method=spec.payment_method, starts_on=civil_date(at), at=at,
            by=f"member:{first.number}",
        )  # fmt: skip
    for purpose, granularity in (
        (Purpose.FLEXIBILITY, Granularity.NONE),
        (Purpose.SETTLEMENT, Granularity.HALF_HOURLY),
    ):
        consenting.give_consent(
            member=first, occupancy=occupancy, purpose=purpose, granularity=granularity, channel="web", at=at
        )
    return Household(spec, home, occupancy, stream.stream_id, (first, *others))


@transaction.atomic
def act_beforehand(household: Household, *, at: datetime) -> None:
    """Let a household that is on holiday or has had enough say so, the day before the event."""
    if household.spec.story is Story.ON_HOLIDAY:
        opting_out.start_standing_opt_out(
            occupancy=household.occupancy,
            at=at,
            starts_at=at,
            ends_at=at + timedelta(days=14),
            reason="On holiday",
        )
    if household.spec.story is Story.WITHDREW:
        consent = household.occupancy.consents.get(purpose=Purpose.FLEXIBILITY)
        consenting.withdraw_consent(consent_id=consent.pk, member=household.members[0], at=at)
