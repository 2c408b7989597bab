"""Who may see the log of notices, and send one again."""

from __future__ import annotations

from typing import Final

from members.models import Role

SEES_NOTICES: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES, Role.AUDITOR)
RESENDS_NOTICES: Final = (Role.ADMINISTRATOR, Role.MEMBER_SERVICES)
