"""Two processes behind a proxy on this host: they know who asks and by which scheme, and count attempts together."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.client import unique
from tests.support.fixtures import REDIS, skip_ring, started
from tests.support.processes import START_TIMEOUT, Stack, Upstream, eventually, free_port

pytestmark = [pytest.mark.live, pytest.mark.redis]

HOST = "ai.example.org"
ORIGIN = f"https://{HOST}"
GUESSES = 10  # of a name from one address in five minutes
COOKIE = "sovereign_csrf"


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[list[int]]:
    """Where the two listen."""
    redis = os.environ.get(REDIS) or skip_ring(f"{REDIS} is not set")
    folder: Path = tmp_path_factory.mktemp("proxied")
    stack = started(Stack(folder, engine_url=upstream.url, redis_url=str(redis), SOVEREIGN_PUBLIC_URL=ORIGIN))
    try:
        stack.prepare()
        found = [stack.port, free_port()]
        for port in found:
            stack.start("serve", "--no-worker", "--port", str(port), name=f"serve-{port}")
        for port in found:
            eventually(lambda port=port: is_up(port), START_TIMEOUT, f"{port} answers")  # type: ignore[misc]
        yield found
    finally:
        stack.destroy()


def ask(port: int, method: str, path: str, body: str = "", **headers: str) -> HTTPResponse:
    """As a proxy on this host does; what it says is in ``headers``."""
    connection = HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Host": HOST, "Connection": "close", **named})
    return connection.getresponse()


def address() -> str:
    """Of somebody who was never here."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def is_up(port: int) -> bool:
    try:
        return ask(port, "GET", "/health/live", X_Forwarded_Proto="https").status == 200
    except (OSError, HTTPException):
        return False


def log_in(port: int, client: str, user: str) -> str:
    """The page that a wrong password is answered with."""
    said = {"X_Forwarded_Proto": "https", "X_Forwarded_For": f"198.51.100.1, {client}"}
    cookie = ask(port, "GET", "/login", **said).getheader("Set-Cookie", "")
    token = cookie.partition(f"{COOKIE}=")[2].partition(";")[0]
    form = urlencode({"csrfmiddlewaretoken": token, "username": user, "password": "guess"})
    kind = "application/x-www-form-urlencoded"
    answer = ask(
        port, "POST", "/login", form, Cookie=f"{COOKIE}={token}", Origin=ORIGIN, Content_Type=kind, **said
    )  # fmt: skip
    assert answer.status == 200, answer.status
    return answer.read().decode()


def test_https_is_what_the_proxy_says(ports: list[int]) -> None:
    for port in ports:
        plain = ask(port, "GET", "/login")
        assert (plain.status, plain.getheader("Location")) == (301, f"{ORIGIN}/login")
        assert ask(port, "GET", "/login", X_Forwarded_Proto="http").status == 301
        assert "Secure" in ask(port, "GET", "/login", X_Forwarded_Proto="https").getheader("Set-Cookie", "")


def test_attempts_are_one_count_and_each_clients_own(ports: list[int]) -> None:
    user, here, elsewhere = f"nobody-{unique()}", address(), address()  # Redis remembers those of earlier runs
    for number in range(GUESSES):
        assert "Too many" not in log_in(ports[number % 2], here, user)
    for port in ports:
        assert "Too many" in log_in(port, here, user)
        assert "Too many" not in log_in(port, elsewhere, user), "who is elsewhere is not shut out"
