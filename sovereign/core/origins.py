"""Which pages may talk to the server from a browser that carries its person's cookies along."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings


def is_allowed_origin(origin: str | None, host: str) -> bool:
    """Whether a page of ``origin`` may connect: our own pages, and those that CORS allows.

    Browsers always say where a page came from; other programs have no origin, and bring a key or a ticket. The port
    counts: cookies do not keep two servers of one host apart.
    """
    return origin is None or origin in settings.SOVEREIGN.cors_origins or is_own_origin(origin, host)


def is_own_origin(origin: str, host: str) -> bool:
    """Whether it is that of our own pages, as this ``host`` is asked for them."""
    configuration = settings.SOVEREIGN
    if origin == configuration.base_url:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    is_own = parts.netloc == host and parts.hostname in settings.ALLOWED_HOSTS
    return is_own and (not configuration.is_https or parts.scheme == "https")
