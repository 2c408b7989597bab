"""Files that are whole or not there: a hub may lose its power at any moment."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644, is_durable: bool = True) -> None:
    """Replace the file in one step; on return (when durable) it outlives a power cut.

    `is_durable=False` skips the flush to disk, for displays that are written often.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    if is_durable:
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Have the folder's names outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
