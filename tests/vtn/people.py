"""People who look at the VTN's pages, by role; made without any other room."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

BACKEND = "django.contrib.auth.backends.ModelBackend"


def make_user(*roles: str, name: str = "") -> Any:
    """An account that holds the roles."""
    model = get_user_model()
    login = f"{name or '-'.join(roles) or 'nobody'}@example.org"
    user = model._default_manager.create_user(  # type: ignore[attr-defined]
        **{model.USERNAME_FIELD: login, "password": None}
    )
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    return user


def browser(*roles: str) -> Client:
    """A browser signed in as somebody with the roles."""
    client = Client()
    client.force_login(make_user(*roles), backend=BACKEND)
    return client
