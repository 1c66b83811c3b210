"""A registered MCP server whose tools are allowed, for tests of runs that have them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assistants.catalog.models import McpServer
from assistants.catalog.services import refresh_listing
from inference.chat import Delta
from inference.secrets import seal
from runs.models import Run, ToolUse
from sovereign.core.database import in_database
from tests.catalog.scripted import SECRET, ScriptedServer
from tests.runs.support import Model, end, ended, steps_of, text, working

LABEL = "house"


async def registered(mcp: ScriptedServer, project_id: str, **fields: Any) -> McpServer:
    """The server's row, with all that it lists allowed."""
    described = {"label": LABEL, "url": mcp.url, "inner_network": True, "sealed_key": seal(SECRET), "approval": "never"}
    row = await in_database(lambda: McpServer.objects.create(project_id=project_id, **{**described, **fields}))
    await refresh_listing(row.pk)
    mcp.heard.clear()
    return await allow(row)


async def allow(row: McpServer, names: Collection[str] | None = None) -> McpServer:
    """As an administrator does who looks at what was listed last."""

    def write() -> McpServer:
        kept = McpServer.objects.get(pk=row.pk)
        kept.allowed = {tool.name: tool.digest for tool in kept.tools if names is None or tool.name in names}
        kept.save()
        return kept

    return await in_database(write)


async def one_call(model: Model, run: Run, *asked: Delta) -> Run:
    """The run's end, after this call and an answer."""
    model.answers(*asked, end("tool_calls"))
    model.answers(*text("Well."), end())
    async with working():
        return await ended(run.pk)


def outputs(run: Run) -> list[str]:
    """What the model was told by the tools, in order."""
    return [call["function"]["output"] for step in steps_of(run.pk) for call in step.tool_calls]


def uses() -> list[tuple[str, str, str]]:
    """Kind, tool and outcome of all calls, in order."""
    return list(ToolUse.objects.order_by("created_at", "id").values_list("kind", "tool", "outcome"))
