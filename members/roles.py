"""What each role may see and change in the stock admin; each room's first migration grants its own part.

Groups are the roles of `models.Role`. Doors in `policy.py` ask for roles; Django permissions made here only
open admin pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from members.models import Role

VIEW: Final = "view"
WRITE: Final = "view add change"

GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: {
        "user": WRITE,
        "household": "view change",
        "member": "view change",
        "home": "view change",
        "occupancy": VIEW,
        "meterstream": VIEW,
        "consenttext": "view add",
        "consent": VIEW,
        "standingoptout": VIEW,
    },
    Role.DISPATCHER: {"home": VIEW, "occupancy": VIEW, "consent": VIEW, "standingoptout": VIEW},
    Role.DEVICE_MANAGER: {"home": VIEW, "occupancy": VIEW, "meterstream": VIEW},
    Role.MEMBER_SERVICES: {
        "user": VIEW,
        "household": "view change",
        "member": "view change",
        "home": "view change",
        "occupancy": VIEW,
        "meterstream": VIEW,
        "consenttext": VIEW,
        "consent": VIEW,
        "standingoptout": VIEW,
    },
    Role.FINANCE: {"household": VIEW, "member": VIEW, "occupancy": VIEW},
    Role.AUDITOR: {
        "user": VIEW,
        "household": VIEW,
        "member": VIEW,
        "home": VIEW,
        "occupancy": VIEW,
        "meterstream": VIEW,
        "consenttext": VIEW,
        "consent": VIEW,
        "standingoptout": VIEW,
    },
}

PARTNERS: Final = {"partner": VIEW, "partneraccount": VIEW, "partnerhome": VIEW}
PARTNER_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: PARTNERS,
    Role.MEMBER_SERVICES: PARTNERS,
    Role.AUDITOR: PARTNERS,
}

JOINING: Final = {
    "joiningrules": VIEW,
    "termstext": VIEW,
    "termsacceptance": VIEW,
    "shareholding": VIEW,
    "championcode": VIEW,
}
JOINING_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: JOINING,
    Role.MEMBER_SERVICES: JOINING,
    Role.AUDITOR: JOINING,
}


RIGHTS: Final = {"rightsrequest": VIEW, "restriction": VIEW, "erasure": VIEW}
RIGHTS_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: RIGHTS,
    Role.MEMBER_SERVICES: RIGHTS,
    Role.AUDITOR: RIGHTS,
}


SUPPLY: Final = {"supply": VIEW}
SUPPLY_GRANTS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.ADMINISTRATOR: SUPPLY,
    Role.DEVICE_MANAGER: SUPPLY,
    Role.MEMBER_SERVICES: SUPPLY,
    Role.AUDITOR: SUPPLY,
}


def grant(app_label: str, grants: Mapping[Role, Mapping[str, str]]) -> migrations.RunPython:
    """Operation that gives roles rights over one app's models: {role: {model: "view add change delete"}}.

    The migration depends on members 0002 and runs it after the models exist; reversing takes the rights back.
    """

    def forwards(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        give(apps, editor.connection.alias, app_label, grants)

    def backwards(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        permissions = apps.get_model("auth", "Permission").objects.using(editor.connection.alias)
        models = {model for held in grants.values() for model in held}
        permissions.filter(content_type__app_label=app_label, content_type__model__in=models).delete()

    return migrations.RunPython(forwards, backwards)


def give(apps: Any, database: str, app_label: str, grants: Mapping[Role, Mapping[str, str]]) -> None:
    """Make the groups, and the content types and permissions that Django makes only after a whole migrate."""
    groups = apps.get_model("auth", "Group").objects.using(database)
    for role in Role:
        group, _ = groups.get_or_create(name=role.value)
        for model, verbs in grants.get(role, {}).items():
            rights = (_permission(apps, database, app_label, model, verb) for verb in verbs.split())
            group.permissions.add(*rights)


def _permission(apps: Any, database: str, app_label: str, model: str, verb: str) -> Any:
    kind, _ = (
        apps.get_model("contenttypes", "ContentType")
        .objects.using(database)
        .get_or_create(app_label=app_label, model=model)
    )
    words = apps.get_model(app_label, model)._meta.verbose_name
    permission, _ = (
        apps.get_model("auth", "Permission")
        .objects.using(database)
        .get_or_create(
            content_type=kind, codename=f"{verb}_{model}", defaults={"name": f"Can {verb} {words}"}
        )
    )
    return permission
