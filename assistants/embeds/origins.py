"""The sites that may show an embed: exact origins, as browsers write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sovereign.core.errors import ApiError

MOST = 20  # origins of one key
LOOPBACK = frozenset({"localhost", "127.0.0.1"})
USUAL_PORTS = {"https": "443", "http": "80"}
SHOWN = 100  # characters of a wrong one that the error repeats

# Nothing that could end a source or a directive of a policy gets through: letters, digits, dots and hyphens.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN = re.compile(rf"(https?)://({_LABEL}(?:\.{_LABEL})*)(?::([1-9][0-9]{{0,4}}))?")


def checked(origins: Iterable[str]) -> list[str]:
    """Each as a browser says it, without repetitions.

    :raises ApiError: none, too many, or one that is no exact origin with https (http only of this very machine).
    """
    found = list(dict.fromkeys(_checked(origin.strip()) for origin in origins if origin.strip()))
    if not found:
        raise _wrong("Name at least one site that may show it.")
    if len(found) > MOST:
        raise _wrong(f"At most {MOST} sites may show it.")
    return found


def _checked(origin: str) -> str:
    if "://[" in origin:
        raise _wrong(f"'{origin[:SHOWN]}' is an address of IPv6, which policies of pages cannot name: write a host.")
    match = _ORIGIN.fullmatch(origin.lower().removesuffix("/"))
    if match is None or len(match[2]) > 253 or (match[3] and int(match[3]) > 65_535):
        raise _wrong(f"'{origin[:SHOWN]}' is no origin: write it as https://host or https://host:port, without a path.")
    scheme, host, port = match.groups()
    if scheme == "http" and host not in LOOPBACK:
        raise _wrong(f"'{origin[:SHOWN]}' is not safe: a site has to be reached by https.")
    return f"{scheme}://{host}" + (f":{port}" if port and port != USUAL_PORTS[scheme] else "")


def _wrong(message: str) -> ApiError:
    return ApiError(message, param="origins", code="invalid_value")
