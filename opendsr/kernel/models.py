"""Kernel tables: outbox facts and their deliveries, data keys, the audit trail, the installation, heartbeats.

All live in the `operations` schema. Other rooms use the services beside this file, never these rows directly.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q


class OutboxFact(models.Model):
    """Something that happened, recorded in the transaction in which it happened."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    topic = models.CharField(max_length=100)
    key = models.CharField(max_length=200, blank=True)
    payload = models.JSONField()
    at = models.DateTimeField(help_text="World time of what happened.")
    due_at = models.DateTimeField(
        null=True, help_text="World time from which consumers may run; empty: at once."
    )
    recorded_wall_at = models.DateTimeField()

    class Meta:
        db_table = "outbox_fact"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["topic", "key"], condition=~Q(key=""), name="outbox_fact_key_once_per_topic"
            ),
        ]
        # Serves outbox.adopt, which looks at the latest facts only.
        indexes: ClassVar = [models.Index(fields=["recorded_wall_at"], name="outbox_fact_recorded")]

    def __str__(self) -> str:
        return f"{self.topic} {self.key or self.id}"


class DeliveryState(models.TextChoices):
    DUE = "due", "Due"
    DONE = "done", "Done"
    DEAD = "dead", "Dead"


class OutboxDelivery(models.Model):
    """One consumer's share of a fact: due until its effects are committed, dead after too many attempts."""

    id = models.BigAutoField(primary_key=True)
    fact = models.ForeignKey(OutboxFact, on_delete=models.CASCADE, related_name="deliveries")
    consumer = models.CharField(max_length=100)
    queue = models.CharField(max_length=40)
    state = models.CharField(max_length=8, choices=DeliveryState.choices, default=DeliveryState.DUE)
    due_at = models.DateTimeField(help_text="World time; the epoch means at once.")
    next_try_at = models.DateTimeField(help_text="Wall time.")
    lease_until = models.DateTimeField(null=True, help_text="Wall time until which one worker holds it.")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    finished_wall_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "outbox_delivery"
        verbose_name_plural = "outbox deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["fact", "consumer"], name="outbox_delivery_once_per_consumer"),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="outbox_delivery_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=DeliveryState.DUE, finished_wall_at__isnull=True)
                | (~Q(state=DeliveryState.DUE) & Q(finished_wall_at__isnull=False)),
                name="outbox_delivery_finished_when_not_due",
            ),
        ]
        # Serves the claim, in its order; finished rows cost it nothing.
        indexes: ClassVar = [
            models.Index(
                fields=["queue", "due_at", "next_try_at", "id"],
                condition=Q(state="due"),
                name="outbox_delivery_due",
            ),
            models.Index(fields=["id"], condition=Q(state="dead"), name="outbox_delivery_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} {self.state} {self.fact_id}"


class DataKey(models.Model):
    """One person's data key, wrapped by the installation's key; shredding it makes their ciphertext noise."""

    subject_id = models.UUIDField(primary_key=True)
    wrapped = models.BinaryField(null=True)
    kek_id = models.CharField(max_length=16, blank=True)
    created_wall_at = models.DateTimeField()
    shredded_wall_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "data_key"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(wrapped__isnull=False, shredded_wall_at__isnull=True)
                | Q(wrapped__isnull=True, shredded_wall_at__isnull=False),
                name="data_key_wrapped_or_shredded",
            ),
        ]
        # Serves rewrap, which looks for keys under an older installation key.
        indexes: ClassVar = [models.Index(fields=["kek_id"], name="data_key_kek")]

    def __str__(self) -> str:
        return f"{self.subject_id} {'shredded' if self.wrapped is None else self.kek_id}"


