"""What each role may see and change of campaigns in the stock admin; campaigns 0001 grants it."""

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

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: {**ALL_VIEW, "programme": WRITE},
    Role.DISPATCHER: {**ALL_VIEW, "programme": WRITE},
    Role.MEMBER_SERVICES: ALL_VIEW,
    Role.DEVICE_MANAGER: ALL_VIEW,
    Role.FINANCE: ALL_VIEW,
    Role.AUDITOR: ALL_VIEW,
}
