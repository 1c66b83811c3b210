"""Who asks, and whether over https, where a proxy asks for them.

Anybody can write ``X-Forwarded-For`` and ``X-Forwarded-Proto``. They are believed of peers that the operator named
(``SOVEREIGN_TRUSTED_PROXIES``; by default of a proxy on this host), and of nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)

#: where ``SECURE_PROXY_SSL_HEADER`` looks: a name that no header of a request can have
SCHEME = "sovereign.scheme"
UNKNOWN = IPv4Address(0)  # of who comes through a socket without an address
WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[\d.]+))(?::\d{1,5})?")
STRANGERS_TOLD = 100  # of one process, each once

_strangers: set[str] = set()


def client_address(meta: Mapping[str, Any]) -> str:
    """Whose request it is: the peer, or behind proxies that are trusted the nearest of those they name that is no such
    proxy itself. What stands before it is anybody's word.

    :param meta: of the request.
    :returns: an IPv4 or IPv6 address; ``0.0.0.0`` where there is none.
    """
    client = _address(meta.get("REMOTE_ADDR") or "") or UNKNOWN
    for name in reversed(meta.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        named = _address(_without_port(name.strip()))
        if named is None or not _is_trusted(client):
            break
        client = named
    return str(client)


class ForwardingMiddleware:
    """A request is ``is_secure()`` where a proxy that is trusted says that it came by https. It goes before all that
    asks for the scheme.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        told = request.META.get("HTTP_X_FORWARDED_PROTO")
        if told is not None:
            peer = request.META.get("REMOTE_ADDR") or ""
            if _is_trusted(_address(peer) or UNKNOWN):
                request.META[SCHEME] = told
            else:
                _tell_of(peer)
        return self.get_response(request)


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in settings.SOVEREIGN.proxies)


def _without_port(text: str) -> str:
    """Some proxies write from which port somebody asked, and then an IPv6 address in brackets."""
    found = WITH_PORT.fullmatch(text)
    return (found["v6"] or found["v4"]) if found else text


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 address that came by an IPv6 socket is that; by which of our interfaces one came is left out."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _tell_of(peer: str) -> None:
    """A proxy that nobody named would send everybody round in circles, from https to https: the log says why."""
    if settings.SOVEREIGN.is_https and peer not in _strangers and len(_strangers) < STRANGERS_TOLD:
        _strangers.add(peer)
        log.warning("proxy_is_not_trusted", peer=peer, hint="SOVEREIGN_TRUSTED_PROXIES names the proxies.")
