"""Addresses of what the office looks after: figures, the licence's evidence, settings, writing to members."""

from __future__ import annotations

from django.urls import path

from opendsr.web import kpis_page, licence_page, settings_page, step_up

urlpatterns = [
    path("figures/", kpis_page.kpis, name="kpis"),
    path("figures/figures.csv", kpis_page.kpis_csv, name="kpis_csv"),
    path("settings/", settings_page.settings_list, name="settings_list"),
    path("settings/house.css", settings_page.house_css, name="house_css"),
    path("settings/logo/<slug:digest>.png", settings_page.house_logo, name="house_logo"),
    path("settings/<slug:key>/", settings_page.setting, name="setting"),
    path("go-on/", step_up.confirm, name="step_up"),
    path("load-control/", licence_page.licence_evidence, name="licence_evidence"),
    path("load-control/<slug:month>.zip", licence_page.licence_pack, name="licence_pack"),
]
