"""Django application of the demo co-op: no models, one command."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Gives `manage.py demo` its place."""

    name = "opendsr.demo"
    label = "demo"
