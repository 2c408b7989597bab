"""Makes people, homes and devices for tests by calling the real services; every room's tests start here.

Each function returns what the services return, at world time `JOINED_AT` unless told otherwise. Defaults make
a household that consents to control and settlement and lives in GSP group G; names of things never repeat.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.apps import apps
from django.contrib.auth.models import Group

from assets import commissioning, installing
from assets.models import Asset, AssetKind, Hub
from assets.rights import GRANTS as ASSET_GRANTS
from assets.rights import VISIT_GRANTS
from assets.sql import ASSET_KINDS
from campaigns.market import presets
from campaigns.models import MarketPreset
from members import consenting, joining
from members.models import (
    Consent,
    ConsentText,
    Granularity,
    Home,
    Household,
    Member,
    Occupancy,
    Purpose,
    Role,
    User,
)
from members.mpan import check_digit
from members.roles import GRANTS as PEOPLE_GRANTS
from members.roles import JOINING_GRANTS, PARTNER_GRANTS, RIGHTS_GRANTS, give
from opendsr.kernel import installation
from opendsr.kernel.models import Installation

JOINED_AT = datetime(2025, 6, 2, 9, tzinfo=UTC)
PASSWORD = "correct horse battery"
EVERYTHING = (Purpose.FLEXIBILITY, Purpose.SETTLEMENT)

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Resident:
    """A member with the home they live in; `stream_id` is their electricity meter's."""

    member: Member
    home: Home
    occupancy: Occupancy
    stream_id: UUID

    @property
    def household(self) -> Household:
        return self.member.household

    @property
    def user(self) -> User:
        """The account they sign in with; only for residents made with an email address."""
        assert self.member.user is not None, "made without an email address"
        return self.member.user


@dataclass(frozen=True, slots=True)
class HubKit:
    """A commissioned hub with everything it holds; the pem fields are empty when it skipped the VTN."""

    hub: Hub
    ven_id: str
    assets: list[Asset] = field(default_factory=list)
    key_pem: str = ""
    certificate_pem: str = ""
    ca_pem: str = ""


def make_coop(*, at: datetime = JOINED_AT) -> Installation:
    """Whose installation this is; pages need it."""
    return installation.found(coop_name="Testbury Energy Co-op", is_demo=False, at=at)


def new_mpan() -> str:
    """A well-formed MPAN that no other test home has."""
    twelve = f"16{next(_numbers):010d}"
    return twelve + check_digit(twelve)


def make_member(
    full_name: str = "Robin Reed",
    *,
    at: datetime = JOINED_AT,
    household: Household | None = None,
    email: str | None = None,
) -> Member:
    """A member; with an email they can sign in with PASSWORD."""
    return joining.join_member(
        full_name=full_name, household=household, email=email, password=PASSWORD if email else None, at=at
    )


def make_home(
    *,
    at: datetime = JOINED_AT,
    name: str | None = None,
    postcode: str = "M15 5RF",
    gsp_group: str = "G",
    primary_substation: str = "",
    cmz: str = "",
) -> Home:
    """An empty home."""
    return joining.register_home(
        name=name or f"{next(_numbers)} Test Street",
        postcode=postcode,
        mpan=new_mpan(),
        gsp_group=gsp_group,
        primary_substation=primary_substation,
        cmz=cmz,
        at=at,
    )


def make_resident(
    full_name: str = "Robin Reed",
    *,
    at: datetime = JOINED_AT,
    household: Household | None = None,
    home: Home | None = None,
    email: str | None = None,
    consents: Iterable[Purpose] = EVERYTHING,
    gsp_group: str = "G",
    primary_substation: str = "",
    cmz: str = "",
) -> Resident:
    """A member who moved into a home at `at`, with an electricity stream and the consents named."""
    member = make_member(full_name, at=at, household=household, email=email)
    home = home or make_home(at=at, gsp_group=gsp_group, primary_substation=primary_substation, cmz=cmz)
    occupancy = joining.move_in(household=member.household, home=home, at=at)
    stream = joining.open_stream(occupancy=occupancy, at=at)
    resident = Resident(member=member, home=home, occupancy=occupancy, stream_id=stream.stream_id)
    for purpose in consents:
        make_consent(resident, purpose, at=at)
    return resident


def make_consent_texts(*, at: datetime = JOINED_AT) -> dict[Purpose, ConsentText]:
    """Words to agree to, for every purpose; those published already stand."""
    return {
        purpose: consenting.publish_text(purpose=purpose, body=f"I agree: {purpose.label}.", at=at)
        for purpose in Purpose
    }


