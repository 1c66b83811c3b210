"""Lists of tools that lie, never end, or hold what no model may be shown."""

from __future__ import annotations

from typing import Any

import pytest

from assistants.catalog.mcp import list_tools
from tests.catalog import scripted
from tests.catalog.failing import NO_LIST, TOO_LONG, list_failure
from tests.catalog.scripted import ScriptedServer, result

OBJECT = {"type": "object"}


@pytest.mark.parametrize("page", [{}, {"tools": "a"}, {"tools": [7]}, {"tools": [{}]}, {"tools": [{"name": 7}]}])
async def test_lists_that_are_none(mcp: ScriptedServer, page: Any) -> None:
    mcp.answers["tools/list"] = result(page)
    assert (await list_failure(mcp)).message == NO_LIST


@pytest.mark.parametrize("cursor", [7, {"a": 1}, "x" * 5_000])
async def test_bad_cursors(mcp: ScriptedServer, cursor: Any) -> None:
    mcp.answers["tools/list"] = result({"tools": [], "nextCursor": cursor})
    assert (await list_failure(mcp)).message == NO_LIST


async def test_pages_without_end(mcp: ScriptedServer) -> None:
    mcp.answers["tools/list"] = result({"tools": [], "nextCursor": "again"})
    assert (await list_failure(mcp)).message == "The MCP server's list of tools has more than 32 pages."


async def test_too_many_tools(mcp: ScriptedServer) -> None:
    mcp.tools = [{"name": f"tool{number}", "inputSchema": OBJECT} for number in range(257)]
    assert (await list_failure(mcp)).message == "The MCP server lists more than 256 tools."


async def test_a_list_of_many_bytes(mcp: ScriptedServer) -> None:
    """Also where each of its pages is short enough."""
    page = {"tools": [], "nextCursor": "again", "padding": "x" * 400_000}
    mcp.answers["tools/list"] = result(page)
    assert (await list_failure(mcp)).message == TOO_LONG
    assert mcp.methods().count("tools/list") == 3


async def test_a_tool_that_is_listed_twice(mcp: ScriptedServer) -> None:
    mcp.tools = [scripted.ECHO, scripted.ECHO]
    assert (await list_failure(mcp)).message == "The MCP server lists the tool echo more than once."


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = OBJECT
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "two words"}, "Its name has other characters"),
        ({"name": "x" * 129}, "Its name has other characters"),
        ({"name": "\x1b[31m"}, "Its name has other characters"),
        ({"description": 7}, "Its description is no text"),
        ({"description": "x" * 8_193}, "Its description is no text"),
        ({"description": "a\x00b"}, "Its description holds a character that is no text"),
        ({"inputSchema": None}, "not one of an object"),
        ({"inputSchema": {"type": "string"}}, "not one of an object"),
        ({"inputSchema": OBJECT | {"title": "x" * 65_536}}, "at most 65,536 are kept"),
        ({"inputSchema": nested(20)}, "nested more than 32 levels deep"),
        ({"inputSchema": nested(450)}, "nested more than 32 levels deep"),
        ({"inputSchema": {"properties": {"a": {"$ref": "http://169.254.169.254/"}}}}, "is outside of the schema"),
        ({"inputSchema": {"properties": {"\x1b[31m": {"type": "thing"}}}}, "'thing' is not valid"),
        ({"description": f"Your key: Bearer {scripted.SECRET}."}, "holds what is sent to its server as a credential"),
        ({"name": scripted.SECRET}, "holds what is sent to its server as a credential"),
        ({"inputSchema": OBJECT | {"properties": {scripted.SECRET: {}}}}, "sent to its server as a credential"),
        ({"inputSchema": {"enum": ["a\x00"]}}, "holds what no database keeps"),
        ({"inputSchema": {"properties": {"a": {"default": 1e300}}}}, "holds what no database keeps"),
    ],
)
async def test_tools_that_are_not_offered(mcp: ScriptedServer, change: dict[str, Any], problem: str) -> None:
    """The others of the same server are."""
    mcp.tools = [scripted.ECHO | change, scripted.ECHO | {"name": "good"}]
    bad, good = await list_tools(mcp.endpoint())
    assert problem in bad.problem
    assert bad.name.isprintable()
    assert scripted.SECRET not in f"{bad.name}{bad.title}{bad.description}"
    assert bad.problem.isprintable()
    assert (bad.input_schema, bad.digest) == ({}, "")
    assert good.problem == ""


REGION = {"type": "string", "x-mcp-header": "Region"}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": REGION | {"x-mcp-header": "bad name\r\n"}}},
        {"properties": {"a": REGION | {"x-mcp-header": ""}}},
        {"properties": {"a": REGION | {"x-mcp-header": 7}}},
        {"properties": {"a": REGION | {"type": "number"}}},
        {"properties": {"a": {"x-mcp-header": "Region"}}},
        {"properties": {"a": REGION, "b": REGION | {"x-mcp-header": "region"}}},
        {"properties": {"a": {"type": "array", "items": REGION}}},
        {"properties": {"a": {"anyOf": [REGION]}}},
        {"$defs": {"a": REGION}, "properties": {"a": {"$ref": "#/$defs/a"}}},
        REGION,
    ],
)
async def test_a_tool_whose_arguments_cannot_stand_in_headers(mcp: ScriptedServer, schema: dict[str, Any]) -> None:
    mcp.tools = [scripted.ECHO | {"inputSchema": schema | OBJECT}]
    [tool] = await list_tools(mcp.endpoint())
    assert "'x-mcp-header'" in tool.problem
    assert tool.digest == ""


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": REGION, "b": {"type": "object", "properties": {"c": REGION | {"x-mcp-header": "C"}}}}},
        {"properties": {"x-mcp-header": {"type": "string"}}},
        {"properties": {"a": {"type": "object", "default": {"x-mcp-header": "bad name"}}}},
    ],
)
async def test_a_tool_whose_arguments_can(mcp: ScriptedServer, schema: dict[str, Any]) -> None:
    mcp.tools = [scripted.ECHO | {"inputSchema": OBJECT | schema}]
    [tool] = await list_tools(mcp.endpoint())
    assert tool.problem == ""
