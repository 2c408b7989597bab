"""Runs, rounds, the ledger and payments, with what the database itself promises about money."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import opendsr.kernel.ids
import settlement.models.terms
from members import roles
from opendsr.kernel import schemas
from settlement import rights, sql


class Migration(migrations.Migration):
    replaces = [
        ("settlement", "0001_initial"),
        ("settlement", "0002_placebo_study"),
        ("settlement", "0003_drop_campaign_runs"),
        ("settlement", "0004_rounds"),
        ("settlement", "0005_statement_files"),
        ("settlement", "0006_lines_known_at_once"),
        ("settlement", "0007_surplus_proposals"),
        ("settlement", "0008_hold_out_and_devices"),
        ("settlement", "0009_month_figures"),
    ]

    initial = True

    dependencies = [
        ("assets", "0001_squashed_0005_sealed_notes"),
        ("campaigns", "0001_squashed_0013_caps"),
        ("kernel", "0001_squashed_0005_house_logo"),
        ("members", "0002_squashed_0012_people_of_a_household"),
    ]

    operations = [
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="SettlementRound",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("number", models.PositiveIntegerField(help_text="Counts up in the programme")),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("provisional", "Provisional"),
                                    ("final", "Final"),
                                    ("correction", "Correction"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "campaign_ids",
                            models.JSONField(help_text="The campaigns it settles, in order of start"),
                        ),
                        ("campaign_count", models.PositiveIntegerField()),
                        (
                            "as_known_at",
                            models.DateTimeField(help_text="Readings known to the store by then are used"),
                        ),
                        (
                            "is_forced",
                            models.BooleanField(
                                default=False, help_text="Does not wait for missing readings"
                            ),
                        ),
                        ("proposed_at", models.DateTimeField()),
                        (
                            "programme",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.programme",
                            ),
                        ),
                        (
                            "proposed_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "holds_unearned",
                            models.BooleanField(
                                default=False,
                                help_text="Money that no home earned is held for the community fund",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["-proposed_at"], name="settlementround_newest")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("programme", "number"), name="settlementround_number"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("kind__in", ["provisional", "final", "correction"])),
                                name="settlementround_kind_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("campaign_count__gte", 1)),
                                name="settlementround_settles_something",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Entry",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "key",
                            models.CharField(
                                help_text="What it is for, e.g. round:<id>; posting twice is refused",
                                max_length=120,
                                unique=True,
                            ),
                        ),
                        ("memo", models.CharField(max_length=200)),
                        ("posted_at", models.DateTimeField()),
                        (
                            "round",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="entries",
                                to="settlement.settlementround",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "entries",
                    },
                ),
                migrations.CreateModel(
                    name="Account",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("buyer", "Owed by the buyer of flexibility"),
                                    ("coop", "The co-op's share"),
                                    ("fund", "The community fund"),
                                    ("reserve", "The co-op's reserves"),
                                    ("household", "Owed to a household"),
                                    ("bank", "At the bank"),
                                    ("disputed", "Held apart until agreed with the buyer"),
                                    ("rounding", "Less than a penny, carried forward"),
                                    ("written_off", "Written off"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("code", models.CharField(max_length=60, unique=True)),
                        ("opened_at", models.DateTimeField()),
                        (
                            "occupancy",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="account",
                                to="members.occupancy",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("kind", "household"), ("occupancy__isnull", False)),
                                    models.Q(
                                        models.Q(("kind", "household"), _negated=True),
                                        ("occupancy__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                                name="account_household_has_occupancy",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SettlementTerms",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("name", models.CharField(max_length=80)),
                        ("version", models.PositiveIntegerField(default=1)),
                        (
                            "baseline_rule",
                            models.CharField(help_text="Preset name in settlement.baselines", max_length=40),
                        ),
                        ("baseline_parameters", models.JSONField(blank=True, default=dict)),
                        (
                            "floor",
                            models.CharField(
                                choices=[
                                    ("event", "Netted over the event, never below zero"),
                                    ("half_hour", "Each half-hour for itself, never below zero"),
                                ],
                                default="event",
                                max_length=12,
                            ),
                        ),
                        (
                            "cap",
                            models.CharField(
                                choices=[
                                    ("none", "All that was delivered"),
                                    ("instructed", "At most what was instructed, in each half-hour"),
                                ],
                                default="none",
                                max_length=12,
                            ),
                        ),
                        ("utilisation_pence_per_kwh", models.DecimalField(decimal_places=4, max_digits=10)),
                        (
                            "coop_share_pct",
                            models.DecimalField(
                                decimal_places=3, help_text="Where no share policy is named", max_digits=6
                            ),
                        ),
                        ("published_at", models.DateTimeField()),
                        (
                            "availability_pence_per_kw_hour",
                            models.DecimalField(decimal_places=4, default=0, max_digits=10),
                        ),
                        (
                            "forgives_our_failures",
                            models.BooleanField(
                                default=True,
                                help_text="A home we never reached, or whose device failed, counts as standing ready",
                            ),
                        ),
                        (
                            "override_cost",
                            models.CharField(
                                choices=[
                                    ("nothing", "An override costs nothing: the meter decides"),
                                    ("reduced", "An override reduces the payment for that event"),
                                    ("no_payment", "An overridden event is not paid"),
                                ],
                                default="nothing",
                                max_length=12,
                            ),
                        ),
                        (
                            "override_reduced_by_pct",
                            models.DecimalField(decimal_places=3, default=0, max_digits=6),
                        ),
                        (
                            "pay_curve",
                            models.JSONField(
                                default=settlement.models.terms._flat,
                                help_text="Name of a curve, or one written out",
                            ),
                        ),
                        (
                            "revenue_basis",
                            models.CharField(
                                choices=[
                                    ("homes", "What each home delivered, never below zero"),
                                    (
                                        "portfolio",
                                        "What all homes delivered together in each half-hour, at most as instructed",
                                    ),
                                ],
                                default="homes",
                                max_length=12,
                            ),
                        ),
                        (
                            "share_policy",
                            models.CharField(
                                blank=True,
                                help_text="Name of a share policy: its version in force at the event",
                                max_length=80,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "settlement terms",
                        "verbose_name_plural": "settlement terms",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("name", "version"), name="settlementterms_one_per_version"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("coop_share_pct__gte", 0), ("coop_share_pct__lte", 100)),
                                name="settlementterms_share_in_range",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("floor__in", ["event", "half_hour"])),
                                name="settlementterms_floor_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("cap__in", ["none", "instructed"])),
                                name="settlementterms_cap_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("override_reduced_by_pct__gte", 0), ("override_reduced_by_pct__lte", 100)
                                ),
                                name="settlementterms_override_in_range",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("utilisation_pence_per_kwh__gte", 0),
                                    ("availability_pence_per_kw_hour__gte", 0),
                                ),
                                name="settlementterms_rate_not_negative",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("revenue_basis__in", ["homes", "portfolio"])),
                                name="settlementterms_basis_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("override_cost__in", ["nothing", "reduced", "no_payment"])
                                ),
                                name="settlementterms_override_known",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SettlementRun",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("sequence", models.PositiveIntegerField()),
                        (
                            "as_known_at",
                            models.DateTimeField(help_text="Readings known to the store by then were used"),
                        ),
                        (
                            "method",
                            models.CharField(
                                help_text="Version of the calculation, see reckoning.METHOD", max_length=20
                            ),
                        ),
                        ("rule", models.JSONField(help_text="The baseline rule in full, as it was applied")),
                        (
                            "policy",
                            models.JSONField(
                                help_text="The share policy in full, as it was applied, and its version"
                            ),
                        ),
                        ("input_sha256", models.CharField(max_length=64)),
                        ("result_sha256", models.CharField(max_length=64)),
                        (
                            "missing_half_hours",
                            models.PositiveIntegerField(
                                default=0,
                                help_text="Of paying households, when it was settled without waiting for them",
                            ),
                        ),
                        (
                            "half_hours",
                            models.JSONField(
                                help_text="[start, baseline, metered, delivered Wh, homes measured, instructed Wh], taking part"
                            ),
                        ),
                        (
                            "pools",
                            models.JSONField(help_text="{part of the split: [millipence, sum of weights]}"),
                        ),
                        (
                            "delivered_wh",
                            models.BigIntegerField(help_text="Signed sum over the households that take part"),
                        ),
                        ("sold_wh", models.BigIntegerField(help_text="What the buyer pays for")),
                        ("paid_wh", models.BigIntegerField(help_text="What the members' pool is shared by")),
                        (
                            "pay_factor",
                            models.DecimalField(decimal_places=8, help_text="Of the pay curve", max_digits=9),
                        ),
                        ("utilisation_mp", models.BigIntegerField()),
                        ("availability_mp", models.BigIntegerField()),
                        ("revenue_mp", models.BigIntegerField()),
                        ("coop_share_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("coop_mp", models.BigIntegerField()),
                        ("fund_mp", models.BigIntegerField(help_text="By the policy, without gifts")),
                        (
                            "gifts_mp",
                            models.BigIntegerField(
                                help_text="Given to the fund out of what households earned"
                            ),
                        ),
                        ("members_mp", models.BigIntegerField()),
                        ("run_at", models.DateTimeField()),
                        (
                            "campaign",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="settlement_runs",
                                to="campaigns.campaign",
                            ),
                        ),
                        (
                            "replaces",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="settlement.settlementrun",
                            ),
                        ),
                        (
                            "round",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="runs",
                                to="settlement.settlementround",
                            ),
                        ),
                        (
                            "terms",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="settlement.settlementterms",
                            ),
                        ),
                        (
                            "hold_out",
                            models.JSONField(
                                default=dict,
                                help_text="Homes held out and what comparing with them says, see comparing.HoldOut",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("campaign", "sequence"), name="settlementrun_sequence"
                            ),
                            models.UniqueConstraint(
                                fields=("round", "campaign"), name="settlementrun_once_a_round"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("sequence__gte", 1)), name="settlementrun_counts_from_one"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "revenue_mp",
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("coop_mp"), "+", models.F("fund_mp")
                                            ),
                                            "+",
                                            models.F("members_mp"),
                                        ),
                                    ),
                                    (
                                        "revenue_mp",
                                        django.db.models.expressions.CombinedExpression(
                                            models.F("utilisation_mp"), "+", models.F("availability_mp")
                                        ),
                                    ),
                                ),
                                name="settlementrun_shares_sum",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("revenue_mp__gte", 0),
                                    ("coop_mp__gte", 0),
                                    ("fund_mp__gte", 0),
                                    ("members_mp__gte", 0),
                                    ("paid_wh__gte", 0),
                                    ("sold_wh__gte", 0),
                                    ("gifts_mp__gte", 0),
                                    ("gifts_mp__lte", models.F("members_mp")),
                                ),
                                name="settlementrun_never_negative",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HomeDelivery",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("row", models.PositiveIntegerField(help_text="Place in the run's archive")),
                        (
                            "standing",
                            models.CharField(
                                choices=[
                                    ("took_part", "Took part"),
                                    ("silent", "Hub fetched the event and did not answer"),
                                    ("overridden", "Took part until it was overridden"),
                                    ("opted_out", "Opted out"),
                                    ("not_reached", "Hub never fetched the event"),
                                    ("device_error", "A device failed"),
                                    ("held_out", "Held out to compare with"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("delivered", "Delivered"),
                                    ("partial", "Partial"),
                                    ("overridden", "Overridden"),
                                    ("opted_out", "Opted out"),
                                    ("unresponsive", "Unresponsive"),
                                    ("device_error", "Device error"),
                                    ("held_out", "Held out"),
                                    ("not_measured", "Not measured"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "takes_part",
                            models.BooleanField(help_text="False: measured, never paid for its energy"),
                        ),
                        (
                            "is_forgiven",
                            models.BooleanField(help_text="Did not take part through no fault of its own"),
                        ),
                        ("instructed_wh", models.PositiveIntegerField()),
                        (
                            "measured_half_hours",
                            models.PositiveSmallIntegerField(help_text="With a reading and a baseline"),
                        ),
                        (
                            "delivered_wh",
                            models.IntegerField(help_text="Sum over measured half-hours, signed"),
                        ),
                        (
                            "paid_wh",
                            models.PositiveIntegerField(help_text="The part of delivered_wh that earns"),
                        ),
                        ("floor_mp", models.BigIntegerField()),
                        ("energy_mp", models.BigIntegerField()),
                        ("availability_mp", models.BigIntegerField()),
                        ("equal_mp", models.BigIntegerField()),
                        ("earned_mp", models.BigIntegerField(help_text="The household's part of members_mp")),
                        (
                            "gift_mp",
                            models.BigIntegerField(help_text="Of earned_mp, given to the community fund"),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="deliveries",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="deliveries",
                                to="settlement.settlementrun",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "home deliveries",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("run", "occupancy"), name="homedelivery_one_per_household"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "earned_mp",
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                django.db.models.expressions.CombinedExpression(
                                                    models.F("floor_mp"), "+", models.F("energy_mp")
                                                ),
                                                "+",
                                                models.F("availability_mp"),
                                            ),
                                            "+",
                                            models.F("equal_mp"),
                                        ),
                                    ),
                                    ("floor_mp__gte", 0),
                                    ("energy_mp__gte", 0),
                                    ("availability_mp__gte", 0),
                                    ("equal_mp__gte", 0),
                                    ("gift_mp__gte", 0),
                                    ("gift_mp__lte", models.F("earned_mp")),
                                ),
                                name="homedelivery_parts_sum",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        models.Q(
                                            ("energy_mp", 0),
                                            models.Q(("takes_part", True), ("paid_wh__gt", 0)),
                                            _connector="OR",
                                        ),
                                        models.Q(
                                            ("earned_mp", 0),
                                            ("takes_part", True),
                                            ("is_forgiven", True),
                                            _connector="OR",
                                        ),
                                    ),
                                    models.Q(("paid_wh", 0), ("standing", "held_out"), ("takes_part", False)),
                                    _connector="OR",
                                ),
                                name="homedelivery_paid_for_what_it_delivered",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Posting",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("amount_mp", models.BigIntegerField()),
                        (
                            "account",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="postings",
                                to="settlement.account",
                            ),
                        ),
                        (
                            "entry",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="postings",
                                to="settlement.entry",
                            ),
                        ),
                        (
                            "component",
                            models.CharField(
                                choices=[
                                    ("amount", "Amount"),
                                    ("revenue", "Owed by the buyer"),
                                    ("coop", "The co-op's share"),
                                    ("fund", "The community fund's share"),
                                    ("floor", "The same for every home that took part"),
                                    ("energy", "By what was delivered"),
                                    ("availability", "By standing ready"),
                                    ("equal", "In equal parts"),
                                    ("gift", "Given to the community fund"),
                                    ("payment", "Paid out"),
                                    ("returned", "Payment that came back"),
                                    ("remittance", "Paid by the buyer"),
                                    ("dispute", "Held apart until agreed"),
                                    ("rounding", "Less than a penny"),
                                    ("surplus", "Surplus by the members' vote"),
                                    ("write_off", "Written off"),
                                ],
                                db_default="amount",
                                default="amount",
                                max_length=12,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("amount_mp", 0), _negated=True),
                                name="posting_moves_something",
                            ),
                            models.UniqueConstraint(
                                fields=("entry", "account", "component"), name="posting_one_per_component"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Statement",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "earned_mp",
                            models.BigIntegerField(help_text="For the round's campaigns, gifts taken off"),
                        ),
                        (
                            "previous_mp",
                            models.BigIntegerField(
                                help_text="For the same campaigns, posted by earlier rounds"
                            ),
                        ),
                        (
                            "posted_mp",
                            models.BigIntegerField(help_text="The difference, posted by this round"),
                        ),
                        (
                            "balance_mp",
                            models.BigIntegerField(help_text="The household account after this round"),
                        ),
                        ("issued_at", models.DateTimeField()),
                        (
                            "member",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="statements",
                                to="members.member",
                            ),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="statements",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "round",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="statements",
                                to="settlement.settlementround",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["member", "-issued_at"], name="statement_newest")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("round", "member", "occupancy"), name="statement_one_per_member"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "earned_mp",
                                        django.db.models.expressions.CombinedExpression(
                                            models.F("previous_mp"), "+", models.F("posted_mp")
                                        ),
                                    )
                                ),
                                name="statement_posts_the_difference",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PlaceboStudy",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "rules",
                            models.JSONField(help_text="The baseline rules in full, in the order asked"),
                        ),
                        (
                            "earliest_date",
                            models.DateField(
                                help_text="First Europe/London day that may carry a pretend event"
                            ),
                        ),
                        ("latest_date", models.DateField(help_text="Last such day")),
                        (
                            "ordinal",
                            models.PositiveSmallIntegerField(
                                help_text="Half-hours from local midnight to the start"
                            ),
                        ),
                        ("half_hours", models.PositiveSmallIntegerField()),
                        (
                            "seed",
                            models.PositiveIntegerField(
                                help_text="Of the sample of homes and of the intervals"
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("queued", "Waiting for a worker"),
                                    ("running", "Running"),
                                    ("done", "Done"),
                                    ("failed", "Failed"),
                                ],
                                default="queued",
                                max_length=8,
                            ),
                        ),
                        ("steps_done", models.PositiveIntegerField(default=0)),
                        ("steps", models.PositiveIntegerField(default=0)),
                        ("homes", models.PositiveIntegerField(default=0)),
                        ("events", models.PositiveIntegerField(default=0)),
                        ("scores", models.JSONField(default=list)),
                        ("failure", models.CharField(blank=True, default="", max_length=300)),
                        ("asked_by", models.CharField(max_length=80)),
                        ("asked_at", models.DateTimeField()),
                        (
                            "leased_until",
                            models.DateTimeField(
                                blank=True, help_text="Wall clock: a worker is at it", null=True
                            ),
                        ),
                        ("finished_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "programme",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.programme",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "placebo studies",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("latest_date__gte", models.F("earliest_date"))),
                                name="placebostudy_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("half_hours__gte", 1),
                                    ("half_hours__lte", 12),
                                    ("ordinal__lt", 48),
                                    (
                                        "ordinal__lte",
                                        django.db.models.expressions.CombinedExpression(
                                            models.Value(48), "-", models.F("half_hours")
                                        ),
                                    ),
                                ),
                                name="placebostudy_within_a_day",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("steps_done__lte", models.F("steps"))),
                                name="placebostudy_never_past_the_end",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("state__in", ("queued", "running", "done", "failed"))),
                                name="placebostudy_state_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("finished_at__isnull", False), ("state__in", ("done", "failed"))
                                    ),
                                    models.Q(
                                        ("finished_at__isnull", True), ("state__in", ("queued", "running"))
                                    ),
                                    _connector="OR",
                                ),
                                name="placebostudy_finished_when_over",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="BankDetail",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "sealed",
                            models.BinaryField(
                                help_text="Name, sort code, account number, GoCardless account id"
                            ),
                        ),
                        (
                            "ending",
                            models.CharField(help_text="Last two digits, to recognise it by", max_length=2),
                        ),
                        ("changed_at", models.DateTimeField()),
                        ("usable_from", models.DateTimeField()),
                        (
                            "changed_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="bank_details",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["member", "-changed_at"], name="bankdetail_newest")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("usable_from__gt", models.F("changed_at"))),
                                name="bankdetail_is_held_first",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PaymentBatch",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("number", models.PositiveIntegerField(unique=True)),
                        (
                            "rail",
                            models.CharField(
                                choices=[
                                    ("bacs18", "Bacs Standard 18"),
                                    ("bank_csv", "Bank CSV"),
                                    ("bill_credit", "Bill credit CSV"),
                                    ("gocardless", "GoCardless outbound JSON"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "processing_date",
                            models.DateField(help_text="Bacs processing day; elsewhere the day to pay on"),
                        ),
                        ("threshold_pence", models.PositiveIntegerField()),
                        ("proposed_at", models.DateTimeField()),
                        (
                            "proposed_by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "payment batches",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("rail__in", ["bacs18", "bank_csv", "bill_credit", "gocardless"])
                                ),
                                name="paymentbatch_rail_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="BatchDecision",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "verdict",
                            models.CharField(
                                choices=[("approved", "Approved and posted"), ("withdrawn", "Withdrawn")],
                                max_length=12,
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        (
                            "by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "batch",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="decision",
                                to="settlement.paymentbatch",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("verdict__in", ["approved", "withdrawn"])),
                                name="batchdecision_verdict_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Remittance",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("reference", models.CharField(max_length=60)),
                        ("net_pence", models.BigIntegerField()),
                        ("vat_pence", models.BigIntegerField(default=0)),
                        ("gross_pence", models.BigIntegerField()),
                        (
                            "vat_treatment",
                            models.CharField(
                                choices=[
                                    ("outside_scope", "Outside the scope of VAT"),
                                    ("exempt", "Exempt"),
                                    ("standard", "Standard rated"),
                                ],
                                default="standard",
                                max_length=16,
                            ),
                        ),
                        ("received_at", models.DateTimeField()),
                        (
                            "entered_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "programme",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.programme",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("programme", "reference"), name="remittance_once"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "gross_pence",
                                        django.db.models.expressions.CombinedExpression(
                                            models.F("net_pence"), "+", models.F("vat_pence")
                                        ),
                                    ),
                                    ("net_pence__gte", 0),
                                ),
                                name="remittance_net_and_vat_make_gross",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Dispute",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("claimed_mp", models.BigIntegerField()),
                        ("remitted_mp", models.BigIntegerField()),
                        ("reason", models.CharField(blank=True, max_length=200)),
                        ("opened_at", models.DateTimeField()),
                        (
                            "remittance",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="disputes",
                                to="settlement.remittance",
                            ),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="disputes",
                                to="settlement.settlementrun",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("remittance", "run"), name="dispute_once_a_run"),
                            models.CheckConstraint(
                                condition=models.Q(("claimed_mp", models.F("remitted_mp")), _negated=True),
                                name="dispute_differs",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="DisputeOutcome",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("paid", "The buyer paid the rest"),
                                    ("conceded", "The co-op bears it"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("note", models.CharField(blank=True, max_length=200)),
                        ("at", models.DateTimeField()),
                        (
                            "by",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "dispute",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="outcome",
                                to="settlement.dispute",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("outcome__in", ["paid", "conceded"])),
                                name="disputeoutcome_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="GiftChoice",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("effective_from", models.DateTimeField()),
                        (
                            "chosen_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "household",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.household",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["household", "-effective_from"], name="giftchoice_newest")
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("pct__gte", 0), ("pct__lte", 100)),
                                name="giftchoice_in_range",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HardshipMark",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "household",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.household",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at__isnull", True),
                                    ("ends_at__gt", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="hardshipmark_runs_forward",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Payment",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("reference", models.CharField(max_length=18)),
                        ("net_pence", models.PositiveIntegerField()),
                        ("vat_pence", models.PositiveIntegerField(default=0)),
                        ("gross_pence", models.PositiveIntegerField()),
                        (
                            "vat_treatment",
                            models.CharField(
                                choices=[
                                    ("outside_scope", "Outside the scope of VAT"),
                                    ("exempt", "Exempt"),
                                    ("standard", "Standard rated"),
                                ],
                                default="outside_scope",
                                max_length=16,
                            ),
                        ),
                        (
                            "account",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="payments",
                                to="settlement.account",
                            ),
                        ),
                        (
                            "bank_detail",
                            models.ForeignKey(
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="payments",
                                to="settlement.bankdetail",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="payments",
                                to="members.member",
                            ),
                        ),
                        (
                            "batch",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="payments",
                                to="settlement.paymentbatch",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("batch", "account"), name="payment_one_per_account"
                            ),
                            models.UniqueConstraint(fields=("reference",), name="payment_reference"),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "gross_pence",
                                        django.db.models.expressions.CombinedExpression(
                                            models.F("net_pence"), "+", models.F("vat_pence")
                                        ),
                                    ),
                                    ("gross_pence__gt", 0),
                                ),
                                name="payment_net_and_vat_make_gross",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PaymentEvent",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "status",
                            models.CharField(
                                choices=[("paid", "Paid"), ("returned", "Returned")], max_length=12
                            ),
                        ),
                        ("reason", models.CharField(blank=True, max_length=120)),
                        ("at", models.DateTimeField()),
                        (
                            "payment",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="events",
                                to="settlement.payment",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("payment", "status"), name="paymentevent_once"),
                            models.CheckConstraint(
                                condition=models.Q(("status__in", ["paid", "returned"])),
                                name="paymentevent_known",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RoundDecision",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "verdict",
                            models.CharField(
                                choices=[("approved", "Approved and posted"), ("withdrawn", "Withdrawn")],
                                max_length=12,
                            ),
                        ),
                        ("reason", models.CharField(blank=True, max_length=200)),
                        ("at", models.DateTimeField()),
                        (
                            "by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "round",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="decision",
                                to="settlement.settlementround",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("verdict__in", ["approved", "withdrawn"])),
                                name="rounddecision_verdict_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RoundProgress",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("done", models.PositiveIntegerField(default=0)),
                        ("problem", models.CharField(blank=True, max_length=500)),
                        ("at", models.DateTimeField()),
                        (
                            "round",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="progress",
                                to="settlement.settlementround",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "round progress",
                    },
                ),
                migrations.CreateModel(
                    name="RunArchive",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("first_row", models.PositiveIntegerField()),
                        ("households", models.PositiveIntegerField()),
                        ("data", models.BinaryField()),
                        (
                            "run",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="archive",
                                to="settlement.settlementrun",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("run", "first_row"), name="runarchive_one_per_stretch"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SharePolicyVersion",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("name", models.CharField(max_length=80)),
                        ("version", models.PositiveIntegerField()),
                        ("effective_from", models.DateTimeField()),
                        ("policy", models.JSONField(help_text="As sharing.SharePolicy.as_data writes it")),
                        ("why", models.CharField(blank=True, max_length=200)),
                        ("published_at", models.DateTimeField()),
                        (
                            "published_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("name", "version"), name="sharepolicyversion_one_per_version"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("effective_from__gte", models.F("published_at"))),
                                name="sharepolicyversion_never_retroactive",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Society",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "legal_form",
                            models.CharField(
                                choices=[
                                    ("cooperative", "Co-operative society"),
                                    ("community_benefit", "Community benefit society"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("stated_at", models.DateTimeField()),
                        (
                            "stated_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "society",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("legal_form__in", ["cooperative", "community_benefit"])),
                                name="society_form_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SurplusResolution",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("year", models.CharField(max_length=20, unique=True)),
                        ("legal_form", models.CharField(max_length=20)),
                        ("surplus_mp", models.BigIntegerField()),
                        ("reserves_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("fund_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("dividend_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("votes_for", models.PositiveIntegerField()),
                        ("votes_against", models.PositiveIntegerField()),
                        ("applied_at", models.DateTimeField()),
                        (
                            "applied_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("dividend_pct", 0), ("legal_form", "cooperative"), _connector="OR"
                                ),
                                name="surplusresolution_dividend_needs_a_cooperative",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("votes_for__gt", models.F("votes_against"))),
                                name="surplusresolution_carried",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="StatementFiles",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("statements", models.PositiveIntegerField()),
                        ("part_count", models.PositiveIntegerField()),
                        ("asked_at", models.DateTimeField()),
                        (
                            "asked_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "round",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="statement_files",
                                to="settlement.settlementround",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "statement files",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("part_count__gte", 1), ("part_count__lte", models.F("statements"))
                                ),
                                name="statementfiles_hold_something",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="StatementFilesPart",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("number", models.PositiveIntegerField()),
                        ("statements", models.PositiveIntegerField()),
                        ("data", models.BinaryField()),
                        (
                            "files",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="parts",
                                to="settlement.statementfiles",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("files", "number"), name="statementfilespart_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SurplusProposal",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("year", models.CharField(max_length=20)),
                        (
                            "period_starts_at",
                            models.DateTimeField(help_text="A dividend goes by what was earned from then"),
                        ),
                        ("period_ends_at", models.DateTimeField(help_text="until before then")),
                        ("surplus_mp", models.BigIntegerField()),
                        ("reserves_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("fund_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("dividend_pct", models.DecimalField(decimal_places=3, max_digits=6)),
                        ("votes_for", models.PositiveIntegerField()),
                        ("votes_against", models.PositiveIntegerField()),
                        ("proposed_at", models.DateTimeField()),
                        (
                            "proposed_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("period_ends_at__gt", models.F("period_starts_at"))),
                                name="surplusproposal_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("surplus_mp__gt", 0)),
                                name="surplusproposal_shares_something",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SurplusDecision",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "verdict",
                            models.CharField(
                                choices=[("approved", "Approved and posted"), ("withdrawn", "Withdrawn")],
                                max_length=12,
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        (
                            "by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "proposal",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="decision",
                                to="settlement.surplusproposal",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("verdict__in", ["approved", "withdrawn"])),
                                name="surplusdecision_verdict_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="DeviceEstimate",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.CharField(help_text="As the device was called then", max_length=120)),
                        ("is_measured", models.BooleanField(help_text="By a meter of its own")),
                        (
                            "half_hours",
                            models.JSONField(
                                help_text="[mean W or null, confidence in percent] of each of the event"
                            ),
                        ),
                        (
                            "asset",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="assets.asset",
                            ),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="devices",
                                to="settlement.settlementrun",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("run", "asset"), name="deviceestimate_one_per_asset"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="EventAfter",
                    fields=[
                        (
                            "run",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="hours_after",
                                serialize=False,
                                to="settlement.settlementrun",
                            ),
                        ),
                        (
                            "half_hours",
                            models.JSONField(help_text="[start, baseline Wh, metered Wh, homes measured]"),
                        ),
                        ("why_not", models.CharField(blank=True, max_length=40)),
                        ("worked_out_at", models.DateTimeField()),
                    ],
                    options={
                        "verbose_name_plural": "hours after events",
                    },
                ),
                migrations.CreateModel(
                    name="MonthFigures",
                    fields=[
                        (
                            "starts_on",
                            models.DateField(
                                help_text="First Europe/London date of the month",
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("figures", models.JSONField()),
                        ("mark", models.CharField(max_length=64)),
                        ("worked_out_at", models.DateTimeField()),
                    ],
                    options={
                        "verbose_name_plural": "figures of months",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("starts_on__day", 1)), name="monthfigures_of_a_month"
                            )
                        ],
                    },
                ),
            ]
        ),
        schemas.place("money", *sql.TABLES),
        *[schemas.append_only("money", table) for table in sql.APPEND_ONLY],
        migrations.RunSQL(sql.CREATE_REFUSE_TRUNCATE, sql.DROP_REFUSE_TRUNCATE),
        *[sql.refuse_truncate(table) for table in sql.APPEND_ONLY],
        migrations.RunSQL(sql.CREATE_PROOF, sql.DROP_PROOF),
        migrations.RunSQL(sql.CREATE_TWO_PEOPLE, sql.DROP_TWO_PEOPLE),
        migrations.RunSQL(sql.CREATE_TWO_SHARERS, sql.DROP_TWO_SHARERS),
        migrations.RunSQL(sql.CREATE_LINES_KNOWN, sql.DROP_LINES_KNOWN),
        roles.grant("settlement", rights.GRANTS),
        roles.grant("settlement", rights.STUDY_GRANTS),
    ]
