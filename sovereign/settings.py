"""Django's settings, all derived from the one typed configuration (``sovereign.core.configuration``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured

from sovereign.core.configuration import load
from sovereign.core.forwarding import SCHEME
from sovereign.core.logs import logging_configuration

BASE_DIR = Path(__file__).resolve().parent.parent
SOVEREIGN = load(BASE_DIR)

SECRET_KEY = SOVEREIGN.secret_key
DEBUG = SOVEREIGN.debug
ALLOWED_HOSTS = sorted(SOVEREIGN.host_names)
CSRF_TRUSTED_ORIGINS = [SOVEREIGN.public_url] if SOVEREIGN.public_url else []

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "django_prometheus",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "sovereign.apps.SovereignConfig",
    "sovereign.core.apps.CoreConfig",
    "sovereign.accounts.apps.AccountsConfig",
    "sovereign.web.apps.WebConfig",
    "inference.apps.InferenceConfig",
    "assistants.knowledge.apps.KnowledgeConfig",
    "assistants.catalog.apps.CatalogConfig",
    "assistants.prompts.apps.PromptsConfig",
    "assistants.apps.AssistantsConfig",
    "assistants.embeds.apps.EmbedsConfig",
    "threads.apps.ThreadsConfig",
    "threads.links.apps.ThreadLinksConfig",
    "threads.exports.apps.ThreadExportsConfig",
    "runs.apps.RunsConfig",
    "runs.evaluations.apps.EvaluationsConfig",
    "runs.conversations.apps.ConversationsConfig",
    "runs.outbox.apps.OutboxConfig",
    "runs.analytics.apps.AnalyticsConfig",
    "runs.alerts.apps.AlertsConfig",
]

MIDDLEWARE = [
    "sovereign.core.middleware.CountingBefore",
    "sovereign.core.forwarding.ForwardingMiddleware",
    "sovereign.core.middleware.RequestIdMiddleware",
    "sovereign.web.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sovereign.core.middleware.TimeZoneMiddleware",
    "sovereign.core.middleware.LanguageMiddleware",
    "sovereign.web.people.sessions.SeenMiddleware",
    "sovereign.core.middleware.CountingAfter",
]

ROOT_URLCONF = "sovereign.urls"
ASGI_APPLICATION = "sovereign.asgi.application"
APPEND_SLASH = False

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
            ]
        },
    }
]


DATABASE_SCHEMES = frozenset({"sqlite", "postgres", "postgresql"})


def database(url: str) -> dict[str, Any]:
    """Django's database settings for a URL: our SQLite backend, or Postgres behind psycopg's own pool.

    :raises ImproperlyConfigured: another scheme. Nothing works without a database, so a system check came too late.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme not in DATABASE_SCHEMES:
        raise ImproperlyConfigured(f"DATABASE_URL has the scheme '{scheme}'. Supported are sqlite and postgres.")
    parsed = environ.Env.db_url_config(url)
    if parsed["ENGINE"] == "django.db.backends.sqlite3":
        return {
            **parsed,
            "ENGINE": "sovereign.core.sqlite",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;",
            },
        }
    given = parsed.get("OPTIONS", {})
    options = {
        **given,
        "pool": {"min_size": 1, "max_size": 20, "timeout": 10},
        # a worker that freezes in the middle of a transaction must not keep its runs from the others
        "options": f"-c idle_in_transaction_session_timeout=5s {given.get('options', '')}".rstrip(),
    }
    return {**parsed, "OPTIONS": options}


DATABASES = {"default": database(SOVEREIGN.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465, "consolemail": None}  # by schemes


def mail(url: str) -> dict[str, Any]:
    """Django's settings for the mail server of a URL; without one no mail is sent.

    :raises ImproperlyConfigured: a sentence without the password that may stand in the URL.
    """
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    scheme = url.partition("://")[0].lower()
    if scheme not in MAIL_PORTS:
        raise ImproperlyConfigured(f"EMAIL_URL has none of the schemes {', '.join(MAIL_PORTS)}.")
    try:
        found = {"EMAIL_PORT": MAIL_PORTS[scheme], **_given(environ.Env.email_url_config(url))}
    except ValueError:
        raise ImproperlyConfigured("EMAIL_URL is not like smtp://user:password@host:port.") from None
    if MAIL_PORTS[scheme] and not found.get("EMAIL_HOST"):
        raise ImproperlyConfigured("EMAIL_URL names no host.")
    return found


def _given(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name.startswith("EMAIL_") and value is not None}


vars().update(mail(SOVEREIGN.email_url))
EMAIL_TIMEOUT = 10  # seconds for each step of a conversation with the mail server
DEFAULT_FROM_EMAIL = SOVEREIGN.email_from or f"sovereign@{SOVEREIGN.public_host}"

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [SOVEREIGN.redis_url], "prefix": "sovereign"},
    }
    if SOVEREIGN.redis_url
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

