"""How a household pays for electricity, beside who supplies it; a row says one of the two, or both."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0002_squashed_0012_people_of_a_household"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="supply",
            name="supply_names_somebody",
        ),
        migrations.AddField(
            model_name="supply",
            name="payment_method",
            field=models.CharField(
                blank=True,
                choices=[
                    ("direct_debit", "By direct debit"),
                    ("standard_credit", "When the bill comes"),
                    ("prepayment", "In advance (prepayment)"),
                    ("not_said", "We would rather not say"),
                ],
                db_default="",
                default="",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="supply",
            name="supplier",
            field=models.CharField(blank=True, max_length=60),
        ),
        migrations.AddConstraint(
            model_name="supply",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("supplier", ""), _negated=True),
                    models.Q(("payment_method", ""), _negated=True),
                    _connector="OR",
                ),
                name="supply_says_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="supply",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("payment_method__in", ["", "direct_debit", "standard_credit", "prepayment", "not_said"])
                ),
                name="supply_payment_method_known",
            ),
        ),
    ]
