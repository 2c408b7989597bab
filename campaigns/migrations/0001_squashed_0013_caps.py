"""Programmes, campaigns, plans and the markets they answer."""

from __future__ import annotations

import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.fields.ranges
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import campaigns.market_models
import members.models
import metering.models
import opendsr.kernel.ids
from campaigns import rights
from campaigns.market.presets import FIRST
from members import roles
from opendsr.kernel import schemas

# A participation is written when a campaign is approved and changed when meters have spoken, ten thousand at a
# time: with room on its page no index is touched.
ROOM = "ALTER TABLE campaigns_participation SET (fillfactor = 60)"
NO_ROOM = "ALTER TABLE campaigns_participation RESET (fillfactor)"


def sow_presets(apps, editor):
    """The kinds of market that every co-op begins with."""
    rows = apps.get_model("campaigns", "MarketPreset").objects.using(editor.connection.alias)
    rows.bulk_create(
        rows.model(
            code=code,
            name=name,
            notice_minutes=notice,
            least_minutes=least,
            most_minutes=most,
            least_w=least_w,
        )
        for code, name, notice, least, most, least_w in FIRST
    )


class Migration(migrations.Migration):
    replaces = [
        ("campaigns", "0001_initial"),
        ("campaigns", "0002_hold_out"),
        ("campaigns", "0003_participations_change_in_place"),
        ("campaigns", "0004_own_limits"),
        ("campaigns", "0005_tariffs_and_home_plans"),
        ("campaigns", "0006_freeze"),
        ("campaigns", "0007_servicing"),
        ("campaigns", "0008_prior_notice"),
        ("campaigns", "0009_market"),
        ("campaigns", "0010_forecasts_and_peaks"),
        ("campaigns", "0011_uftp"),
        ("campaigns", "0012_device_change"),
        ("campaigns", "0013_caps"),
    ]

    initial = True

    dependencies = [
        ("assets", "0001_squashed_0005_sealed_notes"),
        ("kernel", "0001_squashed_0005_house_logo"),
        ("members", "0002_squashed_0012_people_of_a_household"),
    ]

    operations = [
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="Programme",
                    fields=[
                        ("code", models.CharField(max_length=40, primary_key=True, serialize=False)),
                        ("name", models.CharField(max_length=80)),
                        (
                            "use_case",
                            models.CharField(
                                choices=[
                                    ("tariff", "Behind the meter"),
                                    ("market", "Flexibility market"),
                                    ("load_control", "Direct load control"),
                                ],
                                max_length=16,
                            ),
                        ),
                        (
                            "market_context",
                            models.CharField(help_text="OpenADR market context URI", max_length=200),
                        ),
                        (
                            "settlement_terms_id",
                            models.UUIDField(help_text="Versioned terms owned by settlement/; id only"),
                        ),
                        ("notification_seconds", models.PositiveIntegerField(default=900)),
                        (
                            "start_tolerance_seconds",
                            models.PositiveIntegerField(
                                default=0,
                                help_text="OpenADR startafter: hubs spread start and end over this long",
                            ),
                        ),
                        (
                            "delivered_from_pct",
                            models.PositiveSmallIntegerField(
                                default=75,
                                help_text="Delivered from this share of what was asked, partial below",
                            ),
                        ),
                        (
                            "hold_out_pct",
                            models.PositiveSmallIntegerField(
                                default=0,
                                help_text="Of the homes that would be asked, held out by turns to compare with; 0: none",
                            ),
                        ),
                        (
                            "requires_prior_notice",
                            models.BooleanField(
                                default=False,
                                help_text="A home whose notice quiet hours hold past the start is not asked nor counted",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("start_tolerance_seconds__lte", 1800)),
                                name="programme_spreads_at_most_1800",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("delivered_from_pct__lte", 100)),
                                name="programme_share_in_range",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("hold_out_pct__lte", 50)),
                                name="programme_holds_out_at_most_half",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Campaign",
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
                        ("name", models.CharField(max_length=120)),
                        ("reason", models.CharField(blank=True, max_length=200)),
                        (
                            "direction",
                            models.CharField(
                                choices=[("turn_down", "Turn Down"), ("turn_up", "Turn Up")],
                                default="turn_down",
                                max_length=12,
                            ),
                        ),
                        (
                            "zone_kind",
                            models.CharField(
                                choices=[
                                    ("gsp_group", "GSP group"),
                                    ("cmz", "Constraint management zone"),
                                    ("substation", "Primary substation"),
                                    ("postcode_area", "Postcode area"),
                                    ("everywhere", "Everywhere"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("zone", models.CharField(blank=True, max_length=60)),
                        ("size_w", models.PositiveIntegerField(help_text="Power asked for")),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("draft", "Draft"),
                                    ("planned", "Planned"),
                                    ("approved", "Approved"),
                                    ("dispatched", "Dispatched"),
                                    ("completed", "Completed"),
                                    ("cancelled", "Cancelled"),
                                ],
                                default="draft",
                                max_length=12,
                            ),
                        ),
                        ("created_at", models.DateTimeField()),
                        ("planned_at", models.DateTimeField(blank=True, null=True)),
                        ("approved_at", models.DateTimeField(blank=True, null=True)),
                        ("dispatched_at", models.DateTimeField(blank=True, null=True)),
                        ("completed_at", models.DateTimeField(blank=True, null=True)),
                        ("cancelled_at", models.DateTimeField(blank=True, null=True)),
                        ("cancel_reason", models.CharField(blank=True, max_length=200)),
                        (
                            "approved_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "created_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "programme",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="campaigns",
                                to="campaigns.programme",
                            ),
                        ),
                        (
                            "hold_out_pct",
                            models.PositiveSmallIntegerField(
                                default=0,
                                help_text="Of the homes that would be asked; drawn with the campaign's id as the seed",
                            ),
                        ),
                        (
                            "first_approved_at",
                            models.DateTimeField(
                                blank=True,
                                help_text="When the first of two people approved; the second sends it",
                                null=True,
                            ),
                        ),
                        (
                            "first_approved_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "stagger_seconds",
                            models.PositiveSmallIntegerField(
                                blank=True,
                                help_text="Hubs spread start and end over this long; empty: as the programme",
                                null=True,
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["-starts_at"], name="campaign_newest")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                                name="campaign_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("size_w__gt", 0)), name="campaign_asks_for_power"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("zone_kind", "everywhere"),
                                    models.Q(("zone", ""), _negated=True),
                                    _connector="OR",
                                ),
                                name="campaign_names_its_zone",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state__in", ["approved", "dispatched"]), _negated=True),
                                    ("approved_at__isnull", False),
                                    _connector="OR",
                                ),
                                name="campaign_runs_only_when_approved",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("hold_out_pct__lte", 50)),
                                name="campaign_holds_out_at_most_half",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("stagger_seconds", None), ("stagger_seconds__lte", 1800), _connector="OR"
                                ),
                                name="campaign_spreads_at_most_1800",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Participation",
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
                        ("ven_id", models.CharField(max_length=64)),
                        (
                            "vtn_event_id",
                            models.CharField(
                                blank=True, help_text="One event a hub; its assets share it", max_length=80
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField()),
                        ("expected_w", models.PositiveIntegerField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("planned", "Planned"),
                                    ("sent", "Sent"),
                                    ("delivered_to_hub", "Delivered To Hub"),
                                    ("opted_in", "Opted In"),
                                    ("opted_out", "Opted Out"),
                                    ("overridden", "Overridden"),
                                    ("cancelled", "Cancelled"),
                                ],
                                default="planned",
                                max_length=20,
                            ),
                        ),
                        (
                            "outcome",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("delivered", "Delivered"),
                                    ("partial", "Partial"),
                                    ("overridden", "Overridden"),
                                    ("opted_out", "Opted Out"),
                                    ("unresponsive", "Unresponsive"),
                                    ("device_error", "Device Error"),
                                    ("cancelled", "Cancelled"),
                                ],
                                max_length=16,
                            ),
                        ),
                        (
                            "left_out",
                            models.CharField(
                                blank=True,
                                choices=[
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
                                ],
                                help_text="Why the last check kept it back",
                                max_length=24,
                            ),
                        ),
                        (
                            "measured_pct",
                            models.IntegerField(
                                blank=True,
                                help_text="Household's metered share of what was asked; empty until settled",
                                null=True,
                            ),
                        ),
                        ("sent_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "delivered_at",
                            models.DateTimeField(
                                blank=True, help_text="When the hub fetched the event", null=True
                            ),
                        ),
                        ("responded_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "dropped_at",
                            models.DateTimeField(
                                blank=True,
                                help_text="When it was taken out of the hub's event; empty while it is in",
                                null=True,
                            ),
                        ),
                        (
                            "asset",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="participations",
                                to="assets.asset",
                            ),
                        ),
                        (
                            "campaign",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="participations",
                                to="campaigns.campaign",
                            ),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="participations",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "changed_at",
                            models.DateTimeField(
                                blank=True,
                                help_text="When the device was first seen changed as asked; empty: it told none",
                                null=True,
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["vtn_event_id"], name="participation_by_event"),
                            models.Index(
                                fields=["occupancy", "starts_at"], name="participation_by_occupancy"
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                                name="participation_runs_forward",
                            ),
                            models.UniqueConstraint(
                                fields=("campaign", "asset"), name="participation_one_per_asset"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("state__in", ["sent", "delivered_to_hub", "opted_in"]), _negated=True
                                    ),
                                    models.Q(
                                        models.Q(("vtn_event_id", ""), _negated=True),
                                        ("sent_at__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="participation_sent_has_an_event",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                condition=models.Q(("state", "cancelled"), _negated=True),
                                expressions=[
                                    ("asset", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="participation_no_overlap",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OptRecord",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("opt", models.CharField(choices=[("in", "In"), ("out", "Out")], max_length=4)),
                        (
                            "source",
                            models.CharField(
                                choices=[
                                    ("hub", "The hub's answer"),
                                    ("member_button", "Override at the device"),
                                    ("portal", "Member's page"),
                                    ("staff", "Staff"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("reason", models.CharField(blank=True, max_length=120)),
                        (
                            "vtn_sequence",
                            models.BigIntegerField(
                                blank=True,
                                help_text="Sequence of the VTN's opt, when it came that way",
                                null=True,
                            ),
                        ),
                        ("received_at", models.DateTimeField()),
                        (
                            "by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "participation",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="opts",
                                to="campaigns.participation",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["participation", "-received_at"], name="optrecord_newest")
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("vtn_sequence__isnull", False)),
                                fields=("participation", "vtn_sequence"),
                                name="optrecord_once_per_vtn_opt",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PlanLine",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("expected_w", models.PositiveIntegerField(default=0)),
                        (
                            "left_out",
                            models.CharField(
                                blank=True,
                                choices=[
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
                                ],
                                help_text="Empty when chosen",
                                max_length=24,
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
                            "campaign",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="plan_lines",
                                to="campaigns.campaign",
                            ),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "why",
                            models.CharField(
                                blank=True, help_text="Why it was chosen or not, in words", max_length=200
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("campaign", "asset"), name="planline_one_per_asset"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("expected_w__gt", 0), ("left_out", ""), ("occupancy__isnull", False)
                                    ),
                                    models.Q(models.Q(("left_out", ""), _negated=True), ("expected_w", 0)),
                                    _connector="OR",
                                ),
                                name="planline_in_or_out",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Tariff",
                    fields=[
                        (
                            "code",
                            models.CharField(
                                max_length=60,
                                primary_key=True,
                                serialize=False,
                                validators=[django.core.validators.RegexValidator("^[A-Za-z0-9._-]+\\Z")],
                            ),
                        ),
                        ("name", models.CharField(max_length=80)),
                        (
                            "product_code",
                            models.CharField(
                                blank=True, help_text="Octopus product; empty: by bands", max_length=40
                            ),
                        ),
                        (
                            "demand_pence_per_kw",
                            models.PositiveIntegerField(
                                default=0, help_text="A month, on the highest half-hour; 0: no demand charge"
                            ),
                        ),
                        (
                            "asked_at",
                            models.DateTimeField(
                                blank=True, help_text="World time of the latest request", null=True
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="HomePlan",
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
                        ("night", models.DateField(help_text="Europe/London date on whose noon it begins")),
                        ("made_at", models.DateTimeField()),
                        ("sent_at", models.DateTimeField(blank=True, null=True)),
                        ("cost_mp", models.BigIntegerField()),
                        (
                            "unplanned_cost_mp",
                            models.BigIntegerField(help_text="The same need without a plan"),
                        ),
                        (
                            "left_out",
                            models.CharField(blank=True, help_text="Why it was not sent", max_length=24),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="home_plans",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "tariff",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.tariff",
                            ),
                        ),
                        (
                            "demand_cost_mp",
                            models.BigIntegerField(
                                default=0, help_text="What its peak adds to the month's charge"
                            ),
                        ),
                        (
                            "peak_so_far_w",
                            models.PositiveIntegerField(
                                blank=True,
                                help_text="The month's highest half-hour when it was planned",
                                null=True,
                            ),
                        ),
                        (
                            "peak_w",
                            models.PositiveIntegerField(
                                blank=True,
                                help_text="The home's highest half-hour with the plan; empty: no demand charge",
                                null=True,
                            ),
                        ),
                        ("unplanned_demand_cost_mp", models.BigIntegerField(default=0)),
                        (
                            "unplanned_peak_w",
                            models.PositiveIntegerField(
                                blank=True,
                                help_text="The highest half-hour if everything started by itself",
                                null=True,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("night", "occupancy"), name="homeplan_one_a_night"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TariffBand",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("from_time", models.TimeField()),
                        (
                            "pence_per_kwh",
                            models.DecimalField(decimal_places=4, help_text="With VAT", max_digits=9),
                        ),
                        (
                            "tariff",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="bands",
                                to="campaigns.tariff",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("tariff", "from_time"), name="tariffband_once_a_time"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TariffRate",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tariff_id",
                                "starts_at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("pence_per_kwh", models.DecimalField(decimal_places=4, max_digits=9)),
                        ("known_at", models.DateTimeField(help_text="World time")),
                        (
                            "tariff",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="rates",
                                to="campaigns.tariff",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("starts_at", metering.models.HalfHourGrid("starts_at"))),
                                name="tariffrate_on_the_half_hour_grid",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HomePlanLine",
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
                            "power_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=None
                            ),
                        ),
                        (
                            "unplanned_power_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=None
                            ),
                        ),
                        ("cost_mp", models.BigIntegerField()),
                        ("unplanned_cost_mp", models.BigIntegerField()),
                        (
                            "shortfall_wh",
                            models.PositiveIntegerField(
                                default=0, help_text="Of the need, what the time cannot hold"
                            ),
                        ),
                        ("vtn_event_id", models.CharField(blank=True, max_length=80)),
                        (
                            "stopped_at",
                            models.DateTimeField(
                                blank=True, help_text="When it was called off or refused", null=True
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
                            "plan",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="lines",
                                to="campaigns.homeplan",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["vtn_event_id"], name="homeplanline_by_event")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("plan", "asset"), name="homeplanline_one_per_asset"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HomeTariff",
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
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="tariffs",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "tariff",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="homes",
                                to="campaigns.tariff",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"
                                ),
                                name="hometariff_runs_forward",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                expressions=[
                                    ("occupancy", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="hometariff_one_at_a_time",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Freeze",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("frozen_at", models.DateTimeField()),
                        ("reason", models.CharField(blank=True, max_length=200)),
                        ("thawed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "frozen_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "thawed_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("thawed_at",), name="freeze_one_at_a_time", nulls_distinct=False
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="CampaignRule",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("second_from_w", models.PositiveIntegerField()),
                        ("substation_w_per_minute", models.PositiveIntegerField()),
                        ("chance_pct", models.PositiveSmallIntegerField()),
                        ("most_asks", models.PositiveSmallIntegerField()),
                        ("why", models.CharField(max_length=200)),
                        ("set_at", models.DateTimeField()),
                        (
                            "set_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("chance_pct__range", (50, 99)),
                                    ("most_asks__range", (1, 200)),
                                    ("substation_w_per_minute__gt", 0),
                                ),
                                name="campaignrule_in_range",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HomeHabit",
                    fields=[
                        (
                            "occupancy",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                primary_key=True,
                                related_name="+",
                                serialize=False,
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "working_day_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.IntegerField(), size=48
                            ),
                        ),
                        (
                            "other_day_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.IntegerField(), size=48
                            ),
                        ),
                        ("asked", models.PositiveIntegerField(default=0)),
                        ("missed", models.PositiveIntegerField(default=0)),
                        ("worked_out_at", models.DateTimeField()),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("missed__lte", models.F("asked"))),
                                name="homehabit_missed_within_asked",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("other_day_w__len", 48), ("working_day_w__len", 48)),
                                name="homehabit_whole_days",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ServicingClient",
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
                        ("name", models.CharField(max_length=80, unique=True)),
                        ("is_sandbox", models.BooleanField(default=True)),
                        (
                            "scopes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.CharField(
                                    choices=[
                                        ("signal", "Start and stop"),
                                        ("read", "See availability and the status of its signals"),
                                        ("meter", "See the metering of its zones, minute by minute"),
                                        ("market", "Ask for flexibility as a market, and order it"),
                                    ],
                                    max_length=16,
                                ),
                                size=None,
                            ),
                        ),
                        ("requests_per_minute", models.PositiveIntegerField(default=120)),
                        ("created_at", models.DateTimeField()),
                        (
                            "closed_at",
                            models.DateTimeField(
                                blank=True, help_text="Closed: every request is refused", null=True
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("requests_per_minute__range", (1, 6000))),
                                name="servicingclient_rate_in_range",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ServicingContract",
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
                            "zone_kind",
                            models.CharField(
                                choices=[
                                    ("gsp_group", "GSP group"),
                                    ("cmz", "Constraint management zone"),
                                    ("substation", "Primary substation"),
                                    ("postcode_area", "Postcode area"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("zone", models.CharField(max_length=60)),
                        (
                            "max_w",
                            models.PositiveIntegerField(help_text="The most that may be asked at once"),
                        ),
                        (
                            "approved_w",
                            models.PositiveIntegerField(
                                default=0, help_text="Approved in advance up to this"
                            ),
                        ),
                        ("longest_minutes", models.PositiveSmallIntegerField(default=60)),
                        (
                            "notice_seconds",
                            models.PositiveIntegerField(
                                default=0, help_text="Least time from signal to start"
                            ),
                        ),
                        (
                            "stagger_seconds",
                            models.PositiveSmallIntegerField(
                                default=0, help_text="Hubs spread start and end over this long"
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "agreed_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "client",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="contracts",
                                to="campaigns.servicingclient",
                            ),
                        ),
                        (
                            "confirmed_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
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
                        (
                            "export_cap_w",
                            models.PositiveIntegerField(
                                blank=True,
                                help_text="The export cap that holds on silence; empty: no such caps",
                                null=True,
                            ),
                        ),
                        (
                            "hold_minutes",
                            models.PositiveSmallIntegerField(
                                default=15,
                                help_text="What a cap asks of a device, it asks for this long at least",
                            ),
                        ),
                        (
                            "import_cap_w",
                            models.PositiveIntegerField(
                                blank=True,
                                help_text="The import cap that holds on silence; empty: no such caps",
                                null=True,
                            ),
                        ),
                        (
                            "silence_minutes",
                            models.PositiveSmallIntegerField(
                                default=5, help_text="Without a cap for this long, the agreed one holds"
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at", None),
                                    ("ends_at__gte", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="servicingcontract_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("approved_w__lte", models.F("max_w")), ("max_w__gt", 0)),
                                name="servicingcontract_approves_within_its_limit",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("longest_minutes__range", (1, 240)), ("stagger_seconds__lte", 1800)
                                ),
                                name="servicingcontract_times_in_range",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("zone", ""), _negated=True),
                                name="servicingcontract_names_its_zone",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("confirmed_by", None),
                                    ("agreed_by", None),
                                    models.Q(("confirmed_by", models.F("agreed_by")), _negated=True),
                                    _connector="OR",
                                ),
                                name="servicingcontract_confirmed_by_another",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                expressions=[
                                    ("client", "="),
                                    ("zone", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="servicingcontract_one_a_zone",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("hold_minutes__range", (1, 240)), ("silence_minutes__range", (1, 240))
                                ),
                                name="servicingcontract_caps_in_range",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ServicingKey",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("key_id", models.CharField(max_length=80, unique=True)),
                        (
                            "public_key",
                            models.CharField(help_text="Ed25519, 32 bytes in base64", max_length=44),
                        ),
                        ("added_wall_at", models.DateTimeField()),
                        (
                            "ends_wall_at",
                            models.DateTimeField(blank=True, help_text="Refused from then on", null=True),
                        ),
                        (
                            "client",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="keys",
                                to="campaigns.servicingclient",
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="ServicingNonce",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("nonce", models.CharField(max_length=120)),
                        ("used_wall_at", models.DateTimeField()),
                        ("forget_wall_at", models.DateTimeField()),
                        (
                            "client",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="campaigns.servicingclient",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["client", "used_wall_at"], name="servicingnonce_by_client")
                        ],
                        "constraints": [
                            models.UniqueConstraint(fields=("client", "nonce"), name="servicingnonce_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ServicingRefusal",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("reason", models.CharField(max_length=60)),
                        ("hour_wall_at", models.DateTimeField()),
                        ("count", models.PositiveIntegerField(default=1)),
                        ("latest_wall_at", models.DateTimeField()),
                        (
                            "client",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="refusals",
                                to="campaigns.servicingclient",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("client", "reason", "hour_wall_at"),
                                name="servicingrefusal_once_an_hour",
                                nulls_distinct=False,
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ServicingSignal",
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
                        ("key_id", models.CharField(blank=True, max_length=80)),
                        ("idempotency_key", models.CharField(max_length=120)),
                        (
                            "digest",
                            models.CharField(
                                help_text="SHA-256 of the request, to tell a repeat", max_length=64
                            ),
                        ),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("start", "Start"),
                                    ("stop", "Stop"),
                                    ("emergency_stop", "Emergency stop"),
                                    ("cap", "Cap"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("asked", models.JSONField(help_text="What was asked, as it was understood")),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("received", "Received"),
                                    ("dispatched", "Dispatched"),
                                    ("rehearsed", "Planned only: sandbox"),
                                    ("waiting", "Waits for approval"),
                                    ("stopped", "Stopped"),
                                    ("in_force", "In force"),
                                    ("refused", "Refused"),
                                ],
                                default="received",
                                max_length=12,
                            ),
                        ),
                        (
                            "reason",
                            models.CharField(
                                blank=True, help_text="Why it was refused: the error's code", max_length=60
                            ),
                        ),
                        ("answer", models.JSONField(default=dict, help_text="What it was answered")),
                        ("received_at", models.DateTimeField()),
                        ("received_wall_at", models.DateTimeField()),
                        ("decided_wall_at", models.DateTimeField(blank=True, null=True)),
                        ("published_wall_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "campaign",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="signals",
                                to="campaigns.campaign",
                            ),
                        ),
                        (
                            "client",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="signals",
                                to="campaigns.servicingclient",
                            ),
                        ),
                        (
                            "contract",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="signals",
                                to="campaigns.servicingcontract",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                fields=["client", "-received_wall_at"], name="servicingsignal_newest"
                            ),
                            models.Index(
                                fields=["contract", "kind", "-received_at"], name="servicingsignal_caps"
                            ),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("client", "idempotency_key"), name="servicingsignal_once_a_key"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("decided_wall_at", None), ("state", "received")),
                                    models.Q(
                                        models.Q(("state", "received"), _negated=True),
                                        ("decided_wall_at__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="servicingsignal_decided_has_a_time",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "refused"), models.Q(("reason", ""), _negated=True)),
                                    models.Q(models.Q(("state", "refused"), _negated=True), ("reason", "")),
                                    _connector="OR",
                                ),
                                name="servicingsignal_refused_has_a_reason",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MarketParty",
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
                        ("name", models.CharField(max_length=80, unique=True)),
                        ("is_sandbox", models.BooleanField(default=True)),
                        ("added_at", models.DateTimeField()),
                        (
                            "added_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "client",
                            models.OneToOneField(
                                blank=True,
                                help_text="Whose keys it signs with at the door; empty where it does not come that way",
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="market_party",
                                to="campaigns.servicingclient",
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
                ),
                migrations.CreateModel(
                    name="MarketPreset",
                    fields=[
                        ("code", models.SlugField(max_length=20, primary_key=True, serialize=False)),
                        ("name", models.CharField(max_length=60)),
                        (
                            "notice_minutes",
                            models.PositiveIntegerField(help_text="Least time from order to start"),
                        ),
                        ("least_minutes", models.PositiveSmallIntegerField()),
                        ("most_minutes", models.PositiveSmallIntegerField()),
                        ("least_w", models.PositiveIntegerField(help_text="Least power that may be offered")),
                        ("note", models.CharField(blank=True, max_length=200)),
                        ("changed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "changed_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("least_minutes__gte", 30),
                                    ("most_minutes__gte", models.F("least_minutes")),
                                    ("most_minutes__lte", 1500),
                                ),
                                name="marketpreset_times_in_range",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("least_w__gt", 0)), name="marketpreset_has_a_least_size"
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MarketRequest",
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
                        ("reference", models.CharField(help_text="The buyer's own", max_length=80)),
                        (
                            "source",
                            models.CharField(
                                choices=[
                                    ("form", "Form"),
                                    ("file", "File"),
                                    ("door", "Signed request"),
                                    ("uftp", "UFTP"),
                                ],
                                max_length=8,
                            ),
                        ),
                        (
                            "direction",
                            models.CharField(
                                choices=[("turn_down", "Turn down"), ("turn_up", "Turn up")], max_length=12
                            ),
                        ),
                        (
                            "zone_kind",
                            models.CharField(
                                choices=[
                                    ("gsp_group", "GSP group"),
                                    ("cmz", "Constraint management zone"),
                                    ("substation", "Primary substation"),
                                    ("postcode_area", "Postcode area"),
                                    ("everywhere", "Everywhere"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("zone", models.CharField(blank=True, max_length=60)),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField()),
                        (
                            "profile_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=50
                            ),
                        ),
                        ("peak_w", models.PositiveIntegerField(help_text="The most of any half-hour")),
                        ("price_mp_per_kwh", models.PositiveIntegerField()),
                        (
                            "penalty_mp_per_kwh",
                            models.PositiveIntegerField(
                                default=0, help_text="For what was offered and lacks"
                            ),
                        ),
                        ("deadline_at", models.DateTimeField(help_text="Offers are taken until then")),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("open", "Open"),
                                    ("offered", "Offered"),
                                    ("ordered", "Ordered"),
                                    ("declined", "Declined by us"),
                                    ("withdrawn", "Withdrawn by the buyer"),
                                    ("lapsed", "Lapsed"),
                                ],
                                default="open",
                                max_length=12,
                            ),
                        ),
                        (
                            "reason",
                            models.CharField(blank=True, help_text="Why it was declined", max_length=200),
                        ),
                        ("received_at", models.DateTimeField()),
                        (
                            "party",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="requests",
                                to="campaigns.marketparty",
                            ),
                        ),
                        (
                            "preset",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.marketpreset",
                            ),
                        ),
                        (
                            "received_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["state", "deadline_at"], name="marketrequest_by_deadline"),
                            models.Index(fields=["-received_at"], name="marketrequest_newest"),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("party", "reference"), name="marketrequest_once_a_reference"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "ends_at",
                                        django.db.models.expressions.CombinedExpression(
                                            models.F("starts_at"),
                                            "+",
                                            campaigns.market_models.HalfHours("profile_w"),
                                        ),
                                    )
                                ),
                                name="marketrequest_profile_fills_its_time",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("peak_w__gt", 0)), name="marketrequest_asks_for_power"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("deadline_at__lte", models.F("starts_at"))),
                                name="marketrequest_deadline_before_start",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("zone_kind", "everywhere"),
                                    models.Q(("zone", ""), _negated=True),
                                    _connector="OR",
                                ),
                                name="marketrequest_names_its_zone",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MarketOffer",
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
                            "offered_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=50
                            ),
                        ),
                        (
                            "price_mp",
                            models.BigIntegerField(help_text="For all of it, at the request's price"),
                        ),
                        (
                            "income_mp",
                            models.BigIntegerField(
                                help_text="Expected, less penalties and what asking costs"
                            ),
                        ),
                        ("good_until", models.DateTimeField(help_text="An order is taken until then")),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("made", "Made"),
                                    ("ordered", "Ordered"),
                                    ("withdrawn", "Withdrawn"),
                                    ("lapsed", "Lapsed"),
                                ],
                                default="made",
                                max_length=12,
                            ),
                        ),
                        ("made_at", models.DateTimeField()),
                        (
                            "made_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="offers",
                                to="campaigns.marketrequest",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("state__in", ["made", "ordered"])),
                                fields=("request",),
                                name="marketoffer_one_stands_a_request",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MarketOrder",
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
                        ("reference", models.CharField(max_length=80)),
                        (
                            "ordered_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=50
                            ),
                        ),
                        ("price_mp", models.BigIntegerField()),
                        ("received_at", models.DateTimeField()),
                        (
                            "offer",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="order",
                                to="campaigns.marketoffer",
                            ),
                        ),
                        (
                            "received_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="MarketStretch",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "campaign",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="market_stretch",
                                to="campaigns.campaign",
                            ),
                        ),
                        (
                            "order",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="stretches",
                                to="campaigns.marketorder",
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="MarketTold",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "is_ours",
                            models.BooleanField(help_text="Told by the co-op; otherwise by the buyer"),
                        ),
                        ("what", models.CharField(max_length=40)),
                        ("body", models.JSONField(default=dict)),
                        ("at", models.DateTimeField()),
                        ("actor", models.CharField(max_length=80)),
                        (
                            "party",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="told",
                                to="campaigns.marketparty",
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="told",
                                to="campaigns.marketrequest",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["request", "id"], name="markettold_by_request")],
                    },
                ),
                migrations.CreateModel(
                    name="MarketOfferAsset",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("expected_w", models.PositiveIntegerField()),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField()),
                        ("is_held", models.BooleanField(default=True)),
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
                            "offer",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="held",
                                to="campaigns.marketoffer",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                condition=models.Q(("is_held", True)),
                                fields=["starts_at"],
                                name="marketofferasset_held",
                            )
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("offer", "asset"), name="marketofferasset_once_an_offer"
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                condition=models.Q(("is_held", True)),
                                expressions=[
                                    ("asset", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="marketofferasset_never_twice",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MarketAvailability",
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
                            "direction",
                            models.CharField(
                                choices=[("turn_down", "Turn down"), ("turn_up", "Turn up")], max_length=12
                            ),
                        ),
                        (
                            "zone_kind",
                            models.CharField(
                                choices=[
                                    ("gsp_group", "GSP group"),
                                    ("cmz", "Constraint management zone"),
                                    ("substation", "Primary substation"),
                                    ("postcode_area", "Postcode area"),
                                    ("everywhere", "Everywhere"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("zone", models.CharField(blank=True, max_length=60)),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField()),
                        ("available_w", models.PositiveIntegerField()),
                        ("declared_at", models.DateTimeField()),
                        ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "declared_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "party",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="availabilities",
                                to="campaigns.marketparty",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                                name="marketavailability_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("available_w__gt", 0)),
                                name="marketavailability_is_of_power",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                condition=models.Q(("withdrawn_at", None)),
                                expressions=[
                                    ("party", "="),
                                    ("direction", "="),
                                    ("zone_kind", "="),
                                    ("zone", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="marketavailability_one_at_a_time",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="FlexibilityForecast",
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
                        ("issued_at", models.DateTimeField()),
                        ("starts_at", models.DateTimeField()),
                        ("zone_kind", models.CharField(max_length=16)),
                        ("zone", models.CharField(blank=True, max_length=60)),
                        ("kind", models.CharField(blank=True, help_text="Empty: every kind", max_length=24)),
                        ("direction", models.CharField(max_length=16)),
                        (
                            "assets",
                            models.PositiveIntegerField(help_text="That may take part at some time of it"),
                        ),
                        (
                            "most_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=108
                            ),
                        ),
                        (
                            "there_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=324
                            ),
                        ),
                        (
                            "asked_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.PositiveIntegerField(), size=324
                            ),
                        ),
                        (
                            "before_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.IntegerField(), size=108
                            ),
                        ),
                        (
                            "was_w",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.IntegerField(), blank=True, null=True, size=108
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["-issued_at"], name="flexibilityforecast_newest")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("zone_kind", "zone", "kind", "direction", "issued_at"),
                                name="flexibilityforecast_once_an_issue",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("starts_at", metering.models.HalfHourGrid("starts_at"))),
                                name="flexibilityforecast_on_the_grid",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("before_w__len", 108),
                                    ("most_w__len", 108),
                                    ("asked_w__len", 324),
                                    ("there_w__len", 324),
                                ),
                                name="flexibilityforecast_whole",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="UftpIdentity",
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
                        ("domain", models.CharField(max_length=120)),
                        (
                            "public_key",
                            models.CharField(help_text="Ed25519, 32 bytes in base64", max_length=44),
                        ),
                        ("sealed_key", models.BinaryField()),
                        ("made_at", models.DateTimeField()),
                        (
                            "made_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "uftp identities",
                    },
                ),
                migrations.CreateModel(
                    name="UftpRefusal",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("reason", models.CharField(max_length=60)),
                        ("hour_wall_at", models.DateTimeField()),
                        ("count", models.PositiveIntegerField(default=1)),
                        ("latest_wall_at", models.DateTimeField()),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("reason", "hour_wall_at"), name="uftprefusal_once_an_hour"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="UftpMessage",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("is_ours", models.BooleanField()),
                        ("kind", models.CharField(max_length=40)),
                        ("message_id", models.UUIDField()),
                        ("conversation_id", models.UUIDField()),
                        ("xml", models.TextField()),
                        (
                            "digest",
                            models.CharField(
                                help_text="SHA-256 of the text, to tell a repeat", max_length=64
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("due", "To be sent"),
                                    ("sent", "Sent"),
                                    ("failed", "Not delivered"),
                                    ("accepted", "Accepted"),
                                    ("rejected", "Refused"),
                                    ("waiting", "Waits for our figures"),
                                    ("noted", "Noted"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("reason", models.CharField(blank=True, max_length=400)),
                        ("attempts", models.PositiveSmallIntegerField(default=0)),
                        ("at", models.DateTimeField()),
                        ("wall_at", models.DateTimeField()),
                        (
                            "answers",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="answered_by",
                                to="campaigns.uftpmessage",
                            ),
                        ),
                        (
                            "offer",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.marketoffer",
                            ),
                        ),
                        (
                            "party",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="uftp_messages",
                                to="campaigns.marketparty",
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.marketrequest",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["party", "-id"], name="uftpmessage_newest"),
                            models.Index(
                                condition=models.Q(("offer__isnull", False)),
                                fields=["offer"],
                                name="uftpmessage_of_an_offer",
                            ),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("party", "is_ours", "message_id"), name="uftpmessage_once_an_id"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="UftpPoint",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("congestion_point", models.CharField(max_length=300)),
                        (
                            "zone_kind",
                            models.CharField(
                                choices=[
                                    ("gsp_group", "GSP group"),
                                    ("cmz", "Constraint management zone"),
                                    ("substation", "Primary substation"),
                                    ("postcode_area", "Postcode area"),
                                    ("everywhere", "Everywhere"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("zone", models.CharField(blank=True, max_length=60)),
                        (
                            "direction",
                            models.CharField(
                                choices=[
                                    ("turn_down", "Turn down only"),
                                    ("turn_up", "Turn up only"),
                                    ("either", "Either"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("price_mp_per_kwh", models.PositiveIntegerField()),
                        ("penalty_mp_per_kwh", models.PositiveIntegerField(default=0)),
                        ("added_at", models.DateTimeField()),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "added_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "party",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="uftp_points",
                                to="campaigns.marketparty",
                            ),
                        ),
                        (
                            "preset",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="campaigns.marketpreset",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("ended_at", None)),
                                fields=("party", "congestion_point"),
                                name="uftppoint_once_a_buyer",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("zone_kind", "everywhere"),
                                    models.Q(("zone", ""), _negated=True),
                                    _connector="OR",
                                ),
                                name="uftppoint_names_its_zone",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="UftpTerms",
                    fields=[
                        (
                            "party",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="uftp",
                                serialize=False,
                                to="campaigns.marketparty",
                            ),
                        ),
                        ("domain", models.CharField(max_length=120, unique=True)),
                        ("endpoint", models.URLField(max_length=300)),
                        (
                            "public_key",
                            models.CharField(help_text="Ed25519, 32 bytes in base64", max_length=44),
                        ),
                        (
                            "sign",
                            models.CharField(
                                choices=[
                                    (
                                        "deviation",
                                        "Above 0: use more. Below 0: use less (as the specification has it)",
                                    ),
                                    ("reduction", "Above 0: use less. Below 0: use more"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "baseline_reference",
                            models.CharField(
                                blank=True,
                                help_text="The agreed baseline, named in each offer",
                                max_length=80,
                            ),
                        ),
                        (
                            "tolerance_pct",
                            models.PositiveSmallIntegerField(
                                default=5,
                                help_text="A settlement that differs from our own figures by more is disputed",
                            ),
                        ),
                        (
                            "is_barred",
                            models.BooleanField(default=False, help_text="Every message of it is refused"),
                        ),
                        ("changed_at", models.DateTimeField()),
                        (
                            "changed_by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "uftp terms",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("tolerance_pct__lte", 50)),
                                name="uftpterms_tolerance_in_range",
                            )
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "operations",
            "campaigns_programme",
            "campaigns_campaign",
            "campaigns_planline",
            "campaigns_participation",
            "campaigns_optrecord",
            "campaigns_tariff",
            "campaigns_tariffband",
            "campaigns_tariffrate",
            "campaigns_hometariff",
            "campaigns_homeplan",
            "campaigns_homeplanline",
            "campaigns_freeze",
            "campaigns_servicingclient",
            "campaigns_servicingkey",
            "campaigns_servicingcontract",
            "campaigns_servicingsignal",
            "campaigns_servicingnonce",
            "campaigns_servicingrefusal",
            "campaigns_campaignrule",
            "campaigns_homehabit",
            "campaigns_marketpreset",
            "campaigns_marketparty",
            "campaigns_marketrequest",
            "campaigns_marketoffer",
            "campaigns_marketofferasset",
            "campaigns_marketorder",
            "campaigns_marketstretch",
            "campaigns_marketavailability",
            "campaigns_markettold",
            "campaigns_flexibilityforecast",
            "campaigns_uftpidentity",
            "campaigns_uftprefusal",
            "campaigns_uftpmessage",
            "campaigns_uftppoint",
            "campaigns_uftpterms",
        ),
        schemas.append_only("operations", "campaigns_markettold"),
        migrations.RunSQL(ROOM, NO_ROOM),
        migrations.RunPython(sow_presets, migrations.RunPython.noop),
        roles.grant("campaigns", rights.GRANTS),
        roles.grant("campaigns", rights.TARIFF_GRANTS),
        roles.grant("campaigns", rights.FREEZE_GRANTS),
        roles.grant("campaigns", rights.SERVICING_GRANTS),
        roles.grant("campaigns", rights.MARKET_GRANTS),
        roles.grant("campaigns", rights.FORECAST_GRANTS),
        roles.grant("campaigns", rights.UFTP_GRANTS),
    ]
