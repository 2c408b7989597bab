"""What a process does before its first request: a network operator's signal may be that one.

The addresses and all behind them are imported, Celery's parts too, the OpenADR schema is read, and a start is
gone through for nobody: more than a second that the first request would take besides.
"""

from __future__ import annotations

import logging

from celery import current_app
from django.db import DatabaseError, connections
from django.urls import get_resolver

from campaigns.servicing import warming
from opendsr.kernel import clock
from vtn import notices
from vtn.content import content_of

logger = logging.getLogger(__name__)


def warm() -> None:
    """Do it, and leave no connection; without a database it goes without."""
    get_resolver().url_patterns  # noqa: B018
    current_app.amqp.queues, current_app.backend  # noqa: B018
    try:
        notices.require_sound([content_of(warming.rehearse(at=clock.now()))])
    except DatabaseError as error:
        logger.warning("web: not warmed up, the database does not answer: %s", error)
    finally:
        connections.close_all()
