"""The files of a round's statements: asked for once, written in parts by workers, kept for a while."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from opendsr.kernel.ids import new_uuid
from settlement.models.runs import SettlementRound


class StatementFiles(models.Model):
    """All files of a round's statements; how far they are is the number of its parts."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    round = models.OneToOneField(SettlementRound, on_delete=models.PROTECT, related_name="statement_files")
    statements = models.PositiveIntegerField()
    part_count = models.PositiveIntegerField()
    asked_by = models.ForeignKey("members.User", null=True, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "statement files"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(part_count__gte=1) & Q(part_count__lte=F("statements")),
                name="statementfiles_hold_something",
            ),
        ]

    def __str__(self) -> str:
        return f"files of {self.round_id}"


class StatementFilesPart(models.Model):
    """A ZIP file of some of the statements, in order of member number."""

    files = models.ForeignKey(StatementFiles, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    statements = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["files", "number"], name="statementfilespart_once"),
        ]

    def __str__(self) -> str:
        return f"{self.files_id} part {self.number}"
