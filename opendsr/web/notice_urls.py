"""Addresses of notices: a member's choices, links in letters, the log, and the providers' webhooks."""

from __future__ import annotations

from django.urls import path

from opendsr.web import circulars_page, notice_hooks, notice_link, notice_log, notice_pages

urlpatterns = [
    path("notices/", notice_pages.my_notices, name="my_notices"),
    path("notices/number/", notice_pages.my_number, name="my_number"),
    path("n/<str:token>/", notice_link.notice_link, name="notice_link"),
    path("notices/write/", circulars_page.circular_list, name="circular_list"),
    path("notices/write/<uuid:circular_id>/", circulars_page.circular, name="circular"),
    path(
        "notices/write/<uuid:circular_id>/<slug:verb>/",
        circulars_page.circular_action,
        name="circular_action",
    ),
    path("notices/log/", notice_log.notice_log, name="notice_log"),
    path("notices/<uuid:notice_id>/resend/", notice_log.resend_notice, name="resend_notice"),
    path("hooks/sms/", notice_hooks.sms_in, name="sms_in"),
    path("hooks/receipts/", notice_hooks.receipts_in, name="receipts_in"),
]
