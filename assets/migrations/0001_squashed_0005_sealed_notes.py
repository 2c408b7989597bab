"""Hubs, assets, products and visits; the kinds of asset are sown."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import opendsr.kernel.ids
import opendsr.kernel.sealed_field
from assets import rights, sql
from members import roles
from opendsr.kernel import schemas


def sow_kinds(apps, editor):
    """The kinds of asset that every co-op begins with."""
    kinds = apps.get_model("assets", "AssetKind").objects.using(editor.connection.alias)
    kinds.bulk_create(kinds.model(**row) for row in sql.ASSET_KINDS)


class Migration(migrations.Migration):
    replaces = [
        ("assets", "0001_initial"),
        ("assets", "0002_shadows_and_updates"),
        ("assets", "0003_visits"),
        ("assets", "0004_registry"),
        ("assets", "0005_sealed_notes"),
    ]

    initial = True

    dependencies = [
        ("kernel", "0001_squashed_0005_house_logo"),
        ("members", "0002_squashed_0012_people_of_a_household"),
    ]

    operations = [
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="AssetKind",
                    fields=[
                        ("code", models.CharField(max_length=24, primary_key=True, serialize=False)),
                        ("name", models.CharField(max_length=60)),
                        (
                            "rated_w",
                            models.PositiveIntegerField(help_text="Taken when the installer names no other"),
                        ),
                        ("limit_w", models.PositiveIntegerField(help_text="Most that the fitting may carry")),
                        (
                            "minimum_w",
                            models.PositiveIntegerField(
                                help_text="Lowest power while on; equal to rated_w when only on/off"
                            ),
                        ),
                        ("step_w", models.PositiveIntegerField(default=0, help_text="0 when only on/off")),
                        (
                            "typical_flexible_w",
                            models.PositiveIntegerField(
                                help_text="Mean power over 16:00 to 21:00, until the co-op's own measurements say better"
                            ),
                        ),
                        (
                            "turn_down_hours",
                            models.DecimalField(decimal_places=1, help_text="At full power", max_digits=4),
                        ),
                        (
                            "turn_up_hours",
                            models.DecimalField(decimal_places=1, help_text="At full power", max_digits=4),
                        ),
                        ("turn_down_hours_at_minimum", models.DecimalField(decimal_places=1, max_digits=4)),
                        ("turn_up_hours_at_minimum", models.DecimalField(decimal_places=1, max_digits=4)),
                        ("typical_daily_wh", models.PositiveIntegerField()),
                        ("typical_weekly_wh", models.PositiveIntegerField()),
                        ("typical_yearly_wh", models.PositiveIntegerField()),
                        (
                            "unavailable_days_a_year",
                            models.PositiveSmallIntegerField(help_text="Beside one day a week"),
                        ),
                        (
                            "safe_state",
                            models.CharField(
                                help_text="What the asset does when the hub loses contact", max_length=24
                            ),
                        ),
                        (
                            "switch_life",
                            models.PositiveIntegerField(
                                default=3000, help_text="Relay cycles it should last"
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("minimum_w__gt", 0),
                                    ("minimum_w__lte", models.F("rated_w")),
                                    ("rated_w__lte", models.F("limit_w")),
                                ),
                                name="assetkind_powers_in_order",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("typical_flexible_w__lte", models.F("rated_w"))),
                                name="assetkind_flexible_within_rated",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Product",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "category",
                            models.CharField(
                                choices=[
                                    ("hub", "Hub"),
                                    ("cad", "CAD"),
                                    ("meter", "Meter"),
                                    ("asset", "flexible asset"),
                                ],
                                max_length=8,
                            ),
                        ),
                        ("make", models.CharField(max_length=60)),
                        ("model", models.CharField(max_length=60)),
                        (
                            "rated_w",
                            models.PositiveIntegerField(
                                blank=True, help_text="Most it draws or carries, W", null=True
                            ),
                        ),
                        (
                            "minimum_w",
                            models.PositiveIntegerField(blank=True, help_text="Least while on, W", null=True),
                        ),
                        (
                            "step_w",
                            models.PositiveIntegerField(
                                blank=True, help_text="W; 0 when only on or off", null=True
                            ),
                        ),
                        ("phases", models.PositiveSmallIntegerField(blank=True, null=True)),
                        ("width_mm", models.PositiveIntegerField(blank=True, null=True)),
                        ("height_mm", models.PositiveIntegerField(blank=True, null=True)),
                        ("depth_mm", models.PositiveIntegerField(blank=True, null=True)),
                        ("weight_g", models.PositiveIntegerField(blank=True, null=True)),
                        (
                            "siting",
                            models.CharField(
                                blank=True, help_text="Where it may be fitted and where not", max_length=300
                            ),
                        ),
                        (
                            "relay_life_cycles",
                            models.PositiveIntegerField(
                                blank=True,
                                default=3000,
                                help_text="Empty: it has no relay that wears out",
                                null=True,
                            ),
                        ),
                        (
                            "relay_life_years",
                            models.PositiveSmallIntegerField(blank=True, default=10, null=True),
                        ),
                        (
                            "firmware",
                            models.CharField(
                                blank=True, help_text="The version it should run", max_length=40
                            ),
                        ),
                        (
                            "is_offered",
                            models.BooleanField(
                                default=True, help_text="False: fitted somewhere, not chosen any more"
                            ),
                        ),
                        ("changed_at", models.DateTimeField()),
                        (
                            "kind",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="products",
                                to="assets.assetkind",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("make", "model"), name="product_one_make_and_model"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("category", "asset"), ("kind__isnull", False)),
                                    models.Q(models.Q(("category", "asset"), _negated=True), ("kind", None)),
                                    _connector="OR",
                                ),
                                name="product_asset_has_a_kind",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("minimum_w", None),
                                    ("rated_w", None),
                                    ("minimum_w__lte", models.F("rated_w")),
                                    _connector="OR",
                                ),
                                name="product_powers_in_order",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("phases", None), ("phases__in", (1, 3)), _connector="OR"),
                                name="product_one_or_three_phases",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("relay_life_cycles", None),
                                        ("relay_life_cycles__gt", 0),
                                        _connector="OR",
                                    ),
                                    models.Q(
                                        ("relay_life_years", None),
                                        ("relay_life_years__gt", 0),
                                        _connector="OR",
                                    ),
                                ),
                                name="product_relay_lasts",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Hub",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("serial", models.CharField(max_length=40, unique=True)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("planned", "Planned"),
                                    ("commissioned", "Commissioned"),
                                    ("retired", "Retired"),
                                ],
                                default="planned",
                                max_length=16,
                            ),
                        ),
                        ("ven_id", models.CharField(blank=True, max_length=64, null=True, unique=True)),
                        ("enrolment_code_sha256", models.CharField(blank=True, max_length=64)),
                        ("enrolment_code_expires_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "enrolment_failures",
                            models.PositiveSmallIntegerField(
                                default=0, help_text="Wrong codes since the code was issued"
                            ),
                        ),
                        ("commissioned_at", models.DateTimeField(blank=True, null=True)),
                        ("retired_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="hubs",
                                to="members.home",
                            ),
                        ),
                        (
                            "kept_config",
                            models.TextField(
                                blank=True,
                                help_text="The config it reported last, without secrets, for the hub that replaces it",
                            ),
                        ),
                        (
                            "replaces",
                            models.OneToOneField(
                                blank=True,
                                help_text="The hub whose place it takes: its assets hang on this one since",
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="replaced_by",
                                to="assets.hub",
                            ),
                        ),
                        (
                            "firmware",
                            models.CharField(
                                blank=True, help_text="The version it said it runs, last", max_length=40
                            ),
                        ),
                        (
                            "product",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="hubs",
                                to="assets.product",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["firmware"], name="hub_by_firmware")],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("state", "commissioned")),
                                fields=("home",),
                                name="hub_one_commissioned_a_home",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "commissioned"), _negated=True),
                                    models.Q(("ven_id__isnull", False), ("commissioned_at__isnull", False)),
                                    _connector="OR",
                                ),
                                name="hub_commissioned_has_a_ven",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "commissioned"), _negated=True),
                                    ("enrolment_code_sha256", ""),
                                    _connector="OR",
                                ),
                                name="hub_code_used_once",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Asset",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "resource_id",
                            models.CharField(
                                help_text="The asset's name on the OpenADR wire", max_length=64, unique=True
                            ),
                        ),
                        ("name", models.CharField(max_length=80)),
                        ("rated_w", models.PositiveIntegerField()),
                        (
                            "flexible_w",
                            models.PositiveIntegerField(
                                help_text="Typical power it can drop in the evening peak"
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[("active", "Active"), ("faulty", "Faulty"), ("retired", "Retired")],
                                default="active",
                                max_length=12,
                            ),
                        ),
                        ("installed_at", models.DateTimeField()),
                        ("retired_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "kind",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="assets",
                                to="assets.assetkind",
                            ),
                        ),
                        (
                            "hub",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="assets",
                                to="assets.hub",
                            ),
                        ),
                        (
                            "needs",
                            models.JSONField(
                                blank=True,
                                default=dict,
                                help_text="What the household asks of it, in the words of the hub's config",
                            ),
                        ),
                        (
                            "firmware",
                            models.CharField(
                                blank=True, help_text="Of its controller, as the hub said last", max_length=40
                            ),
                        ),
                        (
                            "replaces",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="replaced_by",
                                to="assets.asset",
                            ),
                        ),
                        (
                            "product",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="assets",
                                to="assets.product",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["hub"], name="asset_by_hub")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("rated_w__gt", 0)), name="asset_rated_above_zero"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("flexible_w__lte", models.F("rated_w"))),
                                name="asset_flexible_within_rated",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Cad",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("serial", models.CharField(max_length=40, unique=True)),
                        ("model", models.CharField(blank=True, max_length=60)),
                        ("paired_at", models.DateTimeField(blank=True, null=True)),
                        ("retired_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="cads",
                                to="members.home",
                            ),
                        ),
                        (
                            "replaces",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="replaced_by",
                                to="assets.cad",
                            ),
                        ),
                        (
                            "product",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="cads",
                                to="assets.product",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "CAD",
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("retired_at__isnull", True)),
                                fields=("home",),
                                name="cad_one_in_use_a_home",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Release",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "component",
                            models.CharField(
                                help_text="hub, or a make of controller such as tasmota", max_length=24
                            ),
                        ),
                        ("version", models.CharField(max_length=40)),
                        ("sha256", models.CharField(max_length=64)),
                        ("size", models.PositiveIntegerField()),
                        ("manifest", models.TextField(help_text="The signed bytes")),
                        ("signature", models.CharField(max_length=200)),
                        (
                            "notes",
                            models.CharField(
                                blank=True, help_text="What is new in it, for staff", max_length=300
                            ),
                        ),
                        ("made_at", models.DateTimeField()),
                        ("made_by", models.CharField(max_length=120)),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("component", "version"), name="release_version_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Rollout",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("running", "Running"),
                                    ("halted", "Halted"),
                                    ("finished", "Finished"),
                                ],
                                default="running",
                                max_length=12,
                            ),
                        ),
                        ("stage_percent", models.PositiveSmallIntegerField()),
                        ("stage_began_at", models.DateTimeField()),
                        ("began_at", models.DateTimeField()),
                        ("began_by", models.CharField(max_length=120)),
                        ("halted_why", models.CharField(blank=True, max_length=300)),
                        (
                            "release",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="rollout",
                                to="assets.release",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("stage_percent__gte", 1), ("stage_percent__lte", 100)),
                                name="rollout_stage_is_a_share",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RolloutHub",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("state", models.CharField(default="offered", max_length=16)),
                        ("why", models.CharField(blank=True, max_length=300)),
                        ("changed_at", models.DateTimeField()),
                        (
                            "hub",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="rollouts",
                                to="assets.hub",
                            ),
                        ),
                        (
                            "rollout",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="hubs",
                                to="assets.rollout",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("rollout", "hub"), name="rollout_hub_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="InstallJob",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("planned", "Planned"),
                                    ("surveyed", "Surveyed"),
                                    ("scheduled", "Scheduled"),
                                    ("signed_off", "Signed Off"),
                                    ("refused", "Refused"),
                                    ("cancelled", "Cancelled"),
                                ],
                                default="planned",
                                max_length=12,
                            ),
                        ),
                        ("since", models.DateTimeField(help_text="When it came into this state")),
                        ("scheduled_at", models.DateTimeField(blank=True, null=True)),
                        ("survey", models.JSONField(blank=True, default=dict)),
                        (
                            "findings",
                            models.JSONField(
                                blank=True, default=list, help_text="What the survey refused or warned of"
                            ),
                        ),
                        ("limits_version", models.PositiveIntegerField(blank=True, null=True)),
                        ("surveyed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "cad_outcome",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("", "not settled"),
                                    ("paired", "Paired"),
                                    ("without", "finished without"),
                                ],
                                max_length=8,
                            ),
                        ),
                        ("escalated_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "immersion",
                            models.JSONField(
                                blank=True,
                                default=dict,
                                help_text="How the immersion heater is wired and set",
                            ),
                        ),
                        ("made_at", models.DateTimeField()),
                        ("signed_off_at", models.DateTimeField(blank=True, null=True)),
                        ("signed_off_by", models.CharField(blank=True, max_length=120)),
                        ("first_data_at", models.DateTimeField(blank=True, null=True)),
                        ("live_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="install_jobs",
                                to="members.home",
                            ),
                        ),
                        (
                            "hub",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="install_job",
                                to="assets.hub",
                            ),
                        ),
                        (
                            "installer",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="install_jobs",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "cad_note",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=300, pattern="", subject="pk"
                            ),
                        ),
                        (
                            "survey_notes",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=300, pattern="", subject="pk"
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                condition=models.Q(
                                    ("first_data_at__isnull", True),
                                    ("state__in", ["scheduled", "signed_off"]),
                                ),
                                fields=["home"],
                                name="installjob_awaits_data",
                            )
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("state__in", ["planned", "surveyed", "scheduled"])),
                                fields=("home",),
                                name="installjob_one_open_a_home",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "scheduled"), _negated=True),
                                    models.Q(("installer__isnull", False), ("scheduled_at__isnull", False)),
                                    _connector="OR",
                                ),
                                name="installjob_scheduled_has_a_day",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "signed_off"), _negated=True),
                                    models.Q(
                                        ("hub__isnull", False),
                                        ("signed_off_at__isnull", False),
                                        models.Q(("cad_outcome", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="installjob_signed_off_is_whole",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("live_at__isnull", True),
                                    models.Q(
                                        ("first_data_at__isnull", False), ("signed_off_at__isnull", False)
                                    ),
                                    _connector="OR",
                                ),
                                name="installjob_live_has_data",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="JobPhoto",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("jpeg_sealed", models.BinaryField()),
                        ("width", models.PositiveIntegerField()),
                        ("height", models.PositiveIntegerField()),
                        ("at", models.DateTimeField()),
                        ("by", models.CharField(max_length=120)),
                        (
                            "job",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="photos",
                                to="assets.installjob",
                            ),
                        ),
                        (
                            "caption",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=120, pattern="", subject="job_id"
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="JobTest",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("manual_switch", "The manual switch works with the hub off"),
                                    ("device", "The device answers the hub"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("is_passed", models.BooleanField()),
                        ("at", models.DateTimeField()),
                        ("by", models.CharField(max_length=120)),
                        (
                            "asset",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="tests",
                                to="assets.asset",
                            ),
                        ),
                        (
                            "job",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="tests",
                                to="assets.installjob",
                            ),
                        ),
                        (
                            "note",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=300, pattern="", subject="job_id"
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("asset__isnull", False), ("kind", "device")),
                                    models.Q(("asset__isnull", True), ("kind", "manual_switch")),
                                    _connector="OR",
                                ),
                                name="jobtest_device_is_named",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PairingAttempt",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        ("supplier", models.CharField(max_length=60)),
                        ("meter_model", models.CharField(max_length=60)),
                        ("cad_serial", models.CharField(max_length=40)),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("paired", "Paired"),
                                    ("no_answer", "The meter did not answer"),
                                    ("refused", "The meter refused it"),
                                    ("not_listed", "The supplier does not know the device"),
                                    ("no_network", "No home area network in reach"),
                                    ("other", "Something else"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("by", models.CharField(max_length=120)),
                        (
                            "job",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="pairing_attempts",
                                to="assets.installjob",
                            ),
                        ),
                        (
                            "note",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=300, pattern="", subject="job_id"
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["supplier", "meter_model"], name="pairingattempt_by_meter")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SurveyLimits",
                    fields=[
                        ("version", models.PositiveIntegerField(primary_key=True, serialize=False)),
                        (
                            "cable_m",
                            models.PositiveSmallIntegerField(help_text="A longer cable run is warned of"),
                        ),
                        (
                            "signal_dbm",
                            models.SmallIntegerField(
                                help_text="A weaker signal at the hub's place is warned of"
                            ),
                        ),
                        (
                            "refused_heaters",
                            models.JSONField(help_text="Kinds of storage heater that cannot be controlled"),
                        ),
                        ("published_at", models.DateTimeField()),
                        ("published_by", models.CharField(max_length=120)),
                    ],
                    options={
                        "verbose_name_plural": "survey limits",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("cable_m__gt", 0), ("signal_dbm__gte", -120), ("signal_dbm__lt", 0)
                                ),
                                name="surveylimits_can_be_met",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ChangeSet",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("field", models.CharField(max_length=24)),
                        ("value", models.CharField(blank=True, max_length=80)),
                        (
                            "chosen",
                            models.CharField(help_text="How the rows were chosen, in words", max_length=300),
                        ),
                        ("why", models.CharField(max_length=200)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("previewed", "Previewed"),
                                    ("applying", "Applying"),
                                    ("applied", "Applied"),
                                    ("undoing", "being taken back"),
                                    ("undone", "taken back"),
                                    ("discarded", "Discarded"),
                                ],
                                default="previewed",
                                max_length=12,
                            ),
                        ),
                        ("made_at", models.DateTimeField()),
                        ("made_by", models.CharField(max_length=120)),
                        ("changed_at", models.DateTimeField()),
                    ],
                ),
                migrations.CreateModel(
                    name="RelayCount",
                    fields=[
                        (
                            "asset",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="relay_count",
                                serialize=False,
                                to="assets.asset",
                            ),
                        ),
                        ("cycles", models.PositiveBigIntegerField(help_text="On and off again is one")),
                        (
                            "told",
                            models.PositiveBigIntegerField(
                                help_text="What the hub's own counter stood at last"
                            ),
                        ),
                        (
                            "told_by",
                            models.CharField(
                                help_text="VEN id of the hub whose counter that was", max_length=64
                            ),
                        ),
                        ("counted_from_at", models.DateTimeField()),
                        ("told_at", models.DateTimeField()),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("told_at__gte", models.F("counted_from_at"))),
                                name="relaycount_runs_forward",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="UpSpell",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("starts_at", models.DateTimeField()),
                        ("seen_at", models.DateTimeField(help_text="World time of the latest sign of life")),
                        ("seen_wall_at", models.DateTimeField()),
                    ],
                    options={
                        "indexes": [models.Index(fields=["seen_at"], name="upspell_by_sight")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("seen_at__gte", models.F("starts_at"))),
                                name="upspell_runs_forward",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ChangeRow",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("number", models.PositiveIntegerField(help_text="Its place in the change")),
                        (
                            "name",
                            models.CharField(help_text="As it was chosen: a serial or an id", max_length=80),
                        ),
                        (
                            "target_id",
                            models.UUIDField(blank=True, help_text="The home, hub or asset", null=True),
                        ),
                        ("before", models.CharField(blank=True, max_length=80)),
                        ("after", models.CharField(blank=True, max_length=80)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("planned", "Planned"),
                                    ("refused", "Refused"),
                                    ("applied", "Applied"),
                                    ("undone", "taken back"),
                                    ("kept", "not taken back"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("why", models.CharField(blank=True, help_text="Why it was refused", max_length=200)),
                        ("changed_at", models.DateTimeField()),
                        (
                            "home",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="changes",
                                to="members.home",
                            ),
                        ),
                        (
                            "change_set",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="rows",
                                to="assets.changeset",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["change_set", "state"], name="changerow_by_state")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("change_set", "number"), name="changerow_numbered_once"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("state", "refused"),
                                    models.Q(("home__isnull", False), ("target_id__isnull", False)),
                                    _connector="OR",
                                ),
                                name="changerow_has_a_target",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HomeMeasure",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("loft_insulation", "Loft Insulation"),
                                    ("wall_insulation", "Wall Insulation"),
                                    ("floor_insulation", "Floor Insulation"),
                                    ("draught_proofing", "Draught Proofing"),
                                    ("glazing", "Glazing"),
                                    ("heating_controls", "Heating Controls"),
                                    ("tank_jacket", "Hot water tank jacket"),
                                    ("low_energy_lights", "Low Energy Lights"),
                                    ("solar", "Solar panels"),
                                    ("solar_diverter", "Solar Diverter"),
                                    ("home_battery", "Home Battery"),
                                    ("energy_advice", "Energy advice (service)"),
                                    ("tariff_advice", "Tariff advice (service)"),
                                    ("monitoring", "Monitoring (service)"),
                                    ("maintenance", "Maintenance (service)"),
                                    ("other", "Other"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("done_on", models.DateField(help_text="Europe/London date")),
                        (
                            "ended_on",
                            models.DateField(blank=True, help_text="Of a service that is over", null=True),
                        ),
                        (
                            "installer",
                            models.CharField(blank=True, help_text="The firm, not a person", max_length=120),
                        ),
                        (
                            "note",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=500, pattern="", subject="home_id"
                            ),
                        ),
                        ("added_at", models.DateTimeField()),
                        ("added_by", models.CharField(max_length=120)),
                        (
                            "removed_at",
                            models.DateTimeField(
                                blank=True, help_text="Entered by mistake and taken back", null=True
                            ),
                        ),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="measures",
                                to="members.home",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["home", "kind"], name="homemeasure_by_home")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ended_on", None),
                                    ("ended_on__gte", models.F("done_on")),
                                    _connector="OR",
                                ),
                                name="homemeasure_runs_forward",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HubSpell",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "cause",
                            models.CharField(
                                choices=[
                                    ("no_power", "was without power"),
                                    ("crashed", "stopped by itself"),
                                    ("stopped", "was stopped"),
                                    ("no_lan", "had no network in the home"),
                                    ("no_internet", "had no way out of the home"),
                                    ("refused", "was refused by the site"),
                                    ("away", "could not reach a device"),
                                    ("silent", "was not heard"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "resource_id",
                            models.CharField(
                                blank=True, help_text="The device, where it is one's", max_length=64
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "hub",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="spells",
                                to="assets.hub",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["starts_at"], name="hubspell_by_start")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("hub", "cause", "resource_id", "starts_at"), name="hubspell_told_once"
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("cause", "silent"), ("ends_at", None)),
                                fields=("hub",),
                                name="hubspell_one_silence",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"
                                ),
                                name="hubspell_runs_forward",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Meter",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("serial", models.CharField(max_length=40, unique=True)),
                        ("fitted_at", models.DateTimeField()),
                        ("removed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="meters",
                                to="members.home",
                            ),
                        ),
                        (
                            "replaces",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="replaced_by",
                                to="assets.meter",
                            ),
                        ),
                        (
                            "product",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="meters",
                                to="assets.product",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("removed_at__isnull", True)),
                                fields=("home",),
                                name="meter_one_in_use_a_home",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("removed_at", None),
                                    ("removed_at__gte", models.F("fitted_at")),
                                    _connector="OR",
                                ),
                                name="meter_runs_forward",
                            ),
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "operations",
            "assets_assetkind",
            "assets_hub",
            "assets_cad",
            "assets_asset",
            "assets_release",
            "assets_rollout",
            "assets_rollouthub",
            "assets_installjob",
            "assets_jobphoto",
            "assets_jobtest",
            "assets_pairingattempt",
            "assets_surveylimits",
            "assets_product",
            "assets_meter",
            "assets_relaycount",
            "assets_hubspell",
            "assets_upspell",
            "assets_homemeasure",
            "assets_changeset",
            "assets_changerow",
        ),
        schemas.append_only("operations", "assets_surveylimits"),
        schemas.append_only("operations", "assets_pairingattempt"),
        schemas.append_only("operations", "assets_jobtest"),
        migrations.RunPython(sow_kinds, migrations.RunPython.noop),
        roles.grant("assets", rights.GRANTS),
        roles.grant("assets", rights.UPDATE_GRANTS),
        roles.grant("assets", rights.VISIT_GRANTS),
    ]
