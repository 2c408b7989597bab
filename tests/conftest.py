"""Fixtures shared by every room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.apps import AppConfig
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from pytest_django import DjangoDbBlocker

from members.models import Member, User
from opendsr.kernel import clock
from opendsr.kernel.models import Installation
from tests import cast, premade, sown
from tests.factories import HubKit, Resident, make_coop

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", max_examples=1_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


settings.WHITENOISE_AUTOREFRESH = True
"""Every test's own client would look through all static files before its first request."""

DATABASES = frozenset({"db", "transactional_db", "django_db_setup", "live_server"})
PROCESS_FOLDERS = ("run", "interop", "browser", "river")
PROCESS_FILES = (
    "campaigns/test_river.py",
    "hems/test_fleet.py",
    "hems/test_network_cut.py",
    "hems/test_over_mqtt.py",
    "hems/test_process.py",
    "hems/test_real_hub.py",
    "hems/test_with_our_vtn.py",
    "kernel/test_cache_on_redis.py",
    "kernel/test_kill_nine.py",
    "vtn/test_alone.py",
    "vtn/test_listener.py",
    "vtn/test_mqtt.py",
    "vtn/test_proxy.py",
    "web/test_production.py",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The unit part alone does not even import what starts programs."""
    if not config.getoption("markexpr").startswith("unit"):
        return None
    return True if _starts_programs(collection_path.relative_to(Path(__file__).parent)) else None


def _starts_programs(place: Path) -> bool:
    return place.parts[:1] in {(folder,) for folder in PROCESS_FOLDERS} or place.as_posix() in PROCESS_FILES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts programs of its own, so that the unit part can be run alone."""
    here = Path(__file__).parent
    for item in items:
        if _starts_programs(item.path.relative_to(here)):
            item.add_marker(pytest.mark.process)
        elif item.get_closest_marker("django_db") is None and not DATABASES & set(item.fixturenames):  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.unit)


@receiver(connection_created)
def _tests_may_empty_the_ledger(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Tests that commit clean up by TRUNCATE, which append-only tables refuse to everybody else."""
    with connection.cursor() as cursor:
        cursor.execute("SET opendsr.allow_truncate = 'on'")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Test databases are copied from one that is migrated already."""
    connection.settings_dict["TEST"]["TEMPLATE"] = premade.ensure(os.environ["DATABASE_URL"])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Tests that empty every table leave what migrations put there."""
    with django_db_blocker.unblock():
        sown.keep()


@receiver(post_migrate)
def _sow_again(app_config: AppConfig, **_: object) -> None:
    """Emptying every table ends by this signal, for one app after the other."""
    if app_config.label == "settlement":
        sown.put_back()


@pytest.fixture(autouse=True)
def _world_clock_at_rest() -> Iterator[None]:
    """No test inherits or leaves an anchored world clock."""
    clock.reset()
    yield
    clock.reset()


@pytest.fixture
def coop(db: None) -> Installation:
    """The co-op whose installation this is; pages need it."""
    return make_coop()


@pytest.fixture
def alice(db: None) -> Resident:
    """A member at home."""
    return cast.alice()


@pytest.fixture
def bob(alice: Resident) -> Member:
    """Somebody of Alice's household."""
    return cast.bob(alice)


@pytest.fixture
def carol(db: None) -> Resident:
    """A member of another household."""
    return cast.carol()


@pytest.fixture
def sam(db: None) -> User:
    """Staff: a dispatcher."""
    return cast.sam()


@pytest.fixture
def val(alice: Resident) -> HubKit:
    """The VEN in Alice's home."""
    return cast.val(alice)
