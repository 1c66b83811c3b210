"""Messages of the protocol at ``/mcp``: what is understood, what is refused and how, and who may ask."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant
from sovereign.accounts import services
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.accounts.services.limits import set_project_limits
from sovereign.accounts.services.quotas import Limits
from tests.mcp.conftest import Caller

pytestmark = pytest.mark.django_db

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
MODERN = {"MCP-Protocol-Version": "2026-07-28"}


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        (None, "2025-11-25"),
    ],
)
def test_a_handshake_agrees_on_a_version(caller: Caller, asked: str | None, spoken: str) -> None:
    answer = caller.ask("initialize", {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "test"}})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.result["protocolVersion"] == spoken
    assert answer.result["capabilities"] == {"tools": {}}
    assert answer.result["serverInfo"]["name"] == "sovereign"
    assert "Mcp-Session-Id" not in answer.headers


def test_nothing_is_answered_to_what_asks_for_nothing(caller: Caller) -> None:
    for message in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 4, "result": {}},
        {"jsonrpc": "2.0", "id": 4, "error": {"code": 1, "message": "x"}},
    ):
        answer = caller.send(message)
        assert (answer.status, answer.body) == (202, b"")


def test_an_answer_has_the_id_of_its_request(caller: Caller) -> None:
    for identifier in (0, 7, -1, "seven", ""):
        answer = caller.send({**PING, "id": identifier})
        assert answer.messages == [{"jsonrpc": "2.0", "id": identifier, "result": {}}]


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (b"{", -32700, "no JSON"),
        (b"", -32600, "jsonrpc"),
        ([PING, PING], -32600, "batches are not supported"),
        ("ping", -32600, "jsonrpc"),
        ({"id": 1, "method": "ping"}, -32600, "jsonrpc"),
        ({**PING, "jsonrpc": "1.0"}, -32600, "jsonrpc"),
        ({**PING, "method": 5}, -32600, "'method' must be a string"),
        ({"jsonrpc": "2.0", "id": 1}, -32600, "'method' must be a string"),
        ({**PING, "id": None}, -32600, "'id' must be"),
        ({**PING, "id": 1.5}, -32600, "'id' must be"),
        ({**PING, "id": True}, -32600, "'id' must be"),
        ({**PING, "id": "x" * 300}, -32600, "'id' must be"),
        ({**PING, "params": [1]}, -32602, "'params' must be an object"),
    ],
)
def test_what_is_no_message_is_a_400_that_says_so(caller: Caller, message: Any, code: int, words: str) -> None:
    answer = caller.send(message)
    assert (answer.status, answer.error["code"]) == (400, code)
    assert words in answer.error["message"]
    assert answer.messages[0]["id"] == (1 if code == -32602 else None)


@pytest.mark.parametrize("method", ["resources/list", "prompts/list", "tools/unknown", "", "x" * 10_000])
def test_an_unknown_method_is_no_end_of_a_session(caller: Caller, method: str) -> None:
    answer = caller.ask(method)
    assert (answer.status, answer.error["code"]) == (200, -32601)
    assert len(answer.error["message"]) < 200


def test_a_version_that_nobody_speaks_is_refused_with_those_that_are(caller: Caller) -> None:
    answer = caller.send(PING, **{"MCP-Protocol-Version": "2099-01-01"})
    assert (answer.status, answer.error["code"]) == (400, -32022)
    assert answer.error["data"]["requested"] == "2099-01-01"
    assert "2025-11-25" in answer.error["data"]["supported"]
    assert caller.send(PING, **{"MCP-Protocol-Version": "2025-06-18"}).status == 200


# ------------------------------------------------------------------------------------------------ without handshakes


def modern(caller: Caller, method: str, meta: Any = META, **changed: Any) -> Any:
    headers = {**MODERN, "Mcp-Method": method, **changed.pop("headers", {})}
    return caller.ask(method, {**changed, "_meta": meta}, **{name: value for name, value in headers.items() if value})


def test_a_client_without_handshakes_discovers_the_server(caller: Caller) -> None:
    answer = modern(caller, "server/discover")
    assert answer.status == 200
    assert answer.result["resultType"] == "complete"
    assert answer.result["supportedVersions"][0] == "2026-07-28"
    assert (answer.result["ttlMs"], answer.result["cacheScope"]) == (0, "private")
    assert answer.result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "sovereign"
    listed = modern(caller, "tools/list")
    assert (listed.status, listed.result["tools"], listed.result["resultType"]) == (200, [], "complete")


@pytest.mark.parametrize(
    ("method", "meta", "changed", "status", "code"),
    [
        ("tools/list", {}, {}, 400, -32602),
        ("tools/list", {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}, {}, 400, -32602),
        ("tools/list", {**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}, {}, 400, -32022),
        ("tools/list", {**META, "io.modelcontextprotocol/protocolVersion": ["x"]}, {}, 400, -32022),
        ("tools/list", META, {"headers": {"MCP-Protocol-Version": "2025-06-18"}}, 400, -32020),
        ("tools/list", META, {"headers": {"MCP-Protocol-Version": ""}}, 400, -32020),
        ("tools/list", META, {"headers": {"Mcp-Method": "tools/call"}}, 400, -32020),
        ("tools/call", META, {"name": "a"}, 400, -32020),
        ("tools/call", META, {"name": "a", "headers": {"Mcp-Name": "b"}}, 400, -32020),
        ("tools/call", META, {"name": "a", "headers": {"Mcp-Name": "=?base64?!?="}}, 400, -32020),
        ("tools/call", META, {"name": "a", "headers": {"Mcp-Name": "a"}}, 400, -32602),
        ("no/method", META, {}, 404, -32601),
    ],
)
def test_their_requests_have_to_say_the_same_twice(
    caller: Caller, method: str, meta: Any, changed: dict[str, Any], status: int, code: int
) -> None:
    answer = modern(caller, method, meta, **changed)
    assert (answer.status, answer.error["code"]) == (status, code)


def test_a_header_may_be_packed(caller: Caller) -> None:
    packed = f"=?base64?{base64.b64encode('größe'.encode()).decode()}?="
    answer = modern(caller, "tools/call", name="größe", headers={"Mcp-Name": packed})
    assert answer.error == {"code": -32602, "message": "Unknown tool: größe"}


# ------------------------------------------------------------------------------------------------ who may ask


def test_without_a_key_nothing_is_said(caller: Caller) -> None:
    answer = Caller(APIClient()).send(PING)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert Caller(APIClient()).client.get("/mcp").status_code == 401


@pytest.mark.parametrize("method", ["get", "delete", "put", "patch"])
def test_there_are_no_sessions_and_no_streams_from_here(caller: Caller, method: str) -> None:
    response = getattr(caller.client, method)("/mcp", headers={"Accept": "text/event-stream"})
    assert response.status_code == 405
    assert "POST" in response["Allow"]


def test_pages_of_foreign_origins_are_refused(caller: Caller, settings: Any) -> None:
    answer = caller.send(PING, Origin="https://evil.example")
    assert answer.status == 403
    assert b"origin" in answer.body
    assert caller.send(PING, Origin="null").status == 403
    assert caller.send(PING, Origin=settings.SOVEREIGN.base_url).status == 200
    assert caller.client.get("/mcp", headers={"Origin": "https://evil.example"}).status_code == 403


def test_pages_that_cors_allows_may_ask(caller: Caller, settings: Any) -> None:
    page = "https://app.example"
    settings.CORS_ALLOWED_ORIGINS = [page]
    settings.SOVEREIGN = replace(settings.SOVEREIGN, cors_origins=(page,))
    wanted = "authorization, content-type, mcp-method, mcp-name, mcp-protocol-version"
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted, "Origin": page}
    allowed = caller.client.options("/mcp", headers=headers)["access-control-allow-headers"]
    assert set(wanted.split(", ")) <= set(allowed.split(", "))
    answer = caller.send(PING, Origin=page)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, page)


def test_a_key_needs_the_scopes_of_what_a_call_does(
    caller: Caller, project: Project, client_of: Callable[[str], APIClient], offer: Callable[..., Assistant]
) -> None:
    offer()
    for scope in ("threads:write", "threads:read", "runs:write", "runs:read", "assistants:read"):
        _, secret = services.create_api_key(project=project, name=scope, scopes=sorted(ALL_SCOPES - {scope}))
        answer = Caller(client_of(secret)).call("house-rules", message="Hello?")
        assert scope in answer.body.decode()
        if scope == "assistants:read":  # which nothing here goes without
            assert answer.status == 403
        else:
            assert (answer.status, answer.result["isError"]) == (200, True)


def test_requests_are_counted_and_no_session_ends_by_that(
    caller: Caller, project: Project, offer: Callable[..., Assistant]
) -> None:
    """Clients take a status of HTTP for the end of everything."""
    offer()
    set_project_limits(project=project, limits=Limits(requests_per_minute=1))
    assert caller.send(PING).result == {}
    answer = caller.send(PING)
    assert (answer.status, answer.error["code"]) == (200, -32010)
    assert "requests per min" in answer.error["message"]
    assert "retry-after" in {name.lower() for name in answer.headers}
    answer = caller.call("house-rules", message="Hello?")
    assert (answer.status, answer.result["isError"]) == (200, True)
    assert "requests per min" in answer.result["content"][0]["text"]
    assert modern(caller, "tools/list").status == 200
    assert caller.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202


def test_a_body_that_is_too_deep_is_refused_as_everywhere(caller: Caller) -> None:
    assert caller.send(b'{"params":' + b"[" * 200 + b"]" * 200 + b"}").status == 400
