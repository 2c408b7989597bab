"""Forecasts keep what they were before anything learnt was put in; rules cap what all homes change together.

Learning from moved fans forgets what it knew. What the last check keeps back for the cap has a reason.
"""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models

LEFT_OUT = [
    ("no_household", "Nobody lives there for all of it"),
    ("no_consent", "No consent for flexibility"),
    ("standing_opt_out", "Household has opted out for now"),
    ("hub_not_commissioned", "Hub not commissioned"),
    ("asset_faulty", "Asset faulty"),
    ("own_limits", "Outside what the household keeps for itself"),
    ("busy", "Already in another campaign"),
    ("not_enough_duration", "Cannot hold that long"),
    ("no_meter_data", "Too few meter readings for a baseline"),
    ("too_little_use", "Home has nothing to give at that time of day"),
    ("held_out", "Held out to compare with: not asked, paid the average"),
    ("not_needed", "Size already reached"),
    ("opted_out", "Household said no to this one"),
    ("certificate", "Hub's certificate is not accepted"),
    ("hub_changed", "Hub was replaced after approval"),
    ("too_late", "Could not be sent before the end"),
    ("displaced", "Given to direct load control, which comes first"),
    ("not_told", "Household could not be told in time"),
    ("resting", "Let go minutes ago, or said no, under the same cap"),
    ("ramp", "More would change at once than the rules allow"),
]


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
        migrations.AddField(
            model_name="campaignrule",
            name="portfolio_w_per_minute",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="participation",
            name="left_out",
            field=models.CharField(
                blank=True, choices=LEFT_OUT, help_text="Why the last check kept it back", max_length=24
            ),
        ),
        migrations.AlterField(
            model_name="planline",
            name="left_out",
            field=models.CharField(
                blank=True, choices=LEFT_OUT, help_text="Empty when chosen", max_length=24
            ),
        ),
        migrations.AddConstraint(
            model_name="campaignrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("portfolio_w_per_minute", None), ("portfolio_w_per_minute__gt", 0), _connector="OR"
                ),
                name="campaignrule_portfolio_may_change",
            ),
        ),
    ]