class AuditEntry(models.Model):
    """Who did what to what, and when; append-only by trigger, personal data only as references."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(help_text="World time.")
    recorded_wall_at = models.DateTimeField()
    actor = models.CharField(max_length=100)
    verb = models.CharField(max_length=100)
    target = models.CharField(max_length=200)
    detail = models.JSONField()

    class Meta:
        db_table = "audit_entry"
        verbose_name_plural = "audit entries"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~Q(actor="") & ~Q(verb=""), name="audit_entry_says_who_and_what"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["target", "id"], name="audit_entry_by_target"),
            # Serves who looked at a member: whose data a page showed.
            GinIndex(
                F("detail__subjects"), name="audit_entry_by_subject", condition=Q(verb="identity.looked_at")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ} {self.actor} {self.verb} {self.target}"


class AuditSeal(models.Model):
    """A batch of audit entries and the hash over them and the seal before; append-only by trigger."""

    number = models.BigIntegerField(primary_key=True)
    sha256 = models.BinaryField()
    sealed_wall_at = models.DateTimeField()

    class Meta:
        db_table = "audit_seal"
        constraints: ClassVar = [models.CheckConstraint(condition=Q(number__gt=0), name="audit_seal_counts")]

    def __str__(self) -> str:
        return f"{self.number} {bytes(self.sha256).hex()[:16]}"


class SealedEntry(models.Model):
    """One entry's place in a seal, and its own hash; append-only by trigger.

    No foreign key holds the entry: whoever takes it away against the trigger is found out by what is left.
    """

    entry = models.OneToOneField(
        AuditEntry,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="sealed",
    )
    seal = models.ForeignKey(AuditSeal, on_delete=models.PROTECT, related_name="entries", db_index=False)
    position = models.PositiveIntegerField()
    sha256 = models.BinaryField()

    class Meta:
        db_table = "audit_sealed_entry"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["seal", "position"], name="audit_sealed_entry_place"),
        ]

    def __str__(self) -> str:
        return f"{self.seal_id}.{self.position}"


class Installation(models.Model):
    """The one co-op this installation serves; demo commands touch a database only when `is_demo` is set."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    coop_name = models.CharField(max_length=200)
    colour = models.CharField(max_length=7, blank=True, default="", help_text="Such as #0b6b4f, or none")
    logo = models.CharField(max_length=64, blank=True, default="", help_text="A HouseLogo, or none")
    is_demo = models.BooleanField(default=False)
    founded_at = models.DateTimeField(help_text="World time.")

    class Meta:
        db_table = "installation"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="installation_single_row"),
            models.CheckConstraint(condition=~Q(coop_name=""), name="installation_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.coop_name


class HouseSetting(models.Model):
    """One value of one thing that the co-op sets for itself (`house.py`); the newest of a key is in force.

    Append-only: the history of a setting is its rows. A null value is what the house comes with.
    """

    key = models.CharField(max_length=40)
    value = models.JSONField(null=True)
    why = models.CharField(max_length=200)
    set_at = models.DateTimeField(help_text="World time.")
    set_by = models.CharField(max_length=40, help_text="As in the audit trail, such as user:7")

    class Meta:
        db_table = "house_setting"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(why="") & ~Q(set_by=""), name="house_setting_says_why"),
        ]
        indexes: ClassVar = [models.Index(fields=["key", "-id"], name="house_setting_newest")]

    def __str__(self) -> str:
        return f"{self.key} of {self.set_at:%Y-%m-%d %H:%M}Z"


class HouseLogo(models.Model):
    """A logo that was ever set, made anew as a PNG; named by its SHA-256, so that it can be set again."""

    digest = models.CharField(max_length=64, primary_key=True)
    png = models.BinaryField()
    kept_at = models.DateTimeField(help_text="World time.")

    class Meta:
        db_table = "house_logo"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="house_logo_is_named"),
        ]

    def __str__(self) -> str:
        return self.digest[:12]


class Heartbeat(models.Model):
    """When a background process was last seen at work, for the health check."""

    name = models.CharField(max_length=40, primary_key=True)
    seen_wall_at = models.DateTimeField()

    class Meta:
        db_table = "heartbeat"

    def __str__(self) -> str:
        return self.name
