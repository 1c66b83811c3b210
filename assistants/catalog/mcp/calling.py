"""``tools/call``: one tool is carried out by its server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assistants.catalog.mcp import mirrored
from assistants.catalog.mcp.content import text_of
from assistants.catalog.mcp.protocol import Endpoint
from assistants.catalog.mcp.session import connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a call.

    :ivar text: whatever it was, as text. It comes from outside: data, never instructions.
    :ivar is_error: the tool itself says that it failed, and why.
    """

    text: str
    is_error: bool


async def call_tool(
    server: Endpoint, name: str, arguments: dict[str, Any], *, schema: dict[str, Any] | None = None
) -> Answer:
    """Call a tool, once: nothing is sent a second time. Cancelled, it tells the server so.

    :param schema: of its arguments, as it was listed without a problem: some of them may have to stand in headers, too.
    :raises McpError: there is no answer. Whether the tool was carried out is not known then, unless ``never_began``.
    """
    async with connected(server) as session:
        asked = {"name": name, "arguments": arguments}
        result = await session.request("tools/call", asked, said_twice=mirrored.headers_of(schema or {}, arguments))
    return Answer(text=text_of(result, server), is_error=result.get("isError") is True)
