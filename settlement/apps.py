"""Django application of the settlement room."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class SettlementConfig(AppConfig):
    """Registers the room and its outbox consumers."""

    name = "settlement"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("settlement.tasks")
