"""Django application of the pages that compose several rooms."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Member portal, staff console, API root and admin site."""

    name = "opendsr.web"
    label = "web"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("opendsr.web.tasks")
