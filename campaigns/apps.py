"""Django application of the campaigns room."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    """Registers the room and its outbox consumers."""

    name = "campaigns"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("campaigns.tasks")
