"""Who may look at how readings come in, and into one home's; readings themselves are the household's own."""

from __future__ import annotations

from typing import Final

from members.models import Role

SEES_HEALTH: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER, Role.MEMBER_SERVICES, Role.AUDITOR)
SEES_HOMES: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER, Role.MEMBER_SERVICES)
