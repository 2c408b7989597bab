"""Addresses of what the office looks after: figures, the licence's evidence, settings, writing to members."""

from __future__ import annotations

from django.urls import path

from opendsr.web import kpis_page

urlpatterns = [
    path("figures/", kpis_page.kpis, name="kpis"),
    path("figures/figures.csv", kpis_page.kpis_csv, name="kpis_csv"),
]
