"""What this room holds about a person and their household, for a copy of everything.

Of others of the household there is only that they are members: their names, accounts and requests are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import Q

from members import applying, caring, looking
from members.care_models import HouseholdCare
from members.enquiry_models import (
    Application,
    Invitation,
    PartnerProperty,
    Shareholding,
    ShortSurvey,
    TermsAcceptance,
)
from members.models import (
    Consent,
    Home,
    Household,
    Member,
    MeterStream,
    Occupancy,
    StandingOptOut,
    User,
)
from members.partner_models import PartnerHome
from members.rights_models import DataExport, FormerValue, Restriction, RightsRequest
from members.supply_models import Supply
from members.token_models import PersonalToken
from opendsr.kernel.disclosure import Table, table_of
from opendsr.kernel.models import AuditEntry

NOT_DISCLOSED: Final[Mapping[str, str]] = {
    "members.ChampionCode": "who brings others in, as they wished to be called; linked to no member",
    "members.DataExportPart": "pieces of this very copy while it is written; gone when it is ready",
    "members.Erasure": "exists only once the person is erased and nobody is left to ask",
    "members.PartnerAccount": "who signs in for a landlord: the landlord's people, not the household",
}
"""Models that reach a person and are not in the copy, each with the reason."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose copy it is, and the ids under which the other rooms know them."""

    member: Member
    stays: tuple[Occupancy, ...]
    stream_ids: tuple[UUID, ...]

    @property
    def occupancy_ids(self) -> tuple[UUID, ...]:
        """The stays, by id."""
        return tuple(stay.pk for stay in self.stays)

    @property
    def home_ids(self) -> tuple[UUID, ...]:
        """The homes lived in, each once."""
        return tuple(dict.fromkeys(stay.home_id for stay in self.stays))

    def while_there(self, home: str, at: str) -> Q:
        """What happened in a home (paths to its id and the time) while the household lived in it.

        What came before or after is about somebody else.
        """
        found = Q(**{f"{home}__in": ()})
        for stay in self.stays:
            during = Q(**{home: stay.home_id, f"{at}__gte": stay.starts_at})
            found |= during if stay.ends_at is None else during & Q(**{f"{at}__lt": stay.ends_at})
        return found

    def in_use_there(self, home: str, begins_at: str, ends_at: str) -> Q:
        """What was in a home for any time while the household lived in it."""
        found = Q(**{f"{home}__in": ()})
        for stay in self.stays:
            lasts = Q(**{f"{ends_at}__isnull": True}) | Q(**{f"{ends_at}__gt": stay.starts_at})
            there = Q(**{home: stay.home_id}) & lasts
            found |= there if stay.ends_at is None else there & Q(**{f"{begins_at}__lt": stay.ends_at})
        return found


def person(member: Member) -> Person:
    """The member with every home their household ever lived in and every meter stream of it."""
    stays = list(Occupancy.objects.filter(household_id=member.household_id).order_by("starts_at", "pk"))
    streams = MeterStream.objects.filter(occupancy__in=[stay.pk for stay in stays]).order_by(
        "starts_at", "pk"
    )
    return Person(
        member=member,
        stays=tuple(stays),
        stream_ids=tuple(streams.values_list("pk", flat=True)),
    )


