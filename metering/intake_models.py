"""What stands between devices and the store: who may send, what could not be used, rules, and work under way.

Devices, rules and their counts are operational and lie in the schema `operations`; what holds members' energy
(open registers, messages kept, uploaded files) lies in `energy`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from opendsr.kernel import encryption
from opendsr.kernel.blind_index import SealedModel
from opendsr.kernel.sealed_field import ERASED, SealedTextField


class Sender(models.Model):
    """A device that sends messages, by the name its protocol gives it; how it does, and its broker password.

    Whose it is stands elsewhere: a Glow device is the `assets.Cad` of that serial number.
    """

    class Kind(models.TextChoices):
        GLOW = "glow", "Glow CAD or display"
        HUB = "hub", "Home hub"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = models.CharField(max_length=64, help_text="MAC address in capitals, or the hub's VEN id")
    password_hash = models.CharField(max_length=200, blank=True, help_text="As Mosquitto keeps it")
    password_set_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(null=True, blank=True, help_text="World time of the latest message")
    reading_at = models.DateTimeField(null=True, blank=True, help_text="The latest reading's own time")
    drift_seconds = models.IntegerField(null=True, blank=True, help_text="Received less the device's time")
    messages = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    rssi_dbm = models.SmallIntegerField(null=True, blank=True)
    lqi = models.SmallIntegerField(null=True, blank=True)
    han_status = models.CharField(max_length=16, blank=True)
    software = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "name"], name="sender_one_of_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Register(models.Model):
    """One half-hour of a cumulative register while it is open; see `registers.py` for the packing."""

    pk = models.CompositePrimaryKey("stream_id", "source_id", "channel", "slot")
    stream_id = models.UUIDField()
    earliest = models.BigIntegerField()
    latest = models.BigIntegerField()
    highest = models.BigIntegerField()
    lowest = models.BigIntegerField()
    slot = models.IntegerField(help_text="Half-hours since 1970 UTC")
    source_id = models.SmallIntegerField()
    channel = models.SmallIntegerField(help_text="0 import, 1 export")
    is_pending = models.BooleanField(default=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["slot"], name="register_pending", condition=Q(is_pending=True)),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.slot}"


class Message(SealedModel):
    """A message that was not simply stored: a dead letter, one a rule raised an alarm on, or one kept.

    Meters tell their MPAN in what they send, so a body lies sealed, with one key for all of them.
    """

    SEALED_FOR: ClassVar = UUID("5ec0dfac-0000-4000-8000-000000000002")

    class Outcome(models.TextChoices):
        DEAD = "dead", "Could not be used"
        ALARM = "alarm", "Alarm"
        KEPT = "kept", "Kept by a rule"

    id = models.BigAutoField(primary_key=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    source = models.CharField(max_length=16, help_text="glow, device, emoncms or openadr")
    sender = models.CharField(max_length=64, blank=True)
    topic = models.CharField(max_length=200)
    body = SealedTextField(
        subject="SEALED_FOR", longest=16_384, blank=True, help_text="As it came, at most 16 kB"
    )
    code = models.CharField(max_length=24)
    detail = models.CharField(max_length=300, blank=True)
    rule = models.CharField(max_length=40, blank=True)
    received_at = models.DateTimeField(help_text="World time of the latest such message")
    times = models.PositiveIntegerField(default=1)
    retried_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["outcome", "source", "sender", "topic", "code", "rule"], name="message_one_of_a_kind"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-received_at"], name="message_newest")]

    def __str__(self) -> str:
        return f"{self.code} {self.topic}"


class RuleSet(models.Model):
    """One version of the rules over arriving messages; versions are never edited, the newest is in force."""

    version = models.PositiveIntegerField(primary_key=True)
    rules = models.JSONField(help_text="A list of rules, applied in order")
    note = models.CharField(max_length=200)
    created_at = models.DateTimeField(help_text="World time")
    created_by = models.ForeignKey(
        "members.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(version__gte=1), name="ruleset_versions_from_one"),
        ]

    def __str__(self) -> str:
        return f"rules v{self.version}"


class RuleCount(models.Model):
    """How often a rule of a version matched."""

    ruleset = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="counts", db_index=False)
    rule = models.CharField(max_length=40)
    hits = models.BigIntegerField(default=0)
    latest_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["ruleset", "rule"], name="rulecount_one_a_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.hits}"


class AssetDevice(models.Model):
    """Which asset a device is, by the name its messages carry."""

    class Kind(models.TextChoices):
        OPENEVSE = "openevse", "OpenEVSE"
        TASMOTA = "tasmota", "Tasmota"
        SHELLY_1 = "shelly_1", "Shelly, first generation"
        SHELLY_2 = "shelly_2", "Shelly, second generation and later"
        EMONESP = "emonesp", "EmonESP relay"
        MYENERGI = "myenergi", "myenergi"

    id = models.BigAutoField(primary_key=True)
    asset = models.ForeignKey("assets.Asset", on_delete=models.PROTECT, related_name="devices")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = models.CharField(max_length=64, help_text="Topic name, device id or serial number")
    tz = models.CharField("time zone", max_length=40, default="Europe/London")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["asset", "kind", "name"], name="assetdevice_one_of_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class AssetState(models.Model):
    """What a device said of its asset at an instant, in our units; an absent figure was not told."""

    pk = models.CompositePrimaryKey("asset_id", "at")
    asset = models.ForeignKey("assets.Asset", on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField(help_text="UTC, the device's own time where it tells one")
    received_at = models.DateTimeField()
    power_w = models.IntegerField(null=True)
    energy_wh = models.BigIntegerField(null=True, help_text="Cumulative")
    session_wh = models.IntegerField(null=True)
    current_ma = models.IntegerField(null=True)
    voltage_mv = models.IntegerField(null=True)
    temperature_dc = models.SmallIntegerField(null=True, help_text="Tenths of a degree Celsius")
    is_on = models.BooleanField(null=True)
    state = models.CharField(max_length=24, blank=True)
    kind = models.CharField(max_length=12)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["at"], name="assetstate_by_time")]

    def __str__(self) -> str:
        return f"{self.asset_id} {self.at:%Y-%m-%d %H:%M:%S}"


class ReportLink(models.Model):
    """What an rID in a hub's OpenADR reports is: the home's meter, or one of its assets, in which unit."""

    class Role(models.TextChoices):
        IMPORT_ENERGY = "import_energy", "Energy imported in the interval"
        EXPORT_ENERGY = "export_energy", "Energy exported in the interval"
        IMPORT_REGISTER = "import_register", "Import register"
        EXPORT_REGISTER = "export_register", "Export register"
        ASSET_POWER = "asset_power", "Power of an asset"
        ASSET_STATE = "asset_state", "State of an asset: on above zero"

    id = models.BigAutoField(primary_key=True)
    hub = models.ForeignKey("assets.Hub", on_delete=models.CASCADE, related_name="report_links")
    r_id = models.CharField("rID", max_length=120)
    role = models.CharField(max_length=16, choices=Role.choices)
    asset = models.ForeignKey(
        "assets.Asset", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    unit = models.CharField(
        max_length=4, choices=[(unit, unit) for unit in ("Wh", "kWh", "W", "kW", "")], blank=True
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hub", "r_id"], name="reportlink_one_an_rid"),
            models.CheckConstraint(
                condition=Q(
                    asset__isnull=True,
                    role__in=["import_energy", "export_energy", "import_register", "export_register"],
                )
                | Q(asset__isnull=False, role__in=["asset_power", "asset_state"]),
                name="reportlink_asset_fits_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hub} {self.r_id}"


class FeedCursor(models.Model):
    """How far a feed has been read; moved in the transaction that stores what was read."""

    name = models.CharField(max_length=40, primary_key=True)
    cursor = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class EmoncmsKey(models.Model):
    """An API key of a home's emonPi, emonhub or charger; only its hash is kept."""

    class Access(models.TextChoices):
        WRITE = "write", "Post readings and read them"
        READ = "read", "Read only"

    id = models.BigAutoField(primary_key=True)
    home = models.ForeignKey("members.Home", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    key_sha256 = models.CharField(max_length=64, unique=True)
    access = models.CharField(max_length=5, choices=Access.choices, default=Access.WRITE)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "emoncms key"

    def __str__(self) -> str:
        return self.name


class EmoncmsInput(models.Model):
    """One input of a key's devices, made by its first post, and what it is taken for."""

    class Role(models.TextChoices):
        NONE = "none", "Not used"
        IMPORT_KWH = "import_kwh", "Import register in kWh"
        EXPORT_KWH = "export_kwh", "Export register in kWh"
        IMPORT_WH = "import_wh", "Import register in Wh"
        EXPORT_WH = "export_wh", "Export register in Wh"
        POWER_W = "power_w", "Grid power in W, import above zero"

    id = models.BigAutoField(primary_key=True)
    key = models.ForeignKey(EmoncmsKey, on_delete=models.CASCADE, related_name="inputs", db_index=False)
    node = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.NONE)
    at = models.DateTimeField(null=True, help_text="The latest value's time")
    value = models.FloatField(null=True, help_text="The latest, while live readings are consented to")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "node", "name"], name="emoncmsinput_one_of_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.node}/{self.name}"


