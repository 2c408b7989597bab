"""One device, or cloud, asked and told over HTTP from a thread of its own: a slow one delays nobody."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

TIMEOUT_SECONDS: Final = 4.0
LARGEST_ANSWER: Final = 1_000_000

log = logging.getLogger("hems")

Then = Callable[[Any], None]


class Caller:
    """One request at a time; answers wait until `take`. What cannot be asked now is not kept."""

    def __init__(self, opener: urllib.request.OpenerDirector | None = None) -> None:
        self._opener = opener or urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._answers: deque[tuple[Then, Any]] = deque()
        self._is_busy = False
        self.failure = "not asked yet"

    def ask(
        self, url: str, then: Then, *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> bool:
        """Have `then(the JSON answer)` called by `take`; False while another request is under way."""
        if self._is_busy:
            return False
        self._is_busy = True
        data = None if body is None else json.dumps(body).encode()
        fields = {**(headers or {}), **({} if data is None else {"Content-Type": "application/json"})}
        request = urllib.request.Request(url, data=data, headers=fields)  # noqa: S310 - from the config
        self._pool.submit(self._exchange, request, then)
        return True

    def take(self) -> None:
        """Hand what was answered to those who asked."""
        while self._answers:
            then, answer = self._answers.popleft()
            self._is_busy = False
            if isinstance(answer, Exception):
                if str(answer) != self.failure:
                    log.warning("%s", answer)
                self.failure = str(answer) or type(answer).__name__
                continue
            try:
                then(answer)
                self.failure = ""
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                self.failure = f"an answer that cannot be read: {error!r:.120}"

    def close(self, last_word: Callable[[], object] = lambda: None) -> None:
        """Wait for the request under way, then for that of the `last_word`."""
        self._pool.submit(lambda: None).result()
        self.take()
        last_word()
        self._pool.shutdown(wait=True)

    def _exchange(self, request: urllib.request.Request, then: Then) -> None:
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                self._answers.append((then, json.loads(response.read(LARGEST_ANSWER) or b"null")))
        except (OSError, ValueError) as error:
            host = request.host
            self._answers.append((then, ConnectionError(f"{host}: {error}")))
