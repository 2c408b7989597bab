"""Loaded before Django's settings (`-p tests.plugin`): test secrets, and a private PostgreSQL unless one is given."""

from __future__ import annotations

import atexit
import base64
import os
from contextlib import ExitStack

from opendsr.run import cluster

os.environ["OPENDSR_ENV"] = "test"
os.environ.setdefault("SECRET_KEY", "tests-only")
os.environ.setdefault("OPENDSR_KEK", base64.b64encode(bytes(range(32))).decode())
os.environ.setdefault("OPENDSR_VAR", str(cluster.REPOSITORY / "var" / "test"))

if not os.environ.get("DATABASE_URL"):
    _stack = ExitStack()
    os.environ["DATABASE_URL"] = _stack.enter_context(cluster.running(fsync=False))
    atexit.register(_stack.close)
