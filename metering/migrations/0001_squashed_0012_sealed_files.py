"""The reading store and what stands before it; columns of the big tables stand widest first, without padding."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import metering.models
import opendsr.kernel.sealed_field
from members import roles
from metering import rights, sql
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    replaces = [
        ("metering", "0001_initial"),
        ("metering", "0002_live_power"),
        ("metering", "0003_intake"),
        ("metering", "0004_intake_rights"),
        ("metering", "0005_packed_weeks"),
        ("metering", "0006_totals_and_retention"),
        ("metering", "0007_completeness"),
        ("metering", "0008_rates_and_message_retention"),
        ("metering", "0009_partner_totals"),
        ("metering", "0010_outdoor_temperatures"),
        ("metering", "0011_missing_days"),
        ("metering", "0012_sealed_files"),
    ]

    initial = True

    dependencies = [
        ("assets", "0001_squashed_0005_sealed_notes"),
        ("kernel", "0001_squashed_0005_house_logo"),
        ("members", "0002_squashed_0012_people_of_a_household"),
    ]

    operations = [
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="Source",
                    fields=[
                        ("id", models.SmallAutoField(primary_key=True, serialize=False)),
                        ("code", models.CharField(max_length=24, unique=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="ImportRun",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("source", models.CharField(help_text="Source code, e.g. lcl_csv", max_length=24)),
                        ("name", models.CharField(help_text="File or message name as given", max_length=200)),
                        (
                            "convention",
                            models.CharField(
                                blank=True, help_text="How stamps and values were read", max_length=120
                            ),
                        ),
                        ("content_sha256", models.CharField(blank=True, max_length=64)),
                        ("imported_at", models.DateTimeField(help_text="World time")),
                        ("rows_read", models.PositiveIntegerField(default=0)),
                        ("rows_landed", models.PositiveIntegerField(default=0)),
                        (
                            "rows_corrected",
                            models.PositiveIntegerField(
                                default=0, help_text="Of those landed, how many replaced a value"
                            ),
                        ),
                        ("rows_unchanged", models.PositiveIntegerField(default=0)),
                        ("rows_rejected", models.PositiveIntegerField(default=0)),
                        (
                            "gap_half_hours",
                            models.PositiveIntegerField(
                                default=0, help_text="Half-hours missing between those offered"
                            ),
                        ),
                        (
                            "rows_summed",
                            models.PositiveIntegerField(
                                default=0, help_text="Kept only in the total of their day or month"
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["content_sha256", "source"], name="importrun_by_content")
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("rows_corrected__lte", models.F("rows_landed"))),
                                name="importrun_corrections_landed",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "rows_read",
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                django.db.models.expressions.CombinedExpression(
                                                    models.F("rows_landed"), "+", models.F("rows_summed")
                                                ),
                                                "+",
                                                models.F("rows_unchanged"),
                                            ),
                                            "+",
                                            models.F("rows_rejected"),
                                        ),
                                    )
                                ),
                                name="importrun_every_row_accounted_for",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ImportReject",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("line", models.PositiveIntegerField()),
                        ("field", models.CharField(max_length=40)),
                        ("value", models.CharField(max_length=200)),
                        ("code", models.CharField(max_length=24)),
                        ("reason", models.CharField(max_length=300)),
                        ("rows", models.PositiveIntegerField(default=1)),
                        (
                            "run",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="rejects",
                                to="metering.importrun",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["run", "line"], name="importreject_by_run")],
                    },
                ),
                migrations.CreateModel(
                    name="ImportGap",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("line", models.PositiveIntegerField()),
                        ("stream_id", models.UUIDField()),
                        ("starts_at", models.DateTimeField()),
                        ("half_hours", models.PositiveIntegerField()),
                        (
                            "run",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="gaps",
                                to="metering.importrun",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["run", "line"], name="importgap_by_run")],
                    },
                ),
                migrations.CreateModel(
                    name="HalfHour",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream_id",
                                "starts_at",
                                "source_id",
                                "revision",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        (
                            "known_at",
                            models.DateTimeField(help_text="World time at which the store learned it"),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.importrun",
                            ),
                        ),
                        ("stream_id", models.UUIDField()),
                        ("import_wh", models.PositiveIntegerField()),
                        ("export_wh", models.PositiveIntegerField(default=0)),
                        (
                            "source",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.source",
                            ),
                        ),
                        ("revision", models.PositiveSmallIntegerField(default=0)),
                        (
                            "quality",
                            models.PositiveSmallIntegerField(
                                choices=[(0, "Measured"), (1, "Estimated"), (2, "Substituted")], default=0
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_half_hour",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("starts_at", metering.models.HalfHourGrid("starts_at"))),
                                name="half_hour_on_the_grid",
                            )
                        ],
                    },
                ),
                migrations.SeparateDatabaseAndState(
                    database_operations=[migrations.RunSQL(sql.CREATE_LIVE, sql.DROP_LIVE)],
                    state_operations=[
                        migrations.CreateModel(
                            name="LivePower",
                            fields=[
                                (
                                    "pk",
                                    models.CompositePrimaryKey(
                                        "stream_id",
                                        "at",
                                        "source_id",
                                        blank=True,
                                        editable=False,
                                        primary_key=True,
                                        serialize=False,
                                    ),
                                ),
                                ("at", models.DateTimeField()),
                                ("stream_id", models.UUIDField()),
                                ("power_w", models.IntegerField(help_text="+ import, - export")),
                                (
                                    "source",
                                    models.ForeignKey(
                                        db_constraint=False,
                                        db_index=False,
                                        on_delete=django.db.models.deletion.PROTECT,
                                        related_name="+",
                                        to="metering.source",
                                    ),
                                ),
                            ],
                            options={
                                "verbose_name_plural": "live power",
                                "db_table": "metering_live",
                            },
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="Refusal",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "on_date",
                                "source_id",
                                "code",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("on_date", models.DateField()),
                        ("code", models.CharField(max_length=24)),
                        ("rows", models.BigIntegerField()),
                        (
                            "source",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.source",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_refusal",
                    },
                ),
                migrations.CreateModel(
                    name="OpenHalfHour",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream_id",
                                "starts_at",
                                "source_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("stream_id", models.UUIDField()),
                        ("starts_at", models.DateTimeField()),
                        ("is_due", models.BooleanField(db_default=True)),
                        (
                            "seen",
                            models.BinaryField(
                                db_default=models.Value(
                                    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                                )
                            ),
                        ),
                        ("imported_w_ticks", models.BigIntegerField(db_default=0)),
                        ("exported_w_ticks", models.BigIntegerField(db_default=0)),
                        (
                            "source",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.source",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_open_half_hour",
                        "indexes": [
                            models.Index(
                                condition=models.Q(("is_due", True)),
                                fields=["starts_at"],
                                name="open_half_hour_due",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="FeedCursor",
                    fields=[
                        ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                        ("cursor", models.BigIntegerField(default=0)),
                        ("read_at", models.DateTimeField(blank=True, null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="Backfill",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "service",
                            models.CharField(choices=[("glowmarkt", "Glowmarkt (Bright)")], max_length=12),
                        ),
                        ("resource_id", models.CharField(max_length=64)),
                        ("stream_id", models.UUIDField()),
                        ("next_from", models.DateTimeField(help_text="Where the next window begins, UTC")),
                        ("until", models.DateTimeField()),
                        ("error", models.CharField(blank=True, max_length=300)),
                        ("updated_at", models.DateTimeField()),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("service", "resource_id", "stream_id"), name="backfill_one_a_meter"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="EmoncmsKey",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("name", models.CharField(max_length=60)),
                        ("key_sha256", models.CharField(max_length=64, unique=True)),
                        (
                            "access",
                            models.CharField(
                                choices=[("write", "Post readings and read them"), ("read", "Read only")],
                                default="write",
                                max_length=5,
                            ),
                        ),
                        ("created_at", models.DateTimeField()),
                        ("revoked_at", models.DateTimeField(blank=True, null=True)),
                        ("used_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.home",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "emoncms key",
                    },
                ),
                migrations.CreateModel(
                    name="ImportJob",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("uploaded", "Uploaded"),
                                    ("previewed", "Previewed"),
                                    ("running", "Running"),
                                    ("done", "Done"),
                                    ("failed", "Failed"),
                                ],
                                default="uploaded",
                                max_length=12,
                            ),
                        ),
                        ("name", models.CharField(max_length=200)),
                        ("size_bytes", models.BigIntegerField()),
                        ("done_bytes", models.BigIntegerField(default=0)),
                        (
                            "is_for_real",
                            models.BooleanField(default=False, help_text="Running to store, not to preview"),
                        ),
                        (
                            "options",
                            models.JSONField(
                                default=dict, help_text="Adapter, conventions and columns as chosen"
                            ),
                        ),
                        (
                            "outcome",
                            models.JSONField(default=dict, help_text="Counts of the preview or the import"),
                        ),
                        ("error", models.CharField(blank=True, max_length=400)),
                        ("created_at", models.DateTimeField()),
                        (
                            "touched_wall_at",
                            models.DateTimeField(help_text="When the work was last seen moving"),
                        ),
                        ("attempts", models.PositiveSmallIntegerField(default=0)),
                        (
                            "created_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to="metering.importrun",
                            ),
                        ),
                        (
                            "meters_told",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="",
                                help_text="Which stream each meter of the file fills",
                                longest=10000000,
                                pattern="",
                                subject="pk",
                            ),
                        ),
                        (
                            "rejects_told",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="",
                                help_text="Refused rows, the first of them",
                                longest=100000000,
                                pattern="",
                                subject="pk",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["-created_at"], name="importjob_newest")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("done_bytes__lte", models.F("size_bytes"))),
                                name="importjob_within_size",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ImportPart",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("number", models.PositiveIntegerField()),
                        ("data", models.BinaryField()),
                        (
                            "job",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="parts",
                                to="metering.importjob",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("job", "number"), name="importpart_one_a_number")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Message",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("dead", "Could not be used"),
                                    ("alarm", "Alarm"),
                                    ("kept", "Kept by a rule"),
                                ],
                                max_length=8,
                            ),
                        ),
                        (
                            "source",
                            models.CharField(help_text="glow, device, emoncms or openadr", max_length=16),
                        ),
                        ("sender", models.CharField(blank=True, max_length=64)),
                        ("topic", models.CharField(max_length=200)),
                        ("code", models.CharField(max_length=24)),
                        ("detail", models.CharField(blank=True, max_length=300)),
                        ("rule", models.CharField(blank=True, max_length=40)),
                        (
                            "received_at",
                            models.DateTimeField(help_text="World time of the latest such message"),
                        ),
                        ("times", models.PositiveIntegerField(default=1)),
                        ("retried_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "body",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True,
                                default="",
                                help_text="As it came, at most 16 kB",
                                longest=16384,
                                pattern="",
                                subject="SEALED_FOR",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["-received_at"], name="message_newest")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("outcome", "source", "sender", "topic", "code", "rule"),
                                name="message_one_of_a_kind",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Register",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream_id",
                                "source_id",
                                "channel",
                                "slot",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("stream_id", models.UUIDField()),
                        ("earliest", models.BigIntegerField()),
                        ("latest", models.BigIntegerField()),
                        ("highest", models.BigIntegerField()),
                        ("lowest", models.BigIntegerField()),
                        ("slot", models.IntegerField(help_text="Half-hours since 1970 UTC")),
                        ("source_id", models.SmallIntegerField()),
                        ("channel", models.SmallIntegerField(help_text="0 import, 1 export")),
                        ("is_pending", models.BooleanField(default=True)),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                condition=models.Q(("is_pending", True)),
                                fields=["slot"],
                                name="register_pending",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ReportLink",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("r_id", models.CharField(max_length=120, verbose_name="rID")),
                        (
                            "role",
                            models.CharField(
                                choices=[
                                    ("import_energy", "Energy imported in the interval"),
                                    ("export_energy", "Energy exported in the interval"),
                                    ("import_register", "Import register"),
                                    ("export_register", "Export register"),
                                    ("asset_power", "Power of an asset"),
                                    ("asset_state", "State of an asset: on above zero"),
                                ],
                                max_length=16,
                            ),
                        ),
                        (
                            "unit",
                            models.CharField(
                                blank=True,
                                choices=[("Wh", "Wh"), ("kWh", "kWh"), ("W", "W"), ("kW", "kW"), ("", "")],
                                max_length=4,
                            ),
                        ),
                        (
                            "asset",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="assets.asset",
                            ),
                        ),
                        (
                            "hub",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="report_links",
                                to="assets.hub",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("hub", "r_id"), name="reportlink_one_an_rid"),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("asset__isnull", True),
                                        (
                                            "role__in",
                                            [
                                                "import_energy",
                                                "export_energy",
                                                "import_register",
                                                "export_register",
                                            ],
                                        ),
                                    ),
                                    models.Q(
                                        ("asset__isnull", False), ("role__in", ["asset_power", "asset_state"])
                                    ),
                                    _connector="OR",
                                ),
                                name="reportlink_asset_fits_role",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RuleSet",
                    fields=[
                        ("version", models.PositiveIntegerField(primary_key=True, serialize=False)),
                        ("rules", models.JSONField(help_text="A list of rules, applied in order")),
                        ("note", models.CharField(max_length=200)),
                        ("created_at", models.DateTimeField(help_text="World time")),
                        (
                            "created_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("version__gte", 1)), name="ruleset_versions_from_one"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RuleCount",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("rule", models.CharField(max_length=40)),
                        ("hits", models.BigIntegerField(default=0)),
                        ("latest_at", models.DateTimeField()),
                        (
                            "ruleset",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="counts",
                                to="metering.ruleset",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("ruleset", "rule"), name="rulecount_one_a_rule")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Sender",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "kind",
                            models.CharField(
                                choices=[("glow", "Glow CAD or display"), ("hub", "Home hub")], max_length=12
                            ),
                        ),
                        (
                            "name",
                            models.CharField(
                                help_text="MAC address in capitals, or the hub's VEN id", max_length=64
                            ),
                        ),
                        (
                            "password_hash",
                            models.CharField(blank=True, help_text="As Mosquitto keeps it", max_length=200),
                        ),
                        ("password_set_at", models.DateTimeField(blank=True, null=True)),
                        ("revoked_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "received_at",
                            models.DateTimeField(
                                blank=True, help_text="World time of the latest message", null=True
                            ),
                        ),
                        (
                            "reading_at",
                            models.DateTimeField(
                                blank=True, help_text="The latest reading's own time", null=True
                            ),
                        ),
                        (
                            "drift_seconds",
                            models.IntegerField(
                                blank=True, help_text="Received less the device's time", null=True
                            ),
                        ),
                        ("messages", models.BigIntegerField(default=0)),
                        ("refused", models.BigIntegerField(default=0)),
                        ("rssi_dbm", models.SmallIntegerField(blank=True, null=True)),
                        ("lqi", models.SmallIntegerField(blank=True, null=True)),
                        ("han_status", models.CharField(blank=True, max_length=16)),
                        ("software", models.CharField(blank=True, max_length=16)),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("kind", "name"), name="sender_one_of_a_name")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="AssetDevice",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("openevse", "OpenEVSE"),
                                    ("tasmota", "Tasmota"),
                                    ("shelly_1", "Shelly, first generation"),
                                    ("shelly_2", "Shelly, second generation and later"),
                                    ("emonesp", "EmonESP relay"),
                                    ("myenergi", "myenergi"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "name",
                            models.CharField(
                                help_text="Topic name, device id or serial number", max_length=64
                            ),
                        ),
                        (
                            "tz",
                            models.CharField(
                                default="Europe/London", max_length=40, verbose_name="time zone"
                            ),
                        ),
                        (
                            "asset",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="devices",
                                to="assets.asset",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("asset", "kind", "name"), name="assetdevice_one_of_a_name"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="AssetState",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "asset_id",
                                "at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "at",
                            models.DateTimeField(help_text="UTC, the device's own time where it tells one"),
                        ),
                        ("received_at", models.DateTimeField()),
                        ("power_w", models.IntegerField(null=True)),
                        ("energy_wh", models.BigIntegerField(help_text="Cumulative", null=True)),
                        ("session_wh", models.IntegerField(null=True)),
                        ("current_ma", models.IntegerField(null=True)),
                        ("voltage_mv", models.IntegerField(null=True)),
                        (
                            "temperature_dc",
                            models.SmallIntegerField(help_text="Tenths of a degree Celsius", null=True),
                        ),
                        ("is_on", models.BooleanField(null=True)),
                        ("state", models.CharField(blank=True, max_length=24)),
                        ("kind", models.CharField(max_length=12)),
                        (
                            "asset",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="assets.asset",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["at"], name="assetstate_by_time")],
                    },
                ),
                migrations.CreateModel(
                    name="EmoncmsInput",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("node", models.CharField(max_length=64)),
                        ("name", models.CharField(max_length=64)),
                        (
                            "role",
                            models.CharField(
                                choices=[
                                    ("none", "Not used"),
                                    ("import_kwh", "Import register in kWh"),
                                    ("export_kwh", "Export register in kWh"),
                                    ("import_wh", "Import register in Wh"),
                                    ("export_wh", "Export register in Wh"),
                                    ("power_w", "Grid power in W, import above zero"),
                                ],
                                default="none",
                                max_length=12,
                            ),
                        ),
                        ("at", models.DateTimeField(help_text="The latest value's time", null=True)),
                        (
                            "value",
                            models.FloatField(
                                help_text="The latest, while live readings are consented to", null=True
                            ),
                        ),
                        (
                            "key",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="inputs",
                                to="metering.emoncmskey",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("key", "node", "name"), name="emoncmsinput_one_of_a_name"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PackedWeek",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream_id",
                                "block",
                                "source_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "latest_known_at",
                            models.DateTimeField(
                                help_text="When the store learned the newest of these readings"
                            ),
                        ),
                        ("run_id", models.BigIntegerField()),
                        ("stream_id", models.UUIDField()),
                        ("block", models.IntegerField()),
                        (
                            "first_slot",
                            models.IntegerField(help_text="The earliest half-hour held, since 1970"),
                        ),
                        ("past_slot", models.IntegerField(help_text="One past the latest")),
                        ("form", models.PositiveSmallIntegerField()),
                        ("payload", models.BinaryField()),
                        ("detail", models.BinaryField(default=b"")),
                        (
                            "source",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.source",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_packed",
                        "indexes": [models.Index(fields=["past_slot"], name="packed_by_past_slot")],
                    },
                ),
                migrations.CreateModel(
                    name="SupersededHalfHour",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream_id",
                                "starts_at",
                                "source_id",
                                "revision",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("known_at", models.DateTimeField()),
                        ("stream_id", models.UUIDField()),
                        ("import_wh", models.PositiveIntegerField()),
                        ("export_wh", models.PositiveIntegerField(default=0)),
                        ("revision", models.PositiveSmallIntegerField(default=0)),
                        (
                            "quality",
                            models.PositiveSmallIntegerField(
                                choices=[(0, "Measured"), (1, "Estimated"), (2, "Substituted")], default=0
                            ),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.importrun",
                            ),
                        ),
                        (
                            "source",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.source",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_superseded",
                    },
                ),
                migrations.CreateModel(
                    name="PeriodTotal",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream_id",
                                "starts_on",
                                "granularity",
                                "source_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("stream_id", models.UUIDField()),
                        ("starts_on", models.DateField(help_text="Europe/London date")),
                        ("ends_on", models.DateField(help_text="The day after the last")),
                        (
                            "granularity",
                            models.CharField(
                                choices=[("daily", "Daily"), ("monthly", "Monthly")], max_length=8
                            ),
                        ),
                        (
                            "source",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="metering.source",
                            ),
                        ),
                        ("import_wh", models.BigIntegerField(default=0)),
                        ("export_wh", models.BigIntegerField(default=0)),
                        (
                            "half_hours",
                            models.PositiveSmallIntegerField(default=0, help_text="How many are in the sums"),
                        ),
                        ("counted", models.BinaryField(default=b"")),
                        (
                            "known_at",
                            models.DateTimeField(
                                help_text="World time at which the store last learned of it"
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_period_total",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("ends_on__gt", models.F("starts_on"))),
                                name="total_runs_forward",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RetentionRule",
                    fields=[
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("live", "Raw live power, after it was measured"),
                                    ("live_withdrawn", "Raw live power, after the consent to it ended"),
                                    ("half_hourly", "Half-hours and totals, after they were"),
                                    (
                                        "withdrawn",
                                        "Half-hours and totals, after every consent to readings ended",
                                    ),
                                    (
                                        "messages",
                                        "Messages that were not simply stored, after the latest of the kind",
                                    ),
                                ],
                                max_length=16,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("keep_days", models.PositiveIntegerField()),
                    ],
                    options={
                        "db_table": "metering_retention_rule",
                    },
                ),
                migrations.CreateModel(
                    name="Completeness",
                    fields=[
                        (
                            "day",
                            models.DateField(
                                help_text="Europe/London date", primary_key=True, serialize=False
                            ),
                        ),
                        ("expected", models.PositiveBigIntegerField()),
                        ("by_d1", models.PositiveBigIntegerField()),
                        ("by_d3", models.PositiveBigIntegerField(null=True)),
                    ],
                    options={
                        "verbose_name_plural": "completeness",
                        "db_table": "metering_completeness",
                    },
                ),
                migrations.CreateModel(
                    name="HalfHourlyRate",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "kind",
                                "starts_at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("import_price", "Price of electricity used, p/kWh"),
                                    ("export_price", "Price paid for electricity sent out, p/kWh"),
                                    ("carbon", "Carbon intensity, g CO2/kWh"),
                                    ("temperature", "Outdoor temperature, °C"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("value", models.DecimalField(decimal_places=4, max_digits=9)),
                        ("source", models.CharField(help_text="Adapter that read it", max_length=24)),
                        ("known_at", models.DateTimeField(help_text="World time")),
                    ],
                    options={
                        "db_table": "metering_rate",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("starts_at", metering.models.HalfHourGrid("starts_at"))),
                                name="rate_on_the_half_hour_grid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("kind", "carbon"), _negated=True),
                                    ("value__gte", 0),
                                    _connector="OR",
                                ),
                                name="rate_carbon_not_negative",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PartnerMonth",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("partner_id", models.UUIDField()),
                        ("starts_on", models.DateField(help_text="First Europe/London date of the month")),
                        (
                            "homes",
                            models.PositiveIntegerField(help_text="0 where there are too few to tell of"),
                        ),
                        (
                            "stream_ids",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.UUIDField(),
                                help_text="Forgotten after a few years",
                                size=None,
                            ),
                        ),
                        ("told_at", models.DateTimeField(help_text="World time")),
                    ],
                    options={
                        "db_table": "metering_partner_month",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("partner_id", "starts_on"), name="partnermonth_told_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PartnerDay",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "month_id",
                                "day",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("day", models.DateField(help_text="Europe/London date")),
                        ("homes", models.PositiveIntegerField(default=0, help_text="Homes in the total")),
                        ("import_wh", models.BigIntegerField(null=True)),
                        (
                            "export_wh",
                            models.BigIntegerField(
                                help_text="Absent where it would tell of one home", null=True
                            ),
                        ),
                        (
                            "withheld",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("too_few", "too few homes with every half-hour"),
                                    ("stands_out", "one home would stand out"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "month",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="days",
                                to="metering.partnermonth",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "metering_partner_day",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("homes__gte", 15), ("import_wh__isnull", False), ("withheld", "")
                                    ),
                                    models.Q(
                                        models.Q(("withheld", ""), _negated=True),
                                        ("export_wh__isnull", True),
                                        ("homes", 0),
                                        ("import_wh__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                                name="partnerday_of_many_or_nothing",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MissingDay",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("day", models.DateField(help_text="Europe/London date")),
                        ("cause", models.CharField(help_text="One of `causes.Cause`", max_length=8)),
                        ("half_hours", models.PositiveBigIntegerField()),
                    ],
                    options={
                        "db_table": "metering_missing_day",
                        "constraints": [
                            models.UniqueConstraint(fields=("day", "cause"), name="missing_day_one_a_cause")
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "energy",
            "metering_source",
            "metering_importrun",
            "metering_importreject",
            "metering_importgap",
            "metering_half_hour",
            "metering_refusal",
            "metering_open_half_hour",
            "metering_register",
            "metering_message",
            "metering_emoncmsinput",
            "metering_importjob",
            "metering_importpart",
            "metering_superseded",
            "metering_packed",
            "metering_period_total",
            "metering_retention_rule",
            "metering_completeness",
            "metering_partner_month",
            "metering_partner_day",
            "metering_missing_day",
        ),
        schemas.place(
            "operations",
            "metering_sender",
            "metering_ruleset",
            "metering_rulecount",
            "metering_assetdevice",
            "metering_assetstate",
            "metering_reportlink",
            "metering_feedcursor",
            "metering_emoncmskey",
            "metering_backfill",
            "metering_rate",
        ),
        schemas.append_only("energy", "metering_partner_day"),
        migrations.RunSQL(sql.TUNE_PACKED, sql.UNTUNE_PACKED),
        migrations.RunSQL(sql.CREATE_AUDITED, sql.DROP_AUDITED),
        migrations.RunSQL(sql.SOW_SOURCES, migrations.RunSQL.noop),
        migrations.RunSQL(sql.SOW_RETENTION_RULES, migrations.RunSQL.noop),
        roles.grant("metering", rights.GRANTS),
        roles.grant("metering", rights.DEVICE_GRANTS),
        roles.grant("metering", rights.RETENTION_GRANTS),
    ]
