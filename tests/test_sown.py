"""A test that empties every table leaves what migrations put there."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from assets.models import AssetKind
from campaigns.models import MarketPreset
from metering.models import Source
from tests import sown


@pytest.mark.django_db(transaction=True)
def test_what_an_installation_begins_with_is_there_again_when_all_was_emptied() -> None:
    kinds, presets = AssetKind.objects.count(), MarketPreset.objects.count()
    sources = Source.objects.order_by("pk").last()
    assert sources is not None
    MarketPreset.objects.all().delete()

    call_command("flush", interactive=False, verbosity=0)

    assert AssetKind.objects.count() == kinds > 0
    assert MarketPreset.objects.count() == presets > 0
    assert Source.objects.create(code="a new one").pk > sources.pk


@pytest.mark.django_db
def test_a_table_that_holds_something_is_left_as_it_is() -> None:
    MarketPreset.objects.exclude(pk=MarketPreset.objects.order_by("pk").values("pk")[:1]).delete()

    sown.put_back()

    assert MarketPreset.objects.count() == 1
