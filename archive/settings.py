"""Settings. What an operator may choose comes from the environment (archive/environment.py); nonsense is refused."""

import mimetypes
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from archive import data_folder, databases, environment

BASE_DIR = Path(__file__).resolve().parent.parent
NODE_MODULES = BASE_DIR / "node_modules"

django_stubs_ext.monkeypatch()  # generic forms, views and querysets can be named with their model

environment.refuse_unknown(os.environ)

# The data folder
SANAD_DATA = environment.folder("SANAD_DATA", BASE_DIR / "data")
SANAD_STORE = SANAD_DATA / "store"
SANAD_STAGING = SANAD_DATA / "staging"
SANAD_KEYS = SANAD_DATA / "keys"
SANAD_EXPORTS = SANAD_DATA / "exports"
SANAD_LEDGER = SANAD_DATA / "ledger"
SANAD_STATUS = environment.folder("SANAD_STATUS", SANAD_DATA / "status")  # written by the signer, read by all
SANAD_SIGNER = environment.folder("SANAD_SIGNER", SANAD_DATA / "signer")  # read by the signer and by nobody else
try:
    SECRET_KEY = data_folder.read_secret_key(SANAD_DATA)
    SANAD_ORIGIN = data_folder.read_origin(SANAD_DATA)
except data_folder.DataFolderProblem as problem:
    raise ImproperlyConfigured(str(problem)) from None
SANAD_UPLOAD_LIMIT = environment.whole_number("SANAD_UPLOAD_LIMIT", 64 * 2**30, smallest=1, largest=2**50)  # bytes
SANAD_UPLOAD_LIFE = environment.whole_number("SANAD_UPLOAD_LIFE", 7 * 86_400, smallest=60, largest=90 * 86_400)  # s
SANAD_UPLOAD_OPEN = environment.whole_number("SANAD_UPLOAD_OPEN", 2_500, smallest=1, largest=10**6)  # of one person
SANAD_UPLOAD_STAGED = environment.whole_number("SANAD_UPLOAD_STAGED", 2**38, smallest=1, largest=2**50)  # bytes
SANAD_UPLOAD_STAGED_ALL = environment.whole_number("SANAD_UPLOAD_STAGED_ALL", 2**40, smallest=1, largest=2**55)
_threads = environment.whole_number("SANAD_WEB_THREADS", 16, smallest=1, largest=10_000)
SANAD_UPLOAD_LINES = environment.whole_number(  # at once; the other threads are for those who read
    "SANAD_UPLOAD_LINES", max(1, _threads * 3 // 4), smallest=1, largest=10_000
)
SANAD_UPLOAD_SILENCE = environment.whole_number("SANAD_UPLOAD_SILENCE", 60, smallest=1, largest=3_600)  # seconds

# Who vouches for the ledger from outside: nobody, where these files are absent
SANAD_LEDGER_POLICY = environment.file("SANAD_LEDGER_POLICY", SANAD_DATA / "keys" / "ledger-policy")
SANAD_AUTHORITIES = environment.file("SANAD_AUTHORITIES", SANAD_DATA / "keys" / "timestamp-authorities.toml")
SANAD_COSIGN_EVERY = environment.whole_number("SANAD_COSIGN_EVERY", 300, smallest=60, largest=86_400)  # seconds
SANAD_ANCHOR_EVERY = environment.whole_number("SANAD_ANCHOR_EVERY", 3600, smallest=60, largest=7 * 86_400)  # seconds
SANAD_HEARTBEAT = environment.whole_number("SANAD_HEARTBEAT", 300, smallest=5, largest=86_400)  # seconds
SANAD_SCRUB = environment.whole_number("SANAD_SCRUB", 3600, smallest=60, largest=30 * 86_400)  # seconds

# Where it is reached
DEBUG = environment.flag("SANAD_DEBUG")
ALLOWED_HOSTS = environment.hosts()
INSECURE_HTTP = environment.flag("SANAD_INSECURE_HTTP")
_public = [host for host in ALLOWED_HOSTS if host not in environment.LOOPBACK]
if DEBUG and _public:
    raise ImproperlyConfigured(
        f"SANAD_DEBUG shows data in error pages and is refused for the public host {_public[0]!r}."
    )
if INSECURE_HTTP and _public:
    raise ImproperlyConfigured(
        f"SANAD_INSECURE_HTTP is for loopback only and is refused for the public host {_public[0]!r}."
    )

INSTALLED_APPS = [
    "archive",
    "cases",
    "verification",
    "incidents",
    "witnesses",
    "evidence",
    "accounts",
    "custody",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "procrastinate.contrib.django",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "axes",
]
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "accounts.middleware.PersonLanguageMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "accounts.exceptions.RefusalMiddleware",
]
ROOT_URLCONF = "archive.urls"
WSGI_APPLICATION = "archive.wsgi.application"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "/"
APPEND_SLASH = True

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.navigation.context",
            ],
        },
    }
]

