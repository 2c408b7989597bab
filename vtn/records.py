"""What staff and machines leave behind or look into: the message log, groups, drafts, prompts, API tokens.

Re-exported by `vtn.models`. Nothing here is needed to answer a VEN.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q


class MessageLog(models.Model):
    """One exchange on the wire: a message and its reply, by name and size; what was secret in it never.

    `from_ven` is what a VEN sent and was answered, `to_ven` what it was sent first.
    Polls answered with "nothing new" are not logged. Bodies are kept redacted, and
    only where they are asked for (`vtn.messagelog`).
    """

    class Direction(models.TextChoices):
        FROM_VEN = "from_ven", "From the VEN"
        TO_VEN = "to_ven", "To the VEN"

    at = models.DateTimeField()
    recorded_wall_at = models.DateTimeField()
    # Unchecked by the database: a log is written by thousands, of VENs that were just looked up.
    ven = models.ForeignKey(
        "vtn.Ven",
        null=True,
        on_delete=models.SET_NULL,
        related_name="messages",
        db_index=False,
        db_constraint=False,
    )
    direction = models.CharField(max_length=8, choices=Direction.choices, default=Direction.FROM_VEN)
    transport = models.CharField(max_length=16, default="http")
    service = models.CharField(max_length=40)
    message = models.CharField(max_length=40, blank=True)
    reply = models.CharField(max_length=40, blank=True)
    code = models.CharField(max_length=40, help_text="OpenADR response code, or why the body was unreadable.")
    http_status = models.PositiveSmallIntegerField()
    is_refused = models.BooleanField(default=True)
    reason = models.CharField(max_length=300, blank=True)
    excerpt = models.CharField(max_length=200, blank=True)
    tolerances = models.JSONField(default=list, blank=True)
    request_bytes = models.PositiveIntegerField(default=0)
    reply_bytes = models.PositiveIntegerField(default=0)
    request_body = models.TextField(blank=True, help_text="Redacted.")
    reply_body = models.TextField(blank=True, help_text="Redacted.")

    class Meta:
        db_table = "vtn_wire_log"
        verbose_name = "message"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(direction__in=["from_ven", "to_ven"]), name="vtn_wire_log_direction_known"
            ),
        ]
        indexes: ClassVar = [
            BrinIndex(fields=["recorded_wall_at"], name="vtn_wire_log_age"),
            models.Index(fields=["ven", "-id"], name="vtn_wire_log_by_ven"),
            models.Index(fields=["-id"], condition=Q(is_refused=True), name="vtn_wire_log_refused"),
            models.Index(
                fields=["recorded_wall_at"],
                condition=~Q(request_body="") | ~Q(reply_body=""),
                name="vtn_wire_log_bodies",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.message} {self.code}"

    @property
    def has_body(self) -> bool:
        return bool(self.request_body or self.reply_body)


class _Refused(models.Manager["WireLog"]):
    """Only what was refused."""

    def get_queryset(self) -> models.QuerySet[WireLog]:
        return super().get_queryset().filter(is_refused=True)


class WireLog(MessageLog):
    """The refused part of the message log."""

    objects: ClassVar[models.Manager[Any]] = _Refused()

    class Meta:
        proxy = True
        verbose_name = "refused message"


class VenWatch(models.Model):
    """What is seen of a VEN on the wire beside its messages, and whether bodies are kept for a while."""

    ven = models.OneToOneField("vtn.Ven", primary_key=True, on_delete=models.CASCADE, related_name="watch")
    software = models.CharField(max_length=80, blank=True, help_text="As its requests name it.")
    transport = models.CharField(max_length=16, blank=True)
    quirks = models.JSONField(default=list, blank=True, help_text="Named tolerances its messages needed.")
    clock_skew_seconds = models.IntegerField(null=True, help_text="Ahead of this site: positive.")
    observed_wall_at = models.DateTimeField(null=True)
    bodies_until_wall_at = models.DateTimeField(null=True, help_text="Message bodies are kept until then.")

    class Meta:
        db_table = "vtn_ven_watch"
        indexes: ClassVar = [
            models.Index(
                fields=["bodies_until_wall_at"],
                condition=Q(bodies_until_wall_at__isnull=False),
                name="vtn_ven_watch_bodies",
            )
        ]

    def __str__(self) -> str:
        return f"watch of {self.ven_id}"


class VenGroup(models.Model):
    """VENs that are addressed together; the name never is a person's."""

    name = models.SlugField(max_length=64, unique=True)
    description = models.CharField(max_length=200, blank=True)
    vens = models.ManyToManyField("vtn.Ven", related_name="groups", db_table="vtn_ven_group_member")

    class Meta:
        db_table = "vtn_ven_group"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(name=""), name="vtn_ven_group_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class MarketContext(models.Model):
    """What a market context is called here; events carry the URI themselves, named or not."""

    uri = models.CharField(max_length=200, db_collation="C")
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "vtn_market_context"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["uri"], name="vtn_market_context_once"),
            models.CheckConstraint(condition=~Q(uri="") & ~Q(name=""), name="vtn_market_context_is_named"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.uri}"


