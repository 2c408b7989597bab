"""Who lives in the demo: twenty invented households, what they own, and what each will do on the event day.

Pure data, no database. `loading.py` turns it into records through the same services that staff use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from members.mpan import check_digit

COOP_NAME = "Calder Vale Energy Co-op"
ZONE = "Calder Bank"
OTHER_ZONE = "Ryburn"
PASSWORD = "turn-down-for-watt"  # noqa: S105 - a published login of the demo, never of a live co-op
STAFF_EMAIL = "sam@caldervale.example"
TREASURER_EMAIL = "tess@caldervale.example"


class Story(StrEnum):
    """What a household does about the event, so that every outcome is seen once."""

    WILLING = "taking part"
    SKIPS = "skipping it beforehand on the member's page"
    OVERRIDES = "pressing override during the event"
    OFFLINE = "losing the connection before the event arrives"
    HUB_SAYS_NO = "with a hub told to answer no"
    ON_HOLIDAY = "opted out for the fortnight"
    WITHDREW = "without consent to control any more"
    ELSEWHERE = "outside the zone"


@dataclass(frozen=True, slots=True)
class HomeSpec:
    """One household: its members, its place and its flexible assets (codes of `assets.AssetKind`)."""

    number: int
    surname: str
    members: tuple[str, ...]
    road: str
    zone: str
    asset_kinds: tuple[str, ...]
    story: Story
    emails: tuple[str, ...] = ()

    @property
    def serial(self) -> str:
        """The hub's serial number."""
        return f"HUB-{self.number:04d}"

    @property
    def mpan(self) -> str:
        """A well-formed supply number in the distributor range 16 (North West), check digit included."""
        first_twelve = f"16{self.number:010d}"
        return first_twelve + check_digit(first_twelve)

    @property
    def payment_method(self) -> str:
        """How it pays, as in Great Britain about one home in seven in advance; "" where nobody said."""
        if self.number % 10 == 0:
            return ""
        return {3: "prepayment", 5: "standard_credit"}.get(self.number % 7, "direct_debit")


EV, IMMERSION = "ev_charger", "immersion_heater"

_PEOPLE: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    ("Ahmed", ("Alice Ahmed", "Bob Ahmed"), "Mill Lane", (EV, IMMERSION)),
    ("Cole", ("Carol Cole",), "Lock Street", (EV,)),
    ("Dyer", ("Dev Dyer",), "Weaver Row", (EV, IMMERSION)),
    ("Ellis", ("Erin Ellis",), "Station Road", (IMMERSION,)),
    ("Farrow", ("Femi Farrow",), "Heath View", (EV,)),
    ("Gale", ("Grace Gale",), "Towpath", (EV, IMMERSION)),
    ("Hirst", ("Hana Hirst",), "Mill Lane", (EV,)),
    ("Iqbal", ("Imran Iqbal",), "Chapel Brow", (EV,)),
    ("Jagger", ("Jo Jagger",), "Lock Street", (IMMERSION,)),
    ("Kaye", ("Kit Kaye",), "Weaver Row", (EV, IMMERSION)),
    ("Lumb", ("Lena Lumb",), "Station Road", (EV,)),
    ("Mistry", ("Maya Mistry",), "Heath View", (IMMERSION,)),
    ("Naylor", ("Ned Naylor",), "Towpath", (EV, IMMERSION)),
    ("Ogden", ("Olu Ogden",), "Chapel Brow", (EV,)),
    ("Petty", ("Pia Petty",), "Mill Lane", (IMMERSION,)),
    ("Quarmby", ("Quinn Quarmby",), "Lock Street", (EV,)),
    ("Riley", ("Rosa Riley",), "Weaver Row", (EV, IMMERSION)),
    ("Sykes", ("Seth Sykes",), "Far Moor", (EV,)),
    ("Thorpe", ("Tamsin Thorpe",), "Far Moor", (IMMERSION,)),
    ("Uttley", ("Uma Uttley",), "Station Road", (EV, IMMERSION)),
)
_FIRST_STORIES = (Story.WILLING, Story.SKIPS, Story.OVERRIDES, Story.OFFLINE)
_STORIES = {
    4: Story.HUB_SAYS_NO,
    5: Story.ON_HOLIDAY,
    6: Story.WITHDREW,
    7: Story.OVERRIDES,
    8: Story.SKIPS,
    17: Story.ELSEWHERE,
    18: Story.ELSEWHERE,
}


def homes(count: int = len(_PEOPLE)) -> list[HomeSpec]:
    """Give `count` households; beyond twenty the people repeat with a new number and all take part.

    Fewer than four homes keep the ones who take part, override and skip, in that order of need.
    """
    stories = _few_stories(count) if count < len(_FIRST_STORIES) else None
    return [_home(index, stories[index] if stories else _story(index, count)) for index in range(count)]


def _few_stories(count: int) -> Sequence[Story]:
    return (Story.WILLING, Story.OVERRIDES, Story.SKIPS)[:count]


def _story(index: int, count: int) -> Story:
    if index < len(_FIRST_STORIES):
        return _FIRST_STORIES[index]
    story = _STORIES.get(index, Story.WILLING)
    return Story.WILLING if story is Story.ELSEWHERE and count < len(_PEOPLE) else story


def _home(index: int, story: Story) -> HomeSpec:
    surname, people, road, kinds = _PEOPLE[index % len(_PEOPLE)]
    is_first_round = index < len(_PEOPLE)
    emails = (
        tuple(f"{name.split()[0].lower()}@caldervale.example" for name in people) if is_first_round else ()
    )
    return HomeSpec(
        number=index + 1,
        surname=surname,
        members=people,
        road=f"{2 * index + 1} {road}",
        zone=OTHER_ZONE if story is Story.ELSEWHERE else ZONE,
        asset_kinds=kinds,
        story=story,
        emails=emails,
    )
