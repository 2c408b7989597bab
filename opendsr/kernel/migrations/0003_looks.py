"""Whose data a page showed is found in the audit trail by an index."""

from __future__ import annotations

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kernel", "0002_audit_seals")]

    operations = [
        migrations.AddIndex(
            "auditentry",
            django.contrib.postgres.indexes.GinIndex(
                models.F("detail__subjects"),
                condition=models.Q(("verb", "identity.looked_at")),
                name="audit_entry_by_subject",
            ),
        ),
    ]
