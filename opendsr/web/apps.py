"""Django application of the pages that compose several rooms."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Member portal, staff console, API root and admin site."""

    name = "opendsr.web"
    label = "web"