class ImportJob(SealedModel):
    """A file that staff uploaded: looked at first, imported when they say so.

    File, refused rows and which meter is whose name MPANs, so they lie sealed with the job's own key, which
    is shredded with the file.
    """

    class State(models.TextChoices):
        UPLOADED = "uploaded"
        PREVIEWED = "previewed"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.UPLOADED)
    name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    done_bytes = models.BigIntegerField(default=0)
    is_for_real = models.BooleanField(default=False, help_text="Running to store, not to preview")
    options = models.JSONField(default=dict, help_text="Adapter, conventions and columns as chosen")
    meters_told = SealedTextField(longest=10_000_000, help_text="Which stream each meter of the file fills")
    rejects_told = SealedTextField(longest=100_000_000, help_text="Refused rows, the first of them")
    outcome = models.JSONField(default=dict, help_text="Counts of the preview or the import")
    error = models.CharField(max_length=400, blank=True)
    run = models.ForeignKey(
        "metering.ImportRun", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    created_by = models.ForeignKey("members.User", on_delete=models.PROTECT, null=True, related_name="+")
    touched_wall_at = models.DateTimeField(help_text="When the work was last seen moving")
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(done_bytes__lte=F("size_bytes")), name="importjob_within_size"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="importjob_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def meters(self) -> dict[str, str]:
        """The stream of each meter named; empty once the file is forgotten."""
        told: dict[str, str] = _opened(self.meters_told, {})
        return told

    @meters.setter
    def meters(self, meters: Mapping[str, str]) -> None:
        self.meters_told = json.dumps(dict(meters))

    @property
    def rejects(self) -> list[dict[str, Any]]:
        """Rows that were refused; empty once the file is forgotten."""
        told: list[dict[str, Any]] = _opened(self.rejects_told, [])
        return told

    @rejects.setter
    def rejects(self, rejects: Sequence[Mapping[str, Any]]) -> None:
        self.rejects_told = json.dumps([dict(each) for each in rejects])


def _opened(told: str, nothing: Any) -> Any:
    return nothing if told in ("", ERASED) else json.loads(told)


class ImportPart(models.Model):
    """A stretch of an uploaded file, sealed with its job's key, until a month after the import."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "number"], name="importpart_one_a_number"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.number}"

    def fill(self, data: bytes) -> None:
        """Seal what the part holds."""
        self.data = encryption.seal_bytes(self.job_id, data, self._context)

    def opened(self) -> bytes:
        """What the part holds."""
        return encryption.unseal_bytes(self.job_id, bytes(self.data), self._context)

    @property
    def _context(self) -> str:
        return f"metering_importpart.data {self.job_id} {self.number}"


class Backfill(models.Model):
    """A stretch of the past asked of a service for one meter, window by window; resumed where it stopped."""

    class Service(models.TextChoices):
        GLOWMARKT = "glowmarkt", "Glowmarkt (Bright)"

    id = models.BigAutoField(primary_key=True)
    service = models.CharField(max_length=12, choices=Service.choices)
    resource_id = models.CharField(max_length=64)
    stream_id = models.UUIDField()
    next_from = models.DateTimeField(help_text="Where the next window begins, UTC")
    until = models.DateTimeField()
    error = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["service", "resource_id", "stream_id"], name="backfill_one_a_meter"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.resource_id}"
