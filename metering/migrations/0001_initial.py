"""The reading store and the record of imports; columns of the big table stand widest first, without padding."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

import metering.models
from members import roles
from metering import rights
from opendsr.kernel import schemas

KNOWN_SOURCES = [
    "n3rgy_csv",
    "powershaper_csv",
    "supplier",
    "lcl_csv",
    "generic_csv",
    "opendsr_csv",
    "cad",
    "hub",
    "simulated",
]


class Migration(migrations.Migration):
    initial = True

    dependencies = [("kernel", "0001_initial"), ("members", "0001_initial")]

    operations = [
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
                    models.CharField(blank=True, help_text="How stamps and values were read", max_length=120),
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
            ],
            options={
                "indexes": [models.Index(fields=["content_sha256", "source"], name="importrun_by_content")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "rows_read",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("rows_landed"), "+", models.F("rows_unchanged")
                                    ),
                                    "+",
                                    models.F("rows_rejected"),
                                ),
                            )
                        ),
                        name="importrun_every_row_accounted_for",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("rows_corrected__lte", models.F("rows_landed"))),
                        name="importrun_corrections_landed",
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
                ("known_at", models.DateTimeField(help_text="World time at which the store learned it")),
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
        migrations.RunSQL(
            sql=[("INSERT INTO metering_source (code) SELECT unnest(%s::text[])", [KNOWN_SOURCES])],
            reverse_sql=migrations.RunSQL.noop,
        ),
        schemas.place(
            "energy",
            "metering_source",
            "metering_importrun",
            "metering_importreject",
            "metering_importgap",
            "metering_half_hour",
        ),
        roles.grant("metering", rights.GRANTS),
    ]
