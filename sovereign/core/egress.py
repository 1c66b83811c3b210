"""Connections to addresses that somebody typed in: only what is public is reached.

An address is judged where it counts, at the socket: after every look-up of the name, for every address that it gave,
and once more for the very one that is connected to. So neither a name that resolves to an inner network, nor one that
changes between two look-ups, nor an unusual spelling of a number leads inside.
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

MAXIMUM_URL = 2_000  # characters
SCHEMES = frozenset({"http", "https"})
#: public by its number, and yet each machine's own: the host's agent of Azure
NOT_PUBLIC = frozenset({IPv4Address("168.63.129.16")})
#: IPv6 that carries an IPv4 address, and how many bits stand behind that
CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
SPECIAL = tuple(ip_network(text) for text in ("192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20"))
#: what a host that ends in a number may look like; all other spellings of numbers are refused
DOTTED = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}")
ENDS_IN_NUMBER = re.compile(r"(^|\.)(\d+|0[xX][0-9a-fA-F]*)\.?$")
HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")


class EgressRefused(OSError):
    """An address that must not be connected to; the text is one sentence for people."""


def check_url(url: str, *, inner_network: bool = False) -> None:
    """Refuse what is no plain address of an HTTP server, and numbers that are not public.

    A name is judged when it is looked up, not here.

    :raises EgressRefused: with a sentence that holds no more of the address than its host.
    """
    if len(url) > MAXIMUM_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise EgressRefused("The address is not one of an HTTP server.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise EgressRefused("The address is not one of an HTTP server.") from None
    if parts.scheme not in SCHEMES or not host or port == 0:
        raise EgressRefused("The address must begin with http:// or https:// and a host.")
    if "@" in parts.netloc:
        raise EgressRefused("The address must not hold a user or a password.")
    if "[" in parts.netloc or DOTTED.fullmatch(host):
        _check_number(host, inner_network)
    elif ENDS_IN_NUMBER.search(host) or not HOST_NAME.fullmatch(host):
        raise EgressRefused("The address has a host that is neither a name nor a plainly written number.")


def _check_number(host: str, inner_network: bool) -> None:
    try:
        ip_address(host)
    except ValueError:
        raise EgressRefused("The address has a host that is neither a name nor a plainly written number.") from None
    if not inner_network and not is_public(host):
        raise EgressRefused(f"{host} is an address of an inner network.")


def is_public(address: str) -> bool:
    """Whether ``address`` (a number, as the system writes it) belongs to the public internet."""
    try:
        number = ip_address(address)
    except ValueError:
        return False
    if isinstance(number, IPv6Address):
        if number.scope_id is not None:
            return False
        for carrier, behind in CARRIERS:
            if number in carrier:
                return _is_public_four(IPv4Address((int(number) >> behind) & 0xFFFFFFFF))
        return number in GLOBAL_UNICAST and number.is_global and not _is_special(number)
    return _is_public_four(number)


def _is_public_four(number: IPv4Address) -> bool:
    plain = number.is_global and not (number.is_multicast or number.is_reserved)
    return plain and number not in NOT_PUBLIC and not _is_special(number)


def _is_special(number: IPv4Address | IPv6Address) -> bool:
    return any(number in network for network in SPECIAL)


class PublicResolver(AbstractResolver):
    """Looks names up, and refuses one of whose addresses any is not public: it would be chosen by chance."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As aiohttp asks for it.

        :raises EgressRefused: at least one address is of an inner network.
        :raises OSError: the name is unknown.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        results = []
        for kind, _, protocol, _, place in found:
            number = str(place[0])
            if not is_public(number) or (len(place) == 4 and place[3]):
                raise EgressRefused(f"{host} has an address of an inner network.")
            results.append(
                ResolveResult(
                    hostname=host,
                    host=number,
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one resolved address, the last gate before a connection: numbers in URLs pass no resolver.

    :param address: family, type, protocol, canonical name, and host with port, as ``getaddrinfo`` gives them.
    :raises EgressRefused: it is not public.
    """
    family, kind, protocol, _, place = address
    if not is_public(str(place[0])):
        raise EgressRefused(f"{place[0]} is an address of an inner network.")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def public_connector(**options: Any) -> aiohttp.TCPConnector:
    """A connector that reaches public addresses only; names are looked up anew for every connection."""
    return aiohttp.TCPConnector(resolver=PublicResolver(), socket_factory=public_socket, use_dns_cache=False, **options)
