"""Ways into the co-op: enquiries, the rules and terms they meet, invitations, champions and shares.

What somebody tells before they are a member is sealed under a key of the enquiry's own
(`kernel.encryption`): forgetting an enquiry is shredding that key.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _lazy

from members.models import MPAN, Channel, Home, Household, Member
from members.partner_models import Partner
from opendsr.kernel.blind_index import SealedModel
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField


class Otherwise(models.TextChoices):
    """What becomes of an enquiry that does not meet a rule."""

    DECLINE = "decline", "Answer no"
    ASK = "ask", "A person looks at it"
    IGNORE = "ignore", "Does not matter"


class JoiningRules(models.Model):
    """Who can take part, as data: a version is never edited, an enquiry keeps the one it was judged by."""

    version = models.PositiveIntegerField(primary_key=True)
    postcode_areas = models.JSONField(
        default=list, help_text="Postcode areas or districts, such as OL or M15; none: everywhere"
    )
    area_otherwise = models.CharField(max_length=8, choices=Otherwise.choices, default=Otherwise.DECLINE)
    smart_meter_otherwise = models.CharField(max_length=8, choices=Otherwise.choices, default=Otherwise.ASK)
    asset_kinds = models.JSONField(default=list, help_text="Codes of the kinds the co-op can control")
    assets_otherwise = models.CharField(max_length=8, choices=Otherwise.choices, default=Otherwise.DECLINE)
    landlord_otherwise = models.CharField(max_length=8, choices=Otherwise.choices, default=Otherwise.ASK)
    share_value_pence = models.PositiveIntegerField(default=100)
    least_shares = models.PositiveIntegerField(default=1)
    most_shares = models.PositiveIntegerField(default=10_000)
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(share_value_pence__gt=0, least_shares__lte=F("most_shares")),
                name="joiningrules_shares_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"joining rules v{self.version}"


class TermsText(models.Model):
    """Words that somebody who joins reads or accepts; versions are never edited."""

    class Kind(models.TextChoices):
        TERMS = "terms", "Terms of membership and of taking part"
        ASSURANCE = "assurance", "Before you agree: cost, visits, risks, your bill"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    version = models.PositiveIntegerField()
    body = models.TextField()
    body_sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "version"], name="termstext_one_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} v{self.version}"


class TermsAcceptance(models.Model):
    """A member's acceptance of one version, by its hash."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="terms_accepted")
    text = models.ForeignKey(TermsText, on_delete=models.PROTECT, related_name="acceptances")
    body_sha256 = models.CharField(max_length=64)
    channel = models.CharField(max_length=20, choices=Channel.choices)
    accepted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["member", "text"], name="termsacceptance_once_a_version"),
        ]

    def __str__(self) -> str:
        return f"{self.text} by {self.member}"


class Shareholding(models.Model):
    """Shares that a member took: how many, at what value, and whether they are paid."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="shareholdings")
    shares = models.PositiveIntegerField()
    share_value_pence = models.PositiveIntegerField()
    taken_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(shares__gt=0, share_value_pence__gt=0), name="shareholding_is_of_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shares} shares of {self.member}"

    @property
    def value_pence(self) -> int:
        """What the shares cost together."""
        return self.shares * self.share_value_pence


class ChampionCode(SealedModel):
    """Somebody who brings others in: a code for their links, and what that costs the co-op."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    code = models.CharField(max_length=24, unique=True)
    name = SealedTextField(longest=120)
    reward_pence = models.PositiveIntegerField(default=0, help_text="For each recruit who joins")
    spent_pence = models.PositiveIntegerField(default=0, help_text="Leaflets, halls, hours: all together")
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.code


