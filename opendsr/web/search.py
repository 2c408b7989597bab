"""One box for staff: members by number or name, homes by words or postcode, hubs by serial, campaigns, pages.

Names and addresses are sealed, so whole words are found, in any order, by their blind index. What is found
about members is noted as looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from assets.models import Hub
from assets.policy import DEVICE_STAFF
from campaigns.models import Campaign
from campaigns.policy import SEES_CAMPAIGNS
from members import entry
from members.models import Home, Member, Role
from members.policy import DECIDES_ENQUIRIES, has_role, require_role
from metering.policy import SEES_HOMES
from opendsr.kernel import blind_index, encryption
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.navigation import groups_for

SEARCHES: Final = SEES_CAMPAIGNS
LONGEST: Final = 80
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found; `is_exact` when it was named by its own number."""

    label: str | Promise
    url: str
    more: str | Promise = ""
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one kind: at most `SHOWN`, and whether there are more."""

    label: str | Promise
    hits: tuple[Hit, ...]
    has_more: bool


@require_GET
@signed_in
def search(request: HttpRequest) -> HttpResponse:
    """What the words name, of what the viewer works with; one thing named exactly opens at once."""
    require_role(request.user, *SEARCHES)
    words = " ".join(request.GET.get("q", "").replace("\0", " ").split())[:LONGEST]
    found: list[Found] = []
    if words:
        with encryption.remembering():
            for label, roles, seek in KINDS:
                if has_role(request.user, *roles):
                    hits = list(seek(request, words))
                    if hits:
                        found.append(Found(label, tuple(hits[:SHOWN]), len(hits) > SHOWN))
    exact = [hit for kind in found for hit in kind.hits if hit.is_exact]
    if len(exact) == 1:
        return redirect(exact[0].url)
    return render(request, "web/search.html", {"words": words, "found": found})


def _members(request: HttpRequest, words: str) -> Iterator[Hit]:
    number: str = ""
    with suppress(entry.InvalidField):
        number = entry.member_number(words)
    asked = Q(number=number) if number else _named(words)
    rows = list(Member.objects.filter(asked).order_by("number")[: SHOWN + 1])
    for row in rows:
        more = _("left") if row.left_at else ""
        url = reverse("household_page", args=[row.number])
        yield Hit(f"{row.full_name} ({row.number})", url, more, is_exact=row.number == number)


def _homes(request: HttpRequest, words: str) -> Iterator[Hit]:
    asked = _named(words) | Q(postcode=words.upper()) | Q(mpan_index="".join(words.split()))
    found = Home.objects.filter(asked).order_by("postcode", "pk")
    rows = list(found[: SHOWN + 1])
    for row in rows:
        yield Hit(f"{row.name}, {row.postcode}", reverse("home_page", args=[row.pk]))


def _hubs(request: HttpRequest, words: str) -> Iterator[Hit]:
    rows = Hub.objects.filter(Q(serial__icontains=words) | Q(ven_id__iexact=words)).order_by("serial")
    for row in rows[: SHOWN + 1]:
        is_exact = words.casefold() in (row.serial.casefold(), str(row.ven_id or "").casefold())
        yield Hit(row.serial, reverse("hub_page", args=[row.pk]), row.get_state_display(), is_exact=is_exact)


def _campaigns(request: HttpRequest, words: str) -> Iterator[Hit]:
    rows = Campaign.objects.filter(name__icontains=words).order_by("-starts_at", "pk")
    for row in rows[: SHOWN + 1]:
        when = wording.stretch(row.starts_at, row.ends_at, form=wording.SHORT_DAY)
        yield Hit(row.name, reverse("campaign_detail", args=[row.pk]), when)


def _pages(request: HttpRequest, words: str) -> Iterator[Hit]:
    for group in groups_for(request):
        for link in group.links:
            if words.casefold() in str(link.label).casefold():
                yield Hit(link.label, link.url, group.label if group.only is None else "")


def _named(words: str) -> Q:
    """Rows that have every whole word; words of signs alone name nothing."""
    hashes = blind_index.words(words)
    return Q(words__contains=hashes) if hashes else Q(pk__in=())


Seek = Callable[[HttpRequest, str], Iterator[Hit]]
KINDS: Final[tuple[tuple[Promise, tuple[Role, ...], Seek], ...]] = (
    (_("Members"), DECIDES_ENQUIRIES, _members),
    (_("Homes"), SEES_HOMES, _homes),
    (_("Hubs"), DEVICE_STAFF, _hubs),
    (_("Campaigns"), SEES_CAMPAIGNS, _campaigns),
    (_("Pages"), SEARCHES, _pages),
)
