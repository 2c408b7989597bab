"""What a management command finds around it on a newcomer's machine: secrets and a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from opendsr.run import cluster, database, localsecrets
from opendsr.run.errors import RunError
from opendsr.run.places import var_folder
from opendsr.run.supervisor import stopping_unwinds

OURS = "OPENDSR_PRIVATE_CLUSTER"  # set when DATABASE_URL is the private cluster's


@contextmanager
def local_environment() -> Iterator[None]:
    """Load the local secrets and keep the private PostgreSQL up for the block; production brings both itself.

    Exits with a message that says what to do when that cannot be.
    """
    with ExitStack() as stack:
        if os.environ.get("OPENDSR_ENV") != "production":
            stack.enter_context(stopping_unwinds())
            try:
                localsecrets.load(var_folder())
                if url := _database_of_the_caller():
                    database.require_usable(url)
                else:
                    os.environ["DATABASE_URL"] = stack.enter_context(cluster.running())
                    os.environ[OURS] = "yes"
                    for name in ("DATABASE_URL", OURS):
                        stack.callback(os.environ.pop, name, None)
            except RunError as error:
                raise SystemExit(f"OpenDSR cannot start.\n{error}") from error
            except OSError as error:
                raise SystemExit(
                    f"OpenDSR cannot start: {error}. It keeps its files in {var_folder()}: make that folder"
                    " yours, free some disk space, or set OPENDSR_VAR to another."
                ) from error
        yield


def _database_of_the_caller() -> str | None:
    url, file = os.environ.get("DATABASE_URL"), os.environ.get("DATABASE_URL_FILE")
    if url or not file:
        return url
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"DATABASE_URL_FILE={file} cannot be read: {error}.") from error
