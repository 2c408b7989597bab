"""What each role may see and change of assets in the stock admin; the first migration grants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW

ALL_VIEW: Final = {"assetkind": VIEW, "hub": VIEW, "cad": VIEW, "asset": VIEW}

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: {
        "assetkind": "view add change",
        "hub": VIEW,
        "cad": "view change",
        "asset": "view change",
    },
    Role.DEVICE_MANAGER: {
        "assetkind": "view change",
        "hub": VIEW,
        "cad": "view change",
        "asset": "view change",
    },
    Role.DISPATCHER: ALL_VIEW,
    Role.MEMBER_SERVICES: ALL_VIEW,
    Role.INSTALLER: ALL_VIEW,
    Role.AUDITOR: ALL_VIEW,
}

VISITS: Final = {"installjob": VIEW, "pairingattempt": VIEW, "jobtest": VIEW, "surveylimits": VIEW}
VISIT_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = dict.fromkeys(
    (Role.ADMINISTRATOR, Role.DEVICE_MANAGER, Role.MEMBER_SERVICES, Role.AUDITOR), VISITS
)

UPDATES: Final = {"release": VIEW, "rollout": VIEW, "rollouthub": VIEW}
UPDATE_STAFF: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER, Role.AUDITOR)
UPDATE_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = dict.fromkeys(UPDATE_STAFF, UPDATES)
