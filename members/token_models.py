"""Keys that a member makes for programs of their own. In the `identity` schema."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from members.models import Member
from opendsr.kernel.blind_index import SealedModel
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField


class PersonalToken(SealedModel):
    """A member's key for one program or calendar: only its digest is kept, and the member may revoke it."""

    class Scope(models.TextChoices):
        READ = "read", "See what I see"
        ACT = "act", "See it, answer events and change my wishes"
        CALENDAR = "calendar", "See my events in a calendar"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="tokens")
    name = SealedTextField(subject="member_id", longest=60)
    scope = models.CharField(max_length=8, choices=Scope.choices)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the secret")
    created_wall_at = models.DateTimeField()
    expires_wall_at = models.DateTimeField(null=True)
    last_used_wall_at = models.DateTimeField(null=True)
    revoked_wall_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="personaltoken_only_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return self.prefix
