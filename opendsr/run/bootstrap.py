"""What a management command finds around it on a newcomer's machine: secrets and a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from opendsr.run import cluster, localsecrets
from opendsr.run.errors import RunError
from opendsr.run.places import var_folder


@contextmanager
def local_environment() -> Iterator[None]:
    """Load the local secrets and keep the private PostgreSQL up for the block; production brings both itself.

    Exits with a message that says what to do when that cannot be.
    """
    with ExitStack() as stack:
        if os.environ.get("OPENDSR_ENV") != "production":
            try:
                localsecrets.load(var_folder())
                if not (os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")):
                    os.environ["DATABASE_URL"] = stack.enter_context(cluster.running())
                    stack.callback(os.environ.pop, "DATABASE_URL", None)
            except RunError as error:
                raise SystemExit(f"OpenDSR cannot start.\n{error}") from error
            except OSError as error:
                raise SystemExit(
                    f"OpenDSR cannot start: {error}. It keeps its files in {var_folder()}: make that folder"
                    " yours, free some disk space, or set OPENDSR_VAR to another."
                ) from error
        yield
