"""What is said to an MCP server, and how what it answers is read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from assistants.catalog.mcp import McpError, call_tool, list_tools
from assistants.catalog.mcp.protocol import PREFERRED
from tests.catalog import scripted
from tests.catalog.scripted import SECRET, SESSION, ScriptedServer, contents, result, stream, text

CALL = ["initialize", "notifications/initialized", "tools/call", "DELETE"]


async def test_a_call(mcp: ScriptedServer) -> None:
    answer = await call_tool(mcp.endpoint(), "echo", {"text": "hello"})
    assert (answer.text, answer.is_error) == ("hello", False)
    assert mcp.methods() == CALL
    assert mcp.heard[2][1]["params"] == {"name": "echo", "arguments": {"text": "hello"}}


async def test_the_headers(mcp: ScriptedServer) -> None:
    """Credentials go with each request; session and version with each after the first."""
    await call_tool(mcp.endpoint(), "echo", {"text": "hello"})
    for _, _, headers in mcp.heard:
        assert headers["Authorization"] == f"Bearer {SECRET}"
        assert headers["Accept"] == "application/json, text/event-stream"
    assert "Mcp-Session-Id" not in mcp.heard[0][2]
    assert {headers["Mcp-Session-Id"] for _, _, headers in mcp.heard[1:]} == {SESSION}
    assert {headers["MCP-Protocol-Version"] for _, _, headers in mcp.heard[1:]} == {PREFERRED}


async def test_a_server_without_sessions_is_not_told_of_the_end(mcp: ScriptedServer) -> None:
    mcp.answers["initialize"] = result({"protocolVersion": "2025-03-26", "capabilities": {}})
    await call_tool(mcp.endpoint(), "echo", {"text": "hello"})
    assert mcp.methods() == CALL[:-1]
    assert mcp.heard[-1][2]["MCP-Protocol-Version"] == "2025-03-26"


async def test_our_own_headers_are_not_replaced_by_those_of_a_row(mcp: ScriptedServer) -> None:
    headers = {"Accept": "text/html", "Content-Type": "text/plain", "Mcp-Session-Id": "another"}
    await call_tool(mcp.endpoint(headers=headers), "echo", {"text": "hello"})
    assert mcp.heard[2][2]["Accept"] == "application/json, text/event-stream"
    assert mcp.heard[2][2]["Content-Type"] == "application/json"
    assert mcp.heard[2][2]["Mcp-Session-Id"] == SESSION


async def test_the_list(mcp: ScriptedServer) -> None:
    [tool] = await list_tools(mcp.endpoint())
    assert (tool.name, tool.description, tool.problem) == ("echo", "Says what it is told.", "")
    assert tool.input_schema == scripted.ECHO["inputSchema"]
    assert tool.hints == {"readOnlyHint": True}


async def test_pages(mcp: ScriptedServer) -> None:
    async def pages(server: ScriptedServer, request: Any, message: dict[str, Any]) -> Any:
        number = int(message["params"].get("cursor", "0"))
        page: dict[str, Any] = {"tools": [{"name": f"tool{number}", "inputSchema": {"type": "object"}}]}
        return scripted.answered(message, page | ({"nextCursor": str(number + 1)} if number < 3 else {}))

    mcp.answers["tools/list"] = pages
    assert [tool.name for tool in await list_tools(mcp.endpoint())] == ["tool0", "tool1", "tool2", "tool3"]


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Says what it is told, and sends it to somebody else."},
        {"inputSchema": {"type": "object"}},
        {"annotations": {"readOnlyHint": False}},
    ],
)
async def test_a_tool_that_changed_has_another_digest(mcp: ScriptedServer, change: dict[str, Any]) -> None:
    [before] = await list_tools(mcp.endpoint())
    [same] = await list_tools(mcp.endpoint())
    mcp.tools = [scripted.ECHO | change]
    [after] = await list_tools(mcp.endpoint())
    assert before.digest == same.digest != after.digest


async def test_the_order_of_keys_is_no_change(mcp: ScriptedServer) -> None:
    [before] = await list_tools(mcp.endpoint())
    mcp.tools = [dict(reversed(list(scripted.ECHO.items()))) | {"_meta": {"a": 1}}]
    [after] = await list_tools(mcp.endpoint())
    assert before.digest == after.digest


async def test_an_answer_as_a_stream(mcp: ScriptedServer) -> None:
    """Notifications are passed over, a ping is answered, everything else is refused."""
    mcp.answers["tools/call"] = stream(
        b": hello\n\nid: 1\ndata:\n\n",
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}},
        {"jsonrpc": "2.0", "id": 7, "method": "ping"},
        {"jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": {}},
        {"jsonrpc": "2.0", "id": 8, "method": "roots/list"},
    )
    assert (await call_tool(mcp.endpoint(), "echo", {})).text == "done"
    answers = [message for method, message, _ in mcp.heard if method == "answer"]
    assert answers[0] == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert [(answer["id"], answer["error"]["code"]) for answer in answers[1:]] == [("s", -32601), (8, -32601)]


async def test_an_answer_as_a_batch(mcp: ScriptedServer) -> None:
    async def batch(server: ScriptedServer, request: Any, message: dict[str, Any]) -> Any:
        told = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
        done = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [text("done")]}}
        return scripted.document([told, done])

    mcp.answers["tools/call"] = batch
    assert (await call_tool(mcp.endpoint(), "echo", {})).text == "done"


async def test_an_error_of_the_tool_is_an_answer(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = result({"content": [text("no such city")], "isError": True})
    answer = await call_tool(mcp.endpoint(), "echo", {})
    assert (answer.text, answer.is_error) == ("no such city", True)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([text("a"), text("b")], "a\nb"),
        ([], ""),
        ([text("a\x00b\x1b[0m\tc\n")], "ab[0m\tc\n"),
        (
            [{"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}],
            "[An image (image/png), 6 bytes, which cannot be shown here]",
        ),
        ([{"type": "audio", "data": ""}], "[A recording, 0 bytes, which cannot be shown here]"),
        ([{"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}}], "inside"),
        (
            [{"type": "resource", "resource": {"uri": "file:///a", "blob": "aGVsbG8=", "mimeType": "a/b"}}],
            "[The file file:///a (a/b), 6 bytes, which cannot be shown here]",
        ),
        ([{"type": "resource_link", "uri": "file:///a", "name": "A"}], "[A link to A: file:///a]"),
        ([{"type": "hologram"}], "[Content of a kind that is not known here: hologram]"),
        ([text(f"your key is {SECRET}")], "your key is [secret]"),
    ],
)
async def test_contents(mcp: ScriptedServer, parts: list[Any], said: str) -> None:
    mcp.answers["tools/call"] = contents(*parts)
    assert (await call_tool(mcp.endpoint(), "echo", {})).text == said


@pytest.mark.parametrize(
    ("data", "said"), [({"degrees": 21}, '{"degrees":21}'), ([1, 2], "[1,2]"), ("done", '"done"'), (None, "null")]
)
async def test_data_without_text(mcp: ScriptedServer, data: Any, said: str) -> None:
    mcp.answers["tools/call"] = result({"content": [], "structuredContent": data})
    assert (await call_tool(mcp.endpoint(), "echo", {})).text == said


async def test_a_call_that_is_cancelled_is_taken_back(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = scripted.hang
    task = asyncio.create_task(call_tool(mcp.endpoint(), "echo", {}))
    asked = await mcp.until_heard("tools/call")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mcp.methods()[-2:] == ["notifications/cancelled", "DELETE"]
    assert mcp.heard[-2][1]["params"]["requestId"] == asked["id"]


async def test_a_call_that_takes_too_long_is_taken_back(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = scripted.hang
    with pytest.raises(McpError, match="took longer than 2 seconds") as caught:  # long enough for the handshake
        await call_tool(mcp.endpoint(timeout=2.0), "echo", {})
    assert caught.value.timed_out
    assert not caught.value.never_began
    assert mcp.methods()[-2:] == ["notifications/cancelled", "DELETE"]


async def test_a_handshake_that_takes_too_long_is_not_taken_back(mcp: ScriptedServer) -> None:
    """The protocol forbids it."""
    mcp.answers["initialize"] = scripted.hang
    with pytest.raises(McpError, match="took longer") as caught:
        await call_tool(mcp.endpoint(timeout=2.0), "echo", {})
    assert mcp.methods() == ["initialize"]
    assert caught.value.never_began


@pytest.mark.parametrize("status", [200, 429])
async def test_a_call_that_was_refused_is_not_taken_back(mcp: ScriptedServer, status: int) -> None:
    """It is over."""
    error = {"jsonrpc": "2.0", "id": 2, "error": {"code": -32603, "message": "Not now"}}
    mcp.answers["tools/call"] = scripted.always(lambda: scripted.document(error, status=status))
    with pytest.raises(McpError, match="Not now"):
        await call_tool(mcp.endpoint(), "echo", {})
    assert mcp.methods() == CALL


async def test_an_answer_that_is_given_up_is_taken_back(mcp: ScriptedServer) -> None:
    mcp.answers["tools/call"] = scripted.endless(b": still here\n\n" * 1_000)
    with pytest.raises(McpError, match="longer answer"):
        await call_tool(mcp.endpoint(), "echo", {})
    assert mcp.methods()[-2:] == ["notifications/cancelled", "DELETE"]


def stateless(mcp: ScriptedServer, **discovered: Any) -> None:
    """Make the server one of the revision without handshakes."""
    refusal = {"jsonrpc": "2.0", "id": None, "error": {"code": -32022, "message": "Unsupported protocol version"}}
    mcp.answers["initialize"] = scripted.always(lambda: scripted.document(refusal, status=400))
    mcp.answers["server/discover"] = result(
        {"supportedVersions": ["2026-07-28"], "resultType": "complete"} | discovered
    )


async def test_a_server_that_knows_no_handshakes(mcp: ScriptedServer) -> None:
    """Each request then says itself who asks, in its body and in its headers."""
    stateless(mcp)
    assert (await call_tool(mcp.endpoint(), "echo", {"text": "hello"})).text == "hello"
    assert mcp.methods() == ["initialize", "server/discover", "tools/call"]
    _, asked, headers = mcp.heard[-1]
    assert asked["params"]["arguments"] == {"text": "hello"}
    assert asked["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert (headers["MCP-Protocol-Version"], headers["Mcp-Method"], headers["Mcp-Name"]) == (
        "2026-07-28", "tools/call", "echo",
    )  # fmt: skip
    assert "Mcp-Session-Id" not in headers


@pytest.mark.parametrize("versions", [["2027-01-01"], [], None, 7])
async def test_no_revision_in_common(mcp: ScriptedServer, versions: Any) -> None:
    stateless(mcp, supportedVersions=versions)
    with pytest.raises(McpError, match="status 400: Unsupported protocol version"):
        await call_tool(mcp.endpoint(), "echo", {})
    assert "tools/call" not in mcp.methods()


async def test_a_tool_that_wants_to_know_more(mcp: ScriptedServer) -> None:
    stateless(mcp)
    mcp.answers["tools/call"] = result({"resultType": "input_required", "inputRequests": {}})
    with pytest.raises(McpError, match="wants to know more"):
        await call_tool(mcp.endpoint(), "echo", {})


async def test_without_handshakes_a_call_is_taken_back_by_hanging_up(mcp: ScriptedServer) -> None:
    stateless(mcp)
    mcp.answers["tools/call"] = scripted.hang
    with pytest.raises(McpError, match="took longer"):
        await call_tool(mcp.endpoint(timeout=2.0), "echo", {})
    assert mcp.methods()[-1] == "tools/call"


INTEGER, BOOLEAN = {"type": "integer", "x-mcp-header": "Limit"}, {"type": "boolean", "x-mcp-header": "Fast"}
SAID_TWICE = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "how": {"type": "object", "properties": {"limit": INTEGER, "fast": BOOLEAN}},
        "query": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        (
            {"region": "us-west1", "how": {"limit": 7.0, "fast": True}, "query": "x"},
            {"Region": "us-west1", "Limit": "7", "Fast": "true"},
        ),
        ({"region": "größe"}, {"Region": "=?base64?Z3LDtsOfZQ==?="}),
        ({"region": " a\r\nHost: b"}, {"Region": "=?base64?IGENCkhvc3Q6IGI=?="}),
        ({"region": "=?base64?YQ==?="}, {"Region": "=?base64?PT9iYXNlNjQ/WVE9PT89?="}),
        ({"how": {"fast": False}}, {"Fast": "false"}),
        ({"query": "x"}, {}),
    ],
)
async def test_arguments_that_are_said_in_headers_too(
    mcp: ScriptedServer, arguments: dict[str, Any], headers: dict[str, str]
) -> None:
    """Only from the revision on that has them."""
    await call_tool(mcp.endpoint(), "echo", arguments, schema=SAID_TWICE)
    assert mirrored(mcp) == {}
    stateless(mcp)
    await call_tool(mcp.endpoint(), "echo", arguments, schema=SAID_TWICE)
    assert mirrored(mcp) == headers


def mirrored(mcp: ScriptedServer) -> dict[str, str]:
    """What the last call said in headers of its arguments."""
    [*_, headers] = [headers for method, _, headers in mcp.heard if method == "tools/call"]
    return {name.removeprefix("Mcp-Param-"): value for name, value in headers.items() if name.startswith("Mcp-Param-")}
