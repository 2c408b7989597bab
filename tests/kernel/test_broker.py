from __future__ import annotations

import threading
from queue import Empty

import pytest
from celery import Celery
from kombu.connection import Connection

from opendsr.kernel import broker

MESSAGES = 500


@pytest.fixture
def channel(tmp_path, monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    settings = broker.celery_settings(tmp_path / "var")
    with Connection(
        settings["broker_url"], transport_options=settings["broker_transport_options"]
    ) as connection:
        yield connection.channel()


def test_without_redis_the_broker_is_a_folder_of_whole_messages(channel, tmp_path):
    channel._put("outbox", {"n": 1})
    channel._put("settlement", {"n": 2})
    channel._put("outbox", {"n": 3})

    assert (channel._size("outbox"), channel._size("settlement")) == (2, 1)
    assert [channel._get("outbox")["n"] for _ in range(2)] == [1, 3]
    with pytest.raises(Empty):
        channel._get("outbox")
    assert channel._purge("settlement") == 1
    assert not [path for path in (tmp_path / "var" / "broker").rglob("*") if path.is_file()]


def test_readers_and_a_writer_at_once_see_each_message_whole_and_once(channel):
    taken: list[int] = []
    written = threading.Event()

    def read():
        while True:
            is_last_look = written.is_set()
            try:
                taken.append(channel._get("outbox")["n"])
            except Empty:
                if is_last_look:
                    return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(MESSAGES):
        channel._put("outbox", {"n": n, "body": "x" * 300})
    written.set()
    for reader in readers:
        reader.join(30)

    assert sorted(taken) == list(range(MESSAGES))


def test_redis_is_used_when_named(monkeypatch, tmp_path):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379/3")
    settings = broker.celery_settings(tmp_path)

    assert settings["broker_url"] == "redis://127.0.0.1:6379/3"
    assert settings["broker_transport_options"]["visibility_timeout"] > settings["task_time_limit"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("redis_url", ["", "redis://127.0.0.1:6379/3"])
def test_celery_knows_every_setting(monkeypatch, tmp_path, redis_url):
    monkeypatch.setenv("REDIS_URL", redis_url)
    app = Celery("test", set_as_current=False)
    app.conf.update(broker.celery_settings(tmp_path))

    assert set(app.amqp.queues) == set(broker.QUEUES)
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["queue"] in broker.QUEUES
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None
