"""The address of UFTP, as the specification's convention has it: /shapeshifter/api/v3/message."""

from __future__ import annotations

from django.urls import path

from campaigns.uftp import api

app_name = "uftp"

urlpatterns = [path("message", api.message, name="message")]
