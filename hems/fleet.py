"""One or several hubs in this process, ended together by SIGTERM or SIGINT, or each at `until`.

Run as a program it is the load generator: thousands of virtual hubs (`hems.fleet_main`).
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Literal

from hems import clock
from hems.agent import Agent
from hems.errors import BadClock
from hems.instants import read_instant
from hems.lines import Way
from hems.shadow import SYNC_SECONDS
from hems.versions import RESTART


def run(
    folders: Sequence[Path],
    *,
    vtn: str,
    until: str | None = None,
    poll_seconds: float | None = None,
    quiet_seconds: float = 60.0,
    transport: Literal["https", "mqtt"] | None = None,
    shadow_seconds: float = SYNC_SECONDS,
) -> int:
    """Be the hubs of these folders. One runs in the main thread; several run in a thread each.

    Return 0, or RESTART when another version of the software is there to be started.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    try:
        ends_at = None if until is None else read_instant(until)
    except ValueError:
        raise BadClock(
            f"--until {until!r}: give ISO 8601 with an offset, such as 2026-11-20T21:00:00Z"
        ) from None
    world = clock.from_environment()
    agents: list[Agent] = []
    is_ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        is_ended.set()
        for agent in agents:
            agent.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with ExitStack() as open_agents:
        for folder in folders:
            agent = Agent(
                folder,
                vtn=vtn,
                clock=world,
                until=ends_at,
                poll_seconds=poll_seconds,
                quiet_seconds=quiet_seconds,
                way=None if transport is None else Way(transport),
                shadow_seconds=shadow_seconds,
            )
            agents.append(open_agents.enter_context(agent))
        if is_ended.is_set():
            return 0
        if len(agents) == 1:
            agents[0].run()
            return RESTART if agents[0].wants_restart and not is_ended.is_set() else 0
        threads = [threading.Thread(target=agent.run, name=agent.serial) for agent in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return 0


if __name__ == "__main__":
    import sys

    from hems.fleet_main import main

    sys.exit(main())
