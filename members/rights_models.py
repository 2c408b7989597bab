"""What people ask of the data held about them, and what became of it: requests, restrictions, exports,
values put right, erasures.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _lazy

from members.models import Channel, Home, Member, Purpose, User
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField

LONGEST_WORDS = 4_000


class RightsRequest(models.Model):
    """One right asked for, or a complaint: opened, acknowledged, due, decided with a reason, closed."""

    class Kind(models.TextChoices):
        EXPORT = "export", _lazy("A copy of everything")
        RECTIFICATION = "rectification", _lazy("Something put right")
        RESTRICTION = "restriction", _lazy("Keep it, but do not use it")
        OBJECTION = "objection", _lazy("An objection to one use")
        ERASURE = "erasure", _lazy("Erasure")
        COMPLAINT = "complaint", _lazy("A complaint")

    class Verdict(models.TextChoices):
        GRANTED = "granted", _lazy("Done")
        PARTLY = "partly", _lazy("Done in part")
        REFUSED = "refused", _lazy("Refused")
        TAKEN_BACK = "taken_back", _lazy("Taken back")

    class About(models.TextChoices):
        """What of the records is to be put right."""

        FULL_NAME = "full_name", _lazy("My name")
        HOUSEHOLD_NAME = "household_name", _lazy("Our household’s name")
        ADDRESS = "address", _lazy("My home’s address")
        EMAIL = "email", _lazy("My email address")
        POSTCODE = "postcode", _lazy("My home’s postcode")
        MPAN = "mpan", _lazy("My meter point (MPAN)")
        OTHER = "other", _lazy("Something else")

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="rights_requests")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    channel = models.CharField(max_length=20, choices=Channel.choices)
    words = SealedTextField(subject="member_id", longest=LONGEST_WORDS, blank=True)
    about = models.CharField(max_length=16, choices=About.choices, blank=True)
    home = models.ForeignKey(Home, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    wanted = SealedTextField(subject="member_id", longest=254, blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose.choices, blank=True)
    opened_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField()
    verdict = models.CharField(max_length=12, choices=Verdict.choices, blank=True)
    reason = SealedTextField(subject="member_id", longest=LONGEST_WORDS, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict="", closed_at__isnull=True)
                | (~Q(verdict="") & Q(closed_at__isnull=False)),
                name="rightsrequest_closed_with_a_verdict",
            ),
            models.CheckConstraint(
                condition=Q(due_at__gt=F("opened_at")), name="rightsrequest_due_after_opened"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["member", "opened_at"], name="rightsrequest_by_member"),
            models.Index(fields=["due_at"], condition=Q(verdict=""), name="rightsrequest_open_by_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.member}"


class Restriction(models.Model):
    """While one is in force, what is held about the member's household is kept and nothing else."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="restrictions")
    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="restrictions")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")),
                name="restriction_runs_forward",
            ),
            models.UniqueConstraint(
                fields=["request"], condition=Q(ends_at__isnull=True), name="restriction_one_a_request"
            ),
        ]

    def __str__(self) -> str:
        return f"restriction of {self.member} from {self.starts_at:%Y-%m-%d}"


class FormerValue(models.Model):
    """What stood in the records before it was put right, sealed for whom it was about."""

    class Subject(models.TextChoices):
        MEMBER = "member"
        HOUSEHOLD = "household"
        HOME = "home"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    subject_id = models.UUIDField(db_index=True)
    subject = models.CharField(max_length=12, choices=Subject.choices)
    field = models.CharField(max_length=20)
    value = SealedTextField(subject="subject_id", longest=254, blank=True)
    until_at = models.DateTimeField()
    changed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id} {self.field} until {self.until_at:%Y-%m-%d}"


class DataExport(models.Model):
    """A copy of everything, written in parts in the background; the file is sealed with the member's key."""

    request = models.OneToOneField(
        RightsRequest, primary_key=True, on_delete=models.PROTECT, related_name="export"
    )
    parts_done = models.PositiveSmallIntegerField(default=0)
    parts = models.PositiveSmallIntegerField(default=0)
    sealed = models.BinaryField(null=True)
    size_bytes = models.PositiveIntegerField(default=0)
    ready_at = models.DateTimeField(null=True, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)
    forgotten_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.parts_done}/{self.parts} of {self.request_id}"


class DataExportPart(models.Model):
    """One room's part of a copy that is being written, sealed like the whole."""

    export = models.ForeignKey(DataExport, on_delete=models.CASCADE, related_name="pieces", db_index=False)
    name = models.CharField(max_length=40)
    sealed = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["export", "name"], name="dataexportpart_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.export_id}"


class Erasure(models.Model):
    """That a member was erased, in ids alone: enough to do it again on a database from before."""

    member = models.OneToOneField(Member, primary_key=True, on_delete=models.PROTECT, related_name="erasure")
    household_is_gone = models.BooleanField(help_text="Nobody of the household is left")
    home_ids = models.JSONField(help_text="Homes whose key was shredded too")
    erased_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.member} erased {self.erased_at:%Y-%m-%d}"
