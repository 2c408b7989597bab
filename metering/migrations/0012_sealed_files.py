"""Uploaded files, which meter is whose in them, refused rows and bodies of messages sealed: they name MPANs.

Existing rows are sealed here: the installation's key (OPENDSR_KEK) has to be set.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from opendsr.kernel import encryption
from opendsr.kernel.sealed_field import SealedTextField

MESSAGES = UUID("5ec0dfac-0000-4000-8000-000000000002")
BODY_CONTEXT = f"metering_message|body|{MESSAGES}"


def part_context(part: Any) -> str:
    """As the model has it."""
    return f"metering_importpart.data {part.job_id} {part.number}"


def seal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Seal every file, job and message."""
    jobs = apps.get_model("metering", "ImportJob").objects
    for part in apps.get_model("metering", "ImportPart").objects.order_by("pk").iterator(chunk_size=10):
        part.data = encryption.seal_bytes(part.job_id, bytes(part.data), part_context(part))
        part.save(update_fields=["data"])
    for job in jobs.order_by("pk"):
        job.meters_told = json.dumps(job.meters)
        job.rejects_told = json.dumps(job.outcome.pop("rejects", []))
        job.save(update_fields=["meters_told", "rejects_told", "outcome"])
    messages = apps.get_model("metering", "Message").objects
    with encryption.sealing_for({MESSAGES}):
        for message in messages.exclude(plain_body="").order_by("pk").iterator(chunk_size=500):
            sealed = encryption.seal(MESSAGES, message.plain_body, BODY_CONTEXT)
            messages.filter(pk=message.pk).update(body=sealed)


def unseal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Write all of it plain again; of files forgotten meanwhile nothing is left."""
    shredded = apps.get_model("kernel", "DataKey").objects.filter(wrapped__isnull=True).values("subject_id")
    for part in apps.get_model("metering", "ImportPart").objects.order_by("pk").iterator(chunk_size=10):
        part.data = encryption.unseal_bytes(part.job_id, bytes(part.data), part_context(part))
        part.save(update_fields=["data"])
    for job in apps.get_model("metering", "ImportJob").objects.exclude(pk__in=shredded).order_by("pk"):
        job.meters = json.loads(job.meters_told or "{}")
        if job.rejects_told:
            job.outcome["rejects"] = json.loads(job.rejects_told)
        job.save(update_fields=["meters", "outcome"])
    with encryption.remembering():
        for message in apps.get_model("metering", "Message").objects.order_by("pk").iterator(chunk_size=500):
            sealed = bytes(message.__dict__["body"])
            message.plain_body = encryption.unseal(MESSAGES, sealed, BODY_CONTEXT) if sealed else ""
            message.save(update_fields=["plain_body"])


class Migration(migrations.Migration):
    dependencies = [("metering", "0011_missing_days"), ("kernel", "0002_audit_seals")]

    operations = [
        migrations.RenameField("message", "body", "plain_body"),
        migrations.AlterField("message", "plain_body", models.TextField(default="")),
        migrations.AddField(
            "message",
            "body",
            SealedTextField(
                subject="SEALED_FOR", longest=16_384, blank=True, help_text="As it came, at most 16 kB"
            ),
        ),
        migrations.AddField(
            "importjob",
            "meters_told",
            SealedTextField(longest=10_000_000, help_text="Which stream each meter of the file fills"),
        ),
        migrations.AddField(
            "importjob",
            "rejects_told",
            SealedTextField(longest=100_000_000, help_text="Refused rows, the first of them"),
        ),
        migrations.RunPython(seal, unseal),
        migrations.RemoveField("importjob", "meters"),
        migrations.RemoveField("message", "plain_body"),
    ]
