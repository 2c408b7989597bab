"""Market contexts get names; a table of a few rows."""

from __future__ import annotations

from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [("vtn", "0011_lean_indexes")]

    operations = [
        migrations.CreateModel(
            name="MarketContext",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uri", models.CharField(db_collation="C", max_length=200)),
                ("name", models.CharField(max_length=80)),
                ("description", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "db_table": "vtn_market_context",
                "constraints": [
                    models.UniqueConstraint(fields=("uri",), name="vtn_market_context_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("uri", ""), _negated=True), models.Q(("name", ""), _negated=True)
                        ),
                        name="vtn_market_context_is_named",
                    ),
                ],
            },
        ),
        schemas.place("operations", "vtn_market_context"),
    ]
