"""A test that empties every table leaves what migrations put there."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.management import call_command
from django.db import connection

from assets.models import AssetKind
from campaigns.models import MarketPreset
from members.models import Purpose
from metering import purposes
from metering.models import Source
from tests import sown
from tests.factories import make_consent_texts, make_resident


def reads_noted() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audited.metering_read")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_what_an_installation_begins_with_is_there_again_when_all_was_emptied() -> None:
    kinds, presets = AssetKind.objects.count(), MarketPreset.objects.count()
    sources = Source.objects.order_by("pk").last()
    assert sources is not None
    MarketPreset.objects.all().delete()
    make_consent_texts()
    purposes.day_cube(
        Purpose.SETTLEMENT, [make_resident().stream_id], [date(2026, 1, 6)], reader="settlement"
    )
    assert reads_noted() > 0

    call_command("flush", interactive=False, verbosity=0)

    assert AssetKind.objects.count() == kinds > 0
    assert MarketPreset.objects.count() == presets > 0
    assert reads_noted() == 0
    assert Source.objects.create(code="a new one").pk > sources.pk


@pytest.mark.django_db
def test_a_table_that_holds_something_is_left_as_it_is() -> None:
    MarketPreset.objects.exclude(pk=MarketPreset.objects.order_by("pk").values("pk")[:1]).delete()

    sown.put_back()

    assert MarketPreset.objects.count() == 1
