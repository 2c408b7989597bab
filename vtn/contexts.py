"""Market contexts by name: a URI that VENs read in each event, and what staff call it.

Events carry the URI alone, so a context may be named before its first event, after it, or never; what the
house runs in one (VTN_MARKET_CONTEXTS names a function of nothing to names by URI) is told beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max
from django.utils.module_loading import import_string

from opendsr.kernel import audit
from opendsr.kernel.errors import DomainError, Invalid, NotFound
from vtn.models import Event, MarketContext

COUNTED_DAYS: Final = 31
"""Events that start earlier are not counted: the list of all of them is."""
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f<>\"{}|\\^`]+")


_SENDABLE: Final = re.compile(r"(?:[^\s\x00-\x1f<>\"{}|\\^`%]|%[0-9A-Fa-f]{2})+")


class UnknownContext(NotFound):
    """No such market context is named: `context_id`."""


class ContextExists(DomainError):
    """The URI has a name already: `field`, `reason`."""


class ContextInvalid(Invalid):
    """No such URI: `field`, `reason`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A market context with what is known of it; `pk` is None for one that nobody has named."""

    uri: str
    pk: int | None = None
    name: str = ""
    description: str = ""
    programme: str = ""
    events: int = 0
    latest_starts_at: datetime | None = None


def context(context_id: int) -> MarketContext:
    """The named context; raises UnknownContext."""
    found = MarketContext.objects.filter(pk=context_id).first()
    if found is None:
        raise UnknownContext(context_id=context_id)
    return found


def is_sendable(uri: str) -> bool:
    """True for what the schema takes as a URI, a relative one included."""
    return _SENDABLE.fullmatch(uri) is not None


def programmes() -> Mapping[str, str]:
    """What the house runs in each market context, by URI."""
    name = getattr(settings, "VTN_MARKET_CONTEXTS", "")
    if not name:
        return {}
    told: Callable[[], Mapping[str, str]] = import_string(name)
    return told()


def names() -> dict[str, str]:
    """What to call each known market context, by URI: the staff's own name before the house's."""
    return {**programmes(), **dict(MarketContext.objects.values_list("uri", "name"))}


def every_context(*, at: datetime) -> list[Shown]:
    """Every named context, those the house runs, and those of events of COUNTED_DAYS; the named ones first.

    Events are counted from COUNTED_DAYS before `at` on, those to come included.
    """
    since = at - timedelta(days=COUNTED_DAYS)
    used = {
        uri: (events, latest)
        for uri, events, latest in Event.objects.filter(starts_at__gte=since)
        .values_list("market_context")
        .annotate(Count("pk"), Max("starts_at"))
    }
    run = programmes()
    named = {row.uri: row for row in MarketContext.objects.all()}
    found = []
    for uri in named.keys() | run.keys() | used.keys():
        row, (events, latest) = named.get(uri), used.get(uri, (0, None))
        found.append(
            Shown(
                uri=uri,
                pk=row.pk if row else None,
                name=row.name if row else "",
                description=row.description if row else "",
                programme=run.get(uri, ""),
                events=events,
                latest_starts_at=latest,
            )
        )
    return sorted(found, key=lambda each: (not each.name, each.name.casefold(), each.uri))


@transaction.atomic
def save_context(
    *, market_context: str, name: str, description: str, at: datetime, by: str, replacing: int | None = None
) -> MarketContext:
    """Name a market context, or put other words in the place of the row `replacing`.

    Events keep the URI that they were sent with. Raises ContextInvalid, ContextExists, UnknownContext.
    """
    if not (_URI.fullmatch(market_context) and is_sendable(market_context)):
        raise ContextInvalid(
            field="market_context",
            reason=f"{market_context[:60]!r} is no URI: write a scheme, a colon and a name without spaces, "
            "such as http://coop.example/turn-down",
        )
    row = MarketContext() if replacing is None else context(replacing)
    row.uri, row.name, row.description = market_context, name, description
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if "vtn_market_context_once" not in str(error):
            raise
        raise ContextExists(
            field="market_context",
            reason=f"{market_context[:60]} has a name already: change that one, or write another URI",
        ) from error
    audit.record(
        at=at,
        actor=by,
        verb="vtn.market_context.saved",
        target=f"vtn_market_context:{row.pk}",
        detail={"uri": market_context, "name": name},
    )
    return row


@transaction.atomic
def forget_context(*, context_id: int, at: datetime, by: str) -> None:
    """Forget a context's name; events keep its URI. Raises UnknownContext."""
    row = context(context_id)
    uri = row.uri
    row.delete()
    audit.record(
        at=at,
        actor=by,
        verb="vtn.market_context.forgotten",
        target=f"vtn_market_context:{context_id}",
        detail={"uri": uri},
    )
