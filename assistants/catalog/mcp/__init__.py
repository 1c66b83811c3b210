"""A client of MCP servers (the Model Context Protocol's Streamable HTTP transport), as far as their tools go.

Every listing and every call is a conversation of its own: it is opened, asked one thing, and closed, so that no server
holds anything here between two calls, and any worker can make the next one. Nothing that a server says is believed:
see :mod:`assistants.catalog.mcp.transport` for what bounds it, and ``listing`` and ``content`` for how it is read.
"""

from __future__ import annotations

from assistants.catalog.mcp.calling import Answer, call_tool
from assistants.catalog.mcp.listing import ToolListing, list_tools
from assistants.catalog.mcp.protocol import Endpoint, McpError

__all__ = ["Answer", "Endpoint", "McpError", "ToolListing", "call_tool", "list_tools"]
