"""The cache on a real Redis, as REDIS_URL sets it: values, expiry, and one store for all processes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import caches
from django.test import override_settings

START_SECONDS = 20


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine (Debian: apt-get install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "redis did not start"
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait(10)


def test_the_cache_keeps_counts_and_forgets(redis_url: str) -> None:
    backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url}
    with override_settings(CACHES={"default": backend, "other": backend}):
        cache, other = caches["default"], caches["other"]
        assert cache.add("tries", 1, timeout=60)
        assert not other.add("tries", 9, timeout=60), "one store for all processes"
        assert other.incr("tries") == 2
        assert cache.get("tries") == 2
        cache.set("gone", {"a": [1, "é"]}, timeout=0)
        assert cache.get("gone") is None
        cache.set("kept", {"a": [1, "é"]}, timeout=None)
        assert other.get("kept") == {"a": [1, "é"]}
        cache.clear()
        assert other.get("kept") is None
