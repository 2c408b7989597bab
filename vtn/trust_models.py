"""What trust in VENs is made of besides their certificates: one-time codes, nonces seen, revocation lists.

All times here are wall time.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class EnrolmentCode(models.Model):
    """A one-time code that makes its bearer the VEN of `subject`; only its hash is kept.

    `subject` is opaque: the upper room's own name for the hub. With `ven` set beforehand
    the code re-issues a certificate to that VEN, so that a replaced hub keeps its history.
    """

    subject = models.CharField(max_length=64)
    code_sha256 = models.CharField(max_length=64, unique=True)
    ven_name = models.CharField(max_length=128)
    ven = models.ForeignKey(
        "vtn.Ven", null=True, blank=True, on_delete=models.PROTECT, related_name="enrolment_codes"
    )
    issued_at = models.DateTimeField()
    issued_by = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    failures = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "vtn_enrolment_code"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(subject=""), name="vtn_enrolment_code_for_somebody"),
            models.CheckConstraint(
                condition=Q(code_sha256__regex=r"^[0-9a-f]{64}$"), name="vtn_enrolment_code_hashed"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=models.F("issued_at")), name="vtn_enrolment_code_runs_forward"
            ),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(voided_at__isnull=True),
                name="vtn_enrolment_code_used_or_voided",
            ),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(ven__isnull=False),
                name="vtn_enrolment_code_used_by_a_ven",
            ),
            models.UniqueConstraint(
                fields=["subject"],
                condition=Q(used_at__isnull=True, voided_at__isnull=True),
                name="vtn_enrolment_code_one_open",
            ),
        ]

    def __str__(self) -> str:
        return self.subject


class SeenNonce(models.Model):
    """A signature that was taken; the same one is never taken again while its timestamp could pass."""

    ven = models.ForeignKey("vtn.Ven", on_delete=models.CASCADE, related_name="seen_nonces")
    nonce_sha256 = models.CharField(max_length=64)
    expires_wall_at = models.DateTimeField()

    class Meta:
        db_table = "vtn_seen_nonce"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["ven", "nonce_sha256"], name="vtn_seen_nonce_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["expires_wall_at"], name="vtn_seen_nonce_age")]

    def __str__(self) -> str:
        return self.nonce_sha256


class RevocationList(models.Model):
    """A certificate revocation list as it was signed and published; the highest number of an issuer holds."""

    issuer = models.CharField(max_length=200)
    number = models.PositiveIntegerField()
    this_update = models.DateTimeField()
    next_update = models.DateTimeField()
    entries = models.PositiveIntegerField()
    der = models.BinaryField()

    class Meta:
        db_table = "vtn_revocation_list"
        verbose_name = "certificate revocation list"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["issuer", "number"], name="vtn_revocation_list_number_once"),
            models.CheckConstraint(
                condition=Q(next_update__gt=models.F("this_update")),
                name="vtn_revocation_list_runs_forward",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.issuer} {self.number}"
