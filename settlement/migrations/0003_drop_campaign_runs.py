from django.db import migrations

from settlement import sql


class Migration(migrations.Migration):
    dependencies = [("settlement", "0002_placebo_study")]
    operations = [
        migrations.RunSQL(sql.REFUSE_EARLIER_RUNS, migrations.RunSQL.noop),
        migrations.DeleteModel("Statement"),
        migrations.DeleteModel("PeriodDelivery"),
        migrations.DeleteModel("HomeDelivery"),
        migrations.RemoveField("Entry", "run"),
        migrations.DeleteModel("SettlementRun"),
    ]
