"""The kernel as a Django app: its tables live in the `operations` schema."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Final

from django.apps import AppConfig

COLLECT_AFTER: Final = (20_000, 20, 20)
"""When Python looks for garbage cycles: after so many new objects, not the 700 it begins with. A statement
that reads ten thousand homes spent half its time in the collector, which found nothing."""


class KernelConfig(AppConfig):
    """Brings the Celery application and the kernel's checks with it."""

    name = "opendsr.kernel"
    label = "kernel"
    verbose_name = "Kernel"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the Celery application before any room's tasks; what is loaded by now is never garbage."""
        import_module("opendsr.celery")
        import_module("opendsr.kernel.checks")
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