# Database: the embedded cluster's socket, or another server by DATABASE_URL; as the role of this process
SANAD_DATABASE_ROLE = environment.choice("SANAD_DATABASE_ROLE", databases.role_of(sys.argv), databases.ROLES)
_database = databases.connection(SANAD_DATABASE_ROLE, os.environ, SANAD_DATA)
#: Of an erasure's VACUUM, which nothing else in the process may do (evidence.leftovers)
SANAD_CLEANER_DATABASE = databases.connection("cleaner", os.environ, SANAD_DATA)
DATABASES = {"default": _database | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# People and sessions
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "accounts.attempts.SignInAttempts"  # adds limits per address and per name to the one for the pair
AXES_CLIENT_IP_CALLABLE = "accounts.requests.client_address"
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_HTTP_RESPONSE_CODE = 429
AXES_LOCKOUT_CALLABLE = "accounts.views.locked_out"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = not INSECURE_HTTP
SESSION_COOKIE_NAME = "sessionid" if INSECURE_HTTP else "__Host-sessionid"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = not INSECURE_HTTP
CSRF_COOKIE_NAME = "csrftoken" if INSECURE_HTTP else "__Host-csrftoken"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = not INSECURE_HTTP

# What browsers are told
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [r"^health/$"]  # asked by the supervisor without TLS
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 2 * 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_HTTP
SECURE_HSTS_PRELOAD = not INSECURE_HTTP
BEHIND_TLS_PROXY = environment.flag("SANAD_BEHIND_TLS_PROXY")
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "media-src": [SELF, "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "worker-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["sanad", "default"],
    }
}

# Uploads are streamed by the views that expect them; any other body is a form and small
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
FILE_UPLOAD_TEMP_DIR = str(SANAD_STAGING)
FILE_UPLOAD_PERMISSIONS = 0o600

# Languages and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ar", _("Arabic")), ("fr", _("French"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Static files
mimetypes.add_type("text/javascript", ".mjs")
WHITENOISE_MIMETYPES = {".mjs": "text/javascript", ".js": "text/javascript"}
WHITENOISE_KEEP_ONLY_HASHED_FILES = False
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "build" / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "archive.staticfiles.VendoredFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "archive.staticfiles.StaticStorage"},
}

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "accounts.exceptions.api_exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Sanad API",
    "DESCRIPTION": "An evidence archive for accountability: items, incidents, testimonies, case files, custody.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # One name for each vocabulary, wherever a field of it appears
    "ENUM_NAME_OVERRIDES": {
        "CustodyOutcome": "custody.vocabulary.Outcome",
        "DateBasis": "evidence.vocabulary.DateBasis",
        "FixityOutcome": "evidence.vocabulary.FixityOutcome",
        "ItemKind": "evidence.vocabulary.Kind",
        "SourceKind": "evidence.vocabulary.SourceKind",
        "IncidentStatus": "incidents.vocabulary.Status",
        "ConsentState": "witnesses.vocabulary.ConsentState",
        "TestimonyStatus": "witnesses.vocabulary.Status",
        "Purpose": "witnesses.vocabulary.Purpose",
        "RecipientKind": "witnesses.vocabulary.RecipientKind",
        "WitnessKind": "witnesses.vocabulary.WitnessKind",
        "CaseFileStatus": "cases.vocabulary.Status",
        "BundleState": "cases.vocabulary.ExportState",
        "UploadState": "incidents.vocabulary.UploadState",
        "RunState": "verification.vocabulary.State",
    },
}

# Jobs
PROCRASTINATE_WORKER_DEFAULTS = {"concurrency": 2, "listen_notify": True, "delete_jobs": "successful"}

# Logging
SANAD_LOG_LEVEL = environment.choice("SANAD_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"drop_typed_text": {"()": "archive.logs.DropTypedText"}},
    "formatters": {"json": {"()": "archive.logs.JsonLines"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "filters": ["drop_typed_text"], "formatter": "json"},
    },
    "root": {"handlers": ["stderr"], "level": SANAD_LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "procrastinate": {"level": "WARNING"},
    },
}