def tables(whose: Person) -> Iterator[Table]:
    """Membership, homes, agreements, wishes and requests."""
    member = whose.member
    yield table_of([member], model=Member, title="Your membership")
    others = Member.objects.filter(household_id=member.household_id).exclude(pk=member.pk).order_by("number")
    yield Table(
        name="household_members",
        title="Other members of your household (what is held about them is theirs to ask for)",
        models=(),
        columns=("number", "joined_at"),
        rows=[[each.number, each.joined_at.isoformat()] for each in others],
    )
    users = User.objects.filter(pk=member.user_id) if member.user_id else User.objects.none()
    yield table_of(users, model=User, title="Your sign-in", leave_out=("password", "key_id"))
    yield table_of(Household.objects.filter(pk=member.household_id), model=Household, title="Your household")
    yield table_of(Home.objects.filter(pk__in=whose.home_ids), model=Home, title="Your homes")
    stays = Occupancy.objects.filter(pk__in=whose.occupancy_ids).order_by("starts_at")
    yield table_of(stays, model=Occupancy, title="When you lived in which home")
    supplies = Supply.objects.filter(occupancy__in=whose.occupancy_ids).order_by("starts_on")
    yield table_of(supplies, model=Supply, title="Who supplied your electricity, and how you paid")
    streams = MeterStream.objects.filter(pk__in=whose.stream_ids).order_by("starts_at")
    yield table_of(streams, model=MeterStream, title="Under which ids your readings are kept")
    consents = Consent.objects.filter(occupancy__in=whose.occupancy_ids).select_related("text")
    yield table_of(
        consents.order_by("starts_at"),
        model=Consent,
        title="What your household agreed to",
        more={"version": lambda row: row.text.version, "words": lambda row: row.text.body},
    )
    opt_outs = StandingOptOut.objects.filter(occupancy__in=whose.occupancy_ids).order_by("starts_at")
    yield table_of(opt_outs, model=StandingOptOut, title="When you asked to be left out")
    needs = HouseholdCare.objects.filter(household_id=member.household_id)
    yield table_of(
        needs,
        model=HouseholdCare,
        title="What your household needs",
        leave_out=("sealed", "key_subject"),
        more={"told": lambda row: caring.own_care(row.household_id).written()},
    )
    links = (
        PartnerHome.objects.filter(home__in=whose.home_ids).select_related("partner").order_by("starts_on")
    )
    yield table_of(
        links,
        model=PartnerHome,
        title="Landlords who count your home in totals, if you agreed",
        more={"landlord": lambda row: row.partner.name},
    )
    asked = RightsRequest.objects.filter(member=member).order_by("opened_at")
    yield table_of(asked, model=RightsRequest, title="What you asked about your data, and complaints")
    yield from _joining(whose)
    held = Restriction.objects.filter(member=member).order_by("starts_at")
    yield table_of(held, model=Restriction, title="When use of your data was stopped")
    copies = DataExport.objects.filter(request__member=member)
    yield table_of(copies, model=DataExport, title="Copies like this one", leave_out=("sealed",))
    former = FormerValue.objects.filter(
        Q(subject_id__in=(member.pk, member.household_id)) | whose.while_there("subject_id", "until_at")
    ).order_by("until_at")
    yield table_of(former, model=FormerValue, title="What stood in the records before it was put right")


def _joining(whose: Person) -> Iterator[Table]:
    """How they came, what they accepted, their shares, what they answered."""
    member = whose.member
    asked = Application.objects.filter(member=member).order_by("started_at")
    yield table_of(
        asked,
        model=Application,
        title="Your enquiry",
        leave_out=("answers_sealed",),
        more={"answers": applying.opened},
    )
    accepted = TermsAcceptance.objects.filter(member=member).select_related("text").order_by("accepted_at")
    yield table_of(
        accepted,
        model=TermsAcceptance,
        title="Terms you accepted",
        more={"terms": lambda row: str(row.text), "words": lambda row: row.text.body},
    )
    keys = PersonalToken.objects.filter(member=member).order_by("created_wall_at")
    yield table_of(keys, model=PersonalToken, title="Keys you made for programs", leave_out=("digest",))
    shares = Shareholding.objects.filter(member=member).order_by("taken_at")
    yield table_of(shares, model=Shareholding, title="Your shares")
    surveys = ShortSurvey.objects.filter(member=member).order_by("answered_at")
    yield table_of(surveys, model=ShortSurvey, title="What you answered when we asked how it goes")
    invited = Invitation.objects.filter(household_id=member.household_id).order_by("made_at")
    yield table_of(
        invited, model=Invitation, title="Who of your household was invited", leave_out=("email_sealed",)
    )
    listed = PartnerProperty.objects.filter(home__in=whose.home_ids).select_related("partner")
    yield table_of(
        listed.order_by("reference"),
        model=PartnerProperty,
        title="Your home on a landlord’s list",
        more={"landlord": lambda row: row.partner.name},
    )


def audit_table(whose: Person) -> Table:
    """Entries of the audit trail that name the person, their household, homes, stays or agreements."""
    member = whose.member
    targets = [f"member:{member.pk}", f"member:{member.number}", f"household:{member.household_id}"]
    targets += [f"occupancy:{each}" for each in whose.occupancy_ids]
    consents = Consent.objects.filter(occupancy__in=whose.occupancy_ids)
    targets += [f"consent:{each}" for each in consents.values_list("pk", flat=True)]
    asked = RightsRequest.objects.filter(member=member)
    targets += [f"rights_request:{each}" for each in asked.values_list("pk", flat=True)]
    actors = [f"member:{member.number}"]
    if member.user_id:
        actors.append(f"user:{member.user_id}")
    named = Q(target__in=targets) | Q(actor__in=actors)
    for stay in whose.stays:
        there = Q(target=f"home:{stay.home_id}", at__gte=stay.starts_at)
        named |= there if stay.ends_at is None else there & Q(at__lt=stay.ends_at)
    named |= looking.entries_about(member)
    found = AuditEntry.objects.filter(named).order_by("pk")
    return table_of(found, model=AuditEntry, title="The audit trail where it names you")
