"""`kill -9` of a real Celery worker in the middle of its work: every effect still happens exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection, transaction

from opendsr.kernel import outbox
from opendsr.kernel.models import DeliveryState, OutboxDelivery
from tests.kernel import effects
from tests.kernel.conftest import NOON
from tests.redises import free_port, redis

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FACTS = 20
BLOCKING = range(8, 14)
THREADS = 3
LEASE_SECONDS = "5"
"""Longer than a slow machine may rest between claiming a fact and taking its lock."""
PATIENCE_SECONDS = 120
REPOSITORY = Path(effects.__file__).parents[2]


@pytest.fixture(autouse=True)
def _effect_table() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS kill_nine_effect; CREATE TABLE kill_nine_effect (fact_id uuid)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE kill_nine_effect")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hold").touch()
    return tmp_path


def test_on_the_folder_broker_nothing_is_lost_or_doubled(folder):
    lose_a_worker(folder, environment(folder))


def test_on_redis_nothing_is_lost_or_doubled_even_when_redis_forgets_all(folder):
    port = free_port()
    with ExitStack() as stack:
        servers = [stack.enter_context(redis(folder, port))]

        def forget_all() -> None:
            servers.pop().kill()
            servers.append(stack.enter_context(redis(folder, port)))

        lose_a_worker(folder, environment(folder, REDIS_URL=f"redis://127.0.0.1:{port}/0"), forget_all)


def lose_a_worker(folder: Path, env: dict[str, str], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Kill a worker that holds some facts in mid-transaction; a second one must finish what it left."""
    with transaction.atomic():
        for n in range(FACTS):
            outbox.record(effects.TOPIC, at=NOON, n=n, blocks=n in BLOCKING)

    with worker(folder, env, "killed") as victim:
        wait_for(
            lambda: any((folder / f"{n}.written").exists() for n in BLOCKING), victim, folder / "killed.log"
        )
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait(PATIENCE_SECONDS)

    held = list(OutboxDelivery.objects.filter(lease_until__isnull=False).values_list("fact_id", flat=True))
    finished = OutboxDelivery.objects.filter(state=DeliveryState.DONE).values_list("fact_id", flat=True)
    assert held, "the worker was to be killed with work in hand"
    assert 0 < len(finished) < FACTS
    assert effects_by_fact() == Counter(finished)

    meanwhile()
    (folder / "hold").unlink()
    with worker(folder, env, "second") as second:
        wait_for(
            lambda: not OutboxDelivery.objects.exclude(state=DeliveryState.DONE).exists(),
            second,
            folder / "second.log",
        )

    everything = OutboxDelivery.objects.values_list("fact_id", flat=True)
    assert len(everything) == FACTS
    assert effects_by_fact() == Counter(everything)
    assert set(OutboxDelivery.objects.filter(fact__in=held).values_list("attempts", flat=True)) == {2}
    assert set(OutboxDelivery.objects.exclude(fact__in=held).values_list("attempts", flat=True)) == {1}


def effects_by_fact() -> Counter[object]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT fact_id FROM kill_nine_effect")
        return Counter(fact_id for (fact_id,) in cursor.fetchall())


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """This process's environment with the test database, a broker of the test's own and a short lease."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
        "DATABASE_URL": urlunsplit(database),
        "OPENDSR_VAR": str(folder / "var"),
        "OPENDSR_EXTRA_TASKS": effects.__name__,
        outbox.LEASE_VARIABLE: LEASE_SECONDS,
        effects.FOLDER_VARIABLE: str(folder),
        **extra,
    }


@contextmanager
def worker(folder: Path, env: dict[str, str], name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with beat inside, leader of its own process group, gone at the end of the block."""
    command = [sys.executable, "-m", "celery", "-A", "opendsr.celery", "worker", "-B", "--loglevel=INFO"]
    command += ["-P", "threads", f"--concurrency={THREADS}", f"--hostname={name}@localhost"]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE_SECONDS)


def wait_for(is_so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline:
            state = "took too long" if process.poll() is None else f"ended with {process.returncode}"
            pytest.fail(f"{process.args!r} {state}:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)
