"""What every template may ask about the site and the person looking at it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

import campaigns.policy
import settlement.policy
import vtn.policy
from members.models import Role
from members.policy import has_role
from metering.policy import SEES_HEALTH
from opendsr.kernel import installation
from opendsr.kernel.models import Installation

UNFOUNDED = "OpenDSR"


def site(request: HttpRequest) -> dict[str, Any]:
    """Give the co-op's name, whether this is the demo, and what the viewer works with."""
    return {
        "coop": SimpleLazyObject(_coop),
        "viewer_is_staff": SimpleLazyObject(lambda: _is_staff(request)),
        "viewer_imports": SimpleLazyObject(lambda: _imports(request)),
        "viewer_sees_baselines": SimpleLazyObject(lambda: _sees_baselines(request)),
        "viewer_sees_money": SimpleLazyObject(lambda: _sees_money(request)),
        "viewer_sees_vtn": SimpleLazyObject(lambda: _sees_vtn(request)),
        "viewer_sees_readings": SimpleLazyObject(lambda: _sees_readings(request)),
    }


def _coop() -> Installation:
    """The co-op; before it is founded, a nameless one, so that error pages and sign-in still show."""
    try:
        return installation.current()
    except installation.NotFounded:
        return Installation(coop_name=UNFOUNDED, is_demo=False)


def _sees_baselines(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and settlement.policy.may_see_baselines(user)


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and campaigns.policy.may_see_campaigns(user)


def _imports(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and has_role(user, Role.ADMINISTRATOR, Role.DEVICE_MANAGER)


def _sees_readings(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and has_role(user, *SEES_HEALTH)


def _sees_money(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and has_role(user, *settlement.policy.SEES_MONEY)


def _sees_vtn(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and vtn.policy.may_see(user)
