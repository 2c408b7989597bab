"""The edge of the commands: what can be foreseen ends as a sentence that says what to do, not as a trace."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.core.management.base import CommandError
from django.db import OperationalError

from opendsr.kernel.errors import DomainError
from opendsr.run.errors import RunError
from opendsr.run.places import var_folder
from opendsr.run.supervisor import Stopped

FULL_BYTES = 20_000_000  # PostgreSQL needs 16 MB in one piece


@contextmanager
def in_plain_words(*, stopped: str) -> Iterator[None]:
    """Turn what the block may raise into a CommandError; `stopped` is what Ctrl-C is answered with."""
    try:
        yield
    except DomainError as error:
        raise CommandError(_disk_words() or refusal(error)) from error
    except RunError as error:
        raise CommandError(_disk_words() or str(error)) from error
    except (OperationalError, psycopg.OperationalError) as error:
        raise CommandError(_disk_words(error) or _database_words(error)) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CommandError(_disk_words(error)) from error
    except (KeyboardInterrupt, Stopped):
        raise CommandError(stopped) from None


def require_room() -> None:
    """Raise OSError when the disk is as good as full, before each program finds out in its own way."""
    var = var_folder()
    if shutil.disk_usage(var).free < FULL_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(var))


def refusal(error: DomainError) -> str:
    """Say a domain error as a sentence, and its `fix`, where it carries one, as another."""
    data = {name.replace("_", " "): value for name, value in error.data.items() if name != "fix"}
    told = ", ".join(str(value) if len(data) == 1 else f"{name} {value}" for name, value in data.items())
    words = error.code.replace("_", " ").capitalize()
    fix = str(error.data.get("fix", ""))
    return f"{words}{': ' if told else ''}{told}." + (f" {fix[0].upper()}{fix[1:]}." if fix else "")


def _disk_words(error: Exception | None = None) -> str:
    """What to say when the disk is full; nothing when it is not."""
    var = var_folder()
    cause = (error.__cause__ or error) if error else None
    is_full = isinstance(cause, OSError | psycopg.errors.DiskFull)
    if not is_full and var.exists() and shutil.disk_usage(var).free >= FULL_BYTES:
        return ""
    place = getattr(cause, "filename", None) or var
    return (
        f"The disk of {place} is full: free some space, or set OPENDSR_VAR to a folder on another disk."
        " Then try again."
    )


def _database_words(error: Exception) -> str:
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"The database stopped answering: {first}. Its own words, where it is the private one, are in"
        f" {var_folder()}/postgres-*/server.log. Then try again."
    )
