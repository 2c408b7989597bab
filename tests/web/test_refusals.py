"""Refusals read as sentences."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from types import ModuleType

import pytest

import campaigns.approving
import campaigns.creating
import campaigns.life
import campaigns.opting
import settlement.settling
from campaigns.models import PlanLine
from opendsr.kernel.errors import DomainError
from opendsr.web.refusals import SENTENCES, sentence

ENDED = datetime(2026, 7, 1, 18, tzinfo=UTC)
MODULES = (
    campaigns.approving,
    campaigns.creating,
    campaigns.life,
    campaigns.opting,
    settlement.settling,
)
SHOWN_OTHERWISE = {"campaign_invalid"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            campaigns.life.WrongState(campaign_id=1, verb="approve", state="cancelled", possible=[]),
            "It is cancelled, so it cannot be approved any more.",
        ),
        (
            campaigns.life.CampaignEnded(campaign_id=1, ends_at=ENDED),
            "It was over at 19:00 on Wednesday 1 July 2026.",
        ),
        (
            campaigns.opting.CannotOptBackIn(participation_id=1, reason=PlanLine.LeftOut.NO_CONSENT),
            "You cannot opt back in just now. The reason: no consent for flexibility.",
        ),
        (
            campaigns.opting.ParticipationClosed(participation_id=1, left_out="certificate"),
            "Your home is not in this event. The reason: hub's certificate is not accepted.",
        ),
        (
            campaigns.opting.ParticipationClosed(participation_id=1, left_out=""),
            "The event was called off, so there is nothing to answer.",
        ),
        (
            settlement.settling.ReadingsIncomplete(campaign_id=1, households=1, half_hours=1),
            "It still lacks 1 half-hourly reading of 1 home. Wait for them, or settle without them.",
        ),
    ],
)
def test_what_people_meet_is_a_sentence(error: DomainError, words: str) -> None:
    assert sentence(error) == words


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_refusal_a_page_can_meet_has_words(module: ModuleType) -> None:
    errors = [
        each
        for _name, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, DomainError) and each.__module__ == module.__name__
    ]

    unsaid = {each.code for each in errors if each.status not in (403, 404)} - SENTENCES.keys()

    assert unsaid <= SHOWN_OTHERWISE


def test_what_has_no_words_of_its_own_is_spelt_out() -> None:
    class OutOfTea(DomainError):
        """For this test."""

    assert sentence(OutOfTea(pots=0)) == "Out of tea: pots=0."
