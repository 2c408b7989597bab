"""The message log in full, and what staff and machines keep: watches, groups, drafts, prompts, tokens."""

import django.db.models.deletion
from django.db import migrations, models

from opendsr.kernel import schemas


class Migration(migrations.Migration):
    dependencies = [
        ("vtn", "0002_durable_queue"),
    ]

    operations = [
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
                        condition=models.Q(("name", ""), _negated=True), name="vtn_api_token_has_a_name"
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
                "indexes": [models.Index(fields=["recorded_wall_at"], name="vtn_idempotent_reply_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("principal", "key"), name="vtn_idempotent_reply_once")
                ],
            },
        ),
        migrations.RenameModel(old_name="WireLog", new_name="MessageLog"),
        migrations.AlterModelOptions(name="messagelog", options={"verbose_name": "message"}),
        migrations.AddField(
            model_name="messagelog",
            name="direction",
            field=models.CharField(
                choices=[("from_ven", "From the VEN"), ("to_ven", "To the VEN")],
                default="from_ven",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="messagelog", name="transport", field=models.CharField(default="http", max_length=16)
        ),
        migrations.AddField(
            model_name="messagelog", name="reply", field=models.CharField(blank=True, max_length=40)
        ),
        migrations.AddField(
            model_name="messagelog", name="is_refused", field=models.BooleanField(default=True)
        ),
        migrations.AddField(
            model_name="messagelog", name="tolerances", field=models.JSONField(blank=True, default=list)
        ),
        migrations.AddField(
            model_name="messagelog", name="request_bytes", field=models.PositiveIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="messagelog", name="reply_bytes", field=models.PositiveIntegerField(default=0)
        ),
        migrations.AddField(
            model_name="messagelog",
            name="request_body",
            field=models.TextField(blank=True, help_text="Redacted."),
        ),
        migrations.AddField(
            model_name="messagelog",
            name="reply_body",
            field=models.TextField(blank=True, help_text="Redacted."),
        ),
        migrations.AlterField(
            model_name="messagelog",
            name="ven",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="messages", to="vtn.ven"
            ),
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
                    models.JSONField(default=list, help_text="Messages put into the queue: their names."),
                ),
                (
                    "ven",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="prompt_runs", to="vtn.ven"
                    ),
                ),
            ],
            options={
                "db_table": "vtn_prompt_run",
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
        migrations.AddIndex(
            model_name="messagelog",
            index=models.Index(
                condition=models.Q(("is_refused", True)), fields=["-id"], name="vtn_wire_log_refused"
            ),
        ),
        migrations.AddIndex(
            model_name="messagelog",
            index=models.Index(
                condition=models.Q(
                    models.Q(("request_body", ""), _negated=True),
                    models.Q(("reply_body", ""), _negated=True),
                    _connector="OR",
                ),
                fields=["recorded_wall_at"],
                name="vtn_wire_log_bodies",
            ),
        ),
        migrations.AddConstraint(
            model_name="messagelog",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["from_ven", "to_ven"])),
                name="vtn_wire_log_direction_known",
            ),
        ),
        migrations.AddIndex(
            model_name="promptrun",
            index=models.Index(fields=["ven", "-id"], name="vtn_prompt_run_by_ven"),
        ),
        migrations.AddConstraint(
            model_name="vengroup",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="vtn_ven_group_has_a_name"
            ),
        ),
        migrations.CreateModel(
            name="WireLog",
            fields=[],
            options={
                "verbose_name": "refused message",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("vtn.messagelog",),
        ),
        schemas.place(
            "operations",
            "vtn_api_token",
            "vtn_event_draft",
            "vtn_idempotent_reply",
            "vtn_prompt_run",
            "vtn_ven_group",
            "vtn_ven_group_member",
            "vtn_ven_watch",
        ),
    ]
