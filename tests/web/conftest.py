"""Fixtures of the page tests: one scene a file, rolled back to after every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from members.models import Role, User
from tests.factories import make_staff
from tests.web.scene import Scene, freeze, scene_of_the_file

Visit = Callable[[User | None], Client]


@pytest.fixture(scope="module")
def _module_scene(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    """The scene is set once a file."""
    yield from scene_of_the_file(django_db_blocker)


@pytest.fixture
def scene(_module_scene: Scene, db: None) -> Scene:
    """Alice, Bob and Carol at home, Sam and Fay at work; a settled, a dispatched and a planned campaign."""
    freeze()
    return _module_scene


@pytest.fixture
def visit() -> Visit:
    """A browser, signed in as somebody or as nobody."""

    def start(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return start


@pytest.fixture
def ada(scene: Scene) -> User:
    """Staff: an administrator."""
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


@pytest.fixture
def nobody(scene: Scene) -> User:
    """Somebody with an account, who is neither member nor staff."""
    return User.objects.create_user("nobody@example.org", "correct horse battery")


@pytest.fixture
def robot(scene: Scene) -> User:
    """An API application's account."""
    user = make_staff("robot@example.org", Role.API_APPLICATION)
    User.objects.filter(pk=user.pk).update(is_staff=False)
    user.refresh_from_db()
    return user
