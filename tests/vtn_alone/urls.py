"""Where a project of its own mounts the VTN."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("vtn.pki_urls")),
    path("vtn/", include("vtn.urls")),
    path("api/vtn/v1/", include("vtn.api_urls")),
]
