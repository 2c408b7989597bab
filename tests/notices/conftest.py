"""Mail and SMS over real sockets, the members of the cast, and a notice to each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from members.models import Member
from notices import choosing, queueing
from notices.kinds import Kind
from notices.models import Notice
from notices.queueing import Queued, ToTell
from opendsr.kernel.ids import new_uuid
from tests import cast
from tests.factories import Resident, make_coop
from tests.notices.posting import MailServer, SmsProvider, mail_server, sms_provider

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)
EVENING = datetime(2026, 3, 13, 17, tzinfo=UTC)
PHONE = "+447700900123"


@pytest.fixture
def alice(db: None) -> Resident:
    make_coop()
    return cast.alice()


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


@pytest.fixture
def sms(settings: Any) -> Iterator[SmsProvider]:
    with sms_provider() as provider:
        settings.SMS_PROVIDER, settings.SMS_URL = "http", provider.url
        settings.SMS_TOKEN, settings.SMS_SENDER = "a-token", "TestburyEC"
        yield provider


def event_facts(home: UUID | None = None, *, name: str = "Tea-time") -> dict[str, object]:
    return {
        "name": name,
        "direction": "turn_down",
        "starts_at": EVENING,
        "ends_at": EVENING + timedelta(hours=2),
        "campaign_id": new_uuid(),
        "occupancy_id": home or new_uuid(),
    }


def tell(
    *members: Member,
    kind: Kind = Kind.EVENT_SCHEDULED,
    at: datetime = NOON,
    key: str = "k",
    facts: Mapping[str, object] | None = None,
    **more: Any,
) -> Queued:
    people = [ToTell(member.pk, facts or event_facts()) for member in members]
    return queueing.queue_many(kind=kind, people=people, key=key, at=at, **({"about": new_uuid()} | more))


def has_phone(member: Member, *, phone: str = PHONE) -> Member:
    code = choosing.give_number(member=member, phone=phone, at=NOON)
    choosing.confirm_number(member=member, code=code, at=NOON)
    return member


def only(**wanted: Any) -> Notice:
    return Notice.objects.get(**wanted)


Tell = Callable[..., Queued]
