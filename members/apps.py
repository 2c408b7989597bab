"""Django application of the members room."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class MembersConfig(AppConfig):
    """Registers the room and its outbox consumers."""

    name = "members"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("members.tasks")
