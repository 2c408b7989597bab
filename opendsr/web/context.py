"""What every template may ask about the site and the person looking at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

import campaigns.policy
import settlement.policy
import vtn.policy
from members.models import Role
from members.policy import roles_of
from metering.policy import SEES_HEALTH
from opendsr.kernel import installation
from opendsr.kernel.models import Installation

UNFOUNDED = "OpenDSR"


def site(request: HttpRequest) -> dict[str, Any]:
    """Give the co-op's name, whether this is the demo, and what the viewer works with."""
    holds = _roles(request)
    return {
        "coop": SimpleLazyObject(_coop),
        "viewer_is_staff": SimpleLazyObject(lambda: _is_staff(request)),
        "viewer_imports": holds(Role.ADMINISTRATOR, Role.DEVICE_MANAGER),
        "viewer_sees_baselines": holds(*settlement.policy.SEES_BASELINES),
        "viewer_sees_money": holds(*settlement.policy.SEES_MONEY),
        "viewer_sees_vtn": SimpleLazyObject(lambda: _sees_vtn(request)),
        "viewer_sees_readings": holds(*SEES_HEALTH),
    }


def _coop() -> Installation:
    """The co-op; before it is founded, a nameless one, so that error pages and sign-in still show."""
    try:
        return installation.current()
    except installation.NotFounded:
        return Installation(coop_name=UNFOUNDED, is_demo=False)


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and campaigns.policy.may_see_campaigns(user)


def _roles(request: HttpRequest) -> Callable[..., SimpleLazyObject]:
    """Return what asks whether the viewer holds one of some roles: one query for all that ask."""
    user = getattr(request, "user", None)
    held = SimpleLazyObject(lambda: frozenset() if user is None else roles_of(user))

    def holds(*roles: Role) -> SimpleLazyObject:
        return SimpleLazyObject(
            lambda: (
                bool(user is not None and user.is_active)
                and (user.is_superuser or any(Role(role).value in held for role in roles))
            )
        )

    return holds


def _sees_vtn(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and vtn.policy.may_see(user)
