"""Addresses that somebody typed in, as texts: which may be kept, and which stand under another. Nothing is looked up.

Addresses are compared by their parts and never as texts. What a server could read in two ways (encoded slashes and
dots, segments that lead back) is refused, since nobody needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from sovereign.core.egress import EgressRefused, check_url, is_public
from sovereign.core.errors import ApiError

SCHEME = "https"
PORT = 443
MAXIMUM_ADDRESS = 500  # characters of one that is kept
INNER_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
AMBIGUOUS = re.compile(r"%(2e|2f|5c|25|00)|//", re.IGNORECASE)  # in a path: . / \ % NUL, and segments without a name
BACK = frozenset({".", ".."})


def is_inner_host(host: str) -> bool:
    """Whether a host is one of an inner network by its name or address alone."""
    try:
        ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(INNER_ENDINGS)
    return not is_public(host)


def checked_address(url: str, *, inner_network: bool) -> str:
    """The address of a server, without a slash at its end.

    :raises ApiError: no address of a server, or one that would carry words through open networks.
    """
    url = url.strip().rstrip("/")
    try:
        check_url(url, inner_network=inner_network)
    except EgressRefused as refused:
        hint = " If that is meant, tick that it may be one." if str(refused).endswith("inner network.") else ""
        raise ApiError(f"{refused}{hint}", param="base_url") from None
    if "?" in url or "#" in url or len(url) > MAXIMUM_ADDRESS:
        raise ApiError(f"The address ends with its path, of at most {MAXIMUM_ADDRESS} characters.", param="base_url")
    parts = urlsplit(url)
    if not inner_network and parts.scheme != "https":
        raise ApiError("Outside of an inner network the address has to be https://.", param="base_url")
    if not inner_network and is_inner_host(parts.hostname or ""):
        raise ApiError(
            f"{parts.hostname} is an address of an inner network. If that is meant, tick that it may be one.",
            param="base_url",
        )
    return url


class Place(NamedTuple):
    """Where an address leads; ``segments`` are those of its path. As a text it is the address without its query."""

    host: str
    port: int
    segments: tuple[str, ...]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORT else f":{self.port}"
        return f"{SCHEME}://{host}{port}/{'/'.join(self.segments)}"


def place_of(address: str) -> Place:
    """
    :raises EgressRefused: it is no plain address that begins with https://, or one of an inner network; the text says
        why.
    """
    check_url(address)
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme != SCHEME:
        raise EgressRefused("The address must begin with https://.")
    if host.endswith("."):
        raise EgressRefused("The address has a host with a dot at its end.")
    if is_inner_host(host):
        raise EgressRefused(f"{host} is an address of an inner network.")
    segments = tuple(parts.path.split("/")[1:])
    if AMBIGUOUS.search(parts.path) or any(segment.partition(";")[0] in BACK for segment in segments):
        raise EgressRefused("The address has a path that leads back, or encodes what must not be encoded.")
    return Place(host, parts.port or PORT, segments)


def is_allowed(address: str, allowed: Iterable[str]) -> bool:
    """Whether one of ``allowed`` is the beginning of ``address``, by whole segments of the path.

    :raises EgressRefused: like :func:`place_of`, about ``address``. One that was allowed and is none allows nothing.
    """
    place = place_of(address)
    return any(_is_under(place, beginning) for beginning in allowed)


def _is_under(place: Place, beginning: str) -> bool:
    try:
        root = place_of(beginning)
    except EgressRefused:
        return False
    wanted = root.segments[:-1] if root.segments and not root.segments[-1] else root.segments  # "/docs/" is "/docs"
    return place[:2] == root[:2] and place.segments[: len(wanted)] == wanted
