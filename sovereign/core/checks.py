"""System checks: every rule about the configuration, each with a stable id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from sovereign.core.configuration import LENIENT, LOOPBACK_HOSTS, STRICT

MINIMUM_SECRET_LENGTH = 50
MINIMUM_API_KEY_LENGTH = 32
SIGN_ON_ROLES = ("viewer", "analyst", "admin")  # owners are made by owners
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z0-9]")
WELL_KNOWN_SECRETS = frozenset({"changeme", "secret", "insecure", "password", "django-insecure"})


@register(Tags.security)
def check_secret_key(**_: Any) -> Iterable[CheckMessage]:
    secret = settings.SOVEREIGN.secret_key
    if len(secret) < MINIMUM_SECRET_LENGTH or any(word in secret.lower() for word in WELL_KNOWN_SECRETS):
        yield Error(
            "The secret key is missing, shorter than 50 characters or well known.",
            hint="Leave SOVEREIGN_SECRET_KEY empty and make SOVEREIGN_DATA_DIR writable, and one is generated.",
            id="sovereign.E001",
        )


@register(Tags.security)
def check_cors_origins(**_: Any) -> Iterable[CheckMessage]:
    if "*" in settings.SOVEREIGN.cors_origins and not settings.SOVEREIGN.debug:
        yield Error("CORS_ORIGINS is '*'. List exact origins.", id="sovereign.E003")


@register(Tags.security)
def check_public_url(**_: Any) -> Iterable[CheckMessage]:
    configuration = settings.SOVEREIGN
    url = urlsplit(configuration.base_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        yield Error("SOVEREIGN_PUBLIC_URL is not an http or https address.", id="sovereign.E004")
    elif url.scheme == "http" and url.hostname not in LOOPBACK_HOSTS:
        yield Error(
            f"People would reach {url.hostname} without encryption.",
            hint="Set SOVEREIGN_PUBLIC_URL to the https address of your reverse proxy; http is for this host only.",
            id="sovereign.E005",
        )


@register(Tags.security)
def check_first_api_key(**_: Any) -> Iterable[CheckMessage]:
    key = settings.SOVEREIGN.api_key
    if key and len(key) < MINIMUM_API_KEY_LENGTH:
        yield Error(f"SOVEREIGN_API_KEY is shorter than {MINIMUM_API_KEY_LENGTH} characters.", id="sovereign.E006")


@register()
def check_unknown_parameters(**_: Any) -> Iterable[CheckMessage]:
    value = settings.SOVEREIGN.unknown_parameters
    if value not in (STRICT, LENIENT):
        yield Error(f"SOVEREIGN_UNKNOWN_PARAMETERS is '{value}'. It is strict or lenient.", id="sovereign.E008")


@register()
def check_numbers(**_: Any) -> Iterable[CheckMessage]:
    configuration = settings.SOVEREIGN
    stored = configuration.maximum_stored_bytes // 1024**3
    if stored < 0:
        yield Error(f"SOVEREIGN_MAXIMUM_STORED_GB is {stored}. It must be at least 0.", id="sovereign.E007")
    for name, value in (
        ("SOVEREIGN_RUN_EXPIRES_SECONDS", configuration.run_expires_seconds),
        ("SOVEREIGN_WORKER_CONCURRENCY", configuration.worker_concurrency),
        ("SOVEREIGN_MAXIMUM_FILE_MB", configuration.maximum_file_bytes // 1024**2),
        ("SOVEREIGN_INTERPRETER_SESSIONS", configuration.interpreter_sessions),
        ("SOVEREIGN_INTERPRETER_IDLE_SECONDS", configuration.interpreter_idle_seconds),
        ("SOVEREIGN_INTERPRETER_MEMORY_MB", configuration.interpreter_memory_bytes // 1024**2),
        ("SOVEREIGN_INTERPRETER_DISK_MB", configuration.interpreter_disk_bytes // 1024**2),
    ):
        if value < 1:
            yield Error(f"{name} is {value}. It must be at least 1.", id="sovereign.E007")


@register(Tags.security)
def check_sign_on(**_: Any) -> Iterable[CheckMessage]:
    sign_on = settings.SOVEREIGN.sign_on
    if not sign_on:
        return
    issuer = urlsplit(sign_on.issuer)
    if not issuer.hostname or (issuer.scheme != "https" and issuer.hostname not in LOOPBACK_HOSTS):
        yield Error(
            f"OIDC_ISSUER is '{sign_on.issuer}'. It must be an https address.",
            hint="Who can change what comes from there can log in as anybody; http is for this host only.",
            id="sovereign.E013",
        )
    if not sign_on.client_id or not sign_on.client_secret:
        yield Error("OIDC_ISSUER needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET beside it.", id="sovereign.E014")
    if sign_on.role not in SIGN_ON_ROLES:
        yield Error(f"OIDC_ROLE is '{sign_on.role}'. It is {', '.join(SIGN_ON_ROLES)}.", id="sovereign.E015")
    if strange := sorted(name for name in sign_on.email_domains if not DOMAIN.fullmatch(name)):
        yield Error(f"OIDC_EMAIL_DOMAINS has '{strange[0]}', which is no domain like example.org.", id="sovereign.E016")
