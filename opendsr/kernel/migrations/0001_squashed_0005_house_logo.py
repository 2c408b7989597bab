"""The kernel's tables; the four schemas, and what refuses a change of a record, come before them."""

from __future__ import annotations

import uuid

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

from opendsr.kernel import schemas, sql


class Migration(migrations.Migration):
    replaces = [
        ("kernel", "0001_initial"),
        ("kernel", "0002_audit_seals"),
        ("kernel", "0003_looks"),
        ("kernel", "0004_house_settings"),
        ("kernel", "0005_house_logo"),
    ]

    initial = True

    dependencies = []

    operations = [
        schemas.create_all(),
        migrations.RunSQL(sql.CREATE_BTREE_GIST, migrations.RunSQL.noop),
        migrations.RunSQL(sql.CREATE_REFUSE_CHANGE, sql.DROP_REFUSE_CHANGE),
        schemas.CreateModels(
            [
                migrations.CreateModel(
                    name="Heartbeat",
                    fields=[
                        ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                        ("seen_wall_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "heartbeat",
                    },
                ),
                migrations.CreateModel(
                    name="AuditEntry",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("at", models.DateTimeField(help_text="World time.")),
                        ("recorded_wall_at", models.DateTimeField()),
                        ("actor", models.CharField(max_length=100)),
                        ("verb", models.CharField(max_length=100)),
                        ("target", models.CharField(max_length=200)),
                        ("detail", models.JSONField()),
                    ],
                    options={
                        "verbose_name_plural": "audit entries",
                        "db_table": "audit_entry",
                        "indexes": [
                            models.Index(fields=["target", "id"], name="audit_entry_by_target"),
                            django.contrib.postgres.indexes.GinIndex(
                                models.F("detail__subjects"),
                                condition=models.Q(("verb", "identity.looked_at")),
                                name="audit_entry_by_subject",
                            ),
                        ],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("actor", ""), _negated=True),
                                    models.Q(("verb", ""), _negated=True),
                                ),
                                name="audit_entry_says_who_and_what",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="DataKey",
                    fields=[
                        ("subject_id", models.UUIDField(primary_key=True, serialize=False)),
                        ("wrapped", models.BinaryField(null=True)),
                        ("kek_id", models.CharField(blank=True, max_length=16)),
                        ("created_wall_at", models.DateTimeField()),
                        ("shredded_wall_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "data_key",
                        "indexes": [models.Index(fields=["kek_id"], name="data_key_kek")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("shredded_wall_at__isnull", True), ("wrapped__isnull", False)),
                                    models.Q(("shredded_wall_at__isnull", False), ("wrapped__isnull", True)),
                                    _connector="OR",
                                ),
                                name="data_key_wrapped_or_shredded",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Installation",
                    fields=[
                        (
                            "id",
                            models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                        ),
                        ("coop_name", models.CharField(max_length=200)),
                        ("is_demo", models.BooleanField(default=False)),
                        ("founded_at", models.DateTimeField(help_text="World time.")),
                        (
                            "colour",
                            models.CharField(
                                blank=True, default="", help_text="Such as #0b6b4f, or none", max_length=7
                            ),
                        ),
                        (
                            "logo",
                            models.CharField(
                                blank=True, default="", help_text="A HouseLogo, or none", max_length=64
                            ),
                        ),
                    ],
                    options={
                        "db_table": "installation",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("id", 1)), name="installation_single_row"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("coop_name", ""), _negated=True),
                                name="installation_has_a_name",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OutboxFact",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("topic", models.CharField(max_length=100)),
                        ("key", models.CharField(blank=True, max_length=200)),
                        ("payload", models.JSONField()),
                        ("at", models.DateTimeField(help_text="World time of what happened.")),
                        (
                            "due_at",
                            models.DateTimeField(
                                help_text="World time from which consumers may run; empty: at once.",
                                null=True,
                            ),
                        ),
                        ("recorded_wall_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "outbox_fact",
                        "indexes": [models.Index(fields=["recorded_wall_at"], name="outbox_fact_recorded")],
                        "constraints": [
                            models.UniqueConstraint(
                                condition=models.Q(("key", ""), _negated=True),
                                fields=("topic", "key"),
                                name="outbox_fact_key_once_per_topic",
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="OutboxDelivery",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("consumer", models.CharField(max_length=100)),
                        ("queue", models.CharField(max_length=40)),
                        (
                            "state",
                            models.CharField(
                                choices=[("due", "Due"), ("done", "Done"), ("dead", "Dead")],
                                default="due",
                                max_length=8,
                            ),
                        ),
                        ("due_at", models.DateTimeField(help_text="World time; the epoch means at once.")),
                        ("next_try_at", models.DateTimeField(help_text="Wall time.")),
                        (
                            "lease_until",
                            models.DateTimeField(
                                help_text="Wall time until which one worker holds it.", null=True
                            ),
                        ),
                        ("attempts", models.PositiveIntegerField(default=0)),
                        ("last_error", models.TextField(blank=True)),
                        ("finished_wall_at", models.DateTimeField(null=True)),
                        (
                            "fact",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="deliveries",
                                to="kernel.outboxfact",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "outbox deliveries",
                        "db_table": "outbox_delivery",
                        "indexes": [
                            models.Index(
                                condition=models.Q(("state", "due")),
                                fields=["queue", "due_at", "next_try_at", "id"],
                                name="outbox_delivery_due",
                            ),
                            models.Index(
                                condition=models.Q(("state", "dead")),
                                fields=["id"],
                                name="outbox_delivery_dead",
                            ),
                        ],
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("fact", "consumer"), name="outbox_delivery_once_per_consumer"
                            ),
                            models.CheckConstraint(
                                condition=models.Q(("state__in", ["due", "done", "dead"])),
                                name="outbox_delivery_state_known",
                            ),
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("finished_wall_at__isnull", True), ("state", "due")),
                                    models.Q(
                                        models.Q(("state", "due"), _negated=True),
                                        ("finished_wall_at__isnull", False),
                                    ),
                                    _connector="OR",
                                ),
                                name="outbox_delivery_finished_when_not_due",
                            ),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="AuditSeal",
                    fields=[
                        ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("sha256", models.BinaryField()),
                        ("sealed_wall_at", models.DateTimeField()),
                    ],
                    options={
                        "db_table": "audit_seal",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("number__gt", 0)), name="audit_seal_counts"
                            )
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="SealedEntry",
                    fields=[
                        (
                            "entry",
                            models.OneToOneField(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                primary_key=True,
                                related_name="sealed",
                                serialize=False,
                                to="kernel.auditentry",
                            ),
                        ),
                        ("position", models.PositiveIntegerField()),
                        ("sha256", models.BinaryField()),
                        (
                            "seal",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="entries",
                                to="kernel.auditseal",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "audit_sealed_entry",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("seal", "position"), name="audit_sealed_entry_place"
                            )
                        ],
                    },
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
                            models.CharField(
                                help_text="As in the audit trail, such as user:7", max_length=40
                            ),
                        ),
                    ],
                    options={
                        "db_table": "house_setting",
                        "indexes": [models.Index(fields=["key", "-id"], name="house_setting_newest")],
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    models.Q(("why", ""), _negated=True),
                                    models.Q(("set_by", ""), _negated=True),
                                ),
                                name="house_setting_says_why",
                            )
                        ],
                    },
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
                                condition=models.Q(("digest__regex", "^[0-9a-f]{64}$")),
                                name="house_logo_is_named",
                            )
                        ],
                    },
                ),
            ]
        ),
        schemas.place(
            "operations",
            "heartbeat",
            "audit_entry",
            "data_key",
            "installation",
            "outbox_fact",
            "outbox_delivery",
            "audit_seal",
            "audit_sealed_entry",
            "house_setting",
            "house_logo",
        ),
        schemas.append_only("operations", "audit_entry"),
        schemas.append_only("operations", "audit_seal"),
        schemas.append_only("operations", "audit_sealed_entry"),
        schemas.append_only("operations", "house_setting"),
        schemas.append_only("operations", "house_logo"),
    ]
