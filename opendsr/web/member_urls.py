"""Addresses of the member API, mounted at `/api/member/v1/`."""

from __future__ import annotations

from django.urls import path

from opendsr.web import member_api

app_name = "member_api"
urlpatterns = [
    path("me/", member_api.Me.as_view(), name="me"),
    path("household/", member_api.HouseholdPeople.as_view(), name="household"),
    path("household/invitations/", member_api.HouseholdInvitation.as_view(), name="invite"),
    path("household/people/<str:number>/remove/", member_api.HousematesEnd.as_view(), name="remove_person"),
    path("events/", member_api.Events.as_view(), name="events"),
    path("events/<uuid:campaign_id>/<uuid:home_id>/answer/", member_api.EventAnswer.as_view(), name="answer"),
    path("statements/", member_api.Statements.as_view(), name="statements"),
    path("statements/<uuid:statement_id>/", member_api.StatementDocument.as_view(), name="statement"),
    path("readings/", member_api.Readings.as_view(), name="readings"),
    path("plans/", member_api.Plans.as_view(), name="plans"),
    path("consents/", member_api.Consents.as_view(), name="consents"),
    path("consents/<uuid:consent_id>/withdraw/", member_api.ConsentWithdrawal.as_view(), name="withdraw"),
    path("opt-outs/", member_api.OptOuts.as_view(), name="opt_outs"),
    path("opt-outs/<uuid:opt_out_id>/end/", member_api.OptOutEnd.as_view(), name="end_opt_out"),
    path("schema/", member_api.Schema.as_view(), name="schema"),
]
