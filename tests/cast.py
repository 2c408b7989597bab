"""The people of every test: Alice and Bob share a home, Carol lives elsewhere, Sam dispatches, Val is a VEN.

Plain functions over `factories.py`; `conftest.py` offers each as a pytest fixture.
"""

from __future__ import annotations

from datetime import datetime

from members.models import Member, Role, User
from tests.factories import JOINED_AT, HubKit, Resident, make_hub, make_member, make_resident, make_staff


def alice(*, at: datetime = JOINED_AT) -> Resident:
    """A member at home, who consents to everything and can sign in."""
    return make_resident("Alice Ash", at=at, email="alice@example.org")


def bob(alice: Resident, *, at: datetime = JOINED_AT) -> Member:
    """Somebody of Alice's household, who can sign in too."""
    return make_member("Bob Ash", at=at, household=alice.household, email="bob@example.org")


def carol(*, at: datetime = JOINED_AT) -> Resident:
    """A member of another household in another home."""
    return make_resident("Carol Birch", at=at, email="carol@example.org")


def sam() -> User:
    """Staff: a dispatcher, and nobody's neighbour."""
    return make_staff("sam@example.org", Role.DISPATCHER)


def val(alice: Resident, *, at: datetime = JOINED_AT) -> HubKit:
    """The VEN in Alice's home: her commissioned hub with one EV charger."""
    return make_hub(alice.home, at=at)
