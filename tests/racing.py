"""Runs functions at the same moment on database connections of their own, for tests marked transactional."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection


def at_once(*functions: Callable[[], object], patience_seconds: float = 90) -> list[object]:
    """What each function returned or raised, in their order; they set off together."""
    start = Barrier(len(functions))

    def run(function: Callable[[], object]) -> object:
        try:
            connection.ensure_connection()
            start.wait(timeout=patience_seconds)
            return function()
        except Exception as error:  # noqa: BLE001 the test looks at what was raised
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [
            done.result(timeout=patience_seconds) for done in [pool.submit(run, each) for each in functions]
        ]
