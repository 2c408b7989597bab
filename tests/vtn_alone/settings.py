"""Settings of a project that has the kernel, the wire and the VTN; `vtn/README.md` tells how to come by one.

`make test-vtn-alone` runs the VTN's own tests on them, the listener over mutual TLS included.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url

from opendsr.kernel import broker
from opendsr.kernel.env import env_int, env_list, env_secret, env_str
from opendsr.kernel.schemas import SEARCH_PATH

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = Path(env_str("OPENDSR_VAR", default=str(BASE_DIR / "var")))
SECRET_KEY = env_secret("SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "opendsr.kernel",
    "vtn",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "tests.vtn_alone.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
LOGIN_URL = "/accounts/login/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

_database: dict[str, Any] = dict(dj_database_url.parse(env_secret("DATABASE_URL")))
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "options": f"-c search_path={SEARCH_PATH} -c lock_timeout=10s -c jit=off",
        },
        "TEST": {"NAME": f"test_vtn_alone{env_str('TEST_DB_SUFFIX', default='')}"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/London"
LANGUAGE_CODE = "en-gb"
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}

for _name, _value in broker.celery_settings(VAR_DIR).items():
    globals()[f"CELERY_{_name.upper()}"] = _value

VTN_ID = env_str("VTN_ID", default="COOP-VTN")
VTN_PKI_DIR = Path(env_str("OPENDSR_PKI_DIR", default=str(VAR_DIR / "pki")))
VTN_POLL_SECONDS = env_int("VTN_POLL_SECONDS", default=10)
VTN_HOST = env_str("VTN_HOST", default="localhost")
VTN_PORT = env_int("VTN_PORT", default=8443)
VTN_BODY_DAYS = 30
VTN_LOG_DAYS = 90
VTN_SOCKET = env_str("VTN_SOCKET", default="")
VTN_PKI_URL = env_str("VTN_PKI_URL", default="http://127.0.0.1:8000/pki")
