"""Things in homes: hubs (HEMS), consumer access devices and the flexible assets a hub drives.

Homes come from `members/`; a hub's identity on the wire is its VEN id, known to `vtn/` through `vtn_door.py`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid


class AssetKind(models.Model):
    """What a kind of asset can do: data, so that a new kind needs a row and one hub driver."""

    code = models.CharField(max_length=24, primary_key=True)
    name = models.CharField(max_length=60)
    rated_w = models.PositiveIntegerField(help_text="Taken when the installer names no other")
    limit_w = models.PositiveIntegerField(help_text="Most that the fitting may carry")
    minimum_w = models.PositiveIntegerField(
        help_text="Lowest power while on; equal to rated_w when only on/off"
    )
    step_w = models.PositiveIntegerField(default=0, help_text="0 when only on/off")
    typical_flexible_w = models.PositiveIntegerField(
        help_text="Mean power over 16:00 to 21:00, until the co-op's own measurements say better"
    )
    turn_down_hours = models.DecimalField(max_digits=4, decimal_places=1, help_text="At full power")
    turn_up_hours = models.DecimalField(max_digits=4, decimal_places=1, help_text="At full power")
    turn_down_hours_at_minimum = models.DecimalField(max_digits=4, decimal_places=1)
    turn_up_hours_at_minimum = models.DecimalField(max_digits=4, decimal_places=1)
    typical_daily_wh = models.PositiveIntegerField()
    typical_weekly_wh = models.PositiveIntegerField()
    typical_yearly_wh = models.PositiveIntegerField()
    unavailable_days_a_year = models.PositiveSmallIntegerField(help_text="Beside one day a week")
    safe_state = models.CharField(max_length=24, help_text="What the asset does when the hub loses contact")
    switch_life = models.PositiveIntegerField(default=3000, help_text="Relay cycles it should last")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(minimum_w__gt=0, minimum_w__lte=F("rated_w"), rated_w__lte=F("limit_w")),
                name="assetkind_powers_in_order",
            ),
            models.CheckConstraint(
                condition=Q(typical_flexible_w__lte=F("rated_w")), name="assetkind_flexible_within_rated"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Hub(models.Model):
    """A home energy management system: one certificate, one VEN."""

    class State(models.TextChoices):
        PLANNED = "planned"
        COMMISSIONED = "commissioned"
        RETIRED = "retired"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    home = models.ForeignKey("members.Home", on_delete=models.PROTECT, related_name="hubs")
    serial = models.CharField(max_length=40, unique=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PLANNED)
    ven_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    enrolment_code_sha256 = models.CharField(max_length=64, blank=True)
    enrolment_code_expires_at = models.DateTimeField(null=True, blank=True)
    enrolment_failures = models.PositiveSmallIntegerField(
        default=0, help_text="Wrong codes since the code was issued"
    )
    replaces = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="replaced_by",
        help_text="The hub whose place it takes: its assets hang on this one since",
    )
    kept_config = models.TextField(
        blank=True, help_text="The config it reported last, without secrets, for the hub that replaces it"
    )
    product = models.ForeignKey(
        "assets.Product", on_delete=models.PROTECT, null=True, blank=True, related_name="hubs"
    )
    firmware = models.CharField(max_length=40, blank=True, help_text="The version it said it runs, last")
    commissioned_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["home"], condition=Q(state="commissioned"), name="hub_one_commissioned_a_home"
            ),
            models.CheckConstraint(
                condition=~Q(state="commissioned")
                | (Q(ven_id__isnull=False) & Q(commissioned_at__isnull=False)),
                name="hub_commissioned_has_a_ven",
            ),
            models.CheckConstraint(
                condition=~Q(state="commissioned") | Q(enrolment_code_sha256=""), name="hub_code_used_once"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["firmware"], name="hub_by_firmware")]

    def __str__(self) -> str:
        return self.serial


class Cad(models.Model):
    """A consumer access device paired with the home's smart meter; its readings fill one meter stream."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    home = models.ForeignKey("members.Home", on_delete=models.PROTECT, related_name="cads")
    serial = models.CharField(max_length=40, unique=True)
    model = models.CharField(max_length=60, blank=True)
    product = models.ForeignKey(
        "assets.Product", on_delete=models.PROTECT, null=True, blank=True, related_name="cads"
    )
    replaces = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by"
    )
    paired_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "CAD"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["home"], condition=Q(retired_at__isnull=True), name="cad_one_in_use_a_home"
            ),
        ]

    def __str__(self) -> str:
        return self.serial


class Asset(models.Model):
    """One flexible asset (ESA in PAS 1878) behind a hub, with its own limits."""

    class State(models.TextChoices):
        ACTIVE = "active"
        FAULTY = "faulty"
        RETIRED = "retired"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    hub = models.ForeignKey(Hub, on_delete=models.PROTECT, related_name="assets")
    kind = models.ForeignKey(AssetKind, on_delete=models.PROTECT, related_name="assets")
    resource_id = models.CharField(
        max_length=64, unique=True, help_text="The asset's name on the OpenADR wire"
    )
    name = models.CharField(max_length=80)
    rated_w = models.PositiveIntegerField()
    flexible_w = models.PositiveIntegerField(help_text="Typical power it can drop in the evening peak")
    needs = models.JSONField(
        default=dict, blank=True, help_text="What the household asks of it, in the words of the hub's config"
    )
    product = models.ForeignKey(
        "assets.Product", on_delete=models.PROTECT, null=True, blank=True, related_name="assets"
    )
    replaces = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by"
    )
    firmware = models.CharField(
        max_length=40, blank=True, help_text="Of its controller, as the hub said last"
    )
    state = models.CharField(max_length=12, choices=State.choices, default=State.ACTIVE)
    installed_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(rated_w__gt=0), name="asset_rated_above_zero"),
            models.CheckConstraint(
                condition=Q(flexible_w__lte=F("rated_w")), name="asset_flexible_within_rated"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["hub"], name="asset_by_hub")]

    def __str__(self) -> str:
        return self.name


# Updates, visits and the registry's own tables lie in files of their own.
from assets import job_models as job_models  # noqa: E402
from assets import registry_models as registry_models  # noqa: E402
from assets.update_models import Release as Release  # noqa: E402
from assets.update_models import Rollout as Rollout  # noqa: E402
from assets.update_models import RolloutHub as RolloutHub  # noqa: E402
