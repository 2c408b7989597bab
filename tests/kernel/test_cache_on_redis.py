"""The cache on a real Redis, as REDIS_URL sets it: values, expiry, and one store for all processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.test import override_settings

from tests.redises import free_port, redis


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with redis(tmp_path_factory.mktemp("redis"), port):
        yield f"redis://127.0.0.1:{port}/0"


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
