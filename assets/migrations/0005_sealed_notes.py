"""Notes, captions and photos of visits sealed with a key of the visit's own; the survey's notes in a column of their own.

Existing rows are sealed here: the installation's key (OPENDSR_KEK) has to be set.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from opendsr.kernel import encryption
from opendsr.kernel.sealed_field import SealedTextField

BATCH = 200
NOTES = (
    ("installjob", "cad_note", 300),
    ("pairingattempt", "note", 300),
    ("jobtest", "note", 300),
    ("jobphoto", "caption", 120),
)


def subject_of(model: str) -> str:
    """Where a row of the model holds whose key seals it: the visit."""
    return "pk" if model == "installjob" else "job_id"


def triggers(how: str) -> migrations.RunSQL:
    """Operation that lets rows of append-only tables be written once more, or forbids it again."""
    other = {"DISABLE": "ENABLE", "ENABLE": "DISABLE"}[how]

    def words(verb: str) -> list[str]:
        return [
            f'ALTER TABLE operations."{table}" {verb} TRIGGER "{table}_append_only"'
            for table in ("assets_pairingattempt", "assets_jobtest")
        ]

    return migrations.RunSQL(words(how), words(other))


def jpeg_context(photo: Any) -> str:
    """As the model has it."""
    return f"assets_jobphoto.jpeg {photo.pk}"


def batches(apps: Any, name: str) -> Any:
    """All rows, a list of some at a time, with the keys of those read at hand."""
    model = apps.get_model("assets", name)
    ids = list(model.objects.order_by("pk").values_list("pk", flat=True))
    for first in range(0, len(ids), BATCH):
        rows = list(model.objects.filter(pk__in=ids[first : first + BATCH]))
        with encryption.remembering():
            yield rows


def seal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Seal every row."""
    for name, field, _ in NOTES:
        for rows in batches(apps, name):
            with encryption.sealing_for({getattr(row, subject_of(name)) for row in rows}):
                for row in rows:
                    setattr(row, field, getattr(row, f"plain_{field}"))
                    if name == "installjob":
                        row.survey_notes = row.survey.pop("notes", "")
                    if name == "jobphoto":
                        plain = bytes(row.jpeg_sealed)
                        row.jpeg_sealed = encryption.seal_bytes(row.job_id, plain, jpeg_context(row))
                    row.save()


def unseal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Write every row plain again."""
    for name, field, _ in NOTES:
        for rows in batches(apps, name):
            for row in rows:
                setattr(row, f"plain_{field}", getattr(row, field))
                if name == "installjob" and row.survey_notes:
                    row.survey["notes"] = row.survey_notes
                if name == "jobphoto":
                    sealed = bytes(row.jpeg_sealed)
                    row.jpeg_sealed = encryption.unseal_bytes(row.job_id, sealed, jpeg_context(row))
                row.save()


class Migration(migrations.Migration):
    dependencies = [
        ("assets", "0004_registry"),
        ("members", "0009_sealed_addresses"),
    ]

    operations = [
        *(migrations.RenameField(model, field, f"plain_{field}") for model, field, _ in NOTES),
        *(
            migrations.AlterField(model, f"plain_{field}", models.CharField(max_length=longest, default=""))
            for model, field, longest in NOTES
        ),
        *(
            migrations.AddField(
                model, field, SealedTextField(subject=subject_of(model), longest=longest, blank=True)
            )
            for model, field, longest in NOTES
        ),
        migrations.AddField("installjob", "survey_notes", SealedTextField(longest=300, blank=True)),
        migrations.RenameField("jobphoto", "jpeg", "jpeg_sealed"),
        triggers("DISABLE"),
        migrations.RunPython(seal, unseal),
        triggers("ENABLE"),
        *(migrations.RemoveField(model, f"plain_{field}") for model, field, _ in NOTES),
    ]
