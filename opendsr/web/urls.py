"""Pages of the portal and the console, the API root and the health checks."""

from __future__ import annotations

from django.urls import include, path, re_path

from opendsr.web import (
    api,
    console,
    earnings_page,
    emoncms,
    health,
    imports,
    landlords,
    message_rules,
    money,
    partner_page,
    partners,
    portal,
    preferences,
    readings,
    register,
)

api_urls = [
    path("campaigns/", api.CampaignList.as_view(), name="api_campaigns"),
    path("campaigns/<uuid:campaign_id>/report/", api.CampaignReport.as_view(), name="api_campaign_report"),
]

EMONCMS = r"^(?:emoncms/)?"
emoncms_urls = [
    re_path(EMONCMS + r"input/post(?:\.json)?/?$", emoncms.input_post, name="emoncms_post"),
    re_path(EMONCMS + r"input/post/(?P<node>[^/]{1,80})$", emoncms.input_post),
    re_path(EMONCMS + r"input/bulk(?:\.json)?/?$", emoncms.input_bulk, name="emoncms_bulk"),
    re_path(EMONCMS + r"input/get(?:\.json)?/?$", emoncms.input_get),
    re_path(EMONCMS + r"input/get/(?P<node>[^/]{1,80})$", emoncms.input_get),
    re_path(EMONCMS + r"input/get/(?P<node>[^/]{1,80})/(?P<name>[^/]{1,80})$", emoncms.input_get),
    re_path(EMONCMS + r"feed/list(?:\.json)?/?$", emoncms.feed_list, name="emoncms_feeds"),
    re_path(EMONCMS + r"feed/data(?:\.json)?/?$", emoncms.feed_data, name="emoncms_data"),
    re_path(EMONCMS + r"feed/(?P<csv>csvexport)(?:\.json)?/?$", emoncms.feed_data),
    re_path(EMONCMS + r"feed/(?P<kind>value|timevalue|fetch)(?:\.json)?/?$", emoncms.feed_value),
]

intake_urls = [
    path("imports/", imports.import_list, name="import_list"),
    path("imports/<uuid:job_id>/", imports.import_detail, name="import_detail"),
    path("imports/<uuid:job_id>/rejects.csv", imports.import_rejects, name="import_rejects"),
    path("message-rules/", message_rules.message_rules, name="message_rules"),
]

urlpatterns = [
    path("", include(emoncms_urls)),
    path("", portal.home, name="home"),
    path("events/<uuid:campaign_id>/<uuid:occupancy_id>/", portal.answer_event, name="answer_event"),
    path("earnings/", earnings_page.earnings, name="earnings"),
    path("earnings/gift/", earnings_page.choose_gift, name="choose_gift"),
    path("earnings/bank/", earnings_page.change_bank, name="change_bank"),
    path("settlement/", money.round_list, name="round_list"),
    path("settlement/<uuid:round_id>/", money.round_page, name="round_page"),
    path("settlement/<uuid:round_id>/statements.zip", money.round_statements, name="round_statements"),
    path("settlement/<uuid:round_id>/<slug:verb>/", money.round_action, name="round_action"),
    path("payments/", money.payment_list, name="payment_list"),
    path("payments/status/", money.payment_status, name="payment_status"),
    path("payments/<uuid:batch_id>/", money.payment_batch, name="payment_batch"),
    path("payments/<uuid:batch_id>/file", money.batch_file, name="batch_file"),
    path("payments/<uuid:batch_id>/<slug:verb>/", money.batch_action, name="batch_action"),
    path("disputes/", money.dispute_list, name="dispute_list"),
    path("disputes/<uuid:dispute_id>/<slug:verb>/", money.dispute_action, name="dispute_action"),
    path("share-policies/", money.policy_list, name="policy_list"),
    path("surplus/", money.surplus, name="surplus"),
    path("surplus/society/", money.surplus_society, name="surplus_society"),
    path("surplus/<uuid:proposal_id>/<slug:verb>/", money.surplus_action, name="surplus_action"),
    path("statements/<uuid:statement_id>/", portal.statement, name="statement"),
    path("statements/<uuid:statement_id>.csv", portal.statement_csv, name="statement_csv"),
    path("statements/<uuid:statement_id>.json", portal.statement_json, name="statement_json"),
    path("statements/<uuid:statement_id>.pdf", portal.statement_pdf, name="statement_pdf"),
    path("usage/", readings.usage, name="usage"),
    path("usage/resolution/<uuid:consent_id>/", readings.choose_resolution, name="choose_resolution"),
    path("usage/landlord/<uuid:occupancy_id>/", landlords.answer_landlord, name="answer_landlord"),
    path("usage/readings.csv", readings.usage_csv, name="usage_csv"),
    path("usage/readings.json", readings.usage_json, name="usage_json"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("preferences/<uuid:opt_out_id>/take-back/", preferences.take_back, name="take_back_opt_out"),
    path("preferences/consent/<uuid:consent_id>/withdraw/", preferences.withdraw, name="withdraw_consent"),
    path("partner/", partner_page.partner_home, name="partner_home"),
    path("partner/totals.csv", partner_page.partner_csv, name="partner_csv"),
    path("members/register/", register.register_import, name="register_import"),
    path("partners/", partners.partner_list, name="partner_list"),
    path("partners/<uuid:partner_id>/", partners.partner_detail, name="partner_detail"),
    path("metering/health/", readings.data_health, name="data_health"),
    path("metering/homes/<uuid:occupancy_id>/", readings.home_readings, name="home_readings"),
    path("campaigns/", console.campaign_list, name="campaign_list"),
    path("campaigns/new/", console.campaign_new, name="campaign_new"),
    path("campaigns/<uuid:campaign_id>/", console.campaign_detail, name="campaign_detail"),
    path("campaigns/<uuid:campaign_id>/live/", console.campaign_live, name="campaign_live"),
    path("campaigns/<uuid:campaign_id>/report/", console.event_report, name="event_report"),
    path("campaigns/<uuid:campaign_id>/<slug:verb>/", console.campaign_action, name="campaign_action"),
    path("", include(intake_urls)),
    path("", include("opendsr.web.baseline_urls")),
    path("", include("opendsr.web.registry_urls")),
    path("", include("opendsr.web.joining_urls")),
    path("api/v1/", include(api_urls)),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
