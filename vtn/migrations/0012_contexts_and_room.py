"""Market contexts get names; a hand-over and an answer are written beside the event, without its indexes.

Opts and log lose an index each, the beginning of another one. No table is rewritten: room is left from now on.
"""

from __future__ import annotations

import django.db.models.deletion
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
        migrations.RunSQL(
            "ALTER TABLE vtn_event SET (fillfactor = 50)", "ALTER TABLE vtn_event RESET (fillfactor)"
        ),
        migrations.AlterField(
            model_name="eventopt",
            name="event",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="opts",
                to="vtn.event",
            ),
        ),
        migrations.AlterField(
            model_name="messagelog",
            name="ven",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="messages",
                to="vtn.ven",
            ),
        ),
    ]
