"""Addresses of the pages about baselines."""

from __future__ import annotations

from django.urls import path

from opendsr.web import baseline_pages, placebo_pages, window_page

urlpatterns = [
    path("baselines/", baseline_pages.rule_list, name="baseline_rules"),
    path(
        "campaigns/<uuid:campaign_id>/homes/<uuid:occupancy_id>/baseline/",
        baseline_pages.explained,
        name="baseline_explained",
    ),
    path("baselines/windows/<uuid:campaign_id>/", window_page.windows, name="unusual_windows"),
    path("baselines/placebo/", placebo_pages.study_list, name="placebo_studies"),
    path("baselines/placebo/<uuid:study_id>/", placebo_pages.study, name="placebo_study"),
    path("baselines/placebo/<uuid:study_id>/live/", placebo_pages.study_live, name="placebo_study_live"),
    path("baselines/placebo/<uuid:study_id>.csv", placebo_pages.study_csv, name="placebo_study_csv"),
]
