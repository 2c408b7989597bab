"""Changing: when each device was first seen doing what its event asks, from what devices say of themselves.

A pass while an event runs and for LOOKED_AFTER besides, all its assets in one statement. The rule:

    begun     the event's start, later by what the hub drew where it told that, or when the hub fetched it
              where that is later
    seen      a state by its own clock, to the second it falls in, or when it came where that is sooner
    before    the newest state seen by then, at most LOOK_BACK older
    changed   the first state seen after that, before the end and within LOOK_ON and, where the hub told no
              draw, the spread, whose power
              went the asked way from before: by half of what was asked (of what it drew, where a turn-down
              asked more), and a fifth of what it drew at least; where no power was told before, the first
              that is off for down, on for up

A device that told nothing before or since, or that was off already when asked to turn down, has none: nothing
is guessed. What a device does by itself in that time looks the same. The times are bounds from above: a
device that reports every five minutes is seen up to five minutes late, and a hub that does not tell its draw
(`staggering.py`) has it in its time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from campaigns.models import Campaign, Direction, Participation
from metering.asset_shapes import LEAST_DRAWN_W

LOOK_BACK: Final = timedelta(minutes=30)
LOOK_ON: Final = timedelta(minutes=30)
"""What changes later, over the spread that hubs were given, is the device's own doing."""
LOOKED_AFTER: Final = timedelta(hours=2)
"""Hubs report every quarter of an hour, and tell later what waited."""
SEEN: Final = "least(received_at, at + interval '1 second')"
BEGUN: Final = "part.starts_at + coalesce(part.start_delay_seconds, 0) * interval '1 second'"
"""When the device was to begin, as far as is known; never later than the fetching in `begun`."""
CHANGES: Final = f"""
    WITH part AS (
        SELECT part.id, part.asset_id, part.expected_w, part.changed_at,
               greatest({BEGUN}, part.delivered_at) AS begun_at,
               least(part.ends_at + coalesce(end_delay_seconds, 0) * interval '1 second', part.dropped_at,
                     greatest({BEGUN}, part.delivered_at) + %(look_on_seconds)s * interval '1 second'
                     + CASE WHEN start_delay_seconds IS NULL
                       THEN coalesce(campaign.stagger_seconds, programme.start_tolerance_seconds) ELSE 0 END
                     * interval '1 second') AS over_at,
               CASE campaign.direction WHEN %(down)s THEN -1 ELSE 1 END AS way
        FROM campaigns_campaign AS campaign
        JOIN campaigns_programme AS programme ON programme.code = campaign.programme_id
        JOIN campaigns_participation AS part ON part.campaign_id = campaign.id
        WHERE campaign.state = ANY(%(running)s)
          AND campaign.starts_at <= %(at)s AND campaign.ends_at > %(since)s
          AND part.state = ANY(%(have_it)s) AND part.delivered_at IS NOT NULL
    ), told AS (
        SELECT part.id, part.changed_at, (
            SELECT {SEEN} FROM metering_assetstate
            WHERE asset_id = part.asset_id AND at >= part.begun_at - interval '1 second' AND at < part.over_at
              AND {SEEN} > part.begun_at AND {SEEN} < part.over_at
              AND CASE WHEN before.power_w IS NULL THEN is_on = (way > 0) AND before.is_on = (way < 0)
                  ELSE (power_w - before.power_w) * way >= before.least_w END
            ORDER BY at LIMIT 1
        ) AS seen_at
        FROM part LEFT JOIN LATERAL (
            SELECT power_w, is_on, greatest(
                CASE WHEN way < 0 THEN least(expected_w, power_w) ELSE expected_w END / 2.0, power_w / 5.0
            ) AS least_w
            FROM (SELECT ({{before}}) AS power_w, ({{before_on}}) AS is_on) AS newest
            WHERE power_w IS NULL OR way > 0 OR power_w >= %(least_drawn)s
        ) AS before ON true
    ), fresh AS (
        SELECT part.id, told.seen_at
        FROM campaigns_participation AS part JOIN told ON told.id = part.id
        WHERE told.seen_at IS DISTINCT FROM told.changed_at
        ORDER BY part.id FOR NO KEY UPDATE OF part SKIP LOCKED
    )
    UPDATE campaigns_participation AS part SET changed_at = fresh.seen_at FROM fresh WHERE part.id = fresh.id
"""  # noqa: S608
NEWEST: Final = f"""
    SELECT {{figure}} FROM metering_assetstate
    WHERE asset_id = part.asset_id AND at <= part.begun_at
      AND at > part.begun_at - %(look_back_seconds)s * interval '1 second'
      AND {SEEN} <= part.begun_at AND {{figure}} IS NOT NULL
    ORDER BY at DESC LIMIT 1
"""  # noqa: S608
STATEMENT: Final = CHANGES.format(
    before=NEWEST.format(figure="power_w"), before_on=NEWEST.format(figure="is_on")
)
RUNNING: Final = (Campaign.State.DISPATCHED, Campaign.State.COMPLETED)
HAVE_IT: Final = (Participation.State.DELIVERED_TO_HUB, Participation.State.OPTED_IN)


@transaction.atomic
def note_changes(*, at: datetime) -> int:
    """Write down when devices were first seen changed, by all that is known at `at`; how many are new.

    The same states give the same times, whatever order they came in. A part that somebody else has locked is
    left to the next pass; one opted out or overridden meanwhile keeps what was seen before.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            STATEMENT,
            {
                "at": at,
                "since": at - LOOKED_AFTER,
                "look_back_seconds": LOOK_BACK.total_seconds(),
                "look_on_seconds": LOOK_ON.total_seconds(),
                "down": Direction.TURN_DOWN,
                "running": list(RUNNING),
                "have_it": list(HAVE_IT),
                "least_drawn": LEAST_DRAWN_W,
            },
        )
        return int(cursor.rowcount)
