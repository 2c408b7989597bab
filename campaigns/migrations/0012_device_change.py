from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0011_uftp")]

    operations = [
        migrations.AddField(
            model_name="participation",
            name="changed_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When the device was first seen changed as asked; empty: it told none",
                null=True,
            ),
        ),
    ]
