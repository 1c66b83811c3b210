"""Answers of MCP servers that lie, hang or flood: each ends in one clear sentence, holds little, leaks nothing."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from aiohttp import web

from assistants.catalog.mcp import call_tool
from tests.catalog import scripted
from tests.catalog.failing import TOO_LONG, failure
from tests.catalog.scripted import ScriptedServer, always, contents, document, endless, result, stream, text

BLOCK = b"x" * 65_536
MEMORY = 24 * 1024 * 1024  # bytes that may be held for an answer of at most four million
NO_FORMAT = "The MCP server sent a message that is not in its protocol's format."
NOT_ASKED = "The MCP server answered something that it was not asked."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The MCP server's answer is not JSON."),
        (b"not json", "The MCP server's answer is not JSON."),
        (b'"\xff\xfe"', "The MCP server's answer is not JSON."),
        (b"[" * 5_000, "The MCP server's answer is not JSON."),
        (b"null", NO_FORMAT),
        (b"7", NO_FORMAT),
        (b"[7]", NO_FORMAT),
        (b"[" + b"{}," * 99 + b"{}]", NO_FORMAT),
        (b"{}", NOT_ASKED),
        (b'{"jsonrpc": "2.0", "id": 99, "result": {}}', NOT_ASKED),
        (b'{"jsonrpc": "2.0", "id": "2", "result": {}}', NOT_ASKED),
        (b'{"jsonrpc": "2.0", "id": null, "result": {}}', NOT_ASKED),
        (b'{"jsonrpc": "2.0", "id": true, "result": {}}', NOT_ASKED),
        (b'{"jsonrpc": "2.0", "id": 2}', NO_FORMAT),
        (b'{"jsonrpc": "2.0", "id": 2, "result": {}, "error": {}}', NO_FORMAT),
        (b'{"jsonrpc": "2.0", "id": 2, "result": [1]}', NO_FORMAT),
        (
            b'{"jsonrpc": "2.0", "id": 2, "error": {"code": 1, "message": "no\\u0000pe"}}',
            "The MCP server refused: no pe",
        ),
        (b'{"jsonrpc": "2.0", "id": 2, "error": 7}', "The MCP server refused without a reason."),
        (b"[]", "The MCP server closed the connection without an answer."),
    ],
)
async def test_malformed_answers(mcp: ScriptedServer, body: bytes, said: str) -> None:
    mcp.answers["tools/call"] = always(lambda: web.Response(body=body, content_type="application/json"))
    assert (await failure(mcp)).message == said
    mcp.answers["tools/call"] = stream(b"data: " + body + b"\n\n", answers=False)
    if body:
        assert (await failure(mcp)).message == said


@pytest.mark.parametrize(
    "value",
    [
        {"content": "text"},
        {"content": [7]},
        {"content": [{"type": "text"}]},
        {"content": [{"type": "text", "text": 7}]},
        {"content": [{"type": "image"}]},
        {"content": [{"type": "resource", "resource": "a"}]},
        {"content": [{"type": "resource", "resource": {"blob": 1}}]},
    ],
)
async def test_contents_of_wrong_types(mcp: ScriptedServer, value: Any) -> None:
    mcp.answers["tools/call"] = result(value)
    assert (await failure(mcp)).message == "The MCP server's answer has no content that can be read."


async def test_too_many_parts(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = contents(*[text("a")] * 257)
    assert (await failure(mcp)).message == "The MCP server's answer has more than 256 parts."


async def test_an_answer_that_is_packed(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = always(lambda: document({}, headers={"Content-Encoding": "gzip"}))
    assert (await failure(mcp)).message == "The MCP server sent a compressed answer, which was not asked for."


async def test_an_answer_of_another_kind(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = always(lambda: web.Response(text="done"))
    assert "no MCP server: it answered with text/plain" in (await failure(mcp)).message


async def test_nothing_at_all(mcp: ScriptedServer) -> None:
    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    mcp.answers["tools/call"] = answer
    error = await failure(mcp)
    assert error.message == "The MCP server closed the connection without an answer."
    assert not error.never_began
    assert mcp.methods().count("tools/call") == 1  # it may have been carried out: nothing is sent twice


async def test_a_stream_that_ends_without_the_answer(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = stream(b": hello\n\n", answers=False)
    assert (await failure(mcp)).message == "The MCP server closed the connection without an answer."


async def test_a_stream_that_breaks_off(mcp: ScriptedServer) -> None:
    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = await scripted.opened(request)
        await response.write(b"data: {")
        assert request.transport is not None
        request.transport.abort()
        return response

    mcp.answers["tools/call"] = answer
    assert (await failure(mcp)).message == "The MCP server closed the connection in the middle of its answer."


@pytest.mark.parametrize("number", [None, [1], "x" * 300, 1.5])
async def test_own_requests_with_bad_ids(mcp: ScriptedServer, number: Any) -> None:
    mcp.answers["tools/call"] = stream({"jsonrpc": "2.0", "id": number, "method": "ping"})
    assert (await failure(mcp)).message == NO_FORMAT


# ------------------------------------------------------------------------------------------ floods, and silence


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("begin", [b"", b"data: ", b'{"jsonrpc": "'])
async def test_a_line_of_a_gibibyte(mcp: ScriptedServer, kind: str, begin: bytes) -> None:
    """It is given up after the first four million bytes; what is held meanwhile is measured."""
    mcp.answers["tools/call"] = endless(BLOCK, kind=kind, begin=begin)
    tracemalloc.start()
    try:
        assert (await failure(mcp)).message == TOO_LONG
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("block", [b": still here\n\n" * 1_000, b"\r\n" * 1_000, b"id: 1\ndata:\n\n" * 1_000])
async def test_a_flood_of_nothing(mcp: ScriptedServer, block: bytes) -> None:
    mcp.answers["tools/call"] = endless(block)
    assert (await failure(mcp)).message == TOO_LONG


async def test_a_flood_of_notifications(mcp: ScriptedServer) -> None:
    told = scripted.framed({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 200}})
    mcp.answers["tools/call"] = endless(told * 100)
    assert (await failure(mcp)).message == TOO_LONG


async def test_a_flood_of_pings(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = endless(scripted.framed({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
    assert (await failure(mcp)).message == "The MCP server asks and asks instead of answering."
    assert mcp.methods().count("answer") == 32


async def test_a_stream_that_drips(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = endless(b": still here\n\n", pause=0.01)
    assert (await failure(mcp, timeout=0.3)).timed_out


@pytest.mark.parametrize("method", ["initialize", "notifications/initialized", "tools/call"])
async def test_silence(mcp: ScriptedServer, method: str) -> None:
    mcp.answers[method] = scripted.hang
    error = await failure(mcp, timeout=0.2)
    assert (error.message, error.timed_out) == ("The MCP server took longer than 0.2 seconds.", True)


async def test_a_farewell_that_is_not_heard(mcp: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is there: that the server does not let go costs a moment, and not the answer."""
    monkeypatch.setattr("assistants.catalog.mcp.session.FAREWELL", 0.1)
    mcp.answers["DELETE"] = scripted.hang
    assert (await call_tool(mcp.endpoint(), "echo", {"text": "hello"})).text == "hello"
