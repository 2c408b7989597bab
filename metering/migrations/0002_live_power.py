"""Live power by week, half-hours under way, and what was refused of it."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from metering import sql
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_initial"), ("members", "0002_consent_mark")]

    operations = [
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
                ("seen", models.BinaryField(db_default=models.Value(bytes(23)))),
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
                        condition=models.Q(("is_due", True)), fields=["starts_at"], name="open_half_hour_due"
                    )
                ],
            },
        ),
        schemas.place("energy", "metering_refusal", "metering_open_half_hour"),
    ]
