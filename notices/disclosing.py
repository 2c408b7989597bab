"""What this room holds about a member, for a copy of everything: number, choices, and what they were told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from members.disclosing import Person
from notices.models import Choice, Contact, InboundSms, Notice
from opendsr.kernel.disclosure import Table, table_of

NOT_DISCLOSED: Final[Mapping[str, str]] = {
    "notices.InboundSms_members": "links the text messages that are here to their member",
}


def tables(whose: Person) -> Iterator[Table]:
    """How they are reached, what they chose, every notice, every text message they sent."""
    member = whose.member
    yield table_of(
        Contact.objects.filter(member=member),
        model=Contact,
        title="How you are reached",
        leave_out=("phone_index", "code_sha256"),
    )
    choices = Choice.objects.filter(member=member).order_by("notice_class", "channel")
    yield table_of(choices, model=Choice, title="What you want to be told")
    told = Notice.objects.filter(member=member).order_by("queued_at", "id")
    yield table_of(told, model=Notice, title="What you were told")
    sent = InboundSms.objects.filter(members=member).order_by("received_at")
    yield table_of(sent, model=InboundSms, title="Text messages you sent us")
