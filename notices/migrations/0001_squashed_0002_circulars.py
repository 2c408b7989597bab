"""What is told to members, and how they want to be told."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import opendsr.kernel.blind_index
import opendsr.kernel.ids
import opendsr.kernel.sealed_field
from members import roles
from notices import rights
from opendsr.kernel import schemas


class Migration(migrations.Migration):
    replaces = [("notices", "0001_initial"), ("notices", "0002_circulars")]

    initial = True

    dependencies = [
        ("kernel", "0001_squashed_0005_house_logo"),
        ("members", "0002_squashed_0012_people_of_a_household"),
    ]

    operations = [
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="Contact",
                    fields=[
                        (
                            "member",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                primary_key=True,
                                related_name="contact",
                                serialize=False,
                                to="members.member",
                            ),
                        ),
                        (
                            "language",
                            models.CharField(
                                choices=[("en-gb", "English"), ("cy", "Cymraeg")],
                                default="en-gb",
                                max_length=5,
                            ),
                        ),
                        (
                            "phone",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True,
                                default="",
                                longest=16,
                                pattern="\\+[1-9][0-9]{7,14}",
                                subject="member_id",
                            ),
                        ),
                        (
                            "phone_index",
                            opendsr.kernel.blind_index.BlindIndexField(editable=False, null=True, of="phone"),
                        ),
                        ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "code_sha256",
                            models.CharField(
                                blank=True, help_text="Of the code sent to the number", max_length=64
                            ),
                        ),
                        ("code_until_wall_at", models.DateTimeField(blank=True, null=True)),
                        ("code_tries", models.PositiveSmallIntegerField(default=0)),
                        ("changed_at", models.DateTimeField()),
                    ],
                    options={
                        "indexes": [models.Index(fields=["phone_index"], name="contact_by_phone")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("confirmed_at__isnull", True),
                                    ("phone_index__isnull", False),
                                    _connector="OR",
                                ),
                                name="contact_confirms_a_number",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="InboundSms",
                    fields=[
                        ("provider_id", models.CharField(max_length=120, primary_key=True, serialize=False)),
                        (
                            "keyword",
                            models.CharField(
                                help_text="SKIP, IN, STOP or HELP; HELP when it was none", max_length=8
                            ),
                        ),
                        ("reply", models.CharField(max_length=480)),
                        ("received_at", models.DateTimeField()),
                        (
                            "members",
                            models.ManyToManyField(blank=True, related_name="+", to="members.member"),
                        ),
                    ],
                    options={
                        "verbose_name": "inbound SMS",
                    },
                ),
                migrations.CreateModel(
                    name="Choice",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "notice_class",
                            models.CharField(
                                choices=[
                                    ("safety", "Safety"),
                                    ("event", "Events"),
                                    ("account", "My account and devices"),
                                    ("marketing", "News and offers of the co-op"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "channel",
                            models.CharField(
                                choices=[("email", "Email"), ("sms", "Text message")], max_length=8
                            ),
                        ),
                        ("is_wanted", models.BooleanField()),
                        ("chosen_at", models.DateTimeField()),
                        (
                            "how",
                            models.CharField(help_text="web, link or sms: where it was said", max_length=12),
                        ),
                        (
                            "wording",
                            models.CharField(
                                blank=True, help_text="The words agreed to, of marketing", max_length=200
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="notice_choices",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("member", "notice_class", "channel"),
                                name="choice_one_a_class_and_channel",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("notice_class", "safety"), _negated=True),
                                name="choice_is_not_about_safety",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("is_wanted", True), ("notice_class", "marketing"), _negated=True
                                    ),
                                    models.Q(("wording", ""), _negated=True),
                                    _connector="OR",
                                ),
                                name="choice_of_marketing_has_words",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Notice",
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
                                    ("event_scheduled", "Event scheduled"),
                                    ("event_reminder", "Event reminder"),
                                    ("event_start", "Event starts"),
                                    ("event_end", "Event over"),
                                    ("event_cancelled", "Event called off"),
                                    ("event_result", "Event result"),
                                    ("revised_result", "Revised result"),
                                    ("device_offline", "Device offline"),
                                    ("statement_ready", "Statement ready"),
                                    ("consent_renewal", "Consent reminder"),
                                    ("safety_word", "Safety notice"),
                                    ("news", "News"),
                                ],
                                max_length=20,
                            ),
                        ),
                        (
                            "notice_class",
                            models.CharField(
                                choices=[
                                    ("safety", "Safety"),
                                    ("event", "Events"),
                                    ("account", "My account and devices"),
                                    ("marketing", "News and offers of the co-op"),
                                ],
                                max_length=12,
                            ),
                        ),
                        (
                            "channel",
                            models.CharField(
                                choices=[("email", "Email"), ("sms", "Text message")], max_length=8
                            ),
                        ),
                        ("key", models.CharField(max_length=160, unique=True)),
                        (
                            "about",
                            models.UUIDField(
                                blank=True, help_text="The campaign, statement, hub or consent", null=True
                            ),
                        ),
                        (
                            "facts",
                            opendsr.kernel.sealed_field.SealedTextField(
                                default="",
                                help_text="What the words are made from",
                                longest=20000,
                                pattern="",
                                subject="member_id",
                            ),
                        ),
                        (
                            "address",
                            opendsr.kernel.sealed_field.SealedTextField(
                                blank=True,
                                default="",
                                help_text="Where it was sent",
                                longest=254,
                                pattern="",
                                subject="member_id",
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("queued", "Queued"),
                                    ("sent", "Sent"),
                                    ("delivered", "Delivered"),
                                    ("bounced", "Bounced"),
                                    ("failed", "Failed"),
                                    ("dropped", "not sent"),
                                ],
                                default="queued",
                                max_length=12,
                            ),
                        ),
                        (
                            "reason",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("held_past_start", "Held by the quiet hours past the start"),
                                    ("too_late", "Too late to be of use"),
                                    ("no_address", "No address to send to"),
                                    ("not_wanted", "Not wanted any more"),
                                    ("too_many", "More than a day may hold"),
                                    ("undeliverable", "The address does not exist"),
                                    ("refused", "The provider refused it"),
                                    ("no_answer", "The provider did not answer"),
                                    ("complained", "Marked as unwanted by its receiver"),
                                    ("gone", "The member has left or was erased"),
                                ],
                                max_length=20,
                            ),
                        ),
                        ("queued_at", models.DateTimeField()),
                        (
                            "due_at",
                            models.DateTimeField(
                                help_text="Not before; moved by quiet hours and the daily cap"
                            ),
                        ),
                        ("expires_at", models.DateTimeField(help_text="Of no use from then on")),
                        ("sent_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "answered_at",
                            models.DateTimeField(blank=True, help_text="When the receipt came", null=True),
                        ),
                        ("attempts", models.PositiveSmallIntegerField(default=0)),
                        ("next_try_wall_at", models.DateTimeField()),
                        ("provider_id", models.CharField(blank=True, max_length=200)),
                        (
                            "again",
                            models.PositiveSmallIntegerField(
                                default=0, help_text="How often staff sent it anew"
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="notices",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                condition=models.Q(("state", "queued")),
                                fields=["due_at", "id"],
                                name="notice_queue",
                            ),
                            models.Index(fields=["-queued_at", "id"], name="notice_newest"),
                            models.Index(fields=["member", "-queued_at"], name="notice_by_member"),
                            models.Index(fields=["about", "kind"], name="notice_about"),
                            models.Index(
                                condition=models.Q(("provider_id", ""), _negated=True),
                                fields=["provider_id"],
                                name="notice_by_provider_id",
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("reason", ""), ("state__in", ["queued", "sent", "delivered"])),
                                    models.Q(
                                        models.Q(
                                            ("state__in", ["queued", "sent", "delivered"]), _negated=True
                                        ),
                                        models.Q(("reason", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="notice_not_sent_for_a_reason",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state__in", ["sent", "delivered"]), _negated=True),
                                    ("sent_at__isnull", False),
                                    _connector="OR",
                                ),
                                name="notice_sent_at_a_time",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("expires_at__gt", models.F("queued_at"))),
                                name="notice_of_some_use",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Circular",
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
                                choices=[("safety_word", "safety"), ("news", "news")], max_length=20
                            ),
                        ),
                        ("subject", models.CharField(max_length=120)),
                        ("body", models.TextField(max_length=6000)),
                        (
                            "state",
                            models.CharField(
                                choices=[("written", "Written"), ("sent", "Sent"), ("dropped", "not sent")],
                                default="written",
                                max_length=12,
                            ),
                        ),
                        ("written_by", models.CharField(max_length=40)),
                        ("written_at", models.DateTimeField()),
                        ("decided_by", models.CharField(blank=True, max_length=40)),
                        ("decided_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "counts",
                            models.JSONField(
                                default=dict,
                                help_text="Members told by each channel, and why others were not",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [models.Index(fields=["-written_at"], name="circular_newest")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("decided_at__isnull", True), ("state", "written")),
                                    models.Q(
                                        models.Q(("state", "written"), _negated=True),
                                        ("decided_at__isnull", False),
                                        models.Q(("decided_by", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="circular_decided_by_somebody",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("kind", "news"), ("state", "sent"), _negated=True),
                                    models.Q(("decided_by", models.F("written_by")), _negated=True),
                                    _connector="OR",
                                ),
                                name="circular_news_takes_two",
                            ),
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "identity",
            "notices_contact",
            "notices_inboundsms",
            "notices_inboundsms_members",
            "notices_choice",
            "notices_notice",
            "notices_circular",
        ),
        roles.grant("notices", rights.GRANTS),
    ]
