"""Settings of the OpenDSR site: everything that differs between machines comes from the environment.

A missing or malformed variable stops the start with its name and the fix (`opendsr.kernel.env`). Local
runs get their secrets and their PostgreSQL from `opendsr.run`; production gets both from the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import SELF
from django.core.exceptions import ImproperlyConfigured

from opendsr.kernel import broker
from opendsr.kernel.env import REQUIRED, env_bool, env_int, env_list, env_secret, env_str
from opendsr.kernel.schemas import SEARCH_PATH

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env_str("OPENDSR_VAR", default=str(BASE_DIR / "var")))
ENVIRONMENT = env_str("OPENDSR_ENV", default="local")
if ENVIRONMENT not in {"local", "test", "production"}:
    raise ImproperlyConfigured(f"OPENDSR_ENV is {ENVIRONMENT!r}; set it to local, test or production")
IS_PRODUCTION = ENVIRONMENT == "production"

DEBUG = env_bool("DEBUG", default=False)
if DEBUG and IS_PRODUCTION:
    raise ImproperlyConfigured("DEBUG is on with OPENDSR_ENV=production; unset one of them")
SECRET_KEY = env_secret("SECRET_KEY")
LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", default=REQUIRED if IS_PRODUCTION else LOCAL_HOSTS)
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "opendsr.kernel",
    "vtn",
    "members",
    "notices",
    "assets",
    "metering",
    "campaigns",
    "settlement",
    "opendsr.web",
    "opendsr.demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django_htmx",
    "rest_framework",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "opendsr.web.middleware.NoSuchApiMiddleware",
    "opendsr.web.middleware.NoNulMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "opendsr.web.speaking.EnglishWhereUntranslated",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "opendsr.web.watching.WatchingMiddleware",
    "opendsr.web.second_factor.MustHaveSecondFactor",
    "opendsr.web.step_up.StepUpMiddleware",
    "opendsr.web.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "opendsr.urls"
WSGI_APPLICATION = "opendsr.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "opendsr.web.context.site",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

DATABASE_URL = env_secret("DATABASE_URL")
if not DATABASE_URL.startswith(("postgresql://", "postgres://")):
    raise ImproperlyConfigured("DATABASE_URL: write postgresql://user:password@host:5432/name")
DATABASE: dict[str, Any] = dict(dj_database_url.parse(DATABASE_URL))
DATABASES = {
    "default": {
        **DATABASE,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": env_int("CONN_MAX_AGE", default=0),
        "OPTIONS": {
            **DATABASE.get("OPTIONS", {}),
            "options": f"-c search_path={SEARCH_PATH} -c lock_timeout=10s -c jit=off",
        },
        "TEST": {"NAME": f"test_opendsr{env_str('TEST_DB_SUFFIX', default='')}"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": env_str("REDIS_URL")}
        if env_str("REDIS_URL", default="")
        else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}
    )
}

AUTH_USER_MODEL = "members.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if ENVIRONMENT == "test":
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # thousands of sign-ins in a minute
LOGIN_REDIRECT_URL = "home"
LOGIN_URL = "account_login"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # the co-op makes the accounts and keeps their addresses
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody is written to who has no account, or whose is closed
ACCOUNT_ADAPTER = "opendsr.web.accounts.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "opendsr.web.account_forms.LoginForm",
    "change_password": "opendsr.web.account_forms.ChangePasswordForm",
    "reset_password": "opendsr.web.account_forms.ResetPasswordForm",
    "reset_password_from_key": "opendsr.web.account_forms.ResetPasswordKeyForm",
}
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105
# allauth's own would copy addresses into a table which stays empty here: decisions/0062
MFA_ADAPTER = "opendsr.web.second_factor.SealingAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_PRODUCTION  # http://localhost counts as secure for browsers alone
MFA_ALLOW_UNVERIFIED_EMAIL = True  # see ACCOUNT_EMAIL_VERIFICATION
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off
STEP_UP_MINUTES = env_int("STEP_UP_MINUTES", default=15)  # how fresh the second factor is for what matters
STAFF_SECOND_FACTOR = env_bool("STAFF_SECOND_FACTOR", default=ENVIRONMENT != "test")
OCTOPUS_URL = env_str("OCTOPUS_URL", default="https://api.octopus.energy/v1/")
ALLAUTH_TRUSTED_PROXY_COUNT = env_int("TRUSTED_PROXY_COUNT", default=0)
EMAIL_BACKEND = env_str("EMAIL_BACKEND", default="django.core.mail.backends.console.EmailBackend")
EMAIL_HOST = env_str("EMAIL_HOST", default="localhost")
EMAIL_PORT = env_int("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env_str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env_secret("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", default=False)  # STARTTLS, on port 587
EMAIL_USE_SSL = env_bool("EMAIL_USE_SSL", default=False)  # TLS from the first byte, on port 465
EMAIL_TIMEOUT = env_int("EMAIL_TIMEOUT", default=10)
DEFAULT_FROM_EMAIL = env_str("DEFAULT_FROM_EMAIL", default="OpenDSR <noreply@localhost>")
SITE_URL = env_str("SITE_URL", default="http://localhost:8000")  # how members reach it: links in letters
SMS_PROVIDER = env_str("SMS_PROVIDER", default="console")  # console, file or http
SMS_FILE = env_str("SMS_FILE", default=str(VAR_DIR / "sms.jsonl"))
SMS_URL = env_str("SMS_URL", default="")
SMS_TOKEN = env_secret("SMS_TOKEN", default="")
SMS_SENDER = env_str("SMS_SENDER", default="OpenDSR")
NOTICE_HOOK_SECRET = env_secret("NOTICE_HOOK_SECRET", default="")  # what providers sign their calls with
NOTICES_A_DAY = env_int("NOTICES_A_DAY", default=6)  # to one member; safety is not counted

LANGUAGE_CODE = "en-gb"
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGES = [("en-gb", "English"), ("cy", "Cymraeg")]  # offered when the catalogue of members' pages is whole
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Europe/London"

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static" if IS_PRODUCTION else None  # elsewhere they are served where they lie
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "opendsr.web.finders.PlotlyFinder",
]
WHITENOISE_USE_FINDERS = not IS_PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

PLOTLY_STYLE_HASH = (
    "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"  # the one style element its bundle adds
)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "style-src": [SELF, PLOTLY_STYLE_HASH],
        "img-src": [SELF, "data:"],
        "frame-ancestors": ["'none'"],
        "base-uri": [SELF],
        "form-action": [SELF],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_SERIALIZER = "opendsr.kernel.sealed_sessions.SealedSerializer"
SESSION_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # seconds
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_PRODUCTION
if IS_PRODUCTION:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if IS_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_PRODUCTION
if env_bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 100,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "opendsr.web.api.problem_handler",
}

_celery = broker.celery_settings(VAR_DIR)
_celery["beat_schedule"]["follow-tariffs"] = {
    "task": "campaigns.tasks.follow_tariffs",
    "schedule": 600.0,
    "options": {"queue": "default", "expires": 500},
}
_celery["beat_schedule"]["plan-tonight"] = {
    "task": "campaigns.tasks.plan_tonight",
    "schedule": 600.0,
    "options": {"queue": "default", "expires": 500},
}
_celery["beat_schedule"]["follow-caps"] = {
    "task": "campaigns.tasks.follow_caps",
    "schedule": 60.0,
    "options": {"queue": "default", "expires": 50},
}
_celery["beat_schedule"]["contact-operator-vtns"] = {
    "task": "campaigns.tasks.contact_operator_vtns",
    "schedule": 5.0,
    "options": {"queue": "default", "expires": 4},
}
_celery["beat_schedule"]["work-out-habits"] = {
    "task": "campaigns.tasks.work_out_habits",
    "schedule": 900.0,
    "options": {"queue": "default", "expires": 800},
}
_celery["beat_schedule"]["forecast-flexibility"] = {
    "task": "campaigns.tasks.forecast_flexibility",
    "schedule": 900.0,
    "options": {"queue": "default", "expires": 800},
}
_celery["beat_schedule"]["note-changes"] = {
    "task": "campaigns.tasks.note_changes",
    "schedule": 60.0,
    "options": {"queue": "default", "expires": 50},
}
_celery["beat_schedule"]["settle-again"] = {
    "task": "settlement.tasks.settle_again",
    "schedule": 6 * 3600,
    "options": {"queue": "settlement", "expires": 3600},
}
_celery["beat_schedule"]["settle-what-is-ready"] = {
    "task": "settlement.tasks.settle_what_is_ready",
    "schedule": 300.0,
    "options": {"queue": "settlement", "expires": 240},
}
_celery["beat_schedule"]["tell-months"] = {
    "task": "settlement.tasks.tell_months",
    "schedule": 24 * 3600,
    "options": {"queue": "settlement", "expires": 3600},
}
_celery["beat_schedule"]["forget-statement-files"] = {
    "task": "settlement.tasks.forget_statement_files",
    "schedule": 24 * 3600,
    "options": {"queue": "settlement", "expires": 3600},
}
_celery["beat_schedule"]["run-placebo-studies"] = {
    "task": "settlement.tasks.run_placebo_studies",
    "schedule": 60.0,
    "options": {"queue": "settlement", "expires": 50},
}
_celery["beat_schedule"]["forget-exports"] = {
    "task": "members.tasks.forget_exports",
    "schedule": 24 * 3600,
    "options": {"queue": "default", "expires": 3600},
}
_celery["beat_schedule"]["send-notices"] = {
    "task": "notices.tasks.send_due",
    "schedule": 10.0,
    "options": {"queue": "default", "expires": 9},
}
_celery["beat_schedule"]["forget-notices"] = {
    "task": "notices.tasks.forget_notices",
    "schedule": 24 * 3600,
    "options": {"queue": "default", "expires": 3600},
}
_celery["beat_schedule"]["tell-by-the-calendar"] = {
    "task": "opendsr.web.tasks.tell_by_the_calendar",
    "schedule": 3_600.0,
    "options": {"queue": "default", "expires": 3_000},
}
_celery["beat_schedule"]["seal-audit"] = {
    "task": "opendsr.kernel.tasks.seal_audit",
    "schedule": 60.0,
    "options": {"queue": "default", "expires": 50},
}
_celery["beat_schedule"]["advance-rollouts"] = {
    "task": "assets.tasks.advance_rollouts",
    "schedule": 600.0,
    "options": {"queue": "default", "expires": 500},
}
_celery["beat_schedule"]["watch-hubs"] = {
    "task": "assets.tasks.watch_hubs",
    "schedule": 300.0,
    "options": {"queue": "default", "expires": 250},
}
_celery["beat_schedule"]["forget-enquiries"] = {
    "task": "members.tasks.forget_enquiries",
    "schedule": 24 * 3600,
    "options": {"queue": "default", "expires": 3600},
}
_celery["beat_schedule"]["refresh-shadows"] = {
    "task": "assets.tasks.refresh_shadows",
    "schedule": 3_600.0,
    "options": {"queue": "default", "expires": 3_000},
}
_celery["beat_schedule"]["sweep-vtn-queue"] = {
    "task": "vtn.tasks.sweep_queue",
    "schedule": 60.0,
    "options": {"queue": "default", "expires": 50},
}
_celery["beat_schedule"]["repace-vens"] = {
    "task": "vtn.tasks.repace_vens",
    "schedule": 60.0,
    "options": {"queue": "default", "expires": 50},
}
_celery["beat_schedule"]["prune-vtn-message-log"] = {
    "task": "vtn.tasks.prune_messages",
    "schedule": 3_600.0,
    "options": {"queue": "default", "expires": 3_000},
}
_celery["beat_schedule"]["close-half-hours"] = {
    "task": "metering.tasks.close_half_hours",
    "schedule": 60.0,
    "options": {"queue": "metering", "expires": 50},
}
_celery["beat_schedule"]["tend-certificates"] = {
    "task": "vtn.tasks.tend_certificates",
    "schedule": 900.0,
    "options": {"queue": "default", "expires": 600},
}
_celery["beat_schedule"]["run-waiting-imports"] = {
    "task": "metering.tasks.run_waiting_imports",
    "schedule": 60.0,
    "options": {"queue": "metering", "expires": 50},
}
_celery["beat_schedule"]["read-reports"] = {
    "task": "metering.tasks.read_reports",
    "schedule": 10.0,
    "options": {"queue": "metering", "expires": 9},
}
_celery["beat_schedule"]["convert-registers"] = {
    "task": "metering.tasks.convert_registers",
    "schedule": 60.0,
    "options": {"queue": "metering", "expires": 50},
}
_celery["beat_schedule"]["forget-registers"] = {
    "task": "metering.tasks.forget_registers",
    "schedule": 3600.0,
    "options": {"queue": "metering", "expires": 3000},
}
_celery["beat_schedule"]["tend-the-reading-store"] = {
    "task": "metering.tasks.tend_store",
    "schedule": 3_600.0,
    "options": {"queue": "metering", "expires": 3_000},
}
for _name, _value in _celery.items():
    globals()[f"CELERY_{_name.upper()}"] = _value

ERASURES_FILE = Path(env_str("OPENDSR_ERASURES_FILE", default=str(VAR_DIR / "erasures.jsonl")))

VTN_ID = env_str("VTN_ID", default="COOP-VTN")
VTN_PKI_DIR = Path(env_str("OPENDSR_PKI_DIR", default=str(VAR_DIR / "pki")))
UPDATE_KEY_FILE = Path(env_str("UPDATE_KEY_FILE", default=str(VTN_PKI_DIR / "update-key.pem")))
VTN_POLL_SECONDS = env_int("VTN_POLL_SECONDS", default=8)  # near an event: the last home within ten seconds
VTN_IDLE_POLL_SECONDS = env_int("VTN_IDLE_POLL_SECONDS", default=0)  # set: longer, while no event is near
VTN_HOST = env_str("VTN_HOST", default="localhost")
VTN_PORT = env_int("VTN_PORT", default=8443)
VTN_SHELL_TEMPLATE = "base.html"
VTN_PLOTLY = "plotly/plotly.min.js"
VTN_ROLES_OF = "members.policy.roles_of"
VTN_SEND_GUARD = "opendsr.web.vtn_house.refused_hubs"
VTN_MARKET_CONTEXTS = "opendsr.web.vtn_house.programmes_by_context"
VTN_OWNED_KEYS = ("campaign:",)
VTN_LOG_BODIES = env_bool("VTN_LOG_BODIES", default=False)
VTN_BODY_DAYS = env_int("VTN_BODY_DAYS", default=30)
VTN_LOG_DAYS = env_int("VTN_LOG_DAYS", default=90)
VTN_REPORT_DAYS = env_int("VTN_REPORT_DAYS", default=90)  # what hubs report; metering keeps its own
VTN_SERIES_DAYS = env_int("VTN_SERIES_DAYS", default=90)  # series of events by hand, after their last day
VTN_MQTT_URL = env_str("MQTT_URL", default="")  # set: mqtts://HOST:PORT of the broker's listener for this VTN
VTN_MQTT_PUBLIC_URL = env_str("MQTT_PUBLIC_URL", default="")  # what VENs are told, when it differs
VTN_PUSH_NETWORKS = env_list("VTN_PUSH_NETWORKS", default=[])  # called besides public addresses: 10.8.0.0/16
UFTP_NETWORKS = env_list("UFTP_NETWORKS", default=[])  # called besides public addresses, for DSOs' endpoints
OPERATOR_VTN_NETWORKS = env_list("OPERATOR_VTN_NETWORKS", default=[])  # the same, for network operators' VTNs
UFTP_CA = env_str("UFTP_CA", default="")  # a CA file trusted besides the public ones, for DSOs' endpoints
VTN_SOCKET = env_str("VTN_SOCKET", default="")  # set: a proxy ends TLS and comes in here
VTN_LEGACY_PORT = env_int("VTN_LEGACY_PORT", default=0)  # 0: no listener with the profile's CBC suites
VTN_CERTIFICATE_DAYS = env_int("VTN_CERTIFICATE_DAYS", default=365)
VTN_PKI_URL = env_str("VTN_PKI_URL", default="http://127.0.0.1:8000/pki" if not IS_PRODUCTION else "")
VTN_ENCRYPTED_KEYS = IS_PRODUCTION
VTN_REDEEMERS = ["vtn.enrolment_codes.redeem_code", "opendsr.web.hub_door.redeem"]
TRUSTED_PROXY_COUNT = ALLAUTH_TRUSTED_PROXY_COUNT

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env_str("LOG_LEVEL", default="INFO")},
}
