"""What the registry keeps beside hubs and assets: products, meters, relay counts, spells, measures, changes.

Re-exported by `assets.models`. Products are written by `cataloguing`, meters and replacements by `fitting`,
relay counts and spells by `journals`, measures by `measures`, changes of many rows by `changing`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField

RELAY_LIFE_CYCLES = 3_000
RELAY_LIFE_YEARS = 10


class Product(models.Model):
    """A make and model of what is fitted in homes: what it draws, where it fits, how long its relay lasts."""

    class Category(models.TextChoices):
        HUB = "hub"
        CAD = "cad", "CAD"
        METER = "meter"
        ASSET = "asset", "flexible asset"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    category = models.CharField(max_length=8, choices=Category.choices)
    kind = models.ForeignKey(
        "assets.AssetKind", on_delete=models.PROTECT, null=True, blank=True, related_name="products"
    )
    make = models.CharField(max_length=60)
    model = models.CharField(max_length=60)
    rated_w = models.PositiveIntegerField(null=True, blank=True, help_text="Most it draws or carries, W")
    minimum_w = models.PositiveIntegerField(null=True, blank=True, help_text="Least while on, W")
    step_w = models.PositiveIntegerField(null=True, blank=True, help_text="W; 0 when only on or off")
    phases = models.PositiveSmallIntegerField(null=True, blank=True)
    width_mm = models.PositiveIntegerField(null=True, blank=True)
    height_mm = models.PositiveIntegerField(null=True, blank=True)
    depth_mm = models.PositiveIntegerField(null=True, blank=True)
    weight_g = models.PositiveIntegerField(null=True, blank=True)
    siting = models.CharField(max_length=300, blank=True, help_text="Where it may be fitted and where not")
    relay_life_cycles = models.PositiveIntegerField(
        null=True, blank=True, default=RELAY_LIFE_CYCLES, help_text="Empty: it has no relay that wears out"
    )
    relay_life_years = models.PositiveSmallIntegerField(null=True, blank=True, default=RELAY_LIFE_YEARS)
    firmware = models.CharField(max_length=40, blank=True, help_text="The version it should run")
    is_offered = models.BooleanField(default=True, help_text="False: fitted somewhere, not chosen any more")
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["make", "model"], name="product_one_make_and_model"),
            models.CheckConstraint(
                condition=Q(category="asset", kind__isnull=False) | (~Q(category="asset") & Q(kind=None)),
                name="product_asset_has_a_kind",
            ),
            models.CheckConstraint(
                condition=Q(minimum_w=None) | Q(rated_w=None) | Q(minimum_w__lte=F("rated_w")),
                name="product_powers_in_order",
            ),
            models.CheckConstraint(
                condition=Q(phases=None) | Q(phases__in=(1, 3)), name="product_one_or_three_phases"
            ),
            models.CheckConstraint(
                condition=(Q(relay_life_cycles=None) | Q(relay_life_cycles__gt=0))
                & (Q(relay_life_years=None) | Q(relay_life_years__gt=0)),
                name="product_relay_lasts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.make} {self.model}"


class Meter(models.Model):
    """The smart meter on a home's supply, as its plate says; readings are known by stream, never by it."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    home = models.ForeignKey("members.Home", on_delete=models.PROTECT, related_name="meters")
    serial = models.CharField(max_length=40, unique=True)
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, null=True, blank=True, related_name="meters"
    )
    replaces = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by"
    )
    fitted_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["home"], condition=Q(removed_at__isnull=True), name="meter_one_in_use_a_home"
            ),
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(removed_at__gte=F("fitted_at")), name="meter_runs_forward"
            ),
        ]

    def __str__(self) -> str:
        return self.serial


class RelayCount(models.Model):
    """How often an asset's relay has switched on and off, over all hubs that ever drove it."""

    asset = models.OneToOneField(
        "assets.Asset", primary_key=True, on_delete=models.PROTECT, related_name="relay_count"
    )
    cycles = models.PositiveBigIntegerField(help_text="On and off again is one")
    told = models.PositiveBigIntegerField(help_text="What the hub's own counter stood at last")
    told_by = models.CharField(max_length=64, help_text="VEN id of the hub whose counter that was")
    counted_from_at = models.DateTimeField()
    told_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(told_at__gte=F("counted_from_at")), name="relaycount_runs_forward"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asset}: {self.cycles}"


