"""Which role may look at which of settlement's records in the stock admin; nobody may change one there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW

MODELS: Final = (
    "settlementterms",
    "account",
    "entry",
    "posting",
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
EVERYTHING: Final = dict.fromkeys(MODELS, VIEW)
OF_STATEMENTS: Final = (
    "settlementterms",
    "settlementround",
    "settlementrun",
    "homedelivery",
    "statement",
    "hardshipmark",
)

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: EVERYTHING,
    Role.FINANCE: EVERYTHING,
    Role.AUDITOR: EVERYTHING,
    Role.MEMBER_SERVICES: dict.fromkeys(OF_STATEMENTS, VIEW),
}
STUDY_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    role: {"placebostudy": VIEW} for role in (Role.ADMINISTRATOR, Role.FINANCE, Role.AUDITOR)
}
