"""The tools that a server lists, as its page shows them. Every word of them is somebody else's: what models read and
people do not see is spelt out."""

from __future__ import annotations

import json
from typing import Any

from assistants.catalog.mcp import ToolListing
from assistants.catalog.models import McpServer
from sovereign.core.visible import visible

LISTED = "listed"  # of a form that says which tools a person has to agree to
HINTS = {
    "readOnlyHint": "changes nothing",
    "destructiveHint": "may destroy",
    "idempotentHint": "may be repeated",
    "openWorldHint": "reaches out",
}


def rows(server: McpServer) -> list[dict[str, Any]]:
    """Those that were allowed as something else first, then in the server's order."""
    shown = [_row(server, tool) for tool in server.tools]
    return sorted(shown, key=lambda row: not row["is_changed"])


def _row(server: McpServer, tool: ToolListing) -> dict[str, Any]:
    state, label = _state(server, tool)
    return {
        "name": tool.name,
        "title": visible(tool.title),
        "description": visible(tool.description),
        "schema": visible(json.dumps(tool.input_schema, indent=2, ensure_ascii=False)),
        "claims": ", ".join(words for hint, words in HINTS.items() if tool.hints.get(hint)),
        "problem": tool.problem,
        "value": f"{tool.digest} {tool.name}",
        "is_allowed": server.is_allowed(tool),
        "is_changed": server.has_changed(tool),
        "asks": server.has_changed(tool) or tool.name not in server.unasked_tools,
        "state": state,
        "label": label,
    }


def _state(server: McpServer, tool: ToolListing) -> tuple[str, str]:
    if tool.problem:
        return "cannot be used", "danger"
    if server.has_changed(tool):
        return "changed: withheld", "warning"
    return ("allowed", "success") if server.is_allowed(tool) else ("not allowed", "default")
