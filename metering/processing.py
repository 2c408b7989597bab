"""This room's part of the record of processing."""

from __future__ import annotations

from typing import Final

from members.processing import CONSENT, CONTRACT, INTEREST
from opendsr.kernel.processing import Processing

RECORD: Final = (
    Processing(
        models=(
            "metering.HalfHour",
            "metering.SupersededHalfHour",
            "metering.PackedWeek",
            "metering.PeriodTotal",
            "metering.LivePower",
            "metering.OpenHalfHour",
            "metering.Register",
        ),
        what="meter readings by stream id, no finer than agreed",
        purpose="baselines, settlement and advice, each only with consent to it",
        basis=CONSENT,
        keeping="by the retention rules, sooner after a withdrawal; gone at once on erasure",
    ),
    Processing(
        models=("metering.AssetDevice", "metering.AssetState", "metering.ReportLink"),
        what="what devices tell of themselves, and how they are known",
        purpose="seeing that a device answered, and what it needs",
        basis=CONTRACT,
        keeping="states 90 days",
    ),
    Processing(
        models=("metering.EmoncmsKey", "metering.EmoncmsInput"),
        what="keys with which a household posts readings, and what was posted last",
        purpose="taking readings from devices the household owns",
        basis=CONSENT,
        keeping="until the household moves or the key is withdrawn",
    ),
    Processing(
        models=(
            "metering.ImportJob",
            "metering.ImportPart",
            "metering.ImportGap",
            "metering.ImportReject",
            "metering.Backfill",
            "metering.Message",
        ),
        what="files and messages with readings while they are taken in, refused lines, gaps",
        purpose="losing no reading, and correcting what was refused",
        basis=CONSENT,
        keeping="files a month, sealed; refused messages, sealed, by the retention rules",
        recipients="suppliers and data services: none of it",
    ),
    Processing(
        models=("metering.RuleSet", "metering.RuleCount"),
        what="which member of staff wrote rules over messages",
        purpose="knowing who changed what",
        basis=INTEREST,
        keeping="with the rules",
    ),
)
