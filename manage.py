#!/usr/bin/env python3
"""Django's command line for OpenDSR; starts the private PostgreSQL cluster when no DATABASE_URL is given."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

WITHOUT_A_DATABASE = {"help", "version", "--help", "-h", "--version", "makemessages", "compilemessages"}


def main() -> None:
    """Run one management command with a database at hand and local secrets loaded."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opendsr.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from opendsr.run.bootstrap import local_environment
    from opendsr.run.supervisor import Stopped

    try:
        with ExitStack() as stack:
            if len(sys.argv) > 1 and sys.argv[1] not in WITHOUT_A_DATABASE:
                stack.enter_context(local_environment())
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        raise SystemExit(f"OpenDSR cannot start.\n{error}") from error
    except (KeyboardInterrupt, Stopped):
        raise SystemExit("\nStopped.") from None


if __name__ == "__main__":
    main()
