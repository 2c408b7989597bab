"""Notices: how a member is reached, what they chose, and every notice from the queue to its receipt.

Numbers, addresses and what a notice tells lie sealed under the member's own key; lists and messages to
workers hold ids only.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _lazy

from members.models import Member
from notices.kinds import Channel, Kind, NoticeClass
from opendsr.kernel.blind_index import BlindIndexField, SealedModel
from opendsr.kernel.ids import new_uuid
from opendsr.kernel.sealed_field import SealedTextField

PHONE: Final = r"\+[1-9][0-9]{7,14}"


class Language(models.TextChoices):
    """In which language a member is written to."""

    ENGLISH = "en-gb", "English"
    WELSH = "cy", "Cymraeg"


class Contact(SealedModel):
    """How a member is reached besides their sign-in address: language, and a number they have confirmed."""

    member = models.OneToOneField(Member, on_delete=models.CASCADE, primary_key=True, related_name="contact")
    language = models.CharField(max_length=5, choices=Language.choices, default=Language.ENGLISH)
    phone = SealedTextField(subject="member_id", longest=16, pattern=PHONE, blank=True)
    phone_index = BlindIndexField(of="phone")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    code_sha256 = models.CharField(max_length=64, blank=True, help_text="Of the code sent to the number")
    code_until_wall_at = models.DateTimeField(null=True, blank=True)
    code_tries = models.PositiveSmallIntegerField(default=0)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=True) | Q(phone_index__isnull=False),
                name="contact_confirms_a_number",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["phone_index"], name="contact_by_phone")]

    def __str__(self) -> str:
        return f"contact of {self.member_id}"


class Choice(models.Model):
    """A member's yes or no to a class of notices by one channel; of marketing a yes is the consent to it."""

    member = models.ForeignKey(
        Member, on_delete=models.CASCADE, related_name="notice_choices", db_index=False
    )
    notice_class = models.CharField(max_length=12, choices=NoticeClass.choices)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    is_wanted = models.BooleanField()
    chosen_at = models.DateTimeField()
    how = models.CharField(max_length=12, help_text="web, link or sms: where it was said")
    wording = models.CharField(max_length=200, blank=True, help_text="The words agreed to, of marketing")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["member", "notice_class", "channel"], name="choice_one_a_class_and_channel"
            ),
            models.CheckConstraint(condition=~Q(notice_class="safety"), name="choice_is_not_about_safety"),
            models.CheckConstraint(
                condition=~Q(notice_class="marketing", is_wanted=True) | ~Q(wording=""),
                name="choice_of_marketing_has_words",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.notice_class} by {self.channel}: {'yes' if self.is_wanted else 'no'}"


class Notice(SealedModel):
    """One notice to one member by one channel. `key` keeps the same news from being told twice."""

    class State(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        DELIVERED = "delivered"
        BOUNCED = "bounced"
        FAILED = "failed"
        DROPPED = "dropped", "not sent"

    class Reason(models.TextChoices):
        HELD_PAST_START = "held_past_start", _lazy("Held by the quiet hours past the start")
        TOO_LATE = "too_late", _lazy("Too late to be of use")
        NO_ADDRESS = "no_address", _lazy("No address to send to")
        NOT_WANTED = "not_wanted", _lazy("Not wanted any more")
        TOO_MANY = "too_many", _lazy("More than a day may hold")
        UNDELIVERABLE = "undeliverable", _lazy("The address does not exist")
        REFUSED = "refused", _lazy("The provider refused it")
        NO_ANSWER = "no_answer", _lazy("The provider did not answer")
        COMPLAINED = "complained", _lazy("Marked as unwanted by its receiver")
        GONE = "gone", _lazy("The member has left or was erased")

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="notices", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    notice_class = models.CharField(max_length=12, choices=NoticeClass.choices)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    key = models.CharField(max_length=160, unique=True)
    about = models.UUIDField(null=True, blank=True, help_text="The campaign, statement, hub or consent")
    facts = SealedTextField(subject="member_id", longest=20_000, help_text="What the words are made from")
    address = SealedTextField(subject="member_id", longest=254, blank=True, help_text="Where it was sent")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True)
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not before; moved by quiet hours and the daily cap")
    expires_at = models.DateTimeField(help_text="Of no use from then on")
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True, help_text="When the receipt came")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_wall_at = models.DateTimeField()
    provider_id = models.CharField(max_length=200, blank=True)
    again = models.PositiveSmallIntegerField(default=0, help_text="How often staff sent it anew")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "sent", "delivered"], reason="")
                | (~Q(state__in=["queued", "sent", "delivered"]) & ~Q(reason="")),
                name="notice_not_sent_for_a_reason",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["sent", "delivered"]) | Q(sent_at__isnull=False),
                name="notice_sent_at_a_time",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("queued_at")), name="notice_of_some_use"),
        ]
        indexes: ClassVar = [
            # The queue: what a sweep claims.
            models.Index(fields=["due_at", "id"], name="notice_queue", condition=Q(state="queued")),
            # The log, newest first; a member's own; the receipt's way back.
            models.Index(fields=["-queued_at", "id"], name="notice_newest"),
            models.Index(fields=["member", "-queued_at"], name="notice_by_member"),
            models.Index(fields=["about", "kind"], name="notice_about"),
            models.Index(fields=["provider_id"], name="notice_by_provider_id", condition=~Q(provider_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.channel} ({self.state})"


class Circular(models.Model):
    """A notice in the co-op's own words to its members: written, looked at again, then sent or dropped.

    News is sent by somebody else than wrote it; people are named as in the audit trail (user:7).
    """

    class State(models.TextChoices):
        WRITTEN = "written"
        SENT = "sent"
        DROPPED = "dropped", "not sent"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    kind = models.CharField(max_length=20, choices=[(Kind.SAFETY_WORD, "safety"), (Kind.NEWS, "news")])
    subject = models.CharField(max_length=120)
    body = models.TextField(max_length=6_000)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WRITTEN)
    written_by = models.CharField(max_length=40)
    written_at = models.DateTimeField()
    decided_by = models.CharField(max_length=40, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, help_text="Members told by each channel, and why others were not")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="written", decided_at__isnull=True)
                | (~Q(state="written") & Q(decided_at__isnull=False) & ~Q(decided_by="")),
                name="circular_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(kind="news", state="sent") | ~Q(decided_by=F("written_by")),
                name="circular_news_takes_two",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-written_at"], name="circular_newest")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.written_at:%Y-%m-%d %H:%M}Z"


class InboundSms(models.Model):
    """A text message that came in: its id at the provider, so that it counts once, and what it came to."""

    provider_id = models.CharField(max_length=120, primary_key=True)
    keyword = models.CharField(max_length=8, help_text="SKIP, IN, STOP or HELP; HELP when it was none")
    members = models.ManyToManyField(Member, related_name="+", blank=True)
    reply = models.CharField(max_length=480)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "inbound SMS"

    def __str__(self) -> str:
        return f"{self.keyword} {self.provider_id}"
