"""What a forecast was before anything learnt was put in: learning from moved fans forgets what it knew."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0016_lean_participations")]

    operations = [
        migrations.AddField(
            model_name="flexibilityforecast",
            name="summed_w",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveIntegerField(), blank=True, null=True, size=324
            ),
        ),
        migrations.AddConstraint(
            model_name="flexibilityforecast",
            constraint=models.CheckConstraint(
                condition=models.Q(("summed_w", None), ("summed_w__len", 324), _connector="OR"),
                name="flexibilityforecast_sums_whole",
            ),
        ),
    ]
