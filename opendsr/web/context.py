"""What every template may ask about the site and the person looking at it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

import vtn.policy
from members.models import Role
from members.policy import has_role
from opendsr.kernel import installation
from opendsr.kernel.models import Installation
from opendsr.web import speaking
from opendsr.web.navigation import groups_for
from opendsr.web.search import SEARCHES
from settlement.policy import SEES_BASELINES

UNFOUNDED = "OpenDSR"


def site(request: HttpRequest) -> dict[str, Any]:
    """Give the co-op's name, whether this is the demo, and what the viewer works with."""
    viewer = getattr(request, "user", None) or AnonymousUser()

    def holds(*roles: Role) -> SimpleLazyObject:
        return SimpleLazyObject(lambda: has_role(viewer, *roles))

    return {
        "coop": SimpleLazyObject(_coop),
        "navigation": SimpleLazyObject(lambda: groups_for(request)),
        "languages": SimpleLazyObject(lambda: speaking.others(request)),
        "viewer_searches": holds(*SEARCHES),
        "viewer_sees_baselines": holds(*SEES_BASELINES),
        "viewer_sees_vtn": SimpleLazyObject(lambda: vtn.policy.may_see(viewer)),
    }


def _coop() -> Installation:
    """The co-op; before it is founded, a nameless one, so that error pages and sign-in still show."""
    try:
        return installation.current()
    except installation.NotFounded:
        return Installation(coop_name=UNFOUNDED, is_demo=False)
