"""How complete each day was one day and three days after."""

from __future__ import annotations

from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0006_totals_and_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="Completeness",
            fields=[
                ("day", models.DateField(help_text="Europe/London date", primary_key=True, serialize=False)),
                ("expected", models.PositiveBigIntegerField()),
                ("by_d1", models.PositiveBigIntegerField()),
                ("by_d3", models.PositiveBigIntegerField(null=True)),
            ],
            options={
                "verbose_name_plural": "completeness",
                "db_table": "metering_completeness",
            },
        ),
        schemas.place("energy", "metering_completeness"),
    ]
