"""The wire knows neither Django nor the house, so that a hub can carry it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
import oadr.codec
strangers = {name.partition(".")[0] for name in sys.modules} & {"django", "opendsr", "vtn", "openleadr"}
sys.exit(f"imports {strangers}" if strangers else 0)
"""


def test_the_wire_imports_nothing_of_the_house() -> None:
    root = Path(__file__).resolve().parents[2]

    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
