"""Weeks of closed days packed, and the revisions that newer ones replaced."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from metering import sql
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0004_intake_rights"),
    ]

    operations = [
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
                    models.DateTimeField(help_text="When the store learned the newest of these readings"),
                ),
                ("run_id", models.BigIntegerField()),
                ("stream_id", models.UUIDField()),
                ("block", models.IntegerField()),
                ("first_slot", models.IntegerField(help_text="The earliest half-hour held, since 1970")),
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
        schemas.place("energy", "metering_superseded", "metering_packed"),
        migrations.RunSQL(sql.TUNE_PACKED, sql.UNTUNE_PACKED),
    ]
