"""How each participation ended: from the opts when the event is over, from meters once they are in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count

from assets.registry_models import HubSpell
from campaigns import life
from campaigns.models import Campaign, Participation
from opendsr.kernel.errors import DomainError

State = Participation.State
Outcome = Participation.Outcome
LARGEST_PCT: Final = 1_000_000
COULD_HAVE: Final = (State.OPTED_IN.value, State.DELIVERED_TO_HUB.value)
"""Of these the hub had the event, and nobody said no."""
FAILURES: Final = [
    HubSpell.Cause.AWAY.value,
    HubSpell.Cause.CRASHED.value,
    HubSpell.Cause.REFUSED.value,
]
"""Ours. A home without power or network is no failure of our control: the event runs in the hub by itself."""
FAILING: Final = (list(COULD_HAVE), FAILURES)
LOCK: Final = """
    SELECT count(*) FROM (
        SELECT FROM campaigns_participation WHERE campaign_id = %s ORDER BY id FOR UPDATE
    ) AS part
"""
HAS_FAILED: Final = """
    state = ANY(%s) AND (outcome = 'device_error' OR EXISTS (
        SELECT FROM assets_asset AS asset JOIN assets_hubspell AS spell USING (hub_id)
        WHERE asset.id = asset_id AND spell.cause = ANY(%s)
            AND spell.resource_id IN ('', asset.resource_id)
            AND spell.starts_at <= part.starts_at + coalesce(start_delay_seconds, 0) * interval '1 second'
            AND (spell.ends_at IS NULL OR spell.ends_at >= part.ends_at)
    ))
"""
FAIL: Final = f"""
    UPDATE campaigns_participation AS part SET outcome = 'device_error'
    WHERE campaign_id = %s AND outcome <> 'device_error' AND {HAS_FAILED}
"""  # noqa: S608 - our own words
# What a state comes to is worked out by `outcome_of`, once for each state, and joined.
RECORD: Final = f"""
    UPDATE campaigns_participation AS part SET measured_pct = now.measured_pct, outcome = now.outcome
    FROM (
        SELECT
            each.id,
            coalesce(told.measured_pct, each.measured_pct) AS measured_pct,
            CASE
                WHEN each.state = 'cancelled' AND each.outcome <> '' THEN each.outcome
                WHEN each.has_failed THEN 'device_error'
                WHEN coalesce(told.measured_pct, each.measured_pct) IS NULL THEN ended.unmeasured
                WHEN coalesce(told.measured_pct, each.measured_pct) >= %s THEN ended.reached
                ELSE ended.short
            END AS outcome
        FROM (
            SELECT id, campaign_id, occupancy_id, state, outcome, measured_pct, {HAS_FAILED} AS has_failed
            FROM campaigns_participation AS part
        ) AS each
        JOIN unnest(%s::text[], %s::text[], %s::text[], %s::text[])
            AS ended (state, unmeasured, reached, short) USING (state)
        LEFT JOIN unnest(%s::uuid[], %s::int4[]) AS told (occupancy_id, measured_pct) USING (occupancy_id)
        WHERE each.campaign_id = %s
    ) AS now
    WHERE part.id = now.id
        AND (part.measured_pct, part.outcome) IS DISTINCT FROM (now.measured_pct, now.outcome)
"""  # noqa: S608 - our own words


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
        cursor.execute(
            RECORD,
            [
                from_pct,
                *FAILING,
                State.values,
                unmeasured,
                reached,
                short,
                list(shares),
                list(shares.values()),
                campaign.pk,
            ],
        )
        is_changed = cursor.rowcount > 0
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
    with connection.cursor() as cursor:
        cursor.execute(FAIL, [campaign.pk, *FAILING])
        return int(cursor.rowcount)


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
