"""The kernel as a Django app: its tables live in the `operations` schema."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class KernelConfig(AppConfig):
    """Brings the Celery application and the kernel's checks with it."""

    name = "opendsr.kernel"
    label = "kernel"
    verbose_name = "Kernel"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the Celery application before any room's tasks."""
        import_module("opendsr.celery")
        import_module("opendsr.kernel.checks")
