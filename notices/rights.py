"""What each role may see of notices in the stock admin; the first migration grants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW
from notices.policy import SEES_NOTICES

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"notice": VIEW, "choice": VIEW} for role in SEES_NOTICES
}
