"""The table of a campaign's life: every state is reached, two are final, and done is never also to do."""

from __future__ import annotations

import pytest

from campaigns.life import TRANSITIONS, Verb, possible_verbs
from campaigns.models import Campaign

State = Campaign.State


def test_every_state_but_the_first_is_where_a_verb_leads() -> None:
    assert {transition.target for transition in TRANSITIONS.values()} == set(State) - {State.DRAFT}


@pytest.mark.parametrize("verb", Verb)
def test_what_is_done_is_not_to_do(verb: Verb) -> None:
    transition = TRANSITIONS[verb]

    assert not transition.sources & transition.done
    assert not transition.done or transition.target in transition.done


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (State.DRAFT, ["plan", "cancel"]),
        (State.PLANNED, ["plan", "approve", "cancel"]),
        (State.APPROVED, ["dispatch", "complete", "cancel"]),
        (State.DISPATCHED, ["complete", "cancel"]),
        (State.COMPLETED, []),
        (State.CANCELLED, []),
    ],
)
def test_what_can_be_done_in_each_state(state: str, verbs: list[str]) -> None:
    assert possible_verbs(Campaign(state=state)) == verbs
