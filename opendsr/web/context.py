"""What every template may ask about the site and the person looking at it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

import vtn.policy
from assets.policy import ARRANGES_VISITS, DEVICE_STAFF
from campaigns.policy import SEES_CAMPAIGNS
from members.models import Role
from members.policy import (
    DECIDES_ENQUIRIES,
    MANAGES_PARTNERS,
    SEES_RIGHTS,
    TAKES_IN_REGISTERS,
    has_role,
    roles_of,
)
from metering.policy import SEES_HEALTH
from opendsr.kernel import installation
from opendsr.kernel.models import Installation
from settlement.policy import SEES_BASELINES, SEES_MONEY

UNFOUNDED = "OpenDSR"


def site(request: HttpRequest) -> dict[str, Any]:
    """Give the co-op's name, whether this is the demo, and what the viewer works with."""
    viewer = getattr(request, "user", None) or AnonymousUser()

    def holds(*roles: Role) -> SimpleLazyObject:
        return SimpleLazyObject(lambda: has_role(viewer, *roles))

    return {
        "coop": SimpleLazyObject(_coop),
        "viewer_is_staff": holds(*SEES_CAMPAIGNS),
        "viewer_administers": holds(Role.ADMINISTRATOR),
        "viewer_imports": holds(Role.ADMINISTRATOR, Role.DEVICE_MANAGER),
        "viewer_is_partner": SimpleLazyObject(lambda: Role.PARTNER.value in roles_of(viewer)),
        "viewer_decides_enquiries": holds(*DECIDES_ENQUIRIES),
        "viewer_does_visits": holds(*ARRANGES_VISITS, Role.INSTALLER),
        "viewer_takes_in_registers": holds(*TAKES_IN_REGISTERS),
        "viewer_manages_partners": holds(*MANAGES_PARTNERS),
        "viewer_sees_rights": holds(*SEES_RIGHTS),
        "viewer_sees_baselines": holds(*SEES_BASELINES),
        "viewer_sees_money": holds(*SEES_MONEY),
        "viewer_sees_vtn": SimpleLazyObject(lambda: vtn.policy.may_see(viewer)),
        "viewer_sees_registry": holds(*DEVICE_STAFF),
        "viewer_sees_readings": holds(*SEES_HEALTH),
    }


def _coop() -> Installation:
    """The co-op; before it is founded, a nameless one, so that error pages and sign-in still show."""
    try:
        return installation.current()
    except installation.NotFounded:
        return Installation(coop_name=UNFOUNDED, is_demo=False)
