"""What is no MCP server, or is where nobody must get to: each ends in one clear sentence, and leaks nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from assistants.catalog.mcp import McpError, call_tool, list_tools
from tests.catalog import scripted
from tests.catalog.failing import failure
from tests.catalog.scripted import SECRET, ScriptedServer, always, document, result

BLOCK = b"x" * 65_536


# ------------------------------------------------------------------------------------------ what is no MCP server


@pytest.mark.parametrize("status", [200, 400, 404, 500])
async def test_a_page_for_people(mcp: ScriptedServer, status: int) -> None:
    page = f"<!doctype html><title>{SECRET}</title>"
    mcp.answers["initialize"] = always(lambda: web.Response(status=status, text=page, content_type="text/html"))
    said = (await failure(mcp)).message
    assert (
        said
        == {
            200: "What is at this address is no MCP server: it answered with text/html.",
            400: "The MCP server answered with status 400.",
            404: "There is no MCP server at this address (status 404).",
            500: "The MCP server answered with status 500.",
        }[status]
    )


@pytest.mark.parametrize("method", ["initialize", "tools/call"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(mcp: ScriptedServer, status: int, method: str) -> None:
    headers = {"Location": mcp.url.replace("/mcp", "/elsewhere")}
    mcp.answers[method] = always(lambda: web.Response(status=status, headers=headers))
    error = await failure(mcp)
    assert error.message == "The MCP server redirects to another address, which is not followed."
    assert error.never_began
    assert mcp.methods().count(method) == 1


async def test_credentials_that_are_refused(mcp: ScriptedServer) -> None:
    body = {"error": {"message": f"Bearer {SECRET} is unknown"}}
    mcp.answers["initialize"] = always(lambda: document(body, status=401))
    assert (await failure(mcp)).message == "The MCP server refused our credentials (status 401)."


async def test_what_a_refusal_says_is_told_without_our_secrets(mcp: ScriptedServer) -> None:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": f"bad\nheader {SECRET}\x1b[31m"}}
    mcp.answers["tools/call"] = always(lambda: document(body, status=400))
    assert (await failure(mcp)).message == "The MCP server answered with status 400: bad header [secret] [31m"


async def test_an_endless_refusal(mcp: ScriptedServer) -> None:
    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        while True:
            await response.write(BLOCK)

    mcp.answers["tools/call"] = answer
    assert (await failure(mcp)).message == "The MCP server answered with status 500."


async def test_no_http() -> None:
    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.7\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(chatter, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        with pytest.raises(McpError, match="What is at this address does not speak HTTP"):
            await call_tool(ScriptedServer().endpoint(url=url), "echo", {})


async def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
        with pytest.raises(McpError, match="could not be reached") as caught:
            await call_tool(ScriptedServer().endpoint(url=url), "echo", {})
    assert caught.value.never_began


# ------------------------------------------------------------------------------------------ where nobody must get to


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/mcp", "http://169.254.169.254/mcp", "http://[::1]:9/mcp", "http://[::ffff:10.0.0.1]/"]
)
async def test_inner_numbers_are_refused(url: str) -> None:
    with pytest.raises(McpError, match=r"must not be connected to: .* an address of an inner network") as caught:
        await list_tools(ScriptedServer().endpoint(url=url, inner_network=False))
    assert caught.value.never_began


async def test_a_name_that_leads_inside_is_refused(mcp: ScriptedServer) -> None:
    """``localhost`` is a name like every other: what counts is where it leads."""
    url = mcp.url.replace("127.0.0.1", "localhost")
    with pytest.raises(McpError, match="localhost has an address of an inner network"):
        await list_tools(mcp.endpoint(url=url, inner_network=False))
    assert mcp.heard == []
    assert await list_tools(mcp.endpoint(url=url))  # a control: with the permission it is reached


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://0x7f.1/", "http://user:word@host/", "gopher://host/"])
async def test_what_is_no_plain_address(url: str) -> None:
    with pytest.raises(McpError, match="must not be connected to"):
        await list_tools(ScriptedServer().endpoint(url=url))


# ------------------------------------------------------------------------------------------ handshakes


@pytest.mark.parametrize("version", ["2024-11-05", "1999-01-01", 7, None, "x" * 5_000])
async def test_another_version(mcp: ScriptedServer, version: Any) -> None:
    mcp.answers["initialize"] = result({"protocolVersion": version, "capabilities": {}})
    assert "speaks another version of the protocol: " in (await failure(mcp)).message
    assert mcp.methods() == ["initialize"]


@pytest.mark.parametrize("session", ["a b", "ä", "x" * 2_000])
async def test_a_session_with_a_bad_name(mcp: ScriptedServer, session: str) -> None:
    headers = {"Mcp-Session-Id": session}

    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return scripted.answered(message, {"protocolVersion": "2025-06-18"}, headers=headers)

    mcp.answers["initialize"] = answer
    assert "named its session in a way" in (await failure(mcp)).message


async def test_a_session_that_is_over_at_once(mcp: ScriptedServer) -> None:
    body = {"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32600, "message": "Session not found"}}
    mcp.answers["tools/call"] = always(lambda: document(body, status=404))
    assert (await failure(mcp)).message == "The MCP server answered with status 404: Session not found"
