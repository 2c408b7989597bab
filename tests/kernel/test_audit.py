from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from opendsr.kernel import audit
from opendsr.kernel.models import AuditEntry
from tests.kernel.conftest import NOON

pytestmark = pytest.mark.django_db


def test_an_entry_says_who_did_what_to_what():
    audit.record(
        at=NOON, actor="staff:7", verb="campaign.approved", target="campaign:12", detail={"at": NOON}
    )

    entry = AuditEntry.objects.get()
    assert str(entry) == "2026-11-02T12:00:00Z staff:7 campaign.approved campaign:12"
    assert entry.detail == {"at": "2026-11-02T12:00:00+00:00"}


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry WHERE true"]
)
def test_postgresql_refuses_edits(statement):
    audit.record(at=NOON, actor="staff:7", verb="campaign.approved", target="campaign:12")

    with (
        pytest.raises(IntegrityError, match="audit_entry is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEntry.objects.get().actor == "staff:7"


def test_an_entry_without_an_actor_is_refused():
    with pytest.raises(IntegrityError, match="audit_entry_says_who_and_what"), transaction.atomic():
        audit.record(at=NOON, actor="", verb="campaign.approved", target="campaign:12")
