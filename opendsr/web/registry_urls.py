"""Addresses of the registry of hubs and their updates."""

from __future__ import annotations

from django.urls import path

from opendsr.web import registry

urlpatterns = [
    path("hubs/", registry.hub_list, name="hub_list"),
    path("hubs/<uuid:hub_id>/", registry.hub_page, name="hub_page"),
    path("hubs/<uuid:hub_id>/<slug:verb>/", registry.hub_action, name="hub_action"),
    path("updates/", registry.update_list, name="update_list"),
    path("updates/<uuid:release_id>/<slug:verb>/", registry.update_action, name="update_action"),
]
