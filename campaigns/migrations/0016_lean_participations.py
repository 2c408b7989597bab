"""Fewer and cheaper indexes to write for each of ten thousand participations.

Nothing looks a participation up by its asset alone, and by its event only as a whole: a hash costs a tenth of
a tree to write. Holds the table for the seconds in which that index is built anew.
"""

from __future__ import annotations

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0015_openadr_ven")]

    operations = [
        migrations.RemoveIndex(model_name="participation", name="participation_by_event"),
        migrations.AlterField(
            model_name="participation",
            name="asset",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="participations",
                to="assets.asset",
            ),
        ),
        migrations.AddIndex(
            model_name="participation",
            index=django.contrib.postgres.indexes.HashIndex(
                fields=["vtn_event_id"], name="participation_by_event"
            ),
        ),
    ]
