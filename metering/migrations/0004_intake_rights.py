"""Which roles may keep devices and report links in the records."""

from __future__ import annotations

from django.db import migrations

from members import roles
from metering import rights


class Migration(migrations.Migration):
    dependencies = [("metering", "0003_intake"), ("members", "0001_initial")]

    operations = [roles.grant("metering", rights.DEVICE_GRANTS)]
