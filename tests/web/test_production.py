"""Production settings: what Django's own deployment checks say, and that every file a page names exists."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opendsr.run.places import REPOSITORY


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """What an administrator has to give, and nothing else of ours."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "DATABASE_URL")
    }
    return kept | {
        "OPENDSR_ENV": "production",
        "OPENDSR_VAR": str(tmp_path),
        "SECRET_KEY": base64.b64encode(os.urandom(48)).decode(),
        "OPENDSR_KEK": base64.b64encode(os.urandom(32)).decode(),
        "OPENDSR_INDEX_KEY": base64.b64encode(os.urandom(32)).decode(),
        "ALLOWED_HOSTS": "coop.example",
        "CSRF_TRUSTED_ORIGINS": "https://coop.example",
    }


def manage(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a management command in a process of its own."""
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)


def test_the_deployment_checks_find_nothing(production: dict[str, str]) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", env=production)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "OPENDSR_KEK", "OPENDSR_INDEX_KEY"])
def test_a_missing_variable_is_named(name: str, production: dict[str, str]) -> None:
    del production[name]

    done = manage("check", "--deploy", env=production)

    assert done.returncode != 0
    assert name in done.stderr


def test_debug_is_refused(production: dict[str, str]) -> None:
    done = manage("check", env={**production, "DEBUG": "1"})

    assert done.returncode != 0
    assert "DEBUG is on" in done.stderr


@pytest.mark.slow
def test_static_files_are_collected_hashed_and_compressed(production: dict[str, str], tmp_path: Path) -> None:
    done = manage("collectstatic", "--no-input", "-v", "0", env=production)

    assert done.returncode == 0, done.stderr
    names = json.loads((tmp_path / "static" / "staticfiles.json").read_text())["paths"]
    for name in ("css/opendsr.css", "js/charts.js", "plotly/plotly.min.js", "django_htmx/htmx-4.min.js"):
        assert (tmp_path / "static" / names[name]).exists()
        assert (tmp_path / "static" / f"{names[name]}.gz").exists()
    assert not any("widgetbundle" in name for name in names)
    plotly = tmp_path / "static" / f"{names['plotly/plotly.min.js']}.gz"
    assert plotly.stat().st_size < 1_800_000
