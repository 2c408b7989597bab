"""Start-up checks of what the kernel takes from the environment, run by `manage.py check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from opendsr.kernel import blind_index, clock, encryption, outbox


@register(Tags.security)
def check_environment(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """The key ring, the world clock and the lease must be readable before anything is served."""
    found: list[CheckMessage] = []
    for number, read in enumerate((encryption.key_ring, clock.now, outbox.lease, blind_index.key), start=1):
        try:
            read()
        except ImproperlyConfigured as error:
            found.append(Error(str(error), id=f"kernel.E{number:03d}"))
    return found
