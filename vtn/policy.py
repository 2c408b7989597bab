"""Who may do what with the VTN: one table of deeds and roles, for pages and for the API alike.

The house around this app says which roles somebody has: VTN_ROLES_OF names a function
from a user to role names (by default, the names of the user's Django groups). VTN_RIGHTS
may replace rows of the table. Nothing here knows the people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from opendsr.kernel.errors import NotAllowed
from opendsr.kernel.interval import Interval


class Deed(StrEnum):
    """What somebody may be allowed to do."""

    SEE = "see"
    READ_BODIES = "read_bodies"
    MANAGE_VENS = "manage_vens"
    MANAGE_CERTIFICATES = "manage_certificates"
    MANAGE_EVENTS = "manage_events"
    MANAGE_REPORTS = "manage_reports"
    RUN_PROMPTS = "run_prompts"
    SEE_CONFIGURATION = "see_configuration"
    MANAGE_TOKENS = "manage_tokens"


ADMINISTRATOR: Final = "administrator"
DISPATCHER: Final = "dispatcher"
DEVICE_MANAGER: Final = "device_manager"
MEMBER_SERVICES: Final = "member_services"
AUDITOR: Final = "auditor"
API_APPLICATION: Final = "api_application"

RIGHTS: Final[Mapping[Deed, frozenset[str]]] = {
    Deed.SEE: frozenset(
        {ADMINISTRATOR, DISPATCHER, DEVICE_MANAGER, MEMBER_SERVICES, AUDITOR, API_APPLICATION}
    ),
    Deed.READ_BODIES: frozenset({ADMINISTRATOR, DEVICE_MANAGER, AUDITOR}),
    Deed.MANAGE_VENS: frozenset({ADMINISTRATOR, DEVICE_MANAGER, API_APPLICATION}),
    Deed.MANAGE_CERTIFICATES: frozenset({ADMINISTRATOR, DEVICE_MANAGER, API_APPLICATION}),
    Deed.MANAGE_EVENTS: frozenset({ADMINISTRATOR, DISPATCHER, API_APPLICATION}),
    Deed.MANAGE_REPORTS: frozenset({ADMINISTRATOR, DISPATCHER, DEVICE_MANAGER, API_APPLICATION}),
    Deed.RUN_PROMPTS: frozenset({ADMINISTRATOR, DEVICE_MANAGER}),
    Deed.SEE_CONFIGURATION: frozenset({ADMINISTRATOR, DEVICE_MANAGER, AUDITOR, API_APPLICATION}),
    Deed.MANAGE_TOKENS: frozenset({ADMINISTRATOR}),
}
"""A deed and the roles that may; an application does of these only what its token lists."""

GRANTABLE: Final = tuple(deed for deed in Deed if API_APPLICATION in RIGHTS[deed])
"""What a token may list."""


class Forbidden(NotAllowed):
    """The caller may not do this: `needs`, the deed."""

    needs: str


class SendingRefused(NotAllowed):
    """The house lets nothing be sent to these VENs now: `ven_ids`, `reason`."""

    ven_ids: object
    reason: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as the audit trail names them, and what they may do."""

    actor: str
    deeds: frozenset[Deed]

    def may(self, deed: Deed) -> bool:
        return deed in self.deeds


NOBODY: Final = Principal(actor="nobody", deeds=frozenset())


def rights() -> Mapping[Deed, frozenset[str]]:
    """Return the table in force: RIGHTS, with the rows that VTN_RIGHTS replaces."""
    changed: Mapping[str, Collection[str]] = getattr(settings, "VTN_RIGHTS", {})
    return {**RIGHTS, **{Deed(deed): frozenset(roles) for deed, roles in changed.items()}}


def principal_of(user: Any) -> Principal:
    """Return what a signed-in user may do; a superuser may do everything, an inactive one nothing."""
    if not (user.is_authenticated and user.is_active):
        return NOBODY
    actor = f"user:{user.pk}"
    if user.is_superuser:
        return Principal(actor, frozenset(Deed))
    roles_of: Callable[[Any], Collection[str]] = import_string(
        getattr(settings, "VTN_ROLES_OF", "vtn.policy.names_of_groups")
    )
    roles = frozenset(roles_of(user))
    return Principal(actor, frozenset(deed for deed, allowed in rights().items() if roles & allowed))


def application(token_id: int, deeds: Collection[str]) -> Principal:
    """Return what an API application may do: what its token lists, as far as applications may at all."""
    table = rights()
    return Principal(
        f"application:{token_id}",
        frozenset(deed for deed in Deed if deed.value in deeds and API_APPLICATION in table[deed]),
    )


def names_of_groups(user: Any) -> frozenset[str]:
    """Roles by Django groups, where the house says nothing else."""
    return frozenset(user.groups.values_list("name", flat=True))


def require(principal: Principal, deed: Deed) -> None:
    """Raise Forbidden unless the principal may."""
    if not principal.may(deed):
        raise Forbidden(needs=deed.value)


def may_see(user: Any) -> bool:
    """True for those to whom the house shows a link to these pages."""
    return principal_of(user).may(Deed.SEE)


def require_may_send(ven_ids: Collection[str], *, is_test: bool, interval: Interval, at: datetime) -> None:
    """Ask the house whether these VENs may be sent events by hand; raises SendingRefused.

    VTN_SEND_GUARD names a function of (ven_ids, is_test, interval, at): those that may not,
    each with the reason.
    Where there is none, every VEN may.
    """
    name = getattr(settings, "VTN_SEND_GUARD", "")
    if not name:
        return
    guard: Callable[..., Mapping[str, str]] = import_string(name)
    refused = guard(sorted(ven_ids), is_test=is_test, interval=interval, at=at)
    if refused:
        raise SendingRefused(ven_ids=sorted(refused), reason=next(iter(sorted(refused.values()))))
