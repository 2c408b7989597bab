"""WSGI entry point of the people's site."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
application = get_wsgi_application()

from opendsr.web.warming import warm  # noqa: E402

warm()
