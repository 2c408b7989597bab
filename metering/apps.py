"""Django application of the metering room."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class MeteringConfig(AppConfig):
    """Registers the room and its outbox consumers."""

    name = "metering"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("metering.tasks")
