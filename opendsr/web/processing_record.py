"""The record of processing of the whole house: what the rooms declare, read against the models there are."""

from __future__ import annotations

from typing import Final

from django.apps import apps

import assets.processing
import campaigns.processing
import members.processing
import metering.processing
import notices.processing
import settlement.processing
from members.processing import CONTRACT, DUTY, INTEREST
from opendsr.kernel.processing import Processing, Row, names_somebody, reaching, rows

PERSONS: Final = (
    "members.Member",
    "members.Household",
    "members.Home",
    "members.Occupancy",
    "members.User",
    "vtn.Ven",
)
"""What makes whatever points at it personal; a hub is one home's."""

ELSEWHERE: Final = (
    Processing(
        models=(
            "account.EmailAddress",
            "account.EmailConfirmation",
            "mfa.Authenticator",
            "sessions.Session",
            "usersessions.UserSession",
        ),
        what="addresses and second factors of the sign-in, who is signed in, from which browser and address",
        purpose="signing in",
        basis=CONTRACT,
        keeping="until erased; sessions two weeks",
    ),
    Processing(
        models=("admin.LogEntry", "kernel.AuditEntry", "kernel.OutboxFact"),
        what="who did what to what, by number",
        purpose="knowing what was done, and by whom, beyond anybody's power to change it",
        basis=f"{DUTY}: accountability (Art. 5(2))",
        keeping="for good: it holds no names",
    ),
    Processing(
        models=("kernel.DataKey",),
        what="one key a person, wrapped by the installation's key",
        purpose="sealing what names people, and destroying that by destroying the key",
        basis=f"{DUTY}: security (Art. 32)",
        keeping="until erased",
    ),
    Processing(
        models=(
            "vtn.Ven",
            "vtn.Event",
            "vtn.EventOpt",
            "vtn.OptSchedule",
            "vtn.ReportOffer",
            "vtn.OfferedPoint",
            "vtn.ReportRequest",
            "vtn.ReceivedReport",
            "vtn.ReportedValue",
            "vtn.QueuedMessage",
            "vtn.HandOver",
            "vtn.VenShadow",
            "vtn.VenWatch",
            "vtn.VenGroup",
            "vtn.PromptRun",
        ),
        what="what went to and from a home's hub, known by the hub's number only",
        purpose="sending events and hearing answers (OpenADR)",
        basis=CONTRACT,
        keeping="reports 90 days; events with the campaign",
    ),
    Processing(
        models=(
            "vtn.MessageLog",
            "vtn.WireLog",
            "vtn.SeenNonce",
            "vtn.EnrolmentCode",
            "vtn.VenCertificate",
        ),
        what="the wire's log, certificates and one-time codes of hubs",
        purpose="finding faults, and letting nobody else in",
        basis=f"{INTEREST}: security",
        keeping="the log 90 days, bodies 30; codes until used; certificates until the hub is gone",
    ),
)

DECLARED: Final = (
    *members.processing.RECORD,
    *assets.processing.RECORD,
    *metering.processing.RECORD,
    *campaigns.processing.RECORD,
    *settlement.processing.RECORD,
    *notices.processing.RECORD,
    *ELSEWHERE,
)


def record() -> list[Row]:
    """Every table with personal data: what, what for, on which ground, how long, to whom, how it lies."""
    return list(rows(DECLARED, apps.get_models()))


def undeclared() -> set[str]:
    """Models with personal data that no room says anything of."""
    models = apps.get_models()
    personal = reaching(models, PERSONS) | {each._meta.label for each in models if names_somebody(each)}
    return personal - {label for each in DECLARED for label in each.models}
