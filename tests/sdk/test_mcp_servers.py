"""Our MCP client and the servers of the official Python SDK, of both its lines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from assistants.catalog.mcp import Endpoint, McpError, call_tool, list_tools
from tests.support.mcp_processes import RealServer, real_server
from tests.support.processes import eventually

pytestmark = pytest.mark.sdk

KINDS = {
    "1, streams": ("mcp-1",),
    "1, documents without sessions": ("mcp-1", "--json", "--stateless"),
    "2, streams": ("mcp-2",),
    "2, documents without sessions": ("mcp-2", "--json", "--stateless"),
    "2, no handshakes": ("mcp-2", "--modern"),
}


@pytest.fixture(scope="module", params=KINDS)
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    environment, *options = KINDS[request.param]
    with real_server(tmp_path_factory.mktemp("mcp"), environment, *options) as server:
        yield server


def endpoint(server: RealServer, timeout: float = 60.0) -> Endpoint:
    return Endpoint(url=server.url, inner_network=True, timeout=timeout)


async def test_the_list(real: RealServer) -> None:
    tools = {tool.name: tool for tool in await list_tools(endpoint(real))}
    assert list(tools) == ["add", "pay", "look", "count", "wait", "fail", "picture", "find"]
    assert tools["add"].description == "Add two numbers."
    assert tools["add"].input_schema["required"] == ["a", "b"]
    assert [tool.hints.get("readOnlyHint") for tool in tools.values()] == [True, None, True, True, *[None] * 4]
    assert {tool.problem for tool in tools.values()} == {""}


async def test_a_list_that_is_asked_for_twice_has_the_same_digests(real: RealServer) -> None:
    assert await list_tools(endpoint(real)) == await list_tools(endpoint(real))


async def test_calls(real: RealServer) -> None:
    answer = await call_tool(endpoint(real), "add", {"a": 2, "b": 3})
    assert (answer.text, answer.is_error) == ("5", False)
    answer = await call_tool(endpoint(real), "picture", {})
    assert answer.text == "a caption\n[An image (image/png), 30 bytes, which cannot be shown here]"


async def test_an_argument_that_is_said_in_a_header_too(real: RealServer, request: pytest.FixtureRequest) -> None:
    find = {tool.name: tool for tool in await list_tools(endpoint(real))}["find"]
    answer = await call_tool(endpoint(real), "find", {"region": "Größe"}, schema=find.input_schema)
    assert answer.text == "found in Größe"
    if "--modern" in KINDS[request.node.callspec.params["real"]]:
        with pytest.raises(McpError, match="Mcp-Param-Region"):
            await call_tool(endpoint(real), "find", {"region": "Größe"})


async def test_what_a_tool_tells_meanwhile_is_no_answer(real: RealServer) -> None:
    assert (await call_tool(endpoint(real), "count", {"to": 5})).text == "counted to 5"


@pytest.mark.parametrize(("tool", "arguments"), [("fail", {"reason": "no"}), ("add", {"a": "x"}), ("unknown", {})])
async def test_errors(real: RealServer, tool: str, arguments: dict[str, str]) -> None:
    answer = await call_tool(endpoint(real), tool, arguments)
    assert answer.is_error
    assert tool in answer.text


async def test_calls_at_the_same_time(real: RealServer) -> None:
    calls = [call_tool(endpoint(real), "add", {"a": number, "b": 1}) for number in range(8)]
    assert [answer.text for answer in await asyncio.gather(*calls)] == [str(number + 1) for number in range(8)]


async def test_a_call_that_takes_too_long_is_taken_back(real: RealServer) -> None:
    """A server with sessions is told, and stops; the others see the connection go. The call has begun by then."""
    before = len(real.calls("wait"))
    with pytest.raises(McpError, match="took longer than 5 seconds") as caught:
        await call_tool(endpoint(real, timeout=5.0), "wait", {"seconds": 60})
    assert caught.value.timed_out
    assert len(real.calls("wait")) == before + 1
    assert (await call_tool(endpoint(real), "add", {"a": 1, "b": 1})).text == "2"


@pytest.mark.parametrize("environment", ["mcp-1", "mcp-2"])
async def test_cancelling_reaches_the_tool(environment: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with real_server(tmp_path_factory.mktemp("mcp"), environment) as server:
        call = asyncio.create_task(call_tool(endpoint(server), "wait", {"seconds": 60}))
        await asyncio.to_thread(eventually, lambda: server.calls("wait"))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(eventually, lambda: server.calls("cancelled"))


async def test_a_server_that_is_gone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with real_server(tmp_path_factory.mktemp("mcp"), "mcp-2") as server:
        call = asyncio.create_task(call_tool(endpoint(server), "wait", {"seconds": 60}))
        await asyncio.to_thread(eventually, lambda: server.calls("wait"))
        server.process.kill()
        with pytest.raises(McpError, match="closed the connection"):
            await call
        with pytest.raises(McpError, match="could not be reached"):
            await call_tool(endpoint(server), "add", {"a": 1, "b": 1})
