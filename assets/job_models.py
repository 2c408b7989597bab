"""Visits to homes: the survey, the installation with its tests and photos, and each try to pair a CAD.

Notes, captions and photos tell what somebody's home is like: they lie sealed with a key of the visit's own.
Tries and tests are never rewritten: shredding that key is how the notes on them are forgotten.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from assets.models import Hub
from opendsr.kernel import encryption
from opendsr.kernel.blind_index import SealedModel
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField


class SurveyLimits(models.Model):
    """What a survey refuses and warns of, as data in versions."""

    version = models.PositiveIntegerField(primary_key=True)
    cable_m = models.PositiveSmallIntegerField(help_text="A longer cable run is warned of")
    signal_dbm = models.SmallIntegerField(help_text="A weaker signal at the hub's place is warned of")
    refused_heaters = models.JSONField(help_text="Kinds of storage heater that cannot be controlled")
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=120)

    class Meta:
        verbose_name_plural = "survey limits"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(cable_m__gt=0, signal_dbm__lt=0, signal_dbm__gte=-120),
                name="surveylimits_can_be_met",
            ),
        ]

    def __str__(self) -> str:
        return f"survey limits v{self.version}"


class InstallJob(SealedModel):
    """One home's way from a planned visit to live: surveyed, scheduled, fitted, signed off, first data."""

    class State(models.TextChoices):
        PLANNED = "planned"
        SURVEYED = "surveyed"
        SCHEDULED = "scheduled"
        SIGNED_OFF = "signed_off"
        REFUSED = "refused"
        CANCELLED = "cancelled"

    class CadOutcome(models.TextChoices):
        OPEN = "", "not settled"
        PAIRED = "paired"
        WITHOUT = "without", "finished without"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    home = models.ForeignKey("members.Home", on_delete=models.PROTECT, related_name="install_jobs")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PLANNED)
    since = models.DateTimeField(help_text="When it came into this state")
    installer = models.ForeignKey(
        "members.User", null=True, blank=True, on_delete=models.PROTECT, related_name="install_jobs"
    )
    scheduled_at = models.DateTimeField(null=True, blank=True)
    hub = models.OneToOneField(
        Hub, null=True, blank=True, on_delete=models.PROTECT, related_name="install_job"
    )
    survey = models.JSONField(default=dict, blank=True)
    survey_notes = SealedTextField(longest=300, blank=True)
    findings = models.JSONField(default=list, blank=True, help_text="What the survey refused or warned of")
    limits_version = models.PositiveIntegerField(null=True, blank=True)
    surveyed_at = models.DateTimeField(null=True, blank=True)
    cad_outcome = models.CharField(max_length=8, choices=CadOutcome.choices, blank=True)
    cad_note = SealedTextField(longest=300, blank=True)
    escalated_at = models.DateTimeField(null=True, blank=True)
    immersion = models.JSONField(
        default=dict, blank=True, help_text="How the immersion heater is wired and set"
    )
    made_at = models.DateTimeField()
    signed_off_at = models.DateTimeField(null=True, blank=True)
    signed_off_by = models.CharField(max_length=120, blank=True)
    first_data_at = models.DateTimeField(null=True, blank=True)
    live_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["home"],
                condition=Q(state__in=["planned", "surveyed", "scheduled"]),
                name="installjob_one_open_a_home",
            ),
            models.CheckConstraint(
                condition=~Q(state="scheduled") | Q(scheduled_at__isnull=False, installer__isnull=False),
                name="installjob_scheduled_has_a_day",
            ),
            models.CheckConstraint(
                condition=~Q(state="signed_off")
                | (Q(signed_off_at__isnull=False, hub__isnull=False) & ~Q(cad_outcome="")),
                name="installjob_signed_off_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(live_at__isnull=True)
                | Q(first_data_at__isnull=False, signed_off_at__isnull=False),
                name="installjob_live_has_data",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["home"],
                condition=Q(first_data_at__isnull=True, state__in=["scheduled", "signed_off"]),
                name="installjob_awaits_data",
            ),
        ]

    def __str__(self) -> str:
        return f"visit to {self.home}"


class PairingAttempt(SealedModel):
    """One try to pair the CAD with the smart meter: with whose meter, of which model, and what came of it."""

    class Outcome(models.TextChoices):
        PAIRED = "paired", "Paired"
        NO_ANSWER = "no_answer", "The meter did not answer"
        REFUSED = "refused", "The meter refused it"
        NOT_LISTED = "not_listed", "The supplier does not know the device"
        NO_NETWORK = "no_network", "No home area network in reach"
        OTHER = "other", "Something else"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    job = models.ForeignKey(InstallJob, on_delete=models.PROTECT, related_name="pairing_attempts")
    at = models.DateTimeField()
    supplier = models.CharField(max_length=60)
    meter_model = models.CharField(max_length=60)
    cad_serial = models.CharField(max_length=40)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    note = SealedTextField(subject="job_id", longest=300, blank=True)
    by = models.CharField(max_length=120)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["supplier", "meter_model"], name="pairingattempt_by_meter")]

    def __str__(self) -> str:
        return f"{self.outcome} at {self.at:%Y-%m-%d %H:%M}"


class JobTest(SealedModel):
    """One test made at the home; the latest of its kind (and device) counts."""

    class Kind(models.TextChoices):
        MANUAL_SWITCH = "manual_switch", "The manual switch works with the hub off"
        DEVICE = "device", "The device answers the hub"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    job = models.ForeignKey(InstallJob, on_delete=models.PROTECT, related_name="tests")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    asset = models.ForeignKey(
        "assets.Asset", null=True, blank=True, on_delete=models.PROTECT, related_name="tests"
    )
    is_passed = models.BooleanField()
    note = SealedTextField(subject="job_id", longest=300, blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind="device", asset__isnull=False) | Q(kind="manual_switch", asset__isnull=True),
                name="jobtest_device_is_named",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {'passed' if self.is_passed else 'failed'}"


class JobPhoto(SealedModel):
    """A photo of the work, made anew from what was sent: no place, no camera, no date inside."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    job = models.ForeignKey(InstallJob, on_delete=models.CASCADE, related_name="photos")
    caption = SealedTextField(subject="job_id", longest=120, blank=True)
    jpeg_sealed = models.BinaryField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    at = models.DateTimeField()
    by = models.CharField(max_length=120)

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def jpeg(self) -> bytes:
        """The picture, opened; raises KeyShredded once the visit's key is gone."""
        return encryption.unseal_bytes(self.job_id, bytes(self.jpeg_sealed), self._jpeg_context)

    @jpeg.setter
    def jpeg(self, body: bytes) -> None:
        self.jpeg_sealed = encryption.seal_bytes(self.job_id, body, self._jpeg_context)

    @property
    def _jpeg_context(self) -> str:
        return f"assets_jobphoto.jpeg {self.pk}"
