"""Fewer indexes to write for each of ten thousand events: none that another one serves for as well.

Holds both tables for the seconds in which two indexes are built anew.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vtn", "0001_squashed_0010_event_newest")]

    operations = [
        migrations.RemoveIndex(model_name="queuedmessage", name="vtn_queue_age"),
        migrations.AlterField(
            model_name="event",
            name="event_id",
            field=models.CharField(db_collation="C", max_length=64),
        ),
        migrations.AlterField(
            model_name="event",
            name="key",
            field=models.CharField(db_collation="C", help_text="The publisher's own key.", max_length=200),
        ),
        migrations.AlterField(
            model_name="event",
            name="ven",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="events",
                to="vtn.ven",
            ),
        ),
        migrations.AlterField(
            model_name="queuedmessage",
            name="ven",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="queue",
                to="vtn.ven",
            ),
        ),
        migrations.AddIndex(
            model_name="queuedmessage",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", False)),
                fields=["finished_at"],
                name="vtn_queue_age",
            ),
        ),
        migrations.AddConstraint(
            model_name="event",
            constraint=models.UniqueConstraint(fields=("event_id",), name="vtn_event_id_once"),
        ),
        migrations.AddConstraint(
            model_name="event",
            constraint=models.UniqueConstraint(fields=("key",), name="vtn_event_key_once"),
        ),
        # A message that waits and is offered again is written beside itself, without its indexes.
        migrations.RunSQL(
            "ALTER TABLE vtn_queue SET (fillfactor = 50)", "ALTER TABLE vtn_queue RESET (fillfactor)"
        ),
    ]
