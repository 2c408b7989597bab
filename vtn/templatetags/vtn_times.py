"""Times in the console, each with its zone."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.dateformat import format as written

register = template.Library()


@register.filter(expects_localtime=True)
def zoned(at: datetime | None, form: str) -> str:
    """An instant as in Django's `date`, then GMT or BST; nothing of none.

    `date` itself writes +0100 as the zone's name in the hour that comes twice, when it is looked for.
    """
    return f"{written(at, form)} {at:%Z}" if at else ""
