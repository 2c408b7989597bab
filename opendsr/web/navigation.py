"""What the bar at the top leads to: for each viewer the pages of their work, in groups, and where they are.

A group of one page is a link; of several, a menu that opens without a script.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import vtn.policy
from assets.policy import ARRANGES_VISITS, DEVICE_STAFF
from campaigns.policy import SEES_CAMPAIGNS, SEES_EVIDENCE, SEES_OPERATORS
from members.models import Member, Role
from members.policy import (
    DECIDES_ENQUIRIES,
    MANAGES_PARTNERS,
    SEES_RIGHTS,
    TAKES_IN_REGISTERS,
    Viewer,
    has_role,
    roles_of,
)
from metering.policy import SEES_HEALTH
from notices.policy import SEES_NOTICES
from settlement.policy import SEES_BASELINES, SEES_FIGURES, SEES_MONEY

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Page:
    """A page that the bar may lead to: its URL name, what it is called, and who works with it.

    `within` are beginnings of addresses that belong to it beside its own; `exact` when only its own does.
    """

    url_name: str
    label: Words
    may: Callable[[Viewer], bool]
    within: tuple[str, ...] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A page as the bar shows it."""

    url: str
    label: Words
    is_current: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What belongs together; one link stands by itself. The viewer's own also tells who is signed in."""

    label: Words
    links: tuple[Link, ...]
    is_own: bool = False

    @property
    def is_current(self) -> bool:
        """True when one of its pages is being looked at."""
        return any(link.is_current for link in self.links)

    @property
    def only(self) -> Link | None:
        """The link of a group of one."""
        return self.links[0] if len(self.links) == 1 else None


def holding(*roles: Role) -> Callable[[Viewer], bool]:
    """Whoever holds one of the roles."""
    return lambda viewer: has_role(viewer, *roles)


def is_member(viewer: Viewer) -> bool:
    """Whoever signs in as a member, or did before they left."""
    return _member(viewer) is not None


def is_partner(viewer: Viewer) -> bool:
    """Whoever signs in for a partner."""
    return Role.PARTNER.value in roles_of(viewer)


def is_anybody(viewer: Viewer) -> bool:
    """Everybody who is signed in."""
    return viewer.is_authenticated


def has_records(viewer: Viewer) -> bool:
    """Whoever Django lets into its admin."""
    return viewer.is_authenticated and viewer.is_staff


OWN: Final = _("My account")
MONEY_TABS: Final = ("/payments/", "/disputes/", "/share-policies/", "/surplus/")
GROUPS: Final[tuple[tuple[Words, tuple[Page, ...]], ...]] = (
    (_("My home"), (Page("home", _("My home"), is_member, exact=True),)),
    (_("My usage"), (Page("usage", _("My usage"), is_member),)),
    (_("My plan"), (Page("my_plan", _("My plan"), is_member),)),
    (_("Earnings"), (Page("earnings", _("Earnings"), is_member, ("/statements/",)),)),
    (_("Totals"), (Page("partner_home", _("Totals"), is_partner),)),
    (_("Today"), (Page("today", _("Today"), holding(*SEES_CAMPAIGNS)),)),
    (
        _("Campaigns"),
        (
            Page("campaign_list", _("Campaigns"), holding(*SEES_CAMPAIGNS)),
            Page("night_plans", _("Plans"), holding(*SEES_CAMPAIGNS)),
            Page("forecast", _("Forecast"), holding(*SEES_CAMPAIGNS)),
            Page("market_list", _("Market"), holding(*SEES_OPERATORS)),
            Page("licence_evidence", _("Licence evidence"), holding(*SEES_EVIDENCE)),
        ),
    ),
    (
        _("People"),
        (
            Page("funnel", _("Joining"), holding(*DECIDES_ENQUIRIES)),
            Page("visit_list", _("Visits"), holding(*ARRANGES_VISITS, Role.INSTALLER)),
            Page("register_import", _("Members"), holding(*TAKES_IN_REGISTERS)),
            Page("partner_list", _("Partners"), holding(*MANAGES_PARTNERS)),
            Page("notice_log", _("Notices"), holding(*SEES_NOTICES)),
            Page("circular_list", _("Write to members"), holding(*SEES_NOTICES)),
            Page("rights_list", _("Requests"), holding(*SEES_RIGHTS), ("/data-processing/",)),
        ),
    ),
    (
        _("Devices"),
        (
            Page("home_list", _("Registry"), holding(*DEVICE_STAFF)),
            Page("place_map", _("Map"), holding(*DEVICE_STAFF)),
            Page("hub_list", _("Hubs"), holding(*DEVICE_STAFF)),
            Page("update_list", _("Updates"), holding(*DEVICE_STAFF)),
            Page("vtn:ven_list", _("OpenADR"), vtn.policy.may_see, ("/vtn/",)),
            Page("data_health", _("Data health"), holding(*SEES_HEALTH), ("/metering/",)),
            Page("import_list", _("Imports"), holding(Role.ADMINISTRATOR, Role.DEVICE_MANAGER)),
            Page("message_rules", _("Messages"), holding(Role.ADMINISTRATOR, Role.DEVICE_MANAGER)),
        ),
    ),
    (
        _("Money"),
        (
            Page("round_list", _("Money"), holding(*SEES_MONEY), MONEY_TABS),
            Page("baseline_rules", _("Baselines"), holding(*SEES_BASELINES)),
            Page("kpis", _("Figures"), holding(*SEES_FIGURES)),
        ),
    ),
    (
        _("Site"),
        (
            Page("settings_list", _("Settings"), holding(Role.ADMINISTRATOR, Role.AUDITOR)),
            Page("setup", _("Setup"), holding(Role.ADMINISTRATOR)),
            Page("admin:index", _("Records"), has_records),
        ),
    ),
    (
        OWN,
        (
            Page("my_notices", _("My notices"), is_member, exact=True),
            Page("preferences", _("Preferences"), is_member),
            Page("household_page", _("Membership"), is_member),
            Page("my_rights", _("Data and rights"), is_member),
            Page("my_apps", _("Apps and calendar"), is_member),
            Page("my_terms", _("The co-op's terms"), is_member),
            Page("mfa_index", _("Passkeys and second factor"), is_anybody),
            Page("usersessions_list", _("Where you are signed in"), is_anybody),
            Page("account_change_password", _("Password"), is_anybody),
        ),
    ),
)


def groups_for(request: HttpRequest) -> list[Group]:
    """The bar for whoever asks; groups with nothing for them are left out."""
    viewer: Viewer = request.user
    found = []
    for label, pages in GROUPS:
        seen = [(page, _url(page, viewer)) for page in pages if page.may(viewer)]
        reach = [_reach(page, url, request.path) for page, url in seen]
        links = tuple(
            Link(url, page.label, is_current=0 < far == max(reach))
            for (page, url), far in zip(seen, reach, strict=True)
        )
        if links:
            found.append(Group(label, links, is_own=label == OWN))
    return found


def _url(page: Page, viewer: Viewer) -> str:
    member = _member(viewer) if page.url_name == "household_page" else None
    return reverse(page.url_name, args=[member.number] if member is not None else [])


def _reach(page: Page, url: str, path: str) -> int:
    """How much of the address is the page's: of a group, the page with the most is looked at."""
    if page.exact:
        return len(url) if path == url else 0
    return max(len(each) if path.startswith(each) else 0 for each in (url, *page.within))


def _member(viewer: Viewer) -> Member | None:
    """The member that the account is of; Django keeps the answer, also that there is none."""
    return getattr(viewer, "member", None)
