"""Addresses of inner networks are not reached, however they are spelled and whenever they are looked up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sovereign.core.egress import EgressRefused, PublicResolver, check_url, is_public, public_connector, public_socket

INNER = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.5",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::"]


@pytest.mark.parametrize("address", INNER)
def test_numbers_of_inner_networks(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_numbers(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "http://models.example:8000",
        "https://1.1.1.1/v1",
        "https://[2606:4700::1111]/",
        "https://example.com./v1",
        "https://a-b_c.example/x%20y",
    ],
)
def test_plain_addresses_pass(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://example.com",
        "//example.com",
        "example.com",
        "http://",
        "http:///x",
        "https://user@example.com",
        "https://user:secret@example.com",
        "https://example.com\\@127.0.0.1/",
        "https:\\\\example.com",
        "https://example.com/\r\nx: y",
        "https://example.com/a b",
        "https://exämple.com",
        "https://example.com:99999",
        "https://example.com:0",
        "https://example..com",
        "https://.example.com",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://" + "a" * 3_000,
        "http://127.0.0.1",
        "http://127.0.0.1.",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.0.0.1",
        "http://0177.0.0.1",
        "http://127.1",
        "http://127.0.0.01",
        "http://256.1.1.1",
        "http://1.1.1.1.",
        "http://16843009",
        "http://[::1]:11434",
        "http://[::ffff:127.0.0.1]",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.5:8000/v1",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


def test_an_inner_network_may_be_allowed_and_nothing_else_with_it() -> None:
    check_url("http://127.0.0.1:8000/v1", inner_network=True)
    check_url("http://[::1]:8000/v1", inner_network=True)
    for url in ("http://user@127.0.0.1", "http://2130706433", "file:///x"):
        with pytest.raises(EgressRefused):
            check_url(url, inner_network=True)


class Names:
    """Stands in for the system's look-ups: each name has a list of answers, given one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.connected: list[Any] = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", self.look_up)
        monkeypatch.setattr(loop, "sock_connect", self.connect)

    async def look_up(self, host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        answers = self.answers[host]
        numbers = answers.pop(0) if len(answers) > 1 else answers[0]
        return [self._entry(number, port) for number in numbers]

    def _entry(self, number: str, port: int) -> tuple[Any, ...]:
        six = ":" in number
        place: tuple[Any, ...] = (number, port, 0, 0) if six else (number, port)
        return (socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM, 6, "", place)

    async def connect(self, made: socket.socket, place: tuple[Any, ...]) -> None:
        self.connected.append(place[0])
        raise ConnectionRefusedError


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=public_connector()) as opened:
        yield opened


async def refused(session: aiohttp.ClientSession, url: str) -> bool:
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await session.get(url)
    return isinstance(caught.value.os_error, EgressRefused)


@pytest.mark.parametrize("numbers", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::1", "1.1.1.1"], ["fe80::1"]])
async def test_a_name_of_an_inner_network(names: Names, session: aiohttp.ClientSession, numbers: list[str]) -> None:
    names.answers["inside.example"] = [numbers]
    assert await refused(session, "http://inside.example/")
    assert names.connected == []


async def test_a_name_that_changes_between_two_look_ups(names: Names, session: aiohttp.ClientSession) -> None:
    """The address that was judged is the one that is connected to; the next connection is judged anew."""
    names.answers["rebinding.example"] = [["1.1.1.1"], ["127.0.0.1"]]
    assert not await refused(session, "http://rebinding.example/")
    assert names.connected == ["1.1.1.1"]
    assert await refused(session, "http://rebinding.example/")
    assert names.connected == ["1.1.1.1"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://[::1]:9/", "http://[::ffff:127.0.0.1]:9/"])
async def test_numbers_pass_no_resolver_and_are_refused_at_the_socket(
    names: Names, session: aiohttp.ClientSession, url: str
) -> None:
    assert await refused(session, url)
    assert names.connected == []


async def test_an_unknown_name_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*args: Any, **options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror):
        await PublicResolver().resolve("nowhere.example")


def test_a_public_socket_does_not_block() -> None:
    made = public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443)))
    assert not made.getblocking()
    made.close()
