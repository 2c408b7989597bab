"""URL root of the people's site."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from opendsr.web import accounts

admin.autodiscover()
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "OpenDSR records"
admin.site.index_title = "Records"

urlpatterns = [
    path("accounts/email/", accounts.address, name="account_email"),  # before allauth's page of that name
    path("accounts/", include("allauth.urls")),
    path("records/", admin.site.urls),
    path("", include("vtn.pki_urls")),
    path("vtn/", include("vtn.urls")),
    path("api/member/v1/", include("opendsr.web.member_urls")),
    path("api/vtn/v1/", include("vtn.api_urls")),
    path("api/servicing/v1/", include("campaigns.servicing.urls")),
    path("shapeshifter/api/v3/", include("campaigns.uftp.urls")),
    path("", include("opendsr.web.urls")),
]
