"""How long 10,000 notices take: queued for an event, queued again, sent to a server that only counts.

A database of its own, thrown away.

python benchmarks/notices_queue.py
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.import_rows import scratch_database

MEMBERS = 10_000
QUEUE_GOAL_SECONDS, SEND_GOAL_SECONDS = 10, 300
AT = datetime(2026, 3, 12, 12, tzinfo=UTC)


def timed(name: str, goal_seconds: int, work: Callable[[], int], expected: int) -> None:
    began = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - began
    if done != expected:
        raise SystemExit(f"{name}: {done} instead of {expected}")
    sys.stdout.write(f"BENCH {name} {seconds:.1f} s goal {goal_seconds}\n")


def main() -> None:
    os.environ["EMAIL_BACKEND"] = "django.core.mail.backends.dummy.EmailBackend"
    with scratch_database():
        from members.models import Household, Member, User
        from notices import delivering, queueing
        from notices.kinds import Kind
        from notices.queueing import ToTell
        from opendsr.kernel import installation
        from opendsr.kernel.ids import new_uuid

        installation.found(coop_name="Benchmark", is_demo=True, at=AT)
        household = Household.objects.create(name="all")
        users = User.objects.bulk_create(User(email=f"m{number}@example.org") for number in range(MEMBERS))
        members = Member.objects.bulk_create(
            Member(number=f"M-{number + 10_000}", user=user, household=household, full_name="A", joined_at=AT)
            for number, user in enumerate(users)
        )
        facts = {
            "name": "Tea-time",
            "direction": "turn_down",
            "starts_at": AT + timedelta(days=1),
            "ends_at": AT + timedelta(days=1, hours=2),
            "campaign_id": new_uuid(),
        }
        people = [ToTell(member.pk, {**facts, "occupancy_id": new_uuid()}) for member in members]

        def queue() -> int:
            return queueing.queue_many(
                kind=Kind.EVENT_SCHEDULED,
                people=people,
                key="bench",
                at=AT,
                about=new_uuid(),
                before=AT + timedelta(days=1),
            ).notices

        timed("notices_queued", QUEUE_GOAL_SECONDS, queue, MEMBERS)
        timed("notices_queued_again", QUEUE_GOAL_SECONDS, queue, 0)
        timed(
            "notices_sent",
            SEND_GOAL_SECONDS,
            lambda: delivering.send_due(at=AT, limit=MEMBERS)["sent"],
            MEMBERS,
        )


if __name__ == "__main__":
    main()
