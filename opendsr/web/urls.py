"""Pages of the portal and the console."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
