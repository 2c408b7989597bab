"""The filesystem broker with whole messages only: a kombu transport over one folder of one machine.

kombu's own writes a message in place, so that a reader may take it while it is still empty, which stops the
reading worker. Here a message is written beside the queue and renamed into it, and taken by a rename; nothing
is bound, because every message names its queue. Chosen by `opendsr.kernel.broker` when REDIS_URL is not set.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, filesystem

SCHEME: Final = "folder"


class Channel(filesystem.Channel):
    """Queues as files `<wall nanoseconds>_<random>.<queue>.msg`, oldest first."""

    supports_fanout = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.messages = Path(self.data_folder_in)
        self.taken = Path(self.processed_folder)
        self.listed: dict[str, deque[Path]] = {}
        for folder in (self.messages, self.taken):
            folder.mkdir(parents=True, exist_ok=True)

    def get_table(self, exchange: str) -> list[Any]:
        return []

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Bindings are not kept: messages go to the queue they name."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        draft = self.taken / f"{name}.draft"
        draft.write_text(json.dumps(payload), encoding="utf-8")
        draft.replace(self.messages / name)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        listed = self.listed.setdefault(queue, deque())
        if not listed:
            suffix = f".{queue}.msg"
            listed.extend(sorted(path for path in self.messages.iterdir() if path.name.endswith(suffix)))
        while listed:
            waiting = listed.popleft()
            held = self.taken / waiting.name
            try:
                waiting.rename(held)
            except FileNotFoundError:
                continue
            text = held.read_text(encoding="utf-8")
            held.unlink()
            message: dict[str, Any] = json.loads(text)
            return message
        raise Empty


class Transport(filesystem.Transport):
    """`folder://` in a broker URL."""

    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = "opendsr.kernel.folder_broker:Transport"
