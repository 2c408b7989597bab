"""A hand-over and an answer are written beside the event, without its indexes; opts and log lose one each.

Both indexes dropped are the beginning of another one. Nothing is rewritten: room is left from now on.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vtn", "0012_market_context")]

    operations = [
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
