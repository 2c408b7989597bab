"""The VTN as a Django app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class VtnConfig(AppConfig):
    name = "vtn"
    label = "vtn"
    verbose_name = "OpenADR VTN"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the consumers so that the outbox knows them."""
        import_module("vtn.tasks")
