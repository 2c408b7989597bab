"""The schema is compiled once a thread, and never by two at once."""

from __future__ import annotations

import threading
import time

import pytest
from lxml import etree

from oadr import schema

pytestmark = pytest.mark.unit

THREADS = 6


def test_threads_compile_the_schema_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling, most = 0, 0
    compiled = etree.XMLSchema

    def slowly(tree: etree._ElementTree) -> etree.XMLSchema:
        nonlocal compiling, most
        compiling += 1
        most = max(most, compiling)
        time.sleep(0.005)
        try:
            return compiled(tree)
        finally:
            compiling -= 1

    monkeypatch.setattr(etree, "XMLSchema", slowly)
    start, verdicts = threading.Barrier(THREADS), []

    def judge() -> None:
        start.wait()
        verdicts.append(schema.is_valid(etree.fromstring("<no-such-message/>")))

    threads = [threading.Thread(target=judge) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verdicts == [False] * THREADS
    assert most == 1
