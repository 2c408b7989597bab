"""Addresses of joining: the public pages, and staff's pages of enquiries, rules, terms and visits."""

from __future__ import annotations

from django.urls import path

from opendsr.web import champions, enquiries, funnel, guided, join_pages, tenants, terms_page, visits

urlpatterns = [
    path("join/", join_pages.join, name="join"),
    path("join/home/", join_pages.join_home, name="join_home"),
    path("join/things/", join_pages.join_things, name="join_things"),
    path("join/check/", join_pages.join_check, name="join_check"),
    path("join/standing/", join_pages.join_standing, name="join_standing"),
    path("join/agree/", join_pages.join_agree, name="join_agree"),
    path("join/withdraw/", join_pages.join_withdraw, name="join_withdraw"),
    path("join/letter/", join_pages.join_letter, name="join_letter"),
    path("join/with/<str:token>/", join_pages.join_by, name="join_by"),
    path("join/go-on/<str:token>/", join_pages.join_continue, name="join_continue"),
    path("join/household/<str:token>/", join_pages.join_household, name="join_household"),
    path("terms/", terms_page.my_terms, name="my_terms"),
    path("funnel/", funnel.funnel, name="funnel"),
    path("funnel/funnel.csv", funnel.funnel_csv, name="funnel_csv"),
    path("funnel/rules/", enquiries.joining_rules, name="joining_rules"),
    path("funnel/terms/", enquiries.terms_texts, name="terms_texts"),
    path("funnel/<uuid:application_id>/", enquiries.enquiry_page, name="enquiry_page"),
    path("membership/", guided.member_find, name="member_find"),
    path("membership/<str:number>/", guided.household_page, name="household_page"),
    path("membership/<str:number>/<slug:step>/", guided.step_page, name="step_page"),
    path("partner/properties/", tenants.partner_properties, name="partner_properties"),
    path("partner/brand/", tenants.partner_brand, name="partner_brand"),
    path("partners/<uuid:partner_id>/properties/", tenants.partner_properties, name="partner_properties_of"),
    path("partners/<uuid:partner_id>/brand/", tenants.partner_brand, name="partner_brand_of"),
    path("partners/<uuid:partner_id>/tenancy/", tenants.tenancy_change, name="tenancy_change"),
    path("brand/<uuid:partner_id>.css", tenants.brand_css, name="brand_css"),
    path("brand/<uuid:partner_id>.png", tenants.brand_logo, name="brand_logo"),
    path("funnel/champions/", champions.champion_list, name="champion_list"),
    path("funnel/surveys/", champions.survey_results, name="survey_results"),
    path("survey/<slug:occasion>/", champions.survey, name="survey"),
    path("visits/", visits.visit_list, name="visit_list"),
    path("visits/limits/", visits.survey_limits, name="survey_limits"),
    path("visits/new/<uuid:home_id>/", visits.visit_new, name="visit_new"),
    path("visits/<uuid:job_id>/", visits.visit_page, name="visit_page"),
    path("visits/<uuid:job_id>/jobsheet/", visits.jobsheet, name="jobsheet"),
    path("visits/<uuid:job_id>/photos/<uuid:photo_id>/", visits.visit_photo, name="visit_photo"),
    path("visits/<uuid:job_id>/<slug:verb>/", visits.visit_action, name="visit_action"),
]
