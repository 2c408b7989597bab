"""Real input files beside a checkout, never in it: `../shared/`; without them tests skip."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """The path of a sample; skips the test when it is not there."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no sample {name} in {DATA.parent.name}/data beside the checkout")
    return path


def shared_sample(path: str) -> Path:
    """The path of any sample by its place below `shared`; skips the test when it is not there."""
    sample = DATA.parent / path
    if not sample.is_file():
        pytest.skip(f"no sample {path} in {DATA.parent.name} beside the checkout")
    return sample