def make_consent(resident: Resident, purpose: Purpose, *, at: datetime = JOINED_AT) -> Consent:
    """The resident's consent from `at` on: to control, or to half-hourly readings."""
    make_consent_texts(at=at)
    is_control = purpose == Purpose.FLEXIBILITY
    return consenting.give_consent(
        member=resident.member,
        occupancy=resident.occupancy,
        purpose=purpose,
        granularity=Granularity.NONE if is_control else Granularity.HALF_HOURLY,
        channel="web",
        at=at,
    )


def make_presets() -> None:
    """The kinds of market that an installation begins with; a test that empties every table loses them."""
    MarketPreset.objects.bulk_create(
        (
            MarketPreset(
                code=code,
                name=name,
                notice_minutes=notice,
                least_minutes=least,
                most_minutes=most,
                least_w=least_w,
            )
            for code, name, notice, least, most, least_w in presets.FIRST
        ),
        ignore_conflicts=True,
    )


def make_staff(email: str, *roles: Role) -> User:
    """A staff account with the roles; it signs in with PASSWORD."""
    make_roles()
    user = User.objects.create_user(email, PASSWORD, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
    return user


def make_roles() -> None:
    """Put the role groups and their rights over people and devices back, as `make_asset_kinds` does kinds."""
    if not Group.objects.exists():
        give(apps, "default", "members", PEOPLE_GRANTS)
        give(apps, "default", "members", PARTNER_GRANTS)
        give(apps, "default", "members", JOINING_GRANTS)
        give(apps, "default", "members", RIGHTS_GRANTS)
        give(apps, "default", "assets", ASSET_GRANTS)
        give(apps, "default", "assets", VISIT_GRANTS)


def make_hub(
    home: Home,
    *,
    at: datetime = JOINED_AT,
    kinds: Sequence[str] = ("ev_charger",),
    flexible_w: int | None = None,
    through_vtn: bool = True,
) -> HubKit:
    """A commissioned hub with an asset of each kind.

    It enrols with the VTN by its own key and signing request; with `through_vtn=False` its row alone says so,
    for tests that need neither certificate nor VEN.
    """
    make_asset_kinds()
    kit = _enrolled_hub(home, at) if through_vtn else _hub_on_paper(home, at)
    kit.assets.extend(make_asset(kit.hub, kind, at=at, flexible_w=flexible_w) for kind in kinds)
    return kit


def make_asset(
    hub: Hub, kind_code: str = "ev_charger", *, at: datetime = JOINED_AT, flexible_w: int | None = None
) -> Asset:
    """An asset behind the hub."""
    make_asset_kinds()
    return installing.install_asset(
        hub=hub, kind_code=kind_code, name=kind_code.replace("_", " "), flexible_w=flexible_w, at=at
    )


def make_asset_kinds() -> None:
    """Put the seeded kinds back; a transactional test before this one may have emptied every table."""
    if not AssetKind.objects.exists():
        AssetKind.objects.bulk_create((AssetKind(**row) for row in ASSET_KINDS), ignore_conflicts=True)


def signing_request() -> tuple[str, str]:
    """A hub's fresh key and the signing request made with it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem.decode(), request.public_bytes(serialization.Encoding.PEM).decode()


def new_serial() -> str:
    """A hub serial number that no other test hub has."""
    return f"HUB-{next(_numbers):05d}"


def _enrolled_hub(home: Home, at: datetime) -> HubKit:
    planned = installing.plan_hub(home=home, serial=new_serial(), at=at)
    key_pem, csr_pem = signing_request()
    done = commissioning.commission_hub(
        serial=planned.hub.serial, enrolment_code=planned.enrolment_code, csr_pem=csr_pem, at=at
    )
    return HubKit(
        hub=done.hub,
        ven_id=done.ven_id,
        key_pem=key_pem,
        certificate_pem=done.certificate_pem,
        ca_pem=done.ca_pem,
    )


def _hub_on_paper(home: Home, at: datetime) -> HubKit:
    serial = new_serial()
    hub = Hub.objects.create(
        home=home, serial=serial, state=Hub.State.COMMISSIONED, ven_id=f"VEN-{serial}", commissioned_at=at
    )
    return HubKit(hub=hub, ven_id=f"VEN-{serial}")
