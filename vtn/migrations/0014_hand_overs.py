"""What has left for many VENs at once is kept in a row until it is written on events and queue.

The queue gives up two indexes that each finished row was written into: open rows are few a VEN, old ones are
found by their keys.
"""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [("vtn", "0013_series_and_queue")]

    operations = [
        migrations.CreateModel(
            name="HandOver",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("left_wall_at", models.DateTimeField()),
                ("by", models.CharField(help_text="The transport.", max_length=12)),
                (
                    "event_pks",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "modification_numbers",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveIntegerField(), size=None
                    ),
                ),
                (
                    "ven_pks",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
            ],
            options={
                "db_table": "vtn_hand_over",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("event_pks__len", models.F("modification_numbers__len")),
                            ("event_pks__len", models.F("ven_pks__len")),
                        ),
                        name="vtn_hand_over_of_one_length",
                    )
                ],
            },
        ),
        schemas.place("operations", "vtn_hand_over"),
        migrations.RemoveIndex(model_name="queuedmessage", name="vtn_queue_by_request"),
        migrations.RemoveIndex(model_name="queuedmessage", name="vtn_queue_age"),
        migrations.AddIndex(
            model_name="queuedmessage",
            index=models.Index(fields=["ven", "-id"], name="vtn_queue_by_ven"),
        ),
        migrations.AlterField(
            model_name="messagelog",
            name="ven",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="messages",
                to="vtn.ven",
            ),
        ),
    ]
