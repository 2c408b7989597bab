"""Addresses of the management API; a project mounts them where it likes, such as `/api/vtn/v1/`."""

from __future__ import annotations

from django.urls import path

from vtn import (
    api_calendar,
    api_contexts,
    api_events,
    api_groups,
    api_queue,
    api_reports,
    api_series,
    api_site,
    api_vens,
)

app_name = "vtn_api"
VEN = "vens/<str:ven_id>"
urlpatterns = [
    path("vens/", api_vens.VenList.as_view(), name="vens"),
    path("enrolment-codes/", api_vens.CodeList.as_view(), name="enrolment_codes"),
    path("enrolment-codes/<str:subject>/", api_vens.CodeVoid.as_view(), name="enrolment_code"),
    path(f"{VEN}/", api_vens.VenDetail.as_view(), name="ven"),
    path(
        f"{VEN}/request-reregistration/",
        api_vens.VenReregister.as_view(),
        name="ven_reregister",
    ),
    path(f"{VEN}/cancel-registration/", api_vens.VenCancelRegistration.as_view(), name="ven_cancel"),
    path(f"{VEN}/clean-registration/", api_vens.VenCleanRegistration.as_view(), name="ven_clean"),
    path(f"{VEN}/queue/", api_queue.VenQueue.as_view(), name="ven_queue"),
    path(
        f"{VEN}/queue/<int:queued_id>/withdraw/",
        api_queue.MessageWithdraw.as_view(),
        name="message_withdraw",
    ),
    path(f"{VEN}/queue/<int:queued_id>/retry/", api_queue.MessageRetry.as_view(), name="message_retry"),
    path(f"{VEN}/certificates/", api_vens.VenCertificates.as_view(), name="ven_certificates"),
    path(
        f"{VEN}/certificates/<str:fingerprint>/revoke/",
        api_vens.CertificateRevoke.as_view(),
        name="certificate_revoke",
    ),
    path(f"{VEN}/opts/", api_vens.VenOpts.as_view(), name="ven_opts"),
    path(f"{VEN}/opt-schedules/", api_vens.VenOptSchedules.as_view(), name="ven_opt_schedules"),
    path(f"{VEN}/resources/", api_vens.VenResources.as_view(), name="ven_resources"),
    path(f"{VEN}/messages/", api_vens.VenMessages.as_view(), name="ven_messages"),
    path(f"{VEN}/reports/", api_reports.OfferList.as_view(), name="ven_reports"),
    path(f"{VEN}/reports/ask-metadata/", api_reports.MetadataAsk.as_view(), name="ven_ask_metadata"),
    path(f"{VEN}/report-requests/", api_reports.RequestList.as_view(), name="ven_report_requests"),
    path(
        f"{VEN}/report-requests/<str:report_request_id>/cancel/",
        api_reports.RequestCancel.as_view(),
        name="report_cancel",
    ),
    path(f"{VEN}/report-data/", api_reports.DataList.as_view(), name="ven_report_data"),
    path(f"{VEN}/report-data.csv", api_reports.DataCsv.as_view(), name="ven_report_csv"),
    path("events/", api_events.EventList.as_view(), name="events"),
    path("events/calendar/", api_calendar.EventCalendar.as_view(), name="event_calendar"),
    path("events/preview/", api_events.EventPreview.as_view(), name="event_preview"),
    path("events/<str:event_id>/", api_events.EventDetail.as_view(), name="event"),
    path("events/<str:event_id>/cancel/", api_events.EventCancel.as_view(), name="event_cancel"),
    path("events/<str:event_id>/responses/", api_events.EventResponses.as_view(), name="event_responses"),
    path("drafts/", api_events.DraftList.as_view(), name="drafts"),
    path("drafts/<uuid:draft_id>/", api_events.DraftDetail.as_view(), name="draft"),
    path("drafts/<uuid:draft_id>/publish/", api_events.DraftPublish.as_view(), name="draft_publish"),
    path("series/", api_series.SeriesList.as_view(), name="series_list"),
    path("series/<uuid:series_id>/", api_series.SeriesDetail.as_view(), name="series"),
    path("series/<uuid:series_id>/end/", api_series.SeriesEnd.as_view(), name="series_end"),
    path("series/<uuid:series_id>/times/<str:day>/skip/", api_series.TimeSkip.as_view(), name="series_skip"),
    path("groups/", api_groups.GroupList.as_view(), name="groups"),
    path("groups/<slug:name>/", api_groups.GroupDetail.as_view(), name="group"),
    path("market-contexts/", api_contexts.ContextList.as_view(), name="market_contexts"),
    path("market-contexts/<int:context_id>/", api_contexts.ContextDetail.as_view(), name="market_context"),
    path("certificates/", api_vens.CertificateList.as_view(), name="certificates"),
    path("messages/", api_vens.MessageList.as_view(), name="messages"),
    path("configuration/", api_site.Configuration.as_view(), name="configuration"),
    path("schema/", api_site.Schema.as_view(), name="schema"),
    path("docs/", api_site.docs, name="docs"),
]