# allauth: OpenID Connect, limits of attempts, and where people are logged in. Its own pages are not mounted.
ACCOUNT_ADAPTER = "sovereign.web.people.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "sovereign.web.people.adapters.SocialAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = {  # counted in the default cache; a key is a name, and in "here" a name and an address
    "login_failed": "30/m/ip,100/5m/key",
    "login_failed_here": "10/5m/key",
    "change_password": "5/m/user",
    "invitation": "20/m/ip",
    "sign_on": "30/m/ip",
    "shared": "120/m/ip",
    "visit": "60/h/ip",
}
_IN_PROCESS = "django.core.cache.backends.locmem.LocMemCache"
CACHES: dict[str, dict[str, Any]] = {
    "default": {  # counts and nothing else, of all processes where there is Redis
        "BACKEND": "sovereign.core.shared_cache.SharedCache" if SOVEREIGN.redis_url else _IN_PROCESS,
        "LOCATION": SOVEREIGN.redis_url,
        "KEY_PREFIX": "sovereign",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # of a process: so many that nobody pushes a name's out by trying others
    },
    "process": {"BACKEND": _IN_PROCESS, "LOCATION": "process"},
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "sovereign" / "locale"]
FORMAT_MODULE_PATH = "sovereign.core.formats"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from where they are installed: nothing to collect
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_ROOT = SOVEREIGN.data_dir / "uploads"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

# https turns the strict transport on; http is accepted on loopback only (sovereign.E005)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SOVEREIGN.is_https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME = "sovereign_session"
CSRF_COOKIE_NAME = "sovereign_csrf"
CSRF_FAILURE_VIEW = "sovereign.web.errors.forged"
SECURE_SSL_REDIRECT = SOVEREIGN.is_https
SECURE_PROXY_SSL_HEADER = (SCHEME, "https") if SOVEREIGN.is_https else None  # as core.forwarding has it
SECURE_HSTS_SECONDS = 31_536_000 if SOVEREIGN.is_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SOVEREIGN.is_https
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# the transport warnings of `check --deploy` are about https; on loopback there is none to secure
SILENCED_SYSTEM_CHECKS = (
    [] if SOVEREIGN.is_https else ["security.W004", "security.W008", "security.W012", "security.W016"]
)

CORS_ALLOWED_ORIGINS = [origin for origin in SOVEREIGN.cors_origins if origin != "*"]
CORS_ALLOW_ALL_ORIGINS = "*" in SOVEREIGN.cors_origins
CORS_URLS_REGEX = r"^/(v1/.*|mcp)$"
# what the SDK adds to every request, and what a stream is resumed with
_STAINLESS = (
    "lang package-version os arch runtime runtime-version async retry-count timeout read-timeout helper-method "
    "poll-helper custom-poll-interval stream-helper custom-event-handler raw-response"
)
CORS_ALLOW_HEADERS = [
    *default_headers,
    *("openai-beta", "openai-organization", "openai-project", "x-api-key", "last-event-id", "idempotency-key"),
    *(f"x-stainless-{name}" for name in _STAINLESS.split()),
    *("mcp-protocol-version", "mcp-method", "mcp-name"),
]
CORS_EXPOSE_HEADERS = [
    *("x-request-id", "openai-poll-after-ms", "retry-after", "x-should-retry"),
    *("idempotent-replayed", "x-sovereign-ignored-parameters", "retry-after-ms"),
    *(f"x-ratelimit-{word}-{what}" for what in ("requests", "tokens") for word in ("limit", "remaining", "reset")),
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["sovereign.accounts.api.authentication.CredentialsAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["sovereign.accounts.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": [
        "sovereign.core.api.transport.JSONRenderer",
        "sovereign.core.api.transport.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["sovereign.core.api.transport.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "sovereign.core.api.transport.ContentNegotiation",
    "DEFAULT_SCHEMA_CLASS": "sovereign.core.api.schema.Documentation",
    "EXCEPTION_HANDLER": "sovereign.core.api.handler.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "NON_FIELD_ERRORS_KEY": "",  # no name that a body may use itself
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Sovereign",
    "DESCRIPTION": "The OpenAI Assistants API on your own hardware: point a client's `base_url` here and go on.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/v1",
    "SCHEMA_PATH_PREFIX_TRIM": True,  # as clients know the paths: under their base_url
    "SERVERS": [{"url": "/v1"}],
    "SORT_OPERATION_PARAMETERS": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "POSTPROCESSING_HOOKS": ["sovereign.web.glossary.describe"],  # not the package's: enums stay where they are
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

PROMETHEUS_METRIC_NAMESPACE = "sovereign"
PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING = logging_configuration(SOVEREIGN.log_level)

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Sovereign",
    "SITE_HEADER": "Sovereign",
    "SITE_SUBHEADER": "Assistants on your own hardware",
    "SITE_ICON": "/static/web/mark.svg",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "/static/web/mark.svg"}],
    "STYLES": ["/static/web/chat/said.css", "/static/web/admin.css", "/static/web/frame.css"],
    "SCRIPTS": ["/static/web/timezone.js", "/static/web/frame.js"],
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "sovereign.web.admin_home.home",
    "SIDEBAR": {"navigation": "sovereign.web.admin_home.sidebar"},
    "COLORS": {
        "base": {
            "50": "#f9f8f4", "100": "#f1efe8", "200": "#e2ddd1", "300": "#cbc7bb", "400": "#98a09a", "500": "#616b65",
            "600": "#4c5650", "700": "#37403b", "800": "#222a26", "900": "#171c19", "950": "#0e1210",
        },
        "primary": {
            "50": "#eef6f1", "100": "#d9ebe1", "200": "#b5d8c6", "300": "#85bfa3", "400": "#4f9f7c", "500": "#2b8360",
            "600": "#17624a", "700": "#14523e", "800": "#114233", "900": "#0e362a", "950": "#071e17",
        },
    },
}  # fmt: skip
