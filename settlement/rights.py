"""Which role may look at which of settlement's records in the stock admin; nobody may change one there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW

FIRST_MODELS: Final = (
    "settlementterms",
    "settlementrun",
    "homedelivery",
    "perioddelivery",
    "account",
    "entry",
    "posting",
    "statement",
)
EVERYTHING: Final = dict.fromkeys(FIRST_MODELS, VIEW)
ROUND_MODELS: Final = (
    "settlementround",
    "rounddecision",
    "roundprogress",
    "settlementrun",
    "homedelivery",
    "statement",
    "sharepolicyversion",
    "hardshipmark",
    "giftchoice",
    "paymentbatch",
    "payment",
    "remittance",
    "dispute",
    "society",
    "surplusresolution",
)

FIRST_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: EVERYTHING,
    Role.FINANCE: EVERYTHING,
    Role.AUDITOR: EVERYTHING,
    Role.MEMBER_SERVICES: dict.fromkeys(
        ("settlementterms", "settlementrun", "homedelivery", "perioddelivery", "statement"), VIEW
    ),
}
ROUND_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: dict.fromkeys(ROUND_MODELS, VIEW),
    Role.FINANCE: dict.fromkeys(ROUND_MODELS, VIEW),
    Role.AUDITOR: dict.fromkeys(ROUND_MODELS, VIEW),
    Role.MEMBER_SERVICES: dict.fromkeys(
        ("settlementround", "settlementrun", "homedelivery", "statement", "hardshipmark"), VIEW
    ),
}
STUDY_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"placebostudy": VIEW} for role in (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR)
}
GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {
        model: verbs
        for model, verbs in {**FIRST_GRANTS.get(role, {}), **ROUND_GRANTS.get(role, {})}.items()
        if model != "perioddelivery"
    }
    for role in FIRST_GRANTS
}