class HubSpell(models.Model):
    """A stretch of time in which a hub, or a device of it, could not work: the hub's word or the site's.

    `silent` is what the site saw: the hub was not heard. All others the hub tells when it is back. Open
    (`ends_at` empty) while it lasts.
    """

    class Cause(models.TextChoices):
        NO_POWER = "no_power", "was without power"
        CRASHED = "crashed", "stopped by itself"
        STOPPED = "stopped", "was stopped"
        NO_LAN = "no_lan", "had no network in the home"
        NO_INTERNET = "no_internet", "had no way out of the home"
        REFUSED = "refused", "was refused by the site"
        AWAY = "away", "could not reach a device"
        SILENT = "silent", "was not heard"

    id = models.BigAutoField(primary_key=True)
    hub = models.ForeignKey("assets.Hub", on_delete=models.PROTECT, related_name="spells")
    cause = models.CharField(max_length=12, choices=Cause.choices)
    resource_id = models.CharField(max_length=64, blank=True, help_text="The device, where it is one's")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["hub", "cause", "resource_id", "starts_at"], name="hubspell_told_once"
            ),
            models.UniqueConstraint(
                fields=["hub"], condition=Q(cause="silent", ends_at=None), name="hubspell_one_silence"
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="hubspell_runs_forward"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["starts_at"], name="hubspell_by_start")]

    def __str__(self) -> str:
        return f"{self.hub} {self.cause} from {self.starts_at:%Y-%m-%d %H:%M}"


class UpSpell(models.Model):
    """A stretch of time in which the site itself was at work; between two of them it was not."""

    id = models.BigAutoField(primary_key=True)
    starts_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="World time of the latest sign of life")
    seen_wall_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(seen_at__gte=F("starts_at")), name="upspell_runs_forward"),
        ]
        indexes: ClassVar = [models.Index(fields=["seen_at"], name="upspell_by_sight")]

    def __str__(self) -> str:
        return f"up {self.starts_at:%Y-%m-%d %H:%M} to {self.seen_at:%Y-%m-%d %H:%M}"


class HomeMeasure(models.Model):
    """What else was done for a home: a measure that saves energy, or a service the household has."""

    class Kind(models.TextChoices):
        LOFT_INSULATION = "loft_insulation"
        WALL_INSULATION = "wall_insulation"
        FLOOR_INSULATION = "floor_insulation"
        DRAUGHT_PROOFING = "draught_proofing"
        GLAZING = "glazing"
        HEATING_CONTROLS = "heating_controls"
        TANK_JACKET = "tank_jacket", "Hot water tank jacket"
        LOW_ENERGY_LIGHTS = "low_energy_lights"
        SOLAR = "solar", "Solar panels"
        SOLAR_DIVERTER = "solar_diverter"
        HOME_BATTERY = "home_battery"
        ENERGY_ADVICE = "energy_advice", "Energy advice (service)"
        TARIFF_ADVICE = "tariff_advice", "Tariff advice (service)"
        MONITORING = "monitoring", "Monitoring (service)"
        MAINTENANCE = "maintenance", "Maintenance (service)"
        OTHER = "other"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    home = models.ForeignKey("members.Home", on_delete=models.PROTECT, related_name="measures")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    done_on = models.DateField(help_text="Europe/London date")
    ended_on = models.DateField(null=True, blank=True, help_text="Of a service that is over")
    installer = models.CharField(max_length=120, blank=True, help_text="The firm, not a person")
    note = SealedTextField(subject="home_id", longest=500, blank=True)
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=120)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="Entered by mistake and taken back")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ended_on=None) | Q(ended_on__gte=F("done_on")), name="homemeasure_runs_forward"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["home", "kind"], name="homemeasure_by_home")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.done_on}"


class ChangeSet(models.Model):
    """One change of many rows: previewed first, then applied in pieces, and taken back as a whole."""

    class State(models.TextChoices):
        PREVIEWED = "previewed"
        APPLYING = "applying"
        APPLIED = "applied"
        UNDOING = "undoing", "being taken back"
        UNDONE = "undone", "taken back"
        DISCARDED = "discarded"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    field = models.CharField(max_length=24)
    value = models.CharField(max_length=80, blank=True)
    chosen = models.CharField(max_length=300, help_text="How the rows were chosen, in words")
    why = models.CharField(max_length=200)
    state = models.CharField(max_length=12, choices=State.choices, default=State.PREVIEWED)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=120)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.field} of {self.made_at:%Y-%m-%d %H:%M}"


class ChangeRow(models.Model):
    """One thing of a change: what it was, what it becomes, and how far that has come."""

    class State(models.TextChoices):
        PLANNED = "planned"
        REFUSED = "refused"
        APPLIED = "applied"
        UNDONE = "undone", "taken back"
        KEPT = "kept", "not taken back"

    id = models.BigAutoField(primary_key=True)
    change_set = models.ForeignKey(ChangeSet, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField(help_text="Its place in the change")
    name = models.CharField(max_length=80, help_text="As it was chosen: a serial or an id")
    home = models.ForeignKey(
        "members.Home", on_delete=models.PROTECT, null=True, blank=True, related_name="changes"
    )
    target_id = models.UUIDField(null=True, blank=True, help_text="The home, hub or asset")
    before = models.CharField(max_length=80, blank=True)
    after = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=10, choices=State.choices)
    why = models.CharField(max_length=200, blank=True, help_text="Why it was refused")
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["change_set", "number"], name="changerow_numbered_once"),
            models.CheckConstraint(
                condition=Q(state="refused") | Q(target_id__isnull=False, home__isnull=False),
                name="changerow_has_a_target",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["change_set", "state"], name="changerow_by_state")]

    def __str__(self) -> str:
        return f"{self.name}: {self.before} to {self.after}"
