"""Loaded before Django's settings: test secrets, and a private PostgreSQL unless one is given."""

from __future__ import annotations

import base64
import os

from opendsr.run import cluster
from opendsr.run.errors import RunError
from opendsr.run.places import REPOSITORY

os.environ["OPENDSR_ENV"] = "test"
os.environ.setdefault("SECRET_KEY", "tests-only")
os.environ.setdefault("OPENDSR_CA_PASSPHRASE", "tests-only")
os.environ.setdefault("OPENDSR_KEK", base64.b64encode(bytes(range(32))).decode())
os.environ.setdefault("OPENDSR_INDEX_KEY", base64.b64encode(bytes(range(32, 64))).decode())
os.environ.setdefault("OPENDSR_VAR", str(REPOSITORY / "var" / "test"))

try:
    os.environ["DATABASE_URL"] = cluster.ensure_database_url(fsync=False)
except RunError as error:
    raise SystemExit(f"The tests need a PostgreSQL.\n{error}") from error
