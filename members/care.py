"""What a household needs the co-op to take care of: needs, never diagnoses. Pure values.

A need says what must not happen to the household, not why. What plans or sends obeys it and names it to
nobody; only the household itself, and staff who give a reason that is kept, see it (`caring`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Need(TextChoices):
    """What a household asks the co-op to look out for."""

    EQUIPMENT = "equipment", _("We rely on electrical equipment: never control anything here")
    HEAT = "heat", _("Our home has to stay warm: never turn heating down")
    HOT_WATER = "hot_water", _("We need hot water at all times: never hold it back")
    CAR = "car", _("The car has to be ready at all times: never hold charging back")
    GENTLE = "gentle", _("Gently only: at most half the power, and an hour at a time")
    BY_VOICE = "by_voice", _("Reach us by letter or landline, not by text message or email")


GENTLE_LEAST_PCT: Final = 50
GENTLE_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Care:
    """A household's needs, and whom else to speak with on its behalf."""

    needs: frozenset[Need] = frozenset()
    contact_name: str = ""
    contact_phone: str = ""

    def written(self) -> str:
        """As text to seal."""
        return json.dumps(
            {
                "needs": sorted(self.needs),
                "contact_name": self.contact_name,
                "contact_phone": self.contact_phone,
            },
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, text: str) -> Care:
        """What `written` wrote."""
        told = json.loads(text)
        needs = frozenset(Need(each) for each in told["needs"])
        return cls(needs, told["contact_name"], told["contact_phone"])


@dataclass(frozen=True, slots=True)
class Limits:
    """What a household's own wishes and needs leave of an event; without any, everything.

    `least_pct`: the share of their power that its assets keep when turned down; `needs`: see `Need`.
    """

    least_pct: int = 0
    longest_minutes: int | None = None
    needs: frozenset[Need] = field(default_factory=frozenset)

    def with_care(self, care: Care) -> Limits:
        """The stricter of both."""
        is_gentle = Need.GENTLE in care.needs
        return Limits(
            least_pct=max(self.least_pct, GENTLE_LEAST_PCT if is_gentle else 0),
            longest_minutes=GENTLE_MINUTES if is_gentle else self.longest_minutes,
            needs=care.needs,
        )
