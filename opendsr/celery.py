"""The Celery application (`celery -A opendsr.celery worker`); its settings are Django's CELERY_*.

Loaded by the kernel's AppConfig, so that every process of the site sends to the same broker.
"""

from __future__ import annotations

import os

from celery import Celery

# Registers the folder:// transport.
from opendsr.kernel import folder_broker as folder_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")

app = Celery("opendsr")
# Request threads have no application of their own: without a default they would send to localhost's RabbitMQ.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
