"""Who asks and by which scheme is what a proxy says that the operator named, and what nobody else says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from structlog.testing import capture_logs

from sovereign.core import forwarding
from sovereign.core.forwarding import client_address

HERE, PROXY, FRONT, STRANGER = "127.0.0.1", "10.0.0.5", "10.0.0.6", "203.0.113.9"
Trust = Callable[..., None]


@pytest.fixture
def trust(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """``trust(url, *proxies)``: what the operator wrote."""
    monkeypatch.setattr(forwarding, "_strangers", set())

    def configure(url: str, *proxies: str) -> None:
        named = tuple(map(ip_network, proxies))
        settings.SOVEREIGN = replace(settings.SOVEREIGN, public_url=url, trusted_proxies=named)
        settings.SECURE_SSL_REDIRECT = settings.SOVEREIGN.is_https
        settings.SECURE_PROXY_SSL_HEADER = (forwarding.SCHEME, "https")
        settings.ALLOWED_HOSTS = ["*"]

    return configure


HTTPS = "https://ai.example.org"


@pytest.mark.parametrize(
    ("url", "proxies", "peer", "forwarded", "client"),
    [
        ("", (), HERE, "6.6.6.6", HERE),  # there is no proxy: anybody may write that
        (HTTPS, (), HERE, "6.6.6.6, 7.7.7.7", "7.7.7.7"),  # what comes before the nearest is anybody's word
        (HTTPS, (), "::1", "7.7.7.7", "7.7.7.7"),
        (HTTPS, (), "::ffff:127.0.0.1", "7.7.7.7", "7.7.7.7"),  # an IPv4 peer of a socket that takes both
        (HTTPS, (), STRANGER, "6.6.6.6", STRANGER),  # no proxy of ours
        (HTTPS, (), HERE, "nonsense", HERE),
        (HTTPS, (), HERE, "7.7.7.7, nonsense", HERE),
        (HTTPS, (), HERE, "", HERE),
        (HTTPS, (), HERE, "6.6.6.6, 127.0.0.1", "6.6.6.6"),  # two on this host
        (HTTPS, (), HERE, "2001:db8::7", "2001:db8::7"),
        (HTTPS, (), HERE, "203.0.113.9:51234", "203.0.113.9"),  # some proxies write the port
        (HTTPS, (), HERE, "6.6.6.6, [2001:db8::7]:443", "2001:db8::7"),
        (HTTPS, (), HERE, "[2001:db8::7]", "2001:db8::7"),
        (HTTPS, (), HERE, "[::ffff:7.7.7.7]:80", "7.7.7.7"),
        (HTTPS, (), HERE, "7.7.7.7:nonsense", HERE),
        (HTTPS, (), "fe80::7%eth0", "6.6.6.6", "fe80::7"),
        (HTTPS, (PROXY,), PROXY, "6.6.6.6", "6.6.6.6"),
        (HTTPS, (PROXY,), HERE, "6.6.6.6", HERE),  # who names proxies names all of them
        (HTTPS, ("10.0.0.0/24",), PROXY, f"6.6.6.6, 7.7.7.7, {FRONT}", "7.7.7.7"),
        (HTTPS, (PROXY,), PROXY, f"7.7.7.7, {FRONT}", FRONT),  # which nobody named
        (HTTPS, ("10.0.0.0/24",), PROXY, FRONT, FRONT),  # nobody else had a part in it
        ("", (PROXY,), PROXY, "6.6.6.6", "6.6.6.6"),
        (HTTPS, (), "", "6.6.6.6", "0.0.0.0"),
        (HTTPS, (), None, "6.6.6.6", "0.0.0.0"),
    ],
)
def test_who_asks(
    trust: Trust, url: str, proxies: tuple[str, ...], peer: str | None, forwarded: str, client: str
) -> None:
    trust(url, *proxies)
    assert client_address({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}) == client


@pytest.mark.parametrize(
    ("proxies", "peer", "told", "is_secure"),
    [
        ((), HERE, "https", True),
        ((), HERE, "http", False),
        ((), STRANGER, "https", False),
        ((PROXY,), PROXY, "https", True),
        ((PROXY,), HERE, "https", False),
    ],
)
def test_a_request_is_secure_where_a_trusted_proxy_says_so(
    trust: Trust, proxies: tuple[str, ...], peer: str, told: str, is_secure: bool
) -> None:
    trust(HTTPS, *proxies)
    answer = Client().get("/health/live", REMOTE_ADDR=peer, headers={"X-Forwarded-Proto": told})
    assert answer.status_code == (200 if is_secure else 301)


def test_no_header_is_taken_for_what_the_proxy_said(trust: Trust) -> None:
    trust(HTTPS)
    names = {forwarding.SCHEME: "https", "Sovereign.Scheme": "https", "Sovereign-Scheme": "https"}
    assert Client().get("/health/live", REMOTE_ADDR=STRANGER, headers=names).status_code == 301


def test_the_log_says_once_of_each_which_proxy_nobody_named(trust: Trust) -> None:
    trust(HTTPS, PROXY)
    with capture_logs() as lines:
        for peer in (STRANGER, STRANGER, FRONT, PROXY):
            Client().get("/health/live", REMOTE_ADDR=peer, headers={"X-Forwarded-Proto": "https"})
    assert [line["peer"] for line in lines if line["event"] == "proxy_is_not_trusted"] == [STRANGER, FRONT]
