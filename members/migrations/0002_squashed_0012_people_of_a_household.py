"""People, homes, consents and all that is kept of them; addresses of accounts are sealed from here on."""

from __future__ import annotations

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import members.models
import members.partner_models
import opendsr.kernel.blind_index
import opendsr.kernel.clock
import opendsr.kernel.ids
import opendsr.kernel.sealed_field
from members import consent_changes, restricting, roles, sql
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    replaces = [
        ("members", "0002_consent_mark"),
        ("members", "0003_partners"),
        ("members", "0004_recurring_opt_outs"),
        ("members", "0005_enquiries"),
        ("members", "0006_rights"),
        ("members", "0007_needs"),
        ("members", "0008_sealed"),
        ("members", "0010_supplies"),
        ("members", "0011_personal_tokens"),
        ("members", "0012_people_of_a_household"),
    ]

    dependencies = [
        ("members", "0001_accounts"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [
        migrations.RemoveField("user", "email"),
        migrations.AddField(
            "user",
            "email",
            opendsr.kernel.sealed_field.SealedTextField(
                default="",
                index="email_index",
                longest=254,
                pattern="",
                subject="key_id",
                unique=True,
                validators=[django.core.validators.EmailValidator()],
                verbose_name="email address",
            ),
        ),
        migrations.AddField(
            "user",
            "email_index",
            opendsr.kernel.blind_index.BlindIndexField(editable=False, null=True, of="email"),
        ),
        migrations.AddField(
            "user", "key_id", models.UUIDField(default=opendsr.kernel.ids.new_uuid, editable=False)
        ),
        migrations.AddConstraint(
            "user", models.UniqueConstraint(fields=["email_index"], name="user_one_an_email")
        ),
        migrations.RunSQL(
            "ALTER TABLE account_emailaddress ADD CONSTRAINT account_emailaddress_stays_empty CHECK (false)",
            "ALTER TABLE account_emailaddress DROP CONSTRAINT account_emailaddress_stays_empty",
        ),
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="Household",
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
                            "name",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="", longest=120, pattern="", subject="pk"
                            ),
                        ),
                        (
                            "words",
                            opendsr.kernel.blind_index.WordsField(
                                base_field=models.BigIntegerField(),
                                default=list,
                                editable=False,
                                of=("name",),
                                size=None,
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            django.contrib.postgres.indexes.GinIndex(
                                fields=["words"], name="household_by_words"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ConsentText",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "purpose",
                            models.CharField(
                                choices=[
                                    ("flexibility", "Control my assets in campaigns"),
                                    ("settlement", "Use half-hourly readings for baselines and settlement"),
                                    ("advice", "Use my readings to advise me"),
                                    (
                                        "partner_totals",
                                        "Count my days in totals over many homes for my landlord",
                                    ),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("version", models.PositiveIntegerField()),
                        ("body", models.TextField()),
                        ("body_sha256", models.CharField(max_length=64)),
                        ("published_at", models.DateTimeField()),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("purpose", "version"), name="consenttext_one_per_version"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Home",
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
                        ("postcode", models.CharField(max_length=8)),
                        (
                            "gsp_group",
                            models.CharField(
                                help_text="Grid supply point group, e.g. _G without the underscore: G",
                                max_length=2,
                            ),
                        ),
                        ("primary_substation", models.CharField(blank=True, max_length=60)),
                        (
                            "cmz",
                            models.CharField(
                                blank=True, max_length=60, verbose_name="constraint management zone"
                            ),
                        ),
                        (
                            "name",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="",
                                help_text="What staff call it; never shown to another household",
                                longest=80,
                                pattern="",
                                subject="pk",
                            ),
                        ),
                        (
                            "address",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=200, pattern="", subject="pk"
                            ),
                        ),
                        (
                            "mpan",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="", longest=13, pattern="^[0-9]{13}$", subject="pk"
                            ),
                        ),
                        (
                            "words",
                            opendsr.kernel.blind_index.WordsField(
                                base_field=models.BigIntegerField(),
                                default=list,
                                editable=False,
                                of=("name", "address"),
                                size=None,
                            ),
                        ),
                        (
                            "name_index",
                            opendsr.kernel.blind_index.BlindIndexField(editable=False, null=True, of="name"),
                        ),
                        (
                            "mpan_index",
                            opendsr.kernel.blind_index.BlindIndexField(editable=False, null=True, of="mpan"),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["gsp_group"], name="home_by_gsp_group"),
                            models.Index(fields=["cmz"], name="home_by_cmz"),
                            django.contrib.postgres.indexes.GinIndex(fields=["words"], name="home_by_words"),
                            models.Index(fields=["name_index"], name="home_by_name"),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("postcode__regex", "^[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}$")
                                ),
                                name="home_postcode_is_british",
                                violation_error_message="Write the postcode as in M15 5RF.",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("gsp_group__regex", "^[A-HJ-NP]$")),
                                name="home_gsp_group_is_a_letter",
                                violation_error_message="Name the GSP group by its letter, A to P without I and O.",
                            ),
                            models.UniqueConstraint(fields=("mpan_index",), name="home_one_a_mpan"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Member",
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
                        ("number", models.CharField(help_text="M-00001", max_length=12, unique=True)),
                        ("joined_at", models.DateTimeField()),
                        ("left_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "household",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="members",
                                to="members.household",
                            ),
                        ),
                        (
                            "user",
                            models.OneToOneField(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="member",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "left_reason",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("requested", "Left by their own wish"),
                                    ("deceased", "Died"),
                                    ("removed", "Taken out of the household by its account holder"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "full_name",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="", longest=120, pattern="", subject="pk"
                            ),
                        ),
                        (
                            "words",
                            opendsr.kernel.blind_index.WordsField(
                                base_field=models.BigIntegerField(),
                                default=list,
                                editable=False,
                                of=("full_name",),
                                size=None,
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            django.contrib.postgres.indexes.GinIndex(fields=["words"], name="member_by_words")
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("number__regex", "^M-([0-9]{5}|[1-9][0-9]{5,9})$")),
                                name="member_number_in_its_form",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("left_at__isnull", True),
                                    ("left_at__gt", models.F("joined_at")),
                                    _connector="OR",
                                ),
                                name="member_leaves_after_joining",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("left_reason", ""), ("left_at__isnull", False), _connector="OR"
                                ),
                                name="member_left_for_a_reason",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Occupancy",
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
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="occupancies",
                                to="members.home",
                            ),
                        ),
                        (
                            "household",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="occupancies",
                                to="members.household",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "occupancies",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at__isnull", True),
                                    ("ends_at__gt", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="occupancy_runs_forward",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                expressions=[
                                    ("home", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="occupancy_one_household_a_home",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MeterStream",
                    fields=[
                        (
                            "stream_id",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("name", models.CharField(default="electricity", max_length=40)),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="streams",
                                to="members.occupancy",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at__isnull", True),
                                    ("ends_at__gte", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="meterstream_runs_forward",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                expressions=[
                                    ("occupancy", "="),
                                    ("name", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="meterstream_one_at_a_time",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Consent",
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
                            "purpose",
                            models.CharField(
                                choices=[
                                    ("flexibility", "Control my assets in campaigns"),
                                    ("settlement", "Use half-hourly readings for baselines and settlement"),
                                    ("advice", "Use my readings to advise me"),
                                    (
                                        "partner_totals",
                                        "Count my days in totals over many homes for my landlord",
                                    ),
                                ],
                                max_length=20,
                            ),
                        ),
                        (
                            "granularity",
                            models.CharField(
                                choices=[
                                    ("monthly", "Monthly"),
                                    ("daily", "Daily"),
                                    ("half_hourly", "Half Hourly"),
                                    ("live", "Live"),
                                    ("none", "not about readings"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "source",
                            models.CharField(
                                choices=[
                                    ("cad", "Consumer access device"),
                                    ("supplier", "Energy supplier"),
                                    ("dcc", "Smart meter network (DCC)"),
                                    ("hems", "The hub itself"),
                                ],
                                default="cad",
                                max_length=12,
                            ),
                        ),
                        (
                            "channel",
                            models.CharField(
                                choices=[("web", "Web"), ("paper", "Paper"), ("phone", "Phone")],
                                max_length=20,
                            ),
                        ),
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "end_reason",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("requested", "Withdrawn by the household"),
                                    ("moved_house", "Moved House"),
                                    ("membership_ended", "Membership Ended"),
                                    ("bereavement", "Bereavement"),
                                    ("no_data", "No data came"),
                                    ("admin", "Ended by staff"),
                                    ("other", "Other"),
                                ],
                                max_length=40,
                            ),
                        ),
                        (
                            "text",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, to="members.consenttext"
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="consents",
                                to="members.member",
                            ),
                        ),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="consents",
                                to="members.occupancy",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at__isnull", True),
                                    ("ends_at__gte", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="consent_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("granularity", "none"), ("purpose", "flexibility")),
                                    models.Q(
                                        models.Q(("purpose", "flexibility"), _negated=True),
                                        models.Q(("granularity", "none"), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="consent_granularity_fits_purpose",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                expressions=[
                                    ("occupancy", "="),
                                    ("purpose", "="),
                                    ("source", "="),
                                    (
                                        members.models.TsTzRange(
                                            "starts_at",
                                            "ends_at",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="consent_one_live_per_purpose",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="StandingOptOut",
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
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="standing_opt_outs",
                                to="members.occupancy",
                            ),
                        ),
                        (
                            "from_time",
                            models.TimeField(
                                blank=True, help_text="London time; empty: the whole day", null=True
                            ),
                        ),
                        (
                            "season_from",
                            models.CharField(
                                blank=True, help_text="MM-DD; empty: the whole year", max_length=5
                            ),
                        ),
                        ("season_to", models.CharField(blank=True, max_length=5)),
                        ("to_time", models.TimeField(blank=True, null=True)),
                        (
                            "weekdays",
                            models.PositiveSmallIntegerField(
                                default=127, help_text="A bit each, Monday the lowest; 127 is every day"
                            ),
                        ),
                        (
                            "least_pct",
                            models.PositiveSmallIntegerField(
                                blank=True,
                                help_text="The share of their power that assets keep when turned down; empty: left out altogether",
                                null=True,
                            ),
                        ),
                        (
                            "reason",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=120, pattern="", subject="occupancy_id"
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["occupancy"], name="standingoptout_by_occupancy")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at__isnull", True),
                                    ("ends_at__gte", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="standingoptout_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("weekdays__gte", 1), ("weekdays__lte", 127)),
                                name="standingoptout_has_a_weekday",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("from_time__isnull", True), ("to_time__isnull", True)),
                                    models.Q(("from_time__isnull", False), ("to_time__isnull", False)),
                                    _connector="OR",
                                ),
                                name="standingoptout_hours_have_both_ends",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("season_from", ""), ("season_to", "")),
                                    models.Q(
                                        ("season_from__regex", "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"),
                                        ("season_to__regex", "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"),
                                    ),
                                    _connector="OR",
                                ),
                                name="standingoptout_season_has_both_ends",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("least_pct__isnull", True),
                                    models.Q(("least_pct__gte", 1), ("least_pct__lte", 99)),
                                    _connector="OR",
                                ),
                                name="standingoptout_keeps_a_share",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Partner",
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
                        ("name", models.CharField(max_length=120, unique=True)),
                        (
                            "colour",
                            models.CharField(
                                blank=True, help_text="#0b6b4f; dark enough for white letters", max_length=7
                            ),
                        ),
                        (
                            "logo",
                            models.BinaryField(
                                blank=True, help_text="A PNG, made anew from what was sent", null=True
                            ),
                        ),
                        (
                            "shown_name",
                            models.CharField(blank=True, help_text="What tenants know it by", max_length=60),
                        ),
                        (
                            "welcome",
                            models.CharField(
                                blank=True, help_text="A sentence or two to tenants", max_length=500
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("colour", ""), ("colour__regex", "^#[0-9a-f]{6}$"), _connector="OR"
                                ),
                                name="partner_colour_is_hex",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PartnerAccount",
                    fields=[
                        (
                            "user",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                primary_key=True,
                                related_name="partner_account",
                                serialize=False,
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "partner",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="accounts",
                                to="members.partner",
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="PartnerHome",
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
                        ("starts_on", models.DateField()),
                        (
                            "ends_on",
                            models.DateField(blank=True, help_text="The day after the last", null=True),
                        ),
                        (
                            "home",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="partner_links",
                                to="members.home",
                            ),
                        ),
                        (
                            "partner",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="homes",
                                to="members.partner",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_on__isnull", True),
                                    ("ends_on__gt", models.F("starts_on")),
                                    _connector="OR",
                                ),
                                name="partnerhome_runs_forward",
                            ),
                            django.contrib.postgres.constraints.ExclusionConstraint(
                                expressions=[
                                    ("home", "="),
                                    (
                                        members.partner_models.DateRange(
                                            "starts_on",
                                            "ends_on",
                                            django.contrib.postgres.fields.ranges.RangeBoundary(),
                                        ),
                                        "&&",
                                    ),
                                ],
                                name="partnerhome_one_partner_a_home",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ChampionCode",
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
                        ("code", models.CharField(max_length=24, unique=True)),
                        (
                            "reward_pence",
                            models.PositiveIntegerField(default=0, help_text="For each recruit who joins"),
                        ),
                        (
                            "spent_pence",
                            models.PositiveIntegerField(
                                default=0, help_text="Leaflets, halls, hours: all together"
                            ),
                        ),
                        ("made_at", models.DateTimeField()),
                        ("ended_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "name",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="", longest=120, pattern="", subject="pk"
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="PartnerProperty",
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
                        ("reference", models.CharField(help_text="What the partner calls it", max_length=40)),
                        ("postcode", models.CharField(max_length=8)),
                        (
                            "home",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="partner_properties",
                                to="members.home",
                            ),
                        ),
                        (
                            "partner",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="properties",
                                to="members.partner",
                            ),
                        ),
                        (
                            "address",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="", longest=200, pattern="", subject="pk"
                            ),
                        ),
                        (
                            "mpan",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=13, pattern="^[0-9]{13}$", subject="pk"
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "partner properties",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("partner", "reference"), name="partnerproperty_one_a_reference"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Invitation",
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
                                choices=[("tenant", "Tenant"), ("household", "Household")], max_length=12
                            ),
                        ),
                        ("email_sealed", models.BinaryField()),
                        ("made_at", models.DateTimeField()),
                        ("made_by", models.CharField(max_length=120)),
                        ("expires_at", models.DateTimeField()),
                        ("taken_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "household",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="invitations",
                                to="members.household",
                            ),
                        ),
                        (
                            "listed",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="invitations",
                                to="members.partnerproperty",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("household__isnull", True),
                                        ("kind", "tenant"),
                                        ("listed__isnull", False),
                                    ),
                                    models.Q(
                                        ("household__isnull", False),
                                        ("kind", "household"),
                                        ("listed__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                                name="invitation_is_for_a_place",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Application",
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
                            "state",
                            models.CharField(
                                choices=[
                                    ("started", "Started"),
                                    ("submitted", "Submitted"),
                                    ("asked", "Asked"),
                                    ("approved", "Approved"),
                                    ("joined", "Joined"),
                                    ("declined", "Declined"),
                                    ("withdrawn", "Withdrawn"),
                                ],
                                default="started",
                                max_length=12,
                            ),
                        ),
                        ("since", models.DateTimeField(help_text="When it came into this state")),
                        (
                            "answers_sealed",
                            models.BinaryField(help_text="Empty once it is forgotten", null=True),
                        ),
                        (
                            "district",
                            models.CharField(
                                blank=True, help_text="The first half of the postcode", max_length=4
                            ),
                        ),
                        (
                            "tenure",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("owner", "We own it"),
                                    ("social", "We rent from a council or housing association"),
                                    ("private", "We rent privately"),
                                ],
                                max_length=8,
                            ),
                        ),
                        ("rules_version", models.PositiveIntegerField(blank=True, null=True)),
                        (
                            "verdict",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("decline", "Answer no"),
                                    ("ask", "A person looks at it"),
                                    ("ignore", "Does not matter"),
                                ],
                                max_length=8,
                            ),
                        ),
                        ("started_at", models.DateTimeField()),
                        ("submitted_at", models.DateTimeField(blank=True, null=True)),
                        ("decided_at", models.DateTimeField(blank=True, null=True)),
                        ("decided_by", models.CharField(blank=True, max_length=120)),
                        ("joined_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "home",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="applications",
                                to="members.home",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="applications",
                                to="members.member",
                            ),
                        ),
                        (
                            "partner",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="applications",
                                to="members.partner",
                            ),
                        ),
                        (
                            "champion",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="applications",
                                to="members.championcode",
                            ),
                        ),
                        (
                            "invitation",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="applications",
                                to="members.invitation",
                            ),
                        ),
                        (
                            "decision_reason",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=500, pattern="", subject="pk"
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["state", "since"], name="application_by_state")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "joined"), _negated=True),
                                    models.Q(
                                        ("home__isnull", False),
                                        ("joined_at__isnull", False),
                                        ("member__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="application_joined_has_a_member",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("state__in", ["approved", "declined", "asked", "joined"]),
                                        _negated=True,
                                    ),
                                    models.Q(
                                        ("decided_at__isnull", False),
                                        models.Q(("decided_by", ""), _negated=True),
                                        models.Q(("decision_reason", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="application_decided_by_somebody",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="JoiningRules",
                    fields=[
                        ("version", models.PositiveIntegerField(primary_key=True, serialize=False)),
                        (
                            "postcode_areas",
                            models.JSONField(
                                default=list,
                                help_text="Postcode areas or districts, such as OL or M15; none: everywhere",
                            ),
                        ),
                        (
                            "area_otherwise",
                            models.CharField(
                                choices=[
                                    ("decline", "Answer no"),
                                    ("ask", "A person looks at it"),
                                    ("ignore", "Does not matter"),
                                ],
                                default="decline",
                                max_length=8,
                            ),
                        ),
                        (
                            "smart_meter_otherwise",
                            models.CharField(
                                choices=[
                                    ("decline", "Answer no"),
                                    ("ask", "A person looks at it"),
                                    ("ignore", "Does not matter"),
                                ],
                                default="ask",
                                max_length=8,
                            ),
                        ),
                        (
                            "asset_kinds",
                            models.JSONField(
                                default=list, help_text="Codes of the kinds the co-op can control"
                            ),
                        ),
                        (
                            "assets_otherwise",
                            models.CharField(
                                choices=[
                                    ("decline", "Answer no"),
                                    ("ask", "A person looks at it"),
                                    ("ignore", "Does not matter"),
                                ],
                                default="decline",
                                max_length=8,
                            ),
                        ),
                        (
                            "landlord_otherwise",
                            models.CharField(
                                choices=[
                                    ("decline", "Answer no"),
                                    ("ask", "A person looks at it"),
                                    ("ignore", "Does not matter"),
                                ],
                                default="ask",
                                max_length=8,
                            ),
                        ),
                        ("share_value_pence", models.PositiveIntegerField(default=100)),
                        ("least_shares", models.PositiveIntegerField(default=1)),
                        ("most_shares", models.PositiveIntegerField(default=10000)),
                        ("published_at", models.DateTimeField()),
                        ("published_by", models.CharField(max_length=120)),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("least_shares__lte", models.F("most_shares")),
                                    ("share_value_pence__gt", 0),
                                ),
                                name="joiningrules_shares_in_order",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Shareholding",
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
                        ("shares", models.PositiveIntegerField()),
                        ("share_value_pence", models.PositiveIntegerField()),
                        ("taken_at", models.DateTimeField()),
                        ("paid_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="shareholdings",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("share_value_pence__gt", 0), ("shares__gt", 0)),
                                name="shareholding_is_of_something",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ShortSurvey",
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
                            "occasion",
                            models.CharField(
                                choices=[
                                    ("joining", "After joining"),
                                    ("first_event", "After the first event"),
                                    ("yearly", "Once a year"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("year", models.PositiveSmallIntegerField(help_text="Of membership, the first is 0")),
                        ("scores", models.JSONField(help_text="1 to 5 for each question")),
                        ("answered_at", models.DateTimeField()),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="surveys",
                                to="members.member",
                            ),
                        ),
                        (
                            "comment",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=1000, pattern="", subject="member_id"
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("member", "occasion", "year"), name="shortsurvey_once_an_occasion"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TermsText",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "kind",
                            models.CharField(
                                choices=[
                                    ("terms", "Terms of membership and of taking part"),
                                    ("assurance", "Before you agree: cost, visits, risks, your bill"),
                                ],
                                max_length=12,
                            ),
                        ),
                        ("version", models.PositiveIntegerField()),
                        ("body", models.TextField()),
                        ("body_sha256", models.CharField(max_length=64)),
                        ("published_at", models.DateTimeField()),
                        ("published_by", models.CharField(max_length=120)),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("kind", "version"), name="termstext_one_per_version"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="TermsAcceptance",
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
                        ("body_sha256", models.CharField(max_length=64)),
                        (
                            "channel",
                            models.CharField(
                                choices=[("web", "Web"), ("paper", "Paper"), ("phone", "Phone")],
                                max_length=20,
                            ),
                        ),
                        ("accepted_at", models.DateTimeField()),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="terms_accepted",
                                to="members.member",
                            ),
                        ),
                        (
                            "text",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="acceptances",
                                to="members.termstext",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("member", "text"), name="termsacceptance_once_a_version"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RightsRequest",
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
                                    ("export", "A copy of everything"),
                                    ("rectification", "Something put right"),
                                    ("restriction", "Keep it, but do not use it"),
                                    ("objection", "An objection to one use"),
                                    ("erasure", "Erasure"),
                                    ("complaint", "A complaint"),
                                ],
                                max_length=16,
                            ),
                        ),
                        (
                            "channel",
                            models.CharField(
                                choices=[("web", "Web"), ("paper", "Paper"), ("phone", "Phone")],
                                max_length=20,
                            ),
                        ),
                        (
                            "words",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=4000, pattern="", subject="member_id"
                            ),
                        ),
                        (
                            "about",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("full_name", "My name"),
                                    ("household_name", "Our household’s name"),
                                    ("address", "My home’s address"),
                                    ("email", "My email address"),
                                    ("postcode", "My home’s postcode"),
                                    ("mpan", "My meter point (MPAN)"),
                                    ("other", "Something else"),
                                ],
                                max_length=16,
                            ),
                        ),
                        (
                            "wanted",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=254, pattern="", subject="member_id"
                            ),
                        ),
                        (
                            "purpose",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("flexibility", "Control my assets in campaigns"),
                                    ("settlement", "Use half-hourly readings for baselines and settlement"),
                                    ("advice", "Use my readings to advise me"),
                                    (
                                        "partner_totals",
                                        "Count my days in totals over many homes for my landlord",
                                    ),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("opened_at", models.DateTimeField()),
                        ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                        ("due_at", models.DateTimeField()),
                        (
                            "verdict",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("granted", "Done"),
                                    ("partly", "Done in part"),
                                    ("refused", "Refused"),
                                    ("taken_back", "Taken back"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "reason",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=4000, pattern="", subject="member_id"
                            ),
                        ),
                        ("closed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "decided_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                        (
                            "home",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.home",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="rights_requests",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["member", "opened_at"], name="rightsrequest_by_member"),
                            models.Index(
                                condition=models.Q(("verdict", "")),
                                fields=["due_at"],
                                name="rightsrequest_open_by_due",
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("closed_at__isnull", True), ("verdict", "")),
                                    models.Q(
                                        models.Q(("verdict", ""), _negated=True), ("closed_at__isnull", False)
                                    ),
                                    _connector="OR",
                                ),
                                name="rightsrequest_closed_with_a_verdict",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("due_at__gt", models.F("opened_at"))),
                                name="rightsrequest_due_after_opened",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Erasure",
                    fields=[
                        (
                            "member",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="erasure",
                                serialize=False,
                                to="members.member",
                            ),
                        ),
                        (
                            "household_is_gone",
                            models.BooleanField(help_text="Nobody of the household is left"),
                        ),
                        ("home_ids", models.JSONField(help_text="Homes whose key was shredded too")),
                        ("erased_at", models.DateTimeField()),
                    ],
                ),
                migrations.CreateModel(
                    name="DataExport",
                    fields=[
                        (
                            "request",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="export",
                                serialize=False,
                                to="members.rightsrequest",
                            ),
                        ),
                        ("parts_done", models.PositiveSmallIntegerField(default=0)),
                        ("parts", models.PositiveSmallIntegerField(default=0)),
                        ("sealed", models.BinaryField(null=True)),
                        ("size_bytes", models.PositiveIntegerField(default=0)),
                        ("ready_at", models.DateTimeField(blank=True, null=True)),
                        ("taken_at", models.DateTimeField(blank=True, null=True)),
                        ("forgotten_at", models.DateTimeField(blank=True, null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="FormerValue",
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
                        ("subject_id", models.UUIDField(db_index=True)),
                        (
                            "subject",
                            models.CharField(
                                choices=[("member", "Member"), ("household", "Household"), ("home", "Home")],
                                max_length=12,
                            ),
                        ),
                        ("field", models.CharField(max_length=20)),
                        (
                            "value",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True, default="", longest=254, pattern="", subject="subject_id"
                            ),
                        ),
                        ("until_at", models.DateTimeField()),
                        (
                            "changed_by",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                ),
                migrations.CreateModel(
                    name="Restriction",
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
                        ("starts_at", models.DateTimeField()),
                        ("ends_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="restrictions",
                                to="members.member",
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="restrictions",
                                to="members.rightsrequest",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("ends_at__isnull", True),
                                    ("ends_at__gte", models.F("starts_at")),
                                    _connector="OR",
                                ),
                                name="restriction_runs_forward",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("ends_at__isnull", True)),
                                fields=("request",),
                                name="restriction_one_a_request",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="DataExportPart",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.CharField(max_length=40)),
                        ("sealed", models.BinaryField()),
                        (
                            "export",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="pieces",
                                to="members.dataexport",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(fields=("export", "name"), name="dataexportpart_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="HouseholdCare",
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
                            "key_subject",
                            models.UUIDField(
                                default=opendsr.kernel.ids.new_uuid,
                                editable=False,
                                help_text="Whose key seals it",
                            ),
                        ),
                        ("sealed", models.BinaryField()),
                        ("told_at", models.DateTimeField(help_text="When the household last said so")),
                        (
                            "household",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="care",
                                to="members.household",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "household care",
                    },
                ),
                migrations.CreateModel(
                    name="Supply",
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
                        ("supplier", models.CharField(max_length=60)),
                        ("starts_on", models.DateField(help_text="The first day, Europe/London")),
                        ("noted_at", models.DateTimeField()),
                        ("noted_by", models.CharField(max_length=120)),
                        (
                            "occupancy",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="supplies",
                                to="members.occupancy",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "supplies",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("occupancy", "starts_on"), name="supply_one_a_day"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("supplier", ""), _negated=True),
                                name="supply_names_somebody",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PersonalToken",
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
                            "name",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="", longest=60, pattern="", subject="member_id"
                            ),
                        ),
                        (
                            "scope",
                            models.CharField(
                                choices=[
                                    ("read", "See what I see"),
                                    ("act", "See it, answer events and change my wishes"),
                                    ("calendar", "See my events in a calendar"),
                                ],
                                max_length=8,
                            ),
                        ),
                        ("prefix", models.CharField(max_length=12, unique=True)),
                        ("digest", models.CharField(help_text="SHA-256 of the secret", max_length=64)),
                        ("created_wall_at", models.DateTimeField()),
                        ("expires_wall_at", models.DateTimeField(null=True)),
                        ("last_used_wall_at", models.DateTimeField(null=True)),
                        ("revoked_wall_at", models.DateTimeField(null=True)),
                        (
                            "member",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="tokens",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")),
                                name="personaltoken_only_a_digest",
                            )
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "identity",
            "members_household",
            "members_member",
            "members_home",
            "members_occupancy",
            "members_meterstream",
            "members_consenttext",
            "members_consent",
            "members_standingoptout",
            "members_partner",
            "members_partneraccount",
            "members_partnerhome",
            "members_application",
            "members_championcode",
            "members_invitation",
            "members_joiningrules",
            "members_partnerproperty",
            "members_shareholding",
            "members_shortsurvey",
            "members_termsacceptance",
            "members_termstext",
            "members_rightsrequest",
            "members_restriction",
            "members_formervalue",
            "members_dataexport",
            "members_dataexportpart",
            "members_erasure",
            "members_householdcare",
            "members_supply",
            "members_personaltoken",
        ),
        schemas.append_only("identity", "members_consenttext"),
        schemas.append_only("identity", "members_joiningrules"),
        schemas.append_only("identity", "members_termstext"),
        schemas.append_only("identity", "members_termsacceptance"),
        schemas.append_only("identity", "members_formervalue"),
        schemas.append_only("identity", "members_erasure"),
        migrations.RunSQL(sql.CREATE_MEMBER_NUMBERS, sql.DROP_MEMBER_NUMBERS),
        migrations.RunSQL(sql.HASH_IS_OF_THE_BODY, sql.DROP_HASH_IS_OF_THE_BODY),
        migrations.RunSQL(sql.TERMS_HASH_IS_OF_THE_BODY, sql.DROP_TERMS_HASH_IS_OF_THE_BODY),
        migrations.RunSQL(sql.CONSENT_ONLY_ENDS, sql.DROP_CONSENT_ONLY_ENDS),
        migrations.RunSQL(consent_changes.CREATE_MARK, consent_changes.DROP_MARK),
        migrations.RunSQL(restricting.CREATE_MARKS, restricting.DROP_MARKS),
        roles.grant("members", roles.GRANTS),
        roles.grant("members", roles.PARTNER_GRANTS),
        roles.grant("members", roles.JOINING_GRANTS),
        roles.grant("members", roles.RIGHTS_GRANTS),
        roles.grant("members", roles.SUPPLY_GRANTS),
    ]
