"""How each participation ended: from the opts when the event is over, from meters once they are in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count

from assets import journals
from assets.journals import Spell
from assets.registry_models import HubSpell
from campaigns import life
from campaigns.models import Campaign, Participation
from opendsr.kernel.errors import DomainError

State = Participation.State
Outcome = Participation.Outcome
LARGEST_PCT: Final = 1_000_000
COULD_HAVE: Final = (State.OPTED_IN.value, State.DELIVERED_TO_HUB.value)
"""Of these the hub had the event, and nobody said no."""
FAILURES: Final = frozenset({HubSpell.Cause.AWAY, HubSpell.Cause.CRASHED, HubSpell.Cause.REFUSED})
"""Ours. A home without power or network is no failure of our control: the event runs in the hub by itself."""
LOCK: Final = """
    SELECT count(*) FROM (
        SELECT FROM campaigns_participation WHERE campaign_id = %s ORDER BY id FOR UPDATE
    ) AS part
"""
# What a state comes to is worked out by `outcome_of`, once for each state, and joined.
RECORD: Final = """
    UPDATE campaigns_participation AS part SET measured_pct = now.measured_pct, outcome = now.outcome
    FROM (
        SELECT
            each.id,
            coalesce(told.measured_pct, each.measured_pct) AS measured_pct,
            CASE
                WHEN each.state = 'cancelled' AND each.outcome <> '' THEN each.outcome
                WHEN each.outcome = 'device_error' AND each.state = ANY(%s) THEN each.outcome
                WHEN coalesce(told.measured_pct, each.measured_pct) IS NULL THEN ended.unmeasured
                WHEN coalesce(told.measured_pct, each.measured_pct) >= %s THEN ended.reached
                ELSE ended.short
            END AS outcome
        FROM campaigns_participation AS each
        JOIN unnest(%s::text[], %s::text[], %s::text[], %s::text[])
            AS ended (state, unmeasured, reached, short) USING (state)
        LEFT JOIN unnest(%s::uuid[], %s::int4[]) AS told (occupancy_id, measured_pct) USING (occupancy_id)
        WHERE each.campaign_id = %s
    ) AS now
    WHERE part.id = now.id
        AND (part.measured_pct, part.outcome) IS DISTINCT FROM (now.measured_pct, now.outcome)
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
    from_pct = campaign.programme.delivered_from_pct
    unmeasured, reached, short = (
        [outcome_of(state=each, measured_pct=pct, delivered_from_pct=from_pct) for each in State.values]
        for pct in (None, from_pct, from_pct - 1)
    )
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [campaign.pk])
        is_changed = note_device_errors(campaign) > 0
        cursor.execute(
            RECORD,
            [
                list(COULD_HAVE),
                from_pct,
                State.values,
                unmeasured,
                reached,
                short,
                list(shares),
                list(shares.values()),
                campaign.pk,
            ],
        )
        is_changed |= cursor.rowcount > 0
    counts = dict(campaign.participations.order_by().values_list("outcome").annotate(Count("id")))
    if is_changed:
        life.note(campaign.pk, "campaign.outcomes", at=at, by=None, detail={"outcomes": counts})
    return counts


def note_device_errors(campaign: Campaign) -> int:
    """Set the outcome of parts whose device could do nothing for all of the event, through no fault of the
    home's: how many are new. Inside the caller's transaction.

    Its hub could not reach the device, had stopped by itself or was refused by the site, from the start, as
    drawn where that is told, to the end. A hub tells such a spell when it is back, perhaps after the end.
    """
    parts = list(
        campaign.participations.filter(state__in=COULD_HAVE)
        .exclude(outcome=Outcome.DEVICE_ERROR)
        .select_related("asset__hub")
        .order_by("id")
    )
    failed = journals.spells_between(campaign.starts_at, campaign.ends_at)
    spells: dict[UUID, list[Spell]] = defaultdict(list)
    for spell in failed:
        if spell.cause in FAILURES:
            spells[spell.home_id].append(spell)
    out = [
        part.pk
        for part in parts
        if any(_covers(spell, part) for spell in spells.get(part.asset.hub.home_id, ()))
    ]
    return campaign.participations.filter(pk__in=out).update(outcome=Outcome.DEVICE_ERROR)


def _covers(spell: Spell, part: Participation) -> bool:
    starts_at = part.starts_at + timedelta(seconds=part.start_delay_seconds or 0)
    is_its = not spell.resource_id or spell.resource_id == part.asset.resource_id
    return is_its and spell.starts_at <= starts_at and spell.ends_at >= part.ends_at


def measured_share_pct(instructed_wh: int, delivered_wh: int) -> int:
    """Delivered as a whole percentage of instructed, rounded down: 75 means at least three quarters."""
    return max(-LARGEST_PCT, min(LARGEST_PCT, 100 * delivered_wh // instructed_wh))


def settle_outcomes(campaign: Campaign, parts: Iterable[Participation]) -> list[Participation]:
    """Set `outcome` on each part from its state; the caller saves. Returns the parts."""
    settled = list(parts)
    for part in settled:
        if part.outcome == Outcome.DEVICE_ERROR and part.state in COULD_HAVE:
            continue
        part.outcome = outcome_of(
            state=part.state,
            measured_pct=part.measured_pct,
            delivered_from_pct=campaign.programme.delivered_from_pct,
        )
    return settled
