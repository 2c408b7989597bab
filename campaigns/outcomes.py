"""How each participation ended: from the opts when the event is over, from meters once they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from campaigns import life
from campaigns.models import Campaign, Participation
from opendsr.kernel.errors import DomainError

State = Participation.State
Outcome = Participation.Outcome
LARGEST_PCT: Final = 1_000_000
WRITE_OUTCOMES: Final = """
    UPDATE campaigns_participation AS part SET measured_pct = told.measured_pct, outcome = told.outcome
    FROM unnest(%s::uuid[], %s::int4[], %s::text[]) AS told (id, measured_pct, outcome)
    WHERE part.id = told.id
"""


class NotCompleted(DomainError):
    """Outcomes are recorded once the campaign's time is over."""

    campaign_id: UUID
    state: str


def outcome_of(*, state: str, measured_pct: int | None, delivered_from_pct: int) -> str:
    """The outcome a participation's last state and its household's metered share amount to.

    "" while it took part and its meter has not said; a hub that never answered is unresponsive.
    """
    if state == State.CANCELLED:
        return Outcome.CANCELLED
    if state == State.OVERRIDDEN:
        return Outcome.OVERRIDDEN
    if state == State.OPTED_OUT:
        return Outcome.OPTED_OUT
    if state != State.OPTED_IN:
        return Outcome.UNRESPONSIVE
    if measured_pct is None:
        return ""
    return Outcome.DELIVERED if measured_pct >= delivered_from_pct else Outcome.PARTIAL


@transaction.atomic
def record_outcomes(
    *, campaign_id: UUID, measured: Mapping[UUID, tuple[int, int]] | None, at: datetime
) -> dict[str, int]:
    """Take in what meters show, (instructed_wh, delivered_wh) by occupancy, and return assets by outcome.

    Households that `measured` leaves out keep what was measured before; None only works the outcomes out
    again. Raises NotCompleted before the campaign's end.
    """
    campaign = life.lock_campaign(campaign_id)
    if campaign.state != Campaign.State.COMPLETED:
        raise NotCompleted(campaign_id=campaign.pk, state=campaign.state)
    shares = {
        occupancy_id: measured_share_pct(instructed_wh, delivered_wh)
        for occupancy_id, (instructed_wh, delivered_wh) in (measured or {}).items()
        if instructed_wh > 0
    }
    parts = campaign.participations.select_for_update().order_by("id")
    changed: list[tuple[UUID, int | None, str]] = []
    counts: Counter[str] = Counter()
    from_pct = campaign.programme.delivered_from_pct
    for part_id, occupancy_id, state, known_pct, known in parts.values_list(
        "pk", "occupancy_id", "state", "measured_pct", "outcome"
    ):
        measured_pct = shares.get(occupancy_id, known_pct)
        outcome = str(outcome_of(state=state, measured_pct=measured_pct, delivered_from_pct=from_pct))
        if state == State.CANCELLED and known:
            outcome = known
        counts[outcome] += 1
        if (known_pct, known) != (measured_pct, outcome):
            changed.append((part_id, measured_pct, outcome))
    if changed:
        with connection.cursor() as cursor:
            cursor.execute(WRITE_OUTCOMES, [list(column) for column in zip(*changed, strict=True)])
        life.note(campaign.pk, "campaign.outcomes", at=at, by=None, detail={"outcomes": dict(counts)})
    return dict(counts)


def measured_share_pct(instructed_wh: int, delivered_wh: int) -> int:
    """Delivered as a whole percentage of instructed, rounded down: 75 means at least three quarters."""
    return max(-LARGEST_PCT, min(LARGEST_PCT, 100 * delivered_wh // instructed_wh))


def settle_outcomes(campaign: Campaign, parts: Iterable[Participation]) -> list[Participation]:
    """Set `outcome` on each part from its state; the caller saves. Returns the parts."""
    settled = list(parts)
    for part in settled:
        part.outcome = outcome_of(
            state=part.state,
            measured_pct=part.measured_pct,
            delivered_from_pct=campaign.programme.delivered_from_pct,
        )
    return settled
