"""Addresses of the registry: homes, places, the catalogue, changes of many, hubs and their updates."""

from __future__ import annotations

from django.urls import path

from opendsr.web import catalogue_pages, change_pages, home_page, home_registry, place_page, registry

urlpatterns = [
    path("registry/", home_registry.home_list, name="home_list"),
    path("registry/export.<slug:form>", home_registry.home_export, name="home_export"),
    path("registry/map/", place_page.place_map, name="place_map"),
    path("registry/homes/<uuid:home_id>/", home_page.home_page, name="home_page"),
    path("registry/homes/<uuid:home_id>/<slug:verb>/", home_page.home_action, name="home_action"),
    path("registry/catalogue/", catalogue_pages.product_list, name="product_list"),
    path("registry/catalogue/new/", catalogue_pages.product_new, name="product_new"),
    path("registry/catalogue/<uuid:product_id>/", catalogue_pages.product_page, name="product_page"),
    path("registry/changes/", change_pages.change_list, name="change_list"),
    path("registry/changes/new/", change_pages.change_new, name="change_new"),
    path("registry/changes/<uuid:change_id>/", change_pages.change_page, name="change_page"),
    path("registry/changes/<uuid:change_id>/refused.csv", change_pages.change_refused, name="change_refused"),
    path("registry/changes/<uuid:change_id>/<slug:verb>/", change_pages.change_action, name="change_action"),
    path("hubs/", registry.hub_list, name="hub_list"),
    path("hubs/<uuid:hub_id>/", registry.hub_page, name="hub_page"),
    path("hubs/<uuid:hub_id>/<slug:verb>/", registry.hub_action, name="hub_action"),
    path("updates/", registry.update_list, name="update_list"),
    path("updates/<uuid:release_id>/<slug:verb>/", registry.update_action, name="update_action"),
]