class EventDraft(models.Model):
    """An event written down and not yet sent; publishing it twice sends it once."""

    draft_id = models.UUIDField(unique=True)
    ven_ids = models.JSONField()
    content = models.JSONField(help_text="The event as the API takes it.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=100)
    published_at = models.DateTimeField(null=True)
    event_ids = models.JSONField(default=list)

    class Meta:
        db_table = "vtn_event_draft"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(published_at__isnull=False) | Q(event_ids=[]),
                name="vtn_event_draft_events_when_published",
            ),
        ]

    def __str__(self) -> str:
        return str(self.draft_id)


class EventSeries(models.Model):
    """A series of events by hand as it was written; each of its times is an event or a draft, by its key."""

    series_id = models.UUIDField(unique=True, help_text="The key of its first time.")
    ven_ids = models.JSONField()
    content = models.JSONField(help_text="Its first event as the API takes it.")
    weekdays = models.JSONField(help_text="Counted from Monday, 0.")
    repeat_until = models.DateField(help_text="The last civil day, included.")
    skips_holidays = models.BooleanField()
    times = models.JSONField(help_text="When each time starts, by its key.")
    skipped = models.JSONField(default=list, help_text="The keys of the times that were left out.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=100)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vtn_event_series"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~Q(weekdays=[]) & ~Q(times={}), name="vtn_event_series_has_times"
            ),
        ]

    def __str__(self) -> str:
        return str(self.series_id)

    def starts(self) -> list[tuple[UUID, datetime]]:
        """The key and the start of each time, in order."""
        pairs = ((UUID(key), datetime.fromisoformat(starts_at)) for key, starts_at in self.times.items())
        return sorted(pairs, key=lambda each: each[1])


class PromptRun(models.Model):
    """One press of a button of the prompts screen: what was sent to whom."""

    run_id = models.UUIDField(unique=True)
    ven = models.ForeignKey("vtn.Ven", on_delete=models.PROTECT, related_name="prompt_runs")
    prompt = models.CharField(max_length=60)
    at = models.DateTimeField()
    started_wall_at = models.DateTimeField()
    by = models.CharField(max_length=100)
    event_ids = models.JSONField(default=list)
    queued = models.JSONField(default=list, help_text="Messages put into the queue: their names.")

    class Meta:
        db_table = "vtn_prompt_run"
        indexes: ClassVar = [models.Index(fields=["ven", "-id"], name="vtn_prompt_run_by_ven")]

    def __str__(self) -> str:
        return f"{self.prompt} {self.ven_id}"


class ApiToken(models.Model):
    """An application's key to the management API: only its digest is kept, what it may do is listed."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the secret.")
    deeds = models.JSONField()
    created_by = models.CharField(max_length=100)
    created_wall_at = models.DateTimeField()
    expires_wall_at = models.DateTimeField(null=True)
    last_used_wall_at = models.DateTimeField(null=True)
    revoked_wall_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "vtn_api_token"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(name=""), name="vtn_api_token_has_a_name"),
            models.CheckConstraint(
                condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="vtn_api_token_only_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class IdempotentReply(models.Model):
    """What a creating request was answered, for the same request sent again with the same key."""

    principal = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    recorded_wall_at = models.DateTimeField()

    class Meta:
        db_table = "vtn_idempotent_reply"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["principal", "key"], name="vtn_idempotent_reply_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["recorded_wall_at"], name="vtn_idempotent_reply_age")]

    def __str__(self) -> str:
        return self.key
