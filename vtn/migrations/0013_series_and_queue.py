"""Series of events by hand are kept as they were written; the queue's hand-overs leave its indexes alone.

No index of the queue names the state or the next try any more; the message log's age, which only ever grows,
is kept by block. Holds both tables for the seconds in which three indexes are built anew.
"""

from __future__ import annotations

import django.contrib.postgres.indexes
from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [("vtn", "0012_contexts_and_room")]

    operations = [
        migrations.CreateModel(
            name="EventSeries",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("series_id", models.UUIDField(help_text="The key of its first time.", unique=True)),
                ("ven_ids", models.JSONField()),
                ("content", models.JSONField(help_text="Its first event as the API takes it.")),
                ("weekdays", models.JSONField(help_text="Counted from Monday, 0.")),
                ("repeat_until", models.DateField(help_text="The last civil day, included.")),
                ("skips_holidays", models.BooleanField()),
                ("times", models.JSONField(help_text="When each time starts, by its key.")),
                (
                    "skipped",
                    models.JSONField(default=list, help_text="The keys of the times that were left out."),
                ),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=100)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "vtn_event_series",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("weekdays", []), _negated=True), models.Q(("times", {}), _negated=True)
                        ),
                        name="vtn_event_series_has_times",
                    )
                ],
            },
        ),
        schemas.place("operations", "vtn_event_series"),
        migrations.RemoveConstraint(model_name="queuedmessage", name="vtn_queue_open_once"),
        migrations.RemoveIndex(model_name="queuedmessage", name="vtn_queue_next"),
        migrations.RemoveIndex(model_name="queuedmessage", name="vtn_queue_due"),
        migrations.AddIndex(
            model_name="queuedmessage",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True)),
                fields=["ven", "rank", "id"],
                name="vtn_queue_next",
            ),
        ),
        migrations.AddConstraint(
            model_name="queuedmessage",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("finished_at__isnull", True), models.Q(("dedupe_key", ""), _negated=True)
                ),
                fields=("ven", "dedupe_key"),
                name="vtn_queue_open_once",
            ),
        ),
        migrations.RemoveIndex(model_name="messagelog", name="vtn_wire_log_age"),
        migrations.AddIndex(
            model_name="messagelog",
            index=django.contrib.postgres.indexes.BrinIndex(
                fields=["recorded_wall_at"], name="vtn_wire_log_age"
            ),
        ),
    ]
