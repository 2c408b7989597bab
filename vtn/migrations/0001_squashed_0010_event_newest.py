"""VENs, their events, reports and messages."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from opendsr.kernel import schemas
from vtn import triggers


class Migration(migrations.Migration):
    replaces = [
        ("vtn", "0001_initial"),
        ("vtn", "0002_durable_queue"),
        ("vtn", "0003_staff_records"),
        ("vtn", "0004_standing_notifies"),
        ("vtn", "0005_event_content"),
        ("vtn", "0006_trust"),
        ("vtn", "0007_reports"),
        ("vtn", "0008_transports"),
        ("vtn", "0009_shadows"),
        ("vtn", "0010_event_newest"),
    ]

    initial = True

    dependencies = [
        ("kernel", "0001_squashed_0005_house_logo"),
    ]

    operations = [
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="Ven",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("ven_id", models.CharField(max_length=64, unique=True)),
                        ("ven_name", models.CharField(max_length=128)),
                        ("registration_id", models.CharField(blank=True, max_length=64)),
                        (
                            "poll_seconds",
                            models.PositiveIntegerField(help_text="Empty: the site's own.", null=True),
                        ),
                        ("is_report_only", models.BooleanField(default=False)),
                        ("enrolled_at", models.DateTimeField()),
                        ("registered_at", models.DateTimeField(null=True)),
                        ("last_seen_wall_at", models.DateTimeField(null=True)),
                        ("has_xml_signature", models.BooleanField(default=False)),
                        ("is_http_pull", models.BooleanField(default=True)),
                        (
                            "profile_name",
                            models.CharField(
                                blank=True, help_text="As it registered: 2.0a or 2.0b.", max_length=8
                            ),
                        ),
                        (
                            "transport_address",
                            models.CharField(
                                blank=True,
                                help_text="What it said of itself; never called because it said so.",
                                max_length=255,
                            ),
                        ),
                        ("transport_name", models.CharField(blank=True, max_length=16)),
                        (
                            "security",
                            models.CharField(
                                choices=[
                                    ("standard", "Standard (mutual TLS)"),
                                    ("high", "High (signed messages)"),
                                ],
                                default="standard",
                                max_length=8,
                            ),
                        ),
                        (
                            "push_failures",
                            models.PositiveIntegerField(
                                default=0, help_text="In a row; the next try waits longer."
                            ),
                        ),
                        (
                            "push_url",
                            models.URLField(
                                blank=True,
                                help_text="Set by staff: where this VTN may call the VEN.",
                                max_length=300,
                            ),
                        ),
                        (
                            "told_poll_seconds",
                            models.PositiveIntegerField(
                                help_text="The poll interval it was last asked to keep.", null=True
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "VEN",
                        "db_table": "ven",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("ven_id", ""), _negated=True), name="ven_has_an_id"
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("registration_id", ""), _negated=True),
                                fields=("registration_id",),
                                name="ven_registration_once",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("registration_id", ""), ("registered_at__isnull", False), _connector="OR"
                                ),
                                name="ven_registered_when",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("poll_seconds__isnull", True),
                                    ("poll_seconds__range", (1, 86400)),
                                    _connector="OR",
                                ),
                                name="ven_poll_within_a_day",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("security__in", ["standard", "high"])),
                                name="ven_security_known",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("event_id", models.CharField(max_length=64, unique=True)),
                        (
                            "key",
                            models.CharField(
                                help_text="The publisher's own key.", max_length=200, unique=True
                            ),
                        ),
                        ("modification_number", models.PositiveIntegerField(default=0)),
                        ("modification_reason", models.CharField(blank=True, max_length=200)),
                        ("market_context", models.CharField(max_length=200)),
                        ("starts_at", models.DateTimeField()),
                        ("duration_seconds", models.PositiveIntegerField(help_text="0: until cancelled.")),
                        ("signals", models.JSONField()),
                        (
                            "resource_ids",
                            models.JSONField(
                                blank=True, default=list, help_text="Empty: the VEN as a whole."
                            ),
                        ),
                        ("priority", models.PositiveIntegerField(default=0)),
                        ("is_test", models.BooleanField(default=False)),
                        ("is_response_required", models.BooleanField(default=True)),
                        ("start_tolerance_seconds", models.PositiveIntegerField(default=0)),
                        ("notification_seconds", models.PositiveIntegerField(default=0)),
                        ("ramp_up_seconds", models.IntegerField(default=0)),
                        ("recovery_seconds", models.IntegerField(default=0)),
                        ("comment", models.CharField(blank=True, max_length=500)),
                        ("published_at", models.DateTimeField()),
                        (
                            "closes_at",
                            models.DateTimeField(
                                help_text="When the last VEN has ended it: end plus start tolerance."
                            ),
                        ),
                        ("cancelled_at", models.DateTimeField(null=True)),
                        ("delivered_modification", models.PositiveIntegerField(null=True)),
                        (
                            "delivered_at",
                            models.DateTimeField(
                                help_text="When the version in force was first handed over.", null=True
                            ),
                        ),
                        (
                            "delivered_wall_at",
                            models.DateTimeField(help_text="When it was last handed over.", null=True),
                        ),
                        (
                            "delivery_count",
                            models.PositiveIntegerField(
                                default=0, help_text="How often the version in force was."
                            ),
                        ),
                        ("acknowledged_modification", models.PositiveIntegerField(null=True)),
                        ("acknowledged_at", models.DateTimeField(null=True)),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="events",
                                to="vtn.ven",
                            ),
                        ),
                        (
                            "content_digest",
                            models.CharField(
                                blank=True,
                                help_text="The same for all VENs told the same; what is rendered once.",
                                max_length=32,
                            ),
                        ),
                        (
                            "targets",
                            models.JSONField(
                                blank=True, default=list, help_text="Pairs of kind and id, beside the VEN."
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_event",
                        "indexes": [
                            models.Index(fields=["ven", "closes_at"], name="vtn_event_live"),
                            models.Index(fields=["-starts_at", "-id"], name="vtn_event_newest"),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("delivered_modification__isnull", True),
                                    ("delivered_modification__lte", models.F("modification_number")),
                                    _connector="OR",
                                ),
                                name="vtn_event_delivered_what_was",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("acknowledged_modification__isnull", True),
                                    ("acknowledged_modification__lte", models.F("modification_number")),
                                    _connector="OR",
                                ),
                                name="vtn_event_acknowledged_what_was",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("delivered_at__isnull", True),
                                        ("delivered_modification__isnull", True),
                                    ),
                                    models.Q(
                                        ("delivered_at__isnull", False),
                                        ("delivered_modification__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="vtn_event_delivered_when",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("closes_at__gte", models.F("starts_at"))),
                                name="vtn_event_closes_after_it_starts",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="VenCertificate",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "fingerprint",
                            models.CharField(
                                help_text="SHA-256 of the DER, lower-case hex.", max_length=64, unique=True
                            ),
                        ),
                        ("serial", models.CharField(help_text="Hex.", max_length=40)),
                        ("issuer", models.CharField(max_length=200)),
                        ("not_before", models.DateTimeField()),
                        ("not_after", models.DateTimeField()),
                        ("issued_at", models.DateTimeField()),
                        ("revoked_at", models.DateTimeField(null=True)),
                        ("revocation_reason", models.CharField(blank=True, max_length=200)),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="certificates",
                                to="vtn.ven",
                            ),
                        ),
                        (
                            "alarmed_days",
                            models.PositiveSmallIntegerField(
                                help_text="The lowest expiry alarm that has been given.", null=True
                            ),
                        ),
                        (
                            "first_used_wall_at",
                            models.DateTimeField(help_text="When it first spoke for its VEN.", null=True),
                        ),
                        ("pem", models.TextField(blank=True)),
                        (
                            "revocation_code",
                            models.CharField(
                                choices=[
                                    ("unspecified", "Unspecified"),
                                    ("key_compromise", "Key lost or stolen"),
                                    ("superseded", "Replaced by another certificate"),
                                    ("cessation_of_operation", "Taken out of use"),
                                ],
                                default="unspecified",
                                max_length=24,
                            ),
                        ),
                    ],
                    options={
                        "db_table": "ven_certificate",
                        "indexes": [models.Index(fields=["not_after"], name="ven_certificate_expiry")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("fingerprint__regex", "^[0-9a-f]{64}$")),
                                name="ven_certificate_full_fingerprint",
                            ),
                            models.UniqueConstraint(
                                fields=("issuer", "serial"), name="ven_certificate_serial_once"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("not_after__gt", models.F("not_before"))),
                                name="ven_certificate_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("revoked_at__isnull", False), ("revocation_reason", ""), _connector="OR"
                                ),
                                name="ven_certificate_reason_when_revoked",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "revocation_code__in",
                                        [
                                            "unspecified",
                                            "key_compromise",
                                            "superseded",
                                            "cessation_of_operation",
                                        ],
                                    )
                                ),
                                name="ven_certificate_code_known",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="MessageLog",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        ("recorded_wall_at", models.DateTimeField()),
                        ("service", models.CharField(max_length=40)),
                        ("message", models.CharField(blank=True, max_length=40)),
                        (
                            "code",
                            models.CharField(
                                help_text="OpenADR response code, or why the body was unreadable.",
                                max_length=40,
                            ),
                        ),
                        ("http_status", models.PositiveSmallIntegerField()),
                        ("reason", models.CharField(blank=True, max_length=300)),
                        ("excerpt", models.CharField(blank=True, max_length=200)),
                        (
                            "ven",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="messages",
                                to="vtn.ven",
                            ),
                        ),
                        (
                            "direction",
                            models.CharField(
                                choices=[("from_ven", "From the VEN"), ("to_ven", "To the VEN")],
                                default="from_ven",
                                max_length=8,
                            ),
                        ),
                        ("transport", models.CharField(default="http", max_length=16)),
                        ("reply", models.CharField(blank=True, max_length=40)),
                        ("is_refused", models.BooleanField(default=True)),
                        ("tolerances", models.JSONField(blank=True, default=list)),
                        ("request_bytes", models.PositiveIntegerField(default=0)),
                        ("reply_bytes", models.PositiveIntegerField(default=0)),
                        ("request_body", models.TextField(blank=True, help_text="Redacted.")),
                        ("reply_body", models.TextField(blank=True, help_text="Redacted.")),
                    ],
                    options={
                        "verbose_name": "message",
                        "db_table": "vtn_wire_log",
                        "indexes": [
                            models.Index(fields=["recorded_wall_at"], name="vtn_wire_log_age"),
                            models.Index(fields=["ven", "-id"], name="vtn_wire_log_by_ven"),
                            models.Index(
                                condition=models.Q(("is_refused", True)),
                                fields=["-id"],
                                name="vtn_wire_log_refused",
                            ),
                            models.Index(
                                condition=models.Q(
                                    models.Q(("request_body", ""), _negated=True),
                                    models.Q(("reply_body", ""), _negated=True),
                                    _connector="OR",
                                ),
                                fields=["recorded_wall_at"],
                                name="vtn_wire_log_bodies",
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("direction__in", ["from_ven", "to_ven"])),
                                name="vtn_wire_log_direction_known",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="WireLog",
                    fields=[],
                    options={
                        "verbose_name": "refused message",
                        "proxy": True,
                    },
                    bases=("vtn.messagelog",),
                ),
                migrations.CreateModel(
                    name="EventOpt",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "opt",
                            models.CharField(
                                choices=[("in", "In"), ("out", "Out"), ("none", "Undecided")], max_length=4
                            ),
                        ),
                        ("modification_number", models.PositiveIntegerField()),
                        (
                            "source",
                            models.CharField(
                                choices=[
                                    ("created_event", "Answer to the event"),
                                    ("create_opt", "Opt of its own"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("reason", models.CharField(blank=True, max_length=120)),
                        ("opt_id", models.CharField(blank=True, max_length=64)),
                        ("received_at", models.DateTimeField()),
                        (
                            "feed_position",
                            models.BigIntegerField(
                                help_text="Place in the feed; given by the first reader after the commit.",
                                null=True,
                                unique=True,
                            ),
                        ),
                        (
                            "event",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="opts",
                                to="vtn.event",
                            ),
                        ),
                        (
                            "resource_ids",
                            models.JSONField(
                                blank=True,
                                default=list,
                                help_text="Empty: the event as a whole; else only for these.",
                            ),
                        ),
                        (
                            "withdrawn_at",
                            models.DateTimeField(
                                help_text="When the VEN cancelled this opt of its own.", null=True
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_event_opt",
                        "indexes": [
                            models.Index(fields=["event", "-id"], name="vtn_event_opt_latest"),
                            models.Index(
                                condition=models.Q(("feed_position", None)),
                                fields=["id"],
                                name="vtn_event_opt_unplaced",
                            ),
                            models.Index(
                                condition=models.Q(("opt_id", ""), _negated=True),
                                fields=["event", "opt_id"],
                                name="vtn_event_opt_by_opt_id",
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("opt__in", ["in", "out", "none"])),
                                name="vtn_event_opt_choice_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("source__in", ["created_event", "create_opt"])),
                                name="vtn_event_opt_source_known",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OptSchedule",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("opt_id", models.CharField(max_length=64)),
                        (
                            "opt",
                            models.CharField(
                                choices=[("in", "In"), ("out", "Out"), ("none", "Undecided")], max_length=4
                            ),
                        ),
                        ("reason", models.CharField(blank=True, max_length=120)),
                        ("market_context", models.CharField(blank=True, max_length=200)),
                        ("resource_ids", models.JSONField(default=list)),
                        ("periods", models.JSONField(help_text="List of {starts_at, duration_seconds}.")),
                        ("received_at", models.DateTimeField()),
                        ("cancelled_at", models.DateTimeField(null=True)),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="opt_schedules",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_opt_schedule",
                        "constraints": [
                            models.UniqueConstraint(fields=("ven", "opt_id"), name="vtn_opt_schedule_once"),
                            models.CheckConstraint(
                                condition=models.Q(("opt__in", ["in", "out", "none"])),
                                name="vtn_opt_schedule_choice_known",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="QueuedMessage",
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
                                    ("events", "Its full set of events"),
                                    ("request_reregistration", "Register again"),
                                    ("cancel_registration", "Registration ended"),
                                    ("register_report", "Our own reports"),
                                    ("create_report", "Report wanted"),
                                    ("cancel_report", "Report no longer wanted"),
                                ],
                                max_length=24,
                            ),
                        ),
                        (
                            "rank",
                            models.PositiveSmallIntegerField(
                                default=1, help_text="Lower goes first; then the older."
                            ),
                        ),
                        (
                            "content",
                            models.JSONField(
                                blank=True, default=dict, help_text="Protocol-neutral; ids, never wire text."
                            ),
                        ),
                        (
                            "request_id",
                            models.CharField(help_text="The correlated reply echoes it.", max_length=64),
                        ),
                        (
                            "dedupe_key",
                            models.CharField(
                                blank=True,
                                help_text="One open message a VEN and key; empty: never the same.",
                                max_length=200,
                            ),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("queued", "Waiting"),
                                    ("delivered", "Handed over"),
                                    ("answered", "Answered"),
                                    ("expired", "Out of date"),
                                    ("withdrawn", "Withdrawn"),
                                    ("dead", "Given up"),
                                ],
                                default="queued",
                                max_length=12,
                            ),
                        ),
                        (
                            "attempts",
                            models.PositiveIntegerField(default=0, help_text="How often it was handed over."),
                        ),
                        ("queued_at", models.DateTimeField()),
                        ("expires_at", models.DateTimeField(null=True)),
                        ("next_try_wall_at", models.DateTimeField()),
                        ("leased_by", models.CharField(blank=True, max_length=100)),
                        ("lease_until_wall_at", models.DateTimeField(null=True)),
                        (
                            "delivered_at",
                            models.DateTimeField(help_text="When it was first handed over.", null=True),
                        ),
                        (
                            "delivered_by",
                            models.CharField(
                                blank=True, help_text="The transport of the latest time.", max_length=12
                            ),
                        ),
                        (
                            "finished_at",
                            models.DateTimeField(
                                help_text="Answered, expired, withdrawn or given up.", null=True
                            ),
                        ),
                        ("answer_code", models.PositiveIntegerField(null=True)),
                        (
                            "note",
                            models.CharField(
                                blank=True,
                                help_text="The answer's words, or the last failure.",
                                max_length=300,
                            ),
                        ),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="queue",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_queue",
                        "indexes": [
                            models.Index(
                                condition=models.Q(("state__in", ("queued", "delivered"))),
                                fields=["ven", "rank", "id"],
                                name="vtn_queue_next",
                            ),
                            models.Index(
                                condition=models.Q(("state__in", ("queued", "delivered"))),
                                fields=["next_try_wall_at"],
                                name="vtn_queue_due",
                            ),
                            models.Index(fields=["ven", "request_id"], name="vtn_queue_by_request"),
                            models.Index(fields=["finished_at"], name="vtn_queue_age"),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "kind__in",
                                        [
                                            "events",
                                            "request_reregistration",
                                            "cancel_registration",
                                            "register_report",
                                            "create_report",
                                            "cancel_report",
                                        ],
                                    )
                                ),
                                name="vtn_queue_kind_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "state__in",
                                        ["queued", "delivered", "answered", "expired", "withdrawn", "dead"],
                                    )
                                ),
                                name="vtn_queue_state_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("finished_at__isnull", True), ("state__in", ("queued", "delivered"))
                                    ),
                                    models.Q(
                                        models.Q(("state__in", ("queued", "delivered")), _negated=True),
                                        ("finished_at__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="vtn_queue_finished_when",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("state", "delivered"), _negated=True),
                                    ("delivered_at__isnull", False),
                                    _connector="OR",
                                ),
                                name="vtn_queue_delivered_when",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("lease_until_wall_at__isnull", True), ("leased_by", "")),
                                    models.Q(
                                        ("lease_until_wall_at__isnull", False),
                                        models.Q(("leased_by", ""), _negated=True),
                                    ),
                                    _connector="OR",
                                ),
                                name="vtn_queue_leased_by_someone",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(
                                    ("state__in", ("queued", "delivered")),
                                    models.Q(("dedupe_key", ""), _negated=True),
                                ),
                                fields=("ven", "dedupe_key"),
                                name="vtn_queue_open_once",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ApiToken",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.CharField(max_length=80)),
                        ("prefix", models.CharField(max_length=12, unique=True)),
                        ("digest", models.CharField(help_text="SHA-256 of the secret.", max_length=64)),
                        ("deeds", models.JSONField()),
                        ("created_by", models.CharField(max_length=100)),
                        ("created_wall_at", models.DateTimeField()),
                        ("expires_wall_at", models.DateTimeField(null=True)),
                        ("last_used_wall_at", models.DateTimeField(null=True)),
                        ("revoked_wall_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "vtn_api_token",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("name", ""), _negated=True),
                                name="vtn_api_token_has_a_name",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")),
                                name="vtn_api_token_only_a_digest",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="EventDraft",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("draft_id", models.UUIDField(unique=True)),
                        ("ven_ids", models.JSONField()),
                        ("content", models.JSONField(help_text="The event as the API takes it.")),
                        ("created_at", models.DateTimeField()),
                        ("created_by", models.CharField(max_length=100)),
                        ("published_at", models.DateTimeField(null=True)),
                        ("event_ids", models.JSONField(default=list)),
                    ],
                    options={
                        "db_table": "vtn_event_draft",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("published_at__isnull", False), ("event_ids", []), _connector="OR"
                                ),
                                name="vtn_event_draft_events_when_published",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="IdempotentReply",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("principal", models.CharField(max_length=100)),
                        ("key", models.CharField(max_length=200)),
                        ("request_digest", models.CharField(max_length=64)),
                        ("status", models.PositiveSmallIntegerField(null=True)),
                        ("body", models.JSONField(null=True)),
                        ("recorded_wall_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "vtn_idempotent_reply",
                        "indexes": [
                            models.Index(fields=["recorded_wall_at"], name="vtn_idempotent_reply_age")
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("principal", "key"), name="vtn_idempotent_reply_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="PromptRun",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("run_id", models.UUIDField(unique=True)),
                        ("prompt", models.CharField(max_length=60)),
                        ("at", models.DateTimeField()),
                        ("started_wall_at", models.DateTimeField()),
                        ("by", models.CharField(max_length=100)),
                        ("event_ids", models.JSONField(default=list)),
                        (
                            "queued",
                            models.JSONField(
                                default=list, help_text="Messages put into the queue: their names."
                            ),
                        ),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="prompt_runs",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_prompt_run",
                        "indexes": [models.Index(fields=["ven", "-id"], name="vtn_prompt_run_by_ven")],
                    },
                ),
                migrations.CreateModel(
                    name="VenGroup",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.SlugField(max_length=64, unique=True)),
                        ("description", models.CharField(blank=True, max_length=200)),
                        (
                            "vens",
                            models.ManyToManyField(
                                db_table="vtn_ven_group_member", related_name="groups", to="vtn.ven"
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_ven_group",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("name", ""), _negated=True),
                                name="vtn_ven_group_has_a_name",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="VenWatch",
                    fields=[
                        (
                            "ven",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.CASCADE,
                                primary_key=True,
                                related_name="watch",
                                serialize=False,
                                to="vtn.ven",
                            ),
                        ),
                        (
                            "software",
                            models.CharField(blank=True, help_text="As its requests name it.", max_length=80),
                        ),
                        ("transport", models.CharField(blank=True, max_length=16)),
                        (
                            "quirks",
                            models.JSONField(
                                blank=True, default=list, help_text="Named tolerances its messages needed."
                            ),
                        ),
                        (
                            "clock_skew_seconds",
                            models.IntegerField(help_text="Ahead of this site: positive.", null=True),
                        ),
                        ("observed_wall_at", models.DateTimeField(null=True)),
                        (
                            "bodies_until_wall_at",
                            models.DateTimeField(help_text="Message bodies are kept until then.", null=True),
                        ),
                    ],
                    options={
                        "db_table": "vtn_ven_watch",
                        "indexes": [
                            models.Index(
                                condition=models.Q(("bodies_until_wall_at__isnull", False)),
                                fields=["bodies_until_wall_at"],
                                name="vtn_ven_watch_bodies",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="EnrolmentCode",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("subject", models.CharField(max_length=64)),
                        ("code_sha256", models.CharField(max_length=64, unique=True)),
                        ("ven_name", models.CharField(max_length=128)),
                        ("issued_at", models.DateTimeField()),
                        ("issued_by", models.CharField(max_length=64)),
                        ("expires_at", models.DateTimeField()),
                        ("failures", models.PositiveSmallIntegerField(default=0)),
                        ("used_at", models.DateTimeField(blank=True, null=True)),
                        ("voided_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "ven",
                            models.ForeignKey(
                                blank=True,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="enrolment_codes",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_enrolment_code",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("subject", ""), _negated=True),
                                name="vtn_enrolment_code_for_somebody",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("code_sha256__regex", "^[0-9a-f]{64}$")),
                                name="vtn_enrolment_code_hashed",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("expires_at__gt", models.F("issued_at"))),
                                name="vtn_enrolment_code_runs_forward",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("used_at__isnull", True), ("voided_at__isnull", True), _connector="OR"
                                ),
                                name="vtn_enrolment_code_used_or_voided",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("used_at__isnull", True), ("ven__isnull", False), _connector="OR"
                                ),
                                name="vtn_enrolment_code_used_by_a_ven",
                            ),
                            models.UniqueConstraint(
                                condition=models.Q(("used_at__isnull", True), ("voided_at__isnull", True)),
                                fields=("subject",),
                                name="vtn_enrolment_code_one_open",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="RevocationList",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("issuer", models.CharField(max_length=200)),
                        ("number", models.PositiveIntegerField()),
                        ("this_update", models.DateTimeField()),
                        ("next_update", models.DateTimeField()),
                        ("entries", models.PositiveIntegerField()),
                        ("der", models.BinaryField()),
                    ],
                    options={
                        "verbose_name": "certificate revocation list",
                        "db_table": "vtn_revocation_list",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("issuer", "number"), name="vtn_revocation_list_number_once"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("next_update__gt", models.F("this_update"))),
                                name="vtn_revocation_list_runs_forward",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SeenNonce",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("nonce_sha256", models.CharField(max_length=64)),
                        ("expires_wall_at", models.DateTimeField()),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="seen_nonces",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_seen_nonce",
                        "indexes": [models.Index(fields=["expires_wall_at"], name="vtn_seen_nonce_age")],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("ven", "nonce_sha256"), name="vtn_seen_nonce_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ReportConfiguration",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.CharField(max_length=80, unique=True)),
                        ("report_name", models.CharField(max_length=40)),
                        (
                            "item",
                            models.CharField(
                                blank=True, help_text="powerReal, energyReal, ...", max_length=40
                            ),
                        ),
                        ("report_type", models.CharField(blank=True, max_length=40)),
                        ("reading_type", models.CharField(blank=True, max_length=40)),
                        (
                            "granularity_seconds",
                            models.PositiveIntegerField(
                                help_text="Length of one interval; 0: the VEN's own."
                            ),
                        ),
                        (
                            "report_back_seconds",
                            models.PositiveIntegerField(help_text="How often it reports; 0: once."),
                        ),
                        ("is_active", models.BooleanField(default=True)),
                    ],
                    options={
                        "db_table": "vtn_report_configuration",
                    },
                ),
                migrations.CreateModel(
                    name="ReportOffer",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("specifier_id", models.CharField(max_length=100)),
                        (
                            "name",
                            models.CharField(
                                help_text="TELEMETRY_USAGE, TELEMETRY_STATUS, HISTORY_USAGE, ...",
                                max_length=40,
                            ),
                        ),
                        (
                            "lasting_seconds",
                            models.BigIntegerField(help_text="How much data the VEN keeps.", null=True),
                        ),
                        ("offered_at", models.DateTimeField(help_text="As the VEN dates it.")),
                        ("received_at", models.DateTimeField()),
                        ("withdrawn_at", models.DateTimeField(null=True)),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="report_offers",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_report_offer",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("ven", "specifier_id"), name="vtn_report_offer_once"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OfferedPoint",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("r_id", models.CharField(max_length=100)),
                        ("report_type", models.CharField(max_length=40)),
                        ("reading_type", models.CharField(max_length=40)),
                        (
                            "item",
                            models.CharField(
                                blank=True, help_text="powerReal, energyReal, voltage, ...", max_length=40
                            ),
                        ),
                        (
                            "unit",
                            models.CharField(
                                blank=True, help_text="Of stored values, without a prefix.", max_length=20
                            ),
                        ),
                        (
                            "exponent",
                            models.SmallIntegerField(
                                default=0, help_text="Power of ten the VEN's numbers are taken by."
                            ),
                        ),
                        ("factor", models.FloatField(default=1.0, help_text="Of a pulse counter.")),
                        ("resource_ids", models.JSONField(blank=True, default=list)),
                        ("market_context", models.CharField(blank=True, max_length=200)),
                        (
                            "min_seconds",
                            models.BigIntegerField(help_text="Shortest sampling period.", null=True),
                        ),
                        ("max_seconds", models.BigIntegerField(null=True)),
                        ("is_on_change", models.BooleanField(default=False)),
                        ("withdrawn_at", models.DateTimeField(null=True)),
                        (
                            "offer",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="points",
                                to="vtn.reportoffer",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_report_point",
                        "constraints": [
                            models.UniqueConstraint(fields=("offer", "r_id"), name="vtn_report_point_once")
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ReportRequest",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("report_request_id", models.CharField(max_length=64, unique=True)),
                        (
                            "configuration_name",
                            models.CharField(blank=True, help_text="Empty: asked by staff.", max_length=80),
                        ),
                        ("r_ids", models.JSONField()),
                        ("granularity_seconds", models.PositiveIntegerField()),
                        ("report_back_seconds", models.PositiveIntegerField(help_text="0: once.")),
                        ("starts_at", models.DateTimeField()),
                        (
                            "duration_seconds",
                            models.PositiveIntegerField(default=0, help_text="0: until cancelled."),
                        ),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("asked", "Asked for"),
                                    ("running", "Running"),
                                    ("cancelling", "Being cancelled"),
                                    ("done", "Done"),
                                    ("cancelled", "Cancelled"),
                                    ("refused", "Refused"),
                                    ("withdrawn", "No longer offered"),
                                ],
                                default="asked",
                                max_length=12,
                            ),
                        ),
                        (
                            "is_report_to_follow",
                            models.BooleanField(default=False, help_text="One last report after cancelling."),
                        ),
                        ("asked_at", models.DateTimeField()),
                        ("latest_update_at", models.DateTimeField(null=True)),
                        ("ended_at", models.DateTimeField(null=True)),
                        ("note", models.CharField(blank=True, max_length=200)),
                        (
                            "offer",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="requests",
                                to="vtn.reportoffer",
                            ),
                        ),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="report_requests",
                                to="vtn.ven",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_report_request",
                        "indexes": [models.Index(fields=["ven", "state"], name="vtn_report_request_by_ven")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    (
                                        "state__in",
                                        [
                                            "asked",
                                            "running",
                                            "cancelling",
                                            "done",
                                            "cancelled",
                                            "refused",
                                            "withdrawn",
                                        ],
                                    )
                                ),
                                name="vtn_report_request_state_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(
                                        ("ended_at__isnull", True),
                                        ("state__in", ("asked", "running", "cancelling")),
                                    ),
                                    models.Q(
                                        models.Q(
                                            ("state__in", ("asked", "running", "cancelling")), _negated=True
                                        ),
                                        ("ended_at__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="vtn_report_request_ended_when",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ReceivedReport",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("name", models.CharField(max_length=40)),
                        ("created_at", models.DateTimeField(help_text="As the VEN dates it.")),
                        ("received_at", models.DateTimeField()),
                        ("feed_position", models.BigIntegerField(null=True, unique=True)),
                        (
                            "ven",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="received_reports",
                                to="vtn.ven",
                            ),
                        ),
                        (
                            "request",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="reports",
                                to="vtn.reportrequest",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_received_report",
                        "indexes": [
                            models.Index(
                                condition=models.Q(("feed_position", None)),
                                fields=["id"],
                                name="vtn_received_unplaced",
                            ),
                            models.Index(fields=["ven", "-id"], name="vtn_received_by_ven"),
                            models.Index(fields=["received_at"], name="vtn_received_age"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="ReportedValue",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("starts_at", models.DateTimeField()),
                        ("duration_seconds", models.PositiveIntegerField(help_text="0: an instant.")),
                        ("value", models.FloatField(null=True)),
                        ("status", models.JSONField(null=True)),
                        ("quality", models.CharField(blank=True, max_length=60)),
                        ("confidence", models.PositiveSmallIntegerField(null=True)),
                        (
                            "said_at",
                            models.DateTimeField(help_text="The report's own date: the later word holds."),
                        ),
                        (
                            "point",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="values",
                                to="vtn.offeredpoint",
                            ),
                        ),
                        (
                            "report",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="values",
                                to="vtn.receivedreport",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_reported_value",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("point", "starts_at"), name="vtn_reported_value_once"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("status__isnull", True), ("value__isnull", False)),
                                    models.Q(("status__isnull", False), ("value__isnull", True)),
                                    _connector="OR",
                                ),
                                name="vtn_reported_value_or_status",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="VenFile",
                    fields=[
                        ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ("body", models.BinaryField()),
                        ("kept_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "vtn_file",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")),
                                name="vtn_file_named_by_sum",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="VenShadow",
                    fields=[
                        (
                            "ven",
                            models.OneToOneField(
                                on_delete=django.db.models.deletion.PROTECT,
                                primary_key=True,
                                related_name="shadow",
                                serialize=False,
                                to="vtn.ven",
                            ),
                        ),
                        ("desired", models.JSONField(default=dict)),
                        ("desired_version", models.PositiveIntegerField(default=0)),
                        ("desired_at", models.DateTimeField(null=True)),
                        ("reported", models.JSONField(default=dict)),
                        ("answered_version", models.PositiveIntegerField(default=0)),
                        ("reported_at", models.DateTimeField(help_text="When it last changed.", null=True)),
                        (
                            "heard_wall_at",
                            models.DateTimeField(
                                help_text="When it was last told, changed or not.", null=True
                            ),
                        ),
                    ],
                    options={
                        "db_table": "vtn_shadow",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("answered_version__lte", models.F("desired_version"))),
                                name="vtn_shadow_answers_known",
                            )
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "operations",
            "ven",
            "ven_certificate",
            "vtn_event",
            "vtn_event_opt",
            "vtn_opt_schedule",
            "vtn_wire_log",
            "vtn_queue",
            "vtn_api_token",
            "vtn_event_draft",
            "vtn_idempotent_reply",
            "vtn_prompt_run",
            "vtn_ven_group",
            "vtn_ven_group_member",
            "vtn_ven_watch",
            "vtn_enrolment_code",
            "vtn_revocation_list",
            "vtn_seen_nonce",
            "vtn_report_offer",
            "vtn_report_point",
            "vtn_report_configuration",
            "vtn_report_request",
            "vtn_received_report",
            "vtn_reported_value",
            "vtn_file",
            "vtn_shadow",
        ),
        migrations.RunSQL(triggers.CREATE, triggers.DROP),
        migrations.RunSQL(triggers.CREATE_SECURITY, triggers.DROP_SECURITY),
    ]
