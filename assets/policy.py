"""Who may: the only doors through which a page gets a hub or an asset for a user."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast
from uuid import UUID

from django.db.models import QuerySet

from assets import jobs
from assets.job_models import InstallJob
from assets.models import Asset, Hub
from members.models import Home, Role, User
from members.policy import Viewer, has_role, may_see_household, require_role
from members.queries import current_occupancies, member_of
from opendsr.kernel.errors import NotFound

DEVICE_STAFF: Final = (
    Role.ADMINISTRATOR,
    Role.DISPATCHER,
    Role.DEVICE_MANAGER,
    Role.MEMBER_SERVICES,
    Role.AUDITOR,
)


MANAGES_DEVICES: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER)


ARRANGES_VISITS: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER, Role.MEMBER_SERVICES)
"""Roles that plan, survey and schedule visits; an installer does those given to them."""


class HubNotFound(NotFound):
    """No such hub for this user."""

    hub_id: str


class HomeNotFound(NotFound):
    """No such home for this user."""

    home_id: str


class AssetNotFound(NotFound):
    """No such asset for this user."""

    asset_id: str


def access_home(user: Viewer, home_id: UUID) -> Home:
    """The home in the registry, for staff who look after devices; raises Forbidden and HomeNotFound."""
    require_role(user, *DEVICE_STAFF)
    home = Home.objects.filter(pk=home_id).first()
    if home is None:
        raise HomeNotFound(home_id=str(home_id))
    return home


def access_hub(user: Viewer, hub_id: UUID, at: datetime) -> Hub:
    """The hub, for who lives in its home at `at` and for staff; raises HubNotFound for strangers."""
    hub = Hub.objects.select_related("home").filter(pk=hub_id).first()
    if hub is None or not _may_see_home(user, hub.home_id, at):
        raise HubNotFound(hub_id=str(hub_id))
    return hub


def access_asset(user: Viewer, asset_id: UUID, at: datetime) -> Asset:
    """The asset, for who lives in its home at `at` and for staff; raises AssetNotFound for strangers."""
    asset = Asset.objects.select_related("kind", "hub__home").filter(pk=asset_id).first()
    if asset is None or not _may_see_home(user, asset.hub.home_id, at):
        raise AssetNotFound(asset_id=str(asset_id))
    return asset


def access_own_asset(user: Viewer, asset_id: UUID, at: datetime) -> Asset:
    """The asset in use, for the household that lives with it at `at` and nobody else, its landlord and staff
    included; raises AssetNotFound.
    """
    asset = Asset.objects.select_related("kind", "hub__home").filter(pk=asset_id).first()
    member = member_of(user)
    if asset is None or asset.state == Asset.State.RETIRED or member is None or not member.is_current(at):
        raise AssetNotFound(asset_id=str(asset_id))
    stay = current_occupancies([asset.hub.home_id], at).get(asset.hub.home_id)
    if stay is None or stay.household_id != member.household_id:
        raise AssetNotFound(asset_id=str(asset_id))
    return asset


def access_job(user: Viewer, job_id: UUID) -> InstallJob:
    """The visit: any for staff who arrange them, their own for installers; raises JobNotFound."""
    if has_role(user, *ARRANGES_VISITS):
        job = InstallJob.objects.select_related("home", "hub", "installer").filter(pk=job_id).first()
    elif has_role(user, Role.INSTALLER):
        job = jobs.access_by_installer(cast(User, user), job_id)
    else:
        job = None
    if job is None:
        raise jobs.JobNotFound()
    return job


def jobs_of(user: Viewer) -> QuerySet[InstallJob]:
    """The visits that the user may see; raises Forbidden for who has none to do with them."""
    require_role(user, *ARRANGES_VISITS, Role.INSTALLER)
    rows = InstallJob.objects.select_related("home", "hub", "installer")
    if has_role(user, *ARRANGES_VISITS):
        return rows
    return rows.filter(installer=cast(User, user)).exclude(state=InstallJob.State.CANCELLED)


def _may_see_home(user: Viewer, home_id: UUID, at: datetime) -> bool:
    if has_role(user, *DEVICE_STAFF):
        return True
    stay = current_occupancies([home_id], at).get(home_id)
    return stay is not None and may_see_household(user, stay.household_id, at)
