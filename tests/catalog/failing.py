"""Conversations that fail: each error is one sentence that is fit for people."""

from __future__ import annotations

from typing import Any

import pytest

from assistants.catalog.mcp import McpError, call_tool, list_tools
from tests.catalog.scripted import SECRET, ScriptedServer

NO_LIST = "The MCP server's list of tools is not in its protocol's format."
TOO_LONG = "The MCP server sent a longer answer than is accepted."


async def failure(server: ScriptedServer, **changes: Any) -> McpError:
    """Of a call; the message is fit for people."""
    with pytest.raises(McpError) as caught:
        await call_tool(server.endpoint(**changes), "echo", {})
    return fit(caught.value)


async def list_failure(server: ScriptedServer, **changes: Any) -> McpError:
    with pytest.raises(McpError) as caught:
        await list_tools(server.endpoint(**changes))
    return fit(caught.value)


def fit(error: McpError) -> McpError:
    assert SECRET not in error.message
    assert error.message.isprintable()
    assert len(error.message) < 700
    return error
