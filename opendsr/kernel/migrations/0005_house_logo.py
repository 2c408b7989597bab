"""The co-op's logo: each that was ever set, and the one in force on the installation's row."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [("kernel", "0004_house_settings")]

    operations = [
        migrations.AddField(
            "installation",
            "logo",
            models.CharField(blank=True, default="", help_text="A HouseLogo, or none", max_length=64),
        ),
        migrations.CreateModel(
            name="HouseLogo",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("png", models.BinaryField()),
                ("kept_at", models.DateTimeField(help_text="World time.")),
            ],
            options={
                "db_table": "house_logo",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="house_logo_is_named"
                    )
                ],
            },
        ),
        schemas.place("operations", "house_logo"),
        schemas.append_only("operations", "house_logo"),
    ]
