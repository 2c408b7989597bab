"""Django application of the assets room."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class AssetsConfig(AppConfig):
    """Registers the room and its outbox consumers."""

    name = "assets"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("assets.tasks")
