"""Names, addresses, MPANs and words of opt-outs sealed with keys of their own; blind indexes find them.

Existing rows are sealed here: the installation's keys (OPENDSR_KEK, OPENDSR_INDEX_KEY) have to be set. Old
dumps still hold the plain columns: let them run out.
"""

from __future__ import annotations

from typing import Any

import django.contrib.postgres.indexes
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import opendsr.kernel.blind_index
import opendsr.kernel.sealed_field
from opendsr.kernel import encryption

BATCH = 500
PLAIN = (
    ("member", "full_name", 120),
    ("household", "name", 120),
    ("home", "name", 80),
    ("home", "address", 200),
    ("home", "mpan", 13),
    ("standingoptout", "reason", 120),
    ("partnerproperty", "address", 200),
    ("partnerproperty", "mpan", 13),
)
SEALED = (
    ("member", "full_name", {"longest": 120}),
    ("household", "name", {"longest": 120}),
    ("home", "name", {"longest": 80, "help_text": "What staff call it; never shown to another household"}),
    ("home", "address", {"longest": 200, "blank": True}),
    ("home", "mpan", {"longest": 13, "pattern": "^[0-9]{13}$"}),
    ("standingoptout", "reason", {"subject": "occupancy_id", "longest": 120, "blank": True}),
    ("partnerproperty", "address", {"longest": 200}),
    ("partnerproperty", "mpan", {"longest": 13, "pattern": "^[0-9]{13}$", "blank": True}),
)
SUBJECTS = {
    "member": "pk",
    "household": "pk",
    "home": "pk",
    "standingoptout": "occupancy_id",
    "partnerproperty": "pk",
}


def seal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Seal every row, a batch at a time, with one statement for the keys of a batch."""
    for name, subject in SUBJECTS.items():
        model = apps.get_model("members", name)
        fields = [field for owner, field, _ in PLAIN if owner == name]
        ids = list(model.objects.order_by("pk").values_list("pk", flat=True))
        for first in range(0, len(ids), BATCH):
            rows = list(model.objects.filter(pk__in=ids[first : first + BATCH]))
            with encryption.sealing_for({getattr(row, subject) for row in rows}):
                for row in rows:
                    for field in fields:
                        setattr(row, field, getattr(row, f"plain_{field}"))
                    row.save()


def unseal(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Write every row plain again."""
    for name in SUBJECTS:
        model = apps.get_model("members", name)
        fields = [field for owner, field, _ in PLAIN if owner == name]
        for row in model.objects.order_by("pk").iterator(chunk_size=BATCH):
            for field in fields:
                setattr(row, f"plain_{field}", getattr(row, field))
            row.save()


class Migration(migrations.Migration):
    dependencies = [("members", "0007_needs")]

    operations = [
        migrations.RemoveConstraint("home", "home_mpan_is_13_digits"),
        migrations.AlterField("home", "mpan", models.CharField(max_length=13, default="")),
        *(migrations.RenameField(model, field, f"plain_{field}") for model, field, _ in PLAIN),
        *(
            migrations.AddField(model, field, opendsr.kernel.sealed_field.SealedTextField(**how))
            for model, field, how in SEALED
        ),
        migrations.AddField("household", "words", opendsr.kernel.blind_index.WordsField(of=("name",))),
        migrations.AddField("member", "words", opendsr.kernel.blind_index.WordsField(of=("full_name",))),
        migrations.AddField("home", "words", opendsr.kernel.blind_index.WordsField(of=("name", "address"))),
        migrations.AddField("home", "name_index", opendsr.kernel.blind_index.BlindIndexField(of="name")),
        migrations.AddField("home", "mpan_index", opendsr.kernel.blind_index.BlindIndexField(of="mpan")),
        migrations.RunPython(seal, unseal),
        *(
            migrations.AlterField(model, f"plain_{field}", models.CharField(max_length=longest, default=""))
            for model, field, longest in PLAIN
        ),
        *(migrations.RemoveField(model, f"plain_{field}") for model, field, _ in PLAIN),
        migrations.AddIndex(
            "household", django.contrib.postgres.indexes.GinIndex(fields=["words"], name="household_by_words")
        ),
        migrations.AddIndex(
            "member", django.contrib.postgres.indexes.GinIndex(fields=["words"], name="member_by_words")
        ),
        migrations.AddIndex(
            "home", django.contrib.postgres.indexes.GinIndex(fields=["words"], name="home_by_words")
        ),
        migrations.AddIndex("home", models.Index(fields=["name_index"], name="home_by_name")),
        migrations.AddConstraint(
            "home", models.UniqueConstraint(fields=["mpan_index"], name="home_one_a_mpan")
        ),
    ]
