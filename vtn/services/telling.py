"""What the rooms above are told of events: a fact for one VEN, one fact for many that came together.

Ten thousand hubs that fetch and answer a campaign would else be twenty thousand facts, each with its
deliveries, to write and to run one by one. The parts of a fact for many are, word for word, the payloads
of the facts for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from opendsr.kernel import outbox

DELIVERED: Final = "vtn.event.delivered"
RECEIVED: Final = "vtn.opt.received"
TOGETHER: Final = {DELIVERED: "vtn.events.delivered", RECEIVED: "vtn.opts.received"}
"""The topic of a fact for many, by that of a fact for one; its payload is {"parts": [...]}."""
MOST_PARTS: Final = 200
"""In one fact: a consumer takes them in one transaction."""


def tell(topic: str, facts: Sequence[tuple[str, dict[str, object]]], *, at: datetime) -> None:
    """Record facts of one topic, as pairs of key and payload, inside the caller's transaction.

    A key keeps a fact that is told alone from being told twice; of many told together the caller knows that.
    """
    if len(facts) < 2:
        outbox.record_many(topic, facts, at=at)
        return
    parts = [payload for _, payload in facts]
    chunks = [parts[start : start + MOST_PARTS] for start in range(0, len(parts), MOST_PARTS)]
    outbox.record_many(TOGETHER[topic], [("", {"parts": chunk}) for chunk in chunks], at=at)
