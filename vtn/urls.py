"""Addresses of the staff pages; a project mounts them where it likes, such as `/vtn/`."""

from __future__ import annotations

from django.urls import path

from vtn import (
    console,
    console_calendar,
    console_contexts,
    console_events,
    console_groups,
    console_messages,
    console_prompts,
    console_reports,
    console_series,
    console_tokens,
)

app_name = "vtn"
urlpatterns = [
    path("", console.ven_list, name="ven_list"),
    path("enrol/", console.ven_enrol, name="ven_enrol"),
    path("code/", console.ven_code, name="ven_code"),
    path("vens/<str:ven_id>/", console.ven_detail, name="ven_detail"),
    path("vens/<str:ven_id>/certificate/", console.ven_reissue, name="ven_reissue"),
    path("vens/<str:ven_id>/do/<slug:verb>/", console.ven_action, name="ven_action"),
    path("vens/<str:ven_id>/reports/", console_reports.ven_reports, name="ven_reports"),
    path("vens/<str:ven_id>/reports.csv", console_reports.ven_reports_csv, name="ven_reports_csv"),
    path("vens/<str:ven_id>/reports/ask/", console_reports.report_ask, name="report_ask"),
    path("vens/<str:ven_id>/reports/metadata/", console_reports.report_metadata, name="report_metadata"),
    path(
        "vens/<str:ven_id>/reports/<str:report_request_id>/cancel/",
        console_reports.report_cancel,
        name="report_cancel",
    ),
    path("events/", console_events.event_list, name="event_list"),
    path("events/calendar/", console_calendar.calendar, name="event_calendar"),
    path("events/new/", console_events.event_compose, name="event_compose"),
    path("events/<str:event_id>/", console_events.event_detail, name="event_detail"),
    path("events/<str:event_id>/change/", console_events.event_change, name="event_change"),
    path("events/<str:event_id>/cancel/", console_events.event_cancel, name="event_cancel"),
    path("series/", console_series.series_list, name="series_list"),
    path("series/<uuid:series_id>/", console_series.series_detail, name="series_detail"),
    path("series/<uuid:series_id>/end/", console_series.series_end, name="series_end"),
    path("series/<uuid:series_id>/times/<str:day>/skip/", console_series.series_skip, name="series_skip"),
    path("drafts/<uuid:draft_id>/delete/", console_events.draft_delete, name="draft_delete"),
    path("groups/", console_groups.group_list, name="group_list"),
    path("groups/<slug:group>/", console_groups.group_detail, name="group_detail"),
    path("groups/<slug:group>/dissolve/", console_groups.group_dissolve, name="group_dissolve"),
    path("market-contexts/", console_contexts.context_list, name="context_list"),
    path("market-contexts/<int:context_id>/", console_contexts.context_detail, name="context_detail"),
    path("market-contexts/<int:context_id>/forget/", console_contexts.context_forget, name="context_forget"),
    path("messages/", console_messages.message_list, name="message_list"),
    path("messages/<int:message_id>/", console_messages.message_detail, name="message_detail"),
    path("prompts/", console_prompts.prompt_list, name="prompt_list"),
    path("prompts/<slug:name>/press/", console_prompts.prompt_press, name="prompt_press"),
    path("prompts/runs/<uuid:run_id>/", console_prompts.prompt_run, name="prompt_run"),
    path("tokens/", console_tokens.token_list, name="token_list"),
    path("tokens/<int:token_id>/revoke/", console_tokens.token_revoke, name="token_revoke"),
]
