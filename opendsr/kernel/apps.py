"""The kernel as a Django app: its tables live in the `operations` schema."""

from __future__ import annotations

from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "opendsr.kernel"
    label = "kernel"
    verbose_name = "Kernel"
    default_auto_field = "django.db.models.BigAutoField"
