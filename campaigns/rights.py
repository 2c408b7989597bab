"""What each role may see of campaigns in the stock admin; migrations 0001 and 0015 grant it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW, WRITE

ALL_VIEW: Final = {
    "programme": VIEW,
    "campaign": VIEW,
    "planline": VIEW,
    "participation": VIEW,
    "optrecord": VIEW,
}

TARIFFS_VIEW: Final = {"tariff": VIEW, "tariffband": VIEW, "tariffrate": VIEW, "hometariff": VIEW}
PLANS_VIEW: Final = {**TARIFFS_VIEW, "homeplan": VIEW, "homeplanline": VIEW}

TARIFF_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: PLANS_VIEW,
    Role.DISPATCHER: PLANS_VIEW,
    Role.MEMBER_SERVICES: PLANS_VIEW,
    Role.AUDITOR: PLANS_VIEW,
}

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: {**ALL_VIEW, "programme": WRITE},
    Role.DISPATCHER: {**ALL_VIEW, "programme": WRITE},
    Role.MEMBER_SERVICES: ALL_VIEW,
    Role.DEVICE_MANAGER: ALL_VIEW,
    Role.FINANCE: ALL_VIEW,
    Role.AUDITOR: ALL_VIEW,
}

FREEZE_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"freeze": VIEW} for role in (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
}

SERVICING_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {
        "servicingclient": VIEW,
        "servicingkey": VIEW,
        "servicingcontract": VIEW,
        "servicingsignal": VIEW,
        "campaignrule": VIEW,
    }
    for role in (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
}

MARKET_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {
        "marketparty": VIEW,
        "marketpreset": VIEW,
        "marketrequest": VIEW,
        "marketoffer": VIEW,
        "marketorder": VIEW,
        "marketavailability": VIEW,
        "markettold": VIEW,
    }
    for role in (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
}

FORECAST_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"flexibilityforecast": VIEW} for role in (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
}

UFTP_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"uftpterms": VIEW, "uftppoint": VIEW, "uftpmessage": VIEW, "uftprefusal": VIEW}
    for role in (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
}

VEN_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"operatorplace": VIEW, "operatorevent": VIEW, "operatorreport": VIEW, "operatormessage": VIEW}
    for role in (Role.ADMINISTRATOR, Role.DISPATCHER, Role.AUDITOR)
}
