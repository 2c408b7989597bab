"""The settings as mypy's Django plugin reads them: complete, with a database that nobody opens."""

from __future__ import annotations

import base64
import os

os.environ.setdefault("OPENDSR_ENV", "test")
os.environ.setdefault("SECRET_KEY", "types-only")
os.environ.setdefault("OPENDSR_KEK", base64.b64encode(bytes(32)).decode())
os.environ.setdefault("OPENDSR_INDEX_KEY", base64.b64encode(bytes(32)).decode())
os.environ.setdefault("DATABASE_URL", "postgresql:///types-only")

from opendsr.settings import *  # noqa: F403
