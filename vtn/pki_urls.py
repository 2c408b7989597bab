"""The open doors' paths on the people's site."""

from __future__ import annotations

from django.urls import path, re_path

from vtn import doors

urlpatterns = [
    path(".well-known/est/simpleenroll", doors.simpleenroll, name="est_simpleenroll"),
    path(".well-known/est/cacerts", doors.cacerts, name="est_cacerts"),
    re_path(r"^pki/(?P<mark>[0-9a-f]{16})\.crl$", doors.revocation_list, name="revocation_list"),
]
