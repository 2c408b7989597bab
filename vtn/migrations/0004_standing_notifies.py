from django.db import migrations

from vtn import triggers


class Migration(migrations.Migration):
    dependencies = [("vtn", "0003_staff_records")]

    operations = [migrations.RunSQL(triggers.CREATE, triggers.DROP)]
