"""What every template may ask about the site and the person looking at it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from members.models import Role
from members.policy import has_role
from opendsr.kernel import clock, installation

STAFF_ROLES = (Role.ADMINISTRATOR, Role.DISPATCHER, Role.FINANCE, Role.AUDITOR, Role.MEMBER_SERVICES, Role.DEVICE_MANAGER)


def site(request: HttpRequest) -> dict[str, Any]:
    """Give the co-op's name, whether this is the demo, the world time and whether the viewer is staff."""
    return {
        "coop": SimpleLazyObject(installation.current),
        "world_now": clock.now(),
        "viewer_is_staff": SimpleLazyObject(lambda: has_role(request.user, *STAFF_ROLES)),
    }
