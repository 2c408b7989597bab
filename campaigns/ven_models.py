"""Rows of the co-op as a VEN of network operators' VTNs: how each is reached, what it said, what came of it.

Terms are changed with the history in the audit trail; places end and begin anew. Times of contact are wall
time; the rest is world time.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from campaigns.servicing_models import ServicingClient
from opendsr.kernel.ids import new_uuid

LONGEST_ID: Final = 255


class OperatorVtn(models.Model):
    """A network operator's VTN: where it is, who we are there, and how the conversation goes.

    The private key, PEM, lies sealed under a data key of this row. `claimed_until_wall_at` is the lease of
    whoever speaks with it now; `is_settled` False: register and offer reports anew at the next contact.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    client = models.OneToOneField(ServicingClient, on_delete=models.PROTECT, related_name="vtn")
    url = models.URLField(max_length=300, help_text="Down to the profile: …/OpenADR2/Simple/2.0b")
    ven_name = models.CharField(max_length=120)
    authority_pem = models.TextField(blank=True, help_text="Trusted alone; empty: the public authorities")
    certificate_pem = models.TextField()
    certificate_ends_wall_at = models.DateTimeField()
    sealed_key = models.BinaryField()
    is_on = models.BooleanField(default=True)
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")

    ven_id = models.CharField(max_length=LONGEST_ID, blank=True)
    registration_id = models.CharField(max_length=LONGEST_ID, blank=True)
    vtn_id = models.CharField(max_length=LONGEST_ID, blank=True)
    poll_seconds = models.PositiveIntegerField(null=True, blank=True, help_text="What the VTN asks for")
    registered_wall_at = models.DateTimeField(null=True, blank=True)
    is_settled = models.BooleanField(default=False)
    offered = ArrayField(models.CharField(max_length=80), default=list, help_text="rIDs of the reports")
    due_wall_at = models.DateTimeField()
    claimed_until_wall_at = models.DateTimeField(null=True, blank=True)
    contacted_wall_at = models.DateTimeField(null=True, blank=True)
    whole_set_wall_at = models.DateTimeField(
        null=True, blank=True, help_text="When all events were asked for last"
    )
    failures = models.PositiveIntegerField(default=0, help_text="In a row")
    problem = models.CharField(max_length=300, blank=True, help_text="Why the latest contact failed")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_wall_at"], condition=Q(is_on=True), name="operatorvtn_due"),
        ]

    def __str__(self) -> str:
        return self.url


class OperatorPlace(models.Model):
    """What an operator's VTN calls a zone of a contract: a market context, a group, a resource.

    A SIMPLE level asks for its share, in percent, of the most that the contract lets be asked.
    """

    vtn = models.ForeignKey(OperatorVtn, on_delete=models.PROTECT, related_name="places")
    name = models.CharField(max_length=LONGEST_ID)
    zone = models.CharField(max_length=60)
    moderate_pct = models.PositiveSmallIntegerField(default=33, help_text="Level 1")
    high_pct = models.PositiveSmallIntegerField(default=67, help_text="Level 2")
    special_pct = models.PositiveSmallIntegerField(default=100, help_text="Level 3")
    added_at = models.DateTimeField()
    added_by = models.ForeignKey("members.User", null=True, on_delete=models.SET_NULL, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["vtn", "name"], condition=Q(ended_at=None), name="operatorplace_once_a_name"
            ),
            models.CheckConstraint(condition=~Q(name="") & ~Q(zone=""), name="operatorplace_is_named"),
            models.CheckConstraint(
                condition=Q(
                    moderate_pct__gte=1,
                    high_pct__gte=F("moderate_pct"),
                    special_pct__gte=F("high_pct"),
                    special_pct__lte=100,
                ),
                name="operatorplace_levels_rise",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class OperatorEvent(models.Model):
    """An operator's event in the version that is known, and what became of it.

    `opt` is what we mean, `told_opt` what the VTN has been told. `signals` are the starts that this version
    went through the door as.
    """

    class State(models.TextChoices):
        TAKEN = "taken", "Taken"
        WAITING = "waiting", "Waits for approval"
        REHEARSED = "rehearsed", "Planned only"
        REFUSED = "refused", "Refused"
        RELEASED = "released", "Released by us"
        CANCELLED = "cancelled", "Cancelled by the operator"
        OVER = "over", "Over"

    vtn = models.ForeignKey(OperatorVtn, on_delete=models.PROTECT, related_name="events")
    event_id = models.CharField(max_length=LONGEST_ID)
    modification_number = models.PositiveBigIntegerField()
    market_context = models.CharField(max_length=LONGEST_ID, blank=True)
    zone = models.CharField(max_length=60, blank=True)
    urgency = models.PositiveBigIntegerField(help_text="Lower is more urgent")
    is_test = models.BooleanField(default=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State.choices)
    code = models.PositiveSmallIntegerField(default=200, help_text="The response code we answer")
    reason = models.CharField(max_length=200, blank=True)
    opt = models.CharField(max_length=8)
    told_opt = models.CharField(max_length=8, blank=True)
    signals = ArrayField(models.UUIDField(), default=list)
    known_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["vtn", "event_id"], name="operatorevent_once_an_id"),
            models.CheckConstraint(
                condition=Q(opt__in=("optIn", "optOut"), told_opt__in=("", "optIn", "optOut")),
                name="operatorevent_opts_in_or_out",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["vtn", "-starts_at"], name="operatorevent_newest"),
        ]

    def __str__(self) -> str:
        return self.event_id


class OperatorReport(models.Model):
    """A report that a VTN has asked for: told up to `told_until`, again from `due_at` on.

    `report_back_seconds` 0: once, when its time is over.
    """

    vtn = models.ForeignKey(OperatorVtn, on_delete=models.CASCADE, related_name="reports")
    request_id = models.CharField(max_length=LONGEST_ID)
    r_ids = ArrayField(models.CharField(max_length=80))
    step_seconds = models.PositiveIntegerField()
    report_back_seconds = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    told_until = models.DateTimeField()
    due_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["vtn", "request_id"], name="operatorreport_once_an_id"),
            models.CheckConstraint(
                condition=Q(step_seconds__gte=60), name="operatorreport_by_the_minute_at_finest"
            ),
        ]

    def __str__(self) -> str:
        return self.request_id


class OperatorMessage(models.Model):
    """What was said on either side, but for polls that brought nothing and the reports themselves."""

    vtn = models.ForeignKey(OperatorVtn, on_delete=models.CASCADE, related_name="messages")
    is_ours = models.BooleanField()
    kind = models.CharField(max_length=60)
    words = models.CharField(max_length=300, blank=True)
    xml = models.TextField()
    wall_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["vtn", "-wall_at"], name="operatormessage_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}, {self.wall_at:%Y-%m-%d %H:%M:%S}Z"
