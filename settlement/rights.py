"""Which role may look at which of settlement's records in the stock admin; nobody may change one there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW

MODELS: Final = (
    "settlementterms",
    "settlementrun",
    "homedelivery",
    "perioddelivery",
    "account",
    "entry",
    "posting",
    "statement",
)
EVERYTHING: Final = dict.fromkeys(MODELS, VIEW)

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: EVERYTHING,
    Role.FINANCE: EVERYTHING,
    Role.AUDITOR: EVERYTHING,
    Role.MEMBER_SERVICES: dict.fromkeys(
        ("settlementterms", "settlementrun", "homedelivery", "perioddelivery", "statement"), VIEW
    ),
}
STUDY_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"placebostudy": VIEW} for role in (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR)
}
