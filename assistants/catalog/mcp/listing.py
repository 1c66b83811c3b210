"""``tools/list``: what a server says that it can do, checked before anybody is shown it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import orjson

from assistants.catalog.mcp import mirrored
from assistants.catalog.mcp.protocol import Endpoint, McpError, Message
from assistants.catalog.mcp.session import Session, connected
from sovereign.core.api.validation import is_portable
from sovereign.core.json_schema import SchemaProblem, check_schema
from sovereign.core.json_values import texts

MAXIMUM_PAGES = 32
MAXIMUM_TOOLS = 256
MAXIMUM_LISTING = 1024 * 1024  # bytes of all pages
MAXIMUM_CURSOR = 4_096  # characters
NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
MAXIMUM_DESCRIPTION = 8_192  # characters
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
TELLING = "Its definition holds what is sent to its server as a credential."
NO_LIST = "The MCP server's list of tools is not in its protocol's format."


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolListing:
    """A tool as its server describes it. Every word is the server's own.

    :ivar input_schema: JSON Schema of its arguments, an object's.
    :ivar hints: those of the protocol's annotations that are given. A server may say what it likes.
    :ivar digest: of all that a model is shown or that is decided by: what was allowed is withheld when it changes.
        ``""`` of a tool with a problem.
    :ivar problem: why it cannot be used, a sentence; ``""`` where it can.
    """

    name: str
    title: str = ""
    description: str = ""
    input_schema: dict[str, Any] = field(default_factory=dict)
    hints: dict[str, bool] = field(default_factory=dict)
    digest: str
    problem: str = ""


async def list_tools(server: Endpoint) -> list[ToolListing]:
    """The tools of a server, in its order; those that break a rule are there with their ``problem``.

    :raises McpError: it cannot be asked, or its list cannot be believed.
    """
    async with connected(server) as session:
        listed = [tool async for tool in _pages(session)]
    tools = await asyncio.to_thread(lambda: [read(tool, server) for tool in listed])  # schemas take their time
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise McpError(f"The MCP server lists the tool {twice} more than once.")
    return tools


async def _pages(session: Session) -> AsyncGenerator[Any, None]:
    """All tools of all pages, as they come.

    :raises McpError: there are too many, or they never end.
    """
    cursor, listed = "", 0
    for _ in range(MAXIMUM_PAGES):
        room = MAXIMUM_LISTING - session.received
        page = await session.request("tools/list", {"cursor": cursor} if cursor else {}, maximum=room)
        tools = page.get("tools")
        if not isinstance(tools, list):
            raise McpError(NO_LIST)
        listed += len(tools)
        if listed > MAXIMUM_TOOLS:
            raise McpError(f"The MCP server lists more than {MAXIMUM_TOOLS} tools.")
        for tool in tools:
            yield tool
        cursor = _cursor(page)
        if not cursor:
            return
    raise McpError(f"The MCP server's list of tools has more than {MAXIMUM_PAGES} pages.")


def _cursor(page: Message) -> str:
    cursor = page.get("nextCursor") or ""
    if not isinstance(cursor, str) or len(cursor) > MAXIMUM_CURSOR:
        raise McpError(NO_LIST)
    return cursor


def read(tool: Any, server: Endpoint) -> ToolListing:
    """What a server says of one tool.

    :raises McpError: it is no tool at all.
    """
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str) or not tool["name"]:
        raise McpError(NO_LIST)
    description, schema, hints = tool.get("description") or "", tool.get("inputSchema"), _hints(tool)
    is_telling = any(server.without_secrets(text) != text for text in texts([tool["name"], description, schema]))
    problem = TELLING if is_telling else server.quoted(_problem(tool["name"], description, schema))
    return ToolListing(
        name=server.quoted(tool["name"]) or "(no name)" if problem else tool["name"],
        title=server.quoted(tool.get("title")),
        description="" if problem else description,
        input_schema={} if problem or schema is None else schema,
        hints=hints,
        digest="" if problem else _digest(tool["name"], description, schema, hints),
        problem=problem,
    )


def _digest(*shown: Any) -> str:
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _hints(tool: Message) -> dict[str, bool]:
    said = tool.get("annotations")
    if not isinstance(said, dict):
        return {}
    return {hint: said[hint] for hint in HINTS if isinstance(said.get(hint), bool)}


def _problem(name: str, description: Any, schema: Any) -> str:
    """Why a tool is not offered to any model, or nothing."""
    if not NAME.fullmatch(name):
        return "Its name has other characters than letters, digits, '_', '-', '.' and '/', or more than 128 of them."
    if not isinstance(description, str) or len(description) > MAXIMUM_DESCRIPTION:
        return f"Its description is no text of at most {MAXIMUM_DESCRIPTION:,} characters."
    if "\x00" in description:
        return "Its description holds a character that is no text."
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return "The schema of its arguments is not one of an object."
    try:
        check_schema(schema)
    except SchemaProblem as problem:
        return f"The schema of its arguments cannot be used. {problem}"
    if not is_portable(schema):
        return "The schema of its arguments holds what no database keeps."
    return mirrored.problem_of(schema)
