"""Django application of the notices room."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """Registers the room and its outbox consumers."""

    name = "notices"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("notices.tasks")
