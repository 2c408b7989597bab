"""What partners were told, a row a day that nobody changes, and whom it was about."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("metering", "0008_rates_and_message_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="PartnerMonth",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("partner_id", models.UUIDField()),
                ("starts_on", models.DateField(help_text="First Europe/London date of the month")),
                ("homes", models.PositiveIntegerField(help_text="0 where there are too few to tell of")),
                (
                    "stream_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), help_text="Forgotten after a few years", size=None
                    ),
                ),
                ("told_at", models.DateTimeField(help_text="World time")),
            ],
            options={
                "db_table": "metering_partner_month",
                "constraints": [
                    models.UniqueConstraint(fields=("partner_id", "starts_on"), name="partnermonth_told_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="PartnerDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "month_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.DateField(help_text="Europe/London date")),
                ("homes", models.PositiveIntegerField(default=0, help_text="Homes in the total")),
                ("import_wh", models.BigIntegerField(null=True)),
                (
                    "export_wh",
                    models.BigIntegerField(help_text="Absent where it would tell of one home", null=True),
                ),
                (
                    "withheld",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("too_few", "too few homes with every half-hour"),
                            ("stands_out", "one home would stand out"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "month",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="days",
                        to="metering.partnermonth",
                    ),
                ),
            ],
            options={
                "db_table": "metering_partner_day",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("homes__gte", 15), ("import_wh__isnull", False), ("withheld", "")),
                            models.Q(
                                models.Q(("withheld", ""), _negated=True),
                                ("export_wh__isnull", True),
                                ("homes", 0),
                                ("import_wh__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="partnerday_of_many_or_nothing",
                    )
                ],
            },
        ),
        schemas.place("energy", "metering_partner_month", "metering_partner_day"),
        schemas.append_only("energy", "metering_partner_day"),
    ]
