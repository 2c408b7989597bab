"""What the co-op sets for itself, each value a row."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [("kernel", "0003_looks")]

    operations = [
        migrations.AddField(
            "installation",
            "colour",
            models.CharField(blank=True, default="", help_text="Such as #0b6b4f, or none", max_length=7),
        ),
        migrations.CreateModel(
            name="HouseSetting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=40)),
                ("value", models.JSONField(null=True)),
                ("why", models.CharField(max_length=200)),
                ("set_at", models.DateTimeField(help_text="World time.")),
                (
                    "set_by",
                    models.CharField(help_text="As in the audit trail, such as user:7", max_length=40),
                ),
            ],
            options={
                "db_table": "house_setting",
                "indexes": [models.Index(fields=["key", "-id"], name="house_setting_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=~Q(why="") & ~Q(set_by=""), name="house_setting_says_why"
                    )
                ],
            },
        ),
        schemas.place("operations", "house_setting"),
        schemas.append_only("operations", "house_setting"),
    ]
