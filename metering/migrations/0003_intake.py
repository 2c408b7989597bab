"""What stands between devices and the store, each table in the schema of what it holds."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("assets", "0001_initial"),
        ("members", "0001_initial"),
        ("metering", "0002_live_power"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
                ("service", models.CharField(choices=[("glowmarkt", "Glowmarkt (Bright)")], max_length=12)),
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="members.home"
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
                    models.JSONField(default=dict, help_text="Adapter, conventions and columns as chosen"),
                ),
                (
                    "meters",
                    models.JSONField(default=dict, help_text="Which stream each meter of the file fills"),
                ),
                ("outcome", models.JSONField(default=dict, help_text="Counts of the preview or the import")),
                ("error", models.CharField(blank=True, max_length=400)),
                ("created_at", models.DateTimeField()),
                ("touched_wall_at", models.DateTimeField(help_text="When the work was last seen moving")),
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
            ],
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
                ("source", models.CharField(help_text="glow, device, emoncms or openadr", max_length=16)),
                ("sender", models.CharField(blank=True, max_length=64)),
                ("topic", models.CharField(max_length=200)),
                ("body", models.TextField(help_text="As it came, at most 16 kB")),
                ("code", models.CharField(max_length=24)),
                ("detail", models.CharField(blank=True, max_length=300)),
                ("rule", models.CharField(blank=True, max_length=40)),
                ("received_at", models.DateTimeField(help_text="World time of the latest such message")),
                ("times", models.PositiveIntegerField(default=1)),
                ("retried_at", models.DateTimeField(blank=True, null=True)),
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
                        condition=models.Q(("is_pending", True)), fields=["slot"], name="register_pending"
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
                    models.CharField(help_text="MAC address in capitals, or the hub's VEN id", max_length=64),
                ),
                (
                    "password_hash",
                    models.CharField(blank=True, help_text="As Mosquitto keeps it", max_length=200),
                ),
                ("password_set_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "received_at",
                    models.DateTimeField(blank=True, help_text="World time of the latest message", null=True),
                ),
                (
                    "reading_at",
                    models.DateTimeField(blank=True, help_text="The latest reading's own time", null=True),
                ),
                (
                    "drift_seconds",
                    models.IntegerField(blank=True, help_text="Received less the device's time", null=True),
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
                ("name", models.CharField(help_text="Topic name, device id or serial number", max_length=64)),
                ("tz", models.CharField(default="Europe/London", max_length=40, verbose_name="time zone")),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="devices", to="assets.asset"
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
                        "asset_id", "at", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField(help_text="UTC, the device's own time where it tells one")),
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
                    models.UniqueConstraint(fields=("key", "node", "name"), name="emoncmsinput_one_of_a_name")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="importjob",
            index=models.Index(fields=["-created_at"], name="importjob_newest"),
        ),
        migrations.AddConstraint(
            model_name="importjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("done_bytes__lte", models.F("size_bytes"))), name="importjob_within_size"
            ),
        ),
        migrations.AddConstraint(
            model_name="importpart",
            constraint=models.UniqueConstraint(fields=("job", "number"), name="importpart_one_a_number"),
        ),
        migrations.AddConstraint(
            model_name="reportlink",
            constraint=models.UniqueConstraint(fields=("hub", "r_id"), name="reportlink_one_an_rid"),
        ),
        migrations.AddConstraint(
            model_name="reportlink",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("asset__isnull", True),
                        (
                            "role__in",
                            ["import_energy", "export_energy", "import_register", "export_register"],
                        ),
                    ),
                    models.Q(("asset__isnull", False), ("role__in", ["asset_power", "asset_state"])),
                    _connector="OR",
                ),
                name="reportlink_asset_fits_role",
            ),
        ),
        migrations.AddConstraint(
            model_name="ruleset",
            constraint=models.CheckConstraint(
                condition=models.Q(("version__gte", 1)), name="ruleset_versions_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulecount",
            constraint=models.UniqueConstraint(fields=("ruleset", "rule"), name="rulecount_one_a_rule"),
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
        ),
        schemas.place(
            "energy",
            "metering_register",
            "metering_message",
            "metering_emoncmsinput",
            "metering_importjob",
            "metering_importpart",
        ),
    ]
