"""Half-hourly prices and carbon intensity; how long messages are kept; who may set how long."""

from __future__ import annotations

from django.db import migrations, models

import metering.models
from members import roles
from metering import rights
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0007_completeness"),
        ("members", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="retentionrule",
            name="kind",
            field=models.CharField(
                choices=[
                    ("live", "Raw live power, after it was measured"),
                    ("live_withdrawn", "Raw live power, after the consent to it ended"),
                    ("half_hourly", "Half-hours and totals, after they were"),
                    ("withdrawn", "Half-hours and totals, after every consent to readings ended"),
                    ("messages", "Messages that were not simply stored, after the latest of the kind"),
                ],
                max_length=16,
                primary_key=True,
                serialize=False,
            ),
        ),
        migrations.CreateModel(
            name="HalfHourlyRate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "kind", "starts_at", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("import_price", "Price of electricity used, p/kWh"),
                            ("export_price", "Price paid for electricity sent out, p/kWh"),
                            ("carbon", "Carbon intensity, g CO2/kWh"),
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
                            models.Q(("kind", "carbon"), _negated=True), ("value__gte", 0), _connector="OR"
                        ),
                        name="rate_carbon_not_negative",
                    ),
                ],
            },
        ),
        schemas.place("operations", "metering_rate"),
        migrations.RunSQL(
            "INSERT INTO energy.metering_retention_rule (kind, keep_days) VALUES ('messages', 90)",
            "DELETE FROM energy.metering_retention_rule WHERE kind = 'messages'",
        ),
        roles.grant("metering", rights.RETENTION_GRANTS),
    ]
