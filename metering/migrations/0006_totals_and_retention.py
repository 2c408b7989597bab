"""Totals of days and months, how long readings are kept, and who read them for what."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from metering import sql
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0005_packed_weeks"),
    ]

    operations = [
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
                    models.CharField(choices=[("daily", "Daily"), ("monthly", "Monthly")], max_length=8),
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
                    models.DateTimeField(help_text="World time at which the store last learned of it"),
                ),
            ],
            options={
                "db_table": "metering_period_total",
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
                            ("withdrawn", "Half-hours and totals, after every consent to readings ended"),
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
        migrations.RemoveConstraint(
            model_name="importrun",
            name="importrun_every_row_accounted_for",
        ),
        migrations.AddField(
            model_name="importrun",
            name="rows_summed",
            field=models.PositiveIntegerField(
                default=0, help_text="Kept only in the total of their day or month"
            ),
        ),
        migrations.AddConstraint(
            model_name="importrun",
            constraint=models.CheckConstraint(
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
        ),
        migrations.AddConstraint(
            model_name="periodtotal",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_on__gt", models.F("starts_on"))), name="total_runs_forward"
            ),
        ),
        schemas.place("energy", "metering_period_total", "metering_retention_rule"),
        migrations.RunSQL(sql.PUT_RETENTION_RULES, migrations.RunSQL.noop),
        migrations.RunSQL(sql.CREATE_AUDITED, sql.DROP_AUDITED),
    ]
