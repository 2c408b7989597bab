"""Addresses of the door, mounted at `/api/servicing/v1/`; those of another adapter lie under its name."""

from __future__ import annotations

from django.urls import include, path

from campaigns.market import api as market
from campaigns.servicing import api

app_name = "servicing"
signed = [
    path("signals/", api.Signals.as_view(), name="signals"),
    path("signals/<uuid:signal_id>/", api.Signal.as_view(), name="signal"),
    path("availability/", api.Availability.as_view(), name="availability"),
    path("metering/", api.Metering.as_view(), name="metering"),
]
traded = [
    path("messages/", market.Messages.as_view(), name="messages"),
    path("requests/<path:reference>/", market.Request.as_view(), name="request"),
    path("availability/", market.Availability.as_view(), name="declared"),
]
urlpatterns = [
    path("market/", include((traded, "market"))),
    path("market/by/<slug:adapter>/", include((traded, "market_adapter"))),
    *signed,
    path("schema/", api.schema, name="schema"),
    path("by/<slug:adapter>/", include((signed, "adapter"))),
]
