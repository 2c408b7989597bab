"""Sealed too: email addresses (with the account's own key), champions' names, answers to surveys, reasons.

allauth's table of addresses is emptied, and kept so. Existing rows are sealed here: the installation's keys
(OPENDSR_KEK, OPENDSR_INDEX_KEY) have to be set.
"""

from __future__ import annotations

from typing import Any

import django.core.validators
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import opendsr.kernel.blind_index
import opendsr.kernel.ids
import opendsr.kernel.sealed_field
from opendsr.kernel import encryption

BATCH = 500
UNREADABLE = encryption.FORMAT_1 + bytes(28)
"""What was said to whom has been forgotten: there is no key to seal it with any more, and it was said."""
DECIDED = ~models.Q(state__in=["approved", "declined", "asked", "joined"]) | models.Q(
    ("decided_at__isnull", False), ~models.Q(decided_by=""), ~models.Q(decision_reason="")
)
WORDS = (
    ("championcode", "name", "pk", models.CharField(max_length=120, default=""), {"longest": 120}),
    (
        "application",
        "decision_reason",
        "pk",
        models.CharField(max_length=500, default=""),
        {"longest": 500, "blank": True},
    ),
    (
        "shortsurvey",
        "comment",
        "member_id",
        models.CharField(max_length=1000, default=""),
        {"subject": "member_id", "longest": 1000, "blank": True},
    ),
)
ADDRESS = {
    "verbose_name": "email address",
    "subject": "key_id",
    "longest": 254,
    "index": "email_index",
    "validators": [django.core.validators.EmailValidator()],
}


def batches(rows: Any) -> Any:
    """The rows of a query, a list of some at a time."""
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    for first in range(0, len(ids), BATCH):
        yield list(rows.filter(pk__in=ids[first : first + BATCH]))


def seal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Seal every row with one statement for the keys of a batch; take copies of addresses away."""
    for rows in batches(apps.get_model("members", "User").objects):
        for row in rows:
            row.key_id, row.email = opendsr.kernel.ids.new_uuid(), row.plain_email
        with encryption.sealing_for({row.key_id for row in rows}):
            for row in rows:
                row.save(update_fields=["key_id", "email", "email_index"])
    for name, field, subject, _, _ in WORDS:
        told = apps.get_model("members", name).objects.exclude(**{f"plain_{field}": ""})
        if name == "application":
            told = told.exclude(answers_sealed=None)  # forgotten: its key is shredded, and this goes with it
        for rows in batches(told):
            with encryption.sealing_for({getattr(row, subject) for row in rows}):
                for row in rows:
                    setattr(row, field, getattr(row, f"plain_{field}"))
                    row.save(update_fields=[field])
    forgotten = apps.get_model("members", "Application").objects.filter(answers_sealed=None)
    forgotten.exclude(plain_decision_reason="").update(
        decision_reason=opendsr.kernel.sealed_field.Sealed(UNREADABLE)
    )
    apps.get_model("account", "EmailAddress").objects.all().delete()
    log = apps.get_model("admin", "LogEntry").objects.filter(
        content_type__app_label="members", content_type__model="user"
    )
    log.update(object_repr="user")


def unseal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Write every row plain again; an erased account's address is made up, for it has to differ from others'."""
    for row in apps.get_model("members", "User").objects.order_by("pk").iterator(chunk_size=BATCH):
        is_known = row.email_index is not None
        row.plain_email = row.email if is_known else f"erased-{row.pk}@erased.invalid"
        row.save(update_fields=["plain_email"])
    for name, field, _, _, _ in WORDS:
        for row in apps.get_model("members", name).objects.order_by("pk").iterator(chunk_size=BATCH):
            setattr(row, f"plain_{field}", getattr(row, field))
            row.save(update_fields=[f"plain_{field}"])


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0008_sealed"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [
        migrations.RemoveConstraint("user", "user_email_in_lower_case"),
        migrations.RemoveConstraint("application", "application_decided_by_somebody"),
        migrations.RenameField("user", "email", "plain_email"),
        migrations.AlterField("user", "plain_email", models.EmailField(max_length=254, null=True)),
        migrations.AddField("user", "email", opendsr.kernel.sealed_field.SealedTextField(**ADDRESS)),
        migrations.AddField("user", "email_index", opendsr.kernel.blind_index.BlindIndexField(of="email")),
        migrations.AddField("user", "key_id", models.UUIDField(null=True)),
        *(migrations.RenameField(model, field, f"plain_{field}") for model, field, *_ in WORDS),
        *(migrations.AlterField(model, f"plain_{field}", plain) for model, field, _, plain, _ in WORDS),
        *(
            migrations.AddField(model, field, opendsr.kernel.sealed_field.SealedTextField(**how))
            for model, field, _, _, how in WORDS
        ),
        migrations.RunPython(seal, unseal),
        migrations.AlterField(
            "user", "key_id", models.UUIDField(default=opendsr.kernel.ids.new_uuid, editable=False)
        ),
        migrations.AlterField(
            "user", "email", opendsr.kernel.sealed_field.SealedTextField(unique=True, **ADDRESS)
        ),
        migrations.RemoveField("user", "plain_email"),
        *(migrations.RemoveField(model, f"plain_{field}") for model, field, *_ in WORDS),
        migrations.AddConstraint(
            "user", models.UniqueConstraint(fields=["email_index"], name="user_one_an_email")
        ),
        migrations.AddConstraint(
            "application",
            models.CheckConstraint(condition=DECIDED, name="application_decided_by_somebody"),
        ),
        migrations.RunSQL(
            "ALTER TABLE account_emailaddress ADD CONSTRAINT account_emailaddress_stays_empty CHECK (false)",
            "ALTER TABLE account_emailaddress DROP CONSTRAINT account_emailaddress_stays_empty",
        ),
    ]
