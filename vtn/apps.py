"""The VTN as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class VtnConfig(AppConfig):
    name = "vtn"
    label = "vtn"
    verbose_name = "OpenADR VTN"
    default_auto_field = "django.db.models.BigAutoField"