class PartnerProperty(SealedModel):
    """A property on a partner's own list, before and after it becomes a home of the co-op."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="properties")
    reference = models.CharField(max_length=40, help_text="What the partner calls it")
    address = SealedTextField(longest=200)
    postcode = models.CharField(max_length=8)
    mpan = SealedTextField(longest=13, pattern=MPAN, blank=True)
    home = models.ForeignKey(
        Home, null=True, blank=True, on_delete=models.PROTECT, related_name="partner_properties"
    )

    class Meta:
        verbose_name_plural = "partner properties"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["partner", "reference"], name="partnerproperty_one_a_reference"),
        ]

    def __str__(self) -> str:
        return self.reference


class Invitation(models.Model):
    """A signed link sent to one address: to a partner's tenant, or to somebody of a member's household."""

    class Kind(models.TextChoices):
        TENANT = "tenant"
        HOUSEHOLD = "household"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    listed = models.ForeignKey(
        PartnerProperty, null=True, blank=True, on_delete=models.CASCADE, related_name="invitations"
    )
    household = models.ForeignKey(
        Household, null=True, blank=True, on_delete=models.CASCADE, related_name="invitations"
    )
    email_sealed = models.BinaryField()
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=120)
    expires_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind="tenant", listed__isnull=False, household__isnull=True)
                | Q(kind="household", listed__isnull=True, household__isnull=False),
                name="invitation_is_for_a_place",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Tenure(models.TextChoices):
    """How somebody holds their home."""

    OWNER = "owner", _lazy("We own it")
    SOCIAL = "social", _lazy("We rent from a council or housing association")
    PRIVATE = "private", _lazy("We rent privately")


class Told(models.TextChoices):
    """An answer that may also be unknown."""

    YES = "yes", _lazy("Yes")
    NO = "no", _lazy("No")
    UNSURE = "unsure", _lazy("I am not sure")


class Application(SealedModel):
    """One home's way from the first enquiry to membership; what was told is sealed with its key."""

    class State(models.TextChoices):
        STARTED = "started"
        SUBMITTED = "submitted"
        ASKED = "asked"
        APPROVED = "approved"
        JOINED = "joined"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    state = models.CharField(max_length=12, choices=State.choices, default=State.STARTED)
    since = models.DateTimeField(help_text="When it came into this state")
    answers_sealed = models.BinaryField(null=True, help_text="Empty once it is forgotten")
    district = models.CharField(max_length=4, blank=True, help_text="The first half of the postcode")
    tenure = models.CharField(max_length=8, choices=Tenure.choices, blank=True)
    invitation = models.ForeignKey(
        Invitation, null=True, blank=True, on_delete=models.SET_NULL, related_name="applications"
    )
    partner = models.ForeignKey(
        Partner, null=True, blank=True, on_delete=models.PROTECT, related_name="applications"
    )
    champion = models.ForeignKey(
        ChampionCode, null=True, blank=True, on_delete=models.PROTECT, related_name="applications"
    )
    member = models.ForeignKey(
        Member, null=True, blank=True, on_delete=models.PROTECT, related_name="applications"
    )
    home = models.ForeignKey(
        Home, null=True, blank=True, on_delete=models.PROTECT, related_name="applications"
    )
    rules_version = models.PositiveIntegerField(null=True, blank=True)
    verdict = models.CharField(max_length=8, choices=Otherwise.choices, blank=True)
    started_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=120, blank=True)
    decision_reason = SealedTextField(longest=500, blank=True)
    joined_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "declined", "asked", "joined"])
                | (Q(decided_at__isnull=False) & ~Q(decided_by="") & ~Q(decision_reason="")),
                name="application_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state="joined")
                | Q(member__isnull=False, home__isnull=False, joined_at__isnull=False),
                name="application_joined_has_a_member",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "since"], name="application_by_state")]

    def __str__(self) -> str:
        return str(self.pk)


class Occasion(models.TextChoices):
    """When a member is asked a few short questions."""

    JOINING = "joining", _lazy("After joining")
    FIRST_EVENT = "first_event", _lazy("After the first event")
    YEARLY = "yearly", _lazy("Once a year")


class ShortSurvey(SealedModel):
    """A member's answer to one short survey; staff see totals, never whose it is."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="surveys")
    occasion = models.CharField(max_length=12, choices=Occasion.choices)
    year = models.PositiveSmallIntegerField(help_text="Of membership, the first is 0")
    scores = models.JSONField(help_text="1 to 5 for each question")
    comment = SealedTextField(subject="member_id", longest=1000, blank=True)
    answered_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["member", "occasion", "year"], name="shortsurvey_once_an_occasion"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.occasion} {self.pk}"
