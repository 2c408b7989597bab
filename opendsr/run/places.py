"""Where a clone keeps what it makes, and how a run speaks to the person at the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def var_folder() -> Path:
    """Return the folder of everything a local run keeps: `OPENDSR_VAR`, else `var/` in the clone."""
    return Path(os.environ.get("OPENDSR_VAR") or REPOSITORY / "var").absolute()


def say(line: str) -> None:
    """Tell the person at the terminal, away from the command's own output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
