"""The mark that changes with every consent, stream and stay."""

from __future__ import annotations

from django.db import migrations

from members import consent_changes


class Migration(migrations.Migration):
    dependencies = [("members", "0001_initial")]

    operations = [migrations.RunSQL(consent_changes.CREATE_MARK, consent_changes.DROP_MARK)]
