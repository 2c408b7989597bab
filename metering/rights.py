"""Which roles may look at imports in the admin site; readings are in no admin page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from members.models import Role
from members.roles import VIEW

IMPORTS: Final = {"importrun": VIEW, "importreject": VIEW, "importgap": VIEW}
DEVICES: Final = {
    "assetdevice": "view add change delete",
    "reportlink": "view add change delete",
    "emoncmsinput": "view change",
    "emoncmskey": VIEW,
    "sender": VIEW,
}
DEVICE_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: DEVICES,
    Role.DEVICE_MANAGER: DEVICES,
}
RETENTION_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: {"retentionrule": "view change"},
    Role.AUDITOR: {"retentionrule": VIEW},
}
GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: IMPORTS,
    Role.DEVICE_MANAGER: IMPORTS,
    Role.AUDITOR: IMPORTS,
}
