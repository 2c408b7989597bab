"""The VTN could be lifted out: it loads with the kernel and the wire, and nothing else of the house."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import importlib, pkgutil, sys
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["opendsr.kernel", "vtn", "django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    VTN_ID="COOP-VTN", VTN_PKI_DIR="/nonexistent", VTN_POLL_SECONDS=10, VTN_HOST="localhost", VTN_PORT=1,
    VTN_MQTT_URL="",
)
import django
django.setup()
import vtn
for module in pkgutil.walk_packages(vtn.__path__, "vtn."):
    if module.name != "vtn.admin":
        importlib.import_module(module.name)
rooms = {"members", "assets", "metering", "campaigns", "settlement", "hems"}
upper = {"opendsr.web", "opendsr.demo", "opendsr.run", "opendsr.settings"}
found = {name for name in sys.modules if name.partition(".")[0] in rooms or name.startswith(tuple(upper))}
sys.exit(f"imports {sorted(found)}" if found else 0)
"""


def test_the_vtn_loads_without_the_other_rooms() -> None:
    root = Path(__file__).resolve().parents[2]
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=root, env=plain, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
