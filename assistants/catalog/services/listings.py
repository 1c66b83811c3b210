"""What MCP servers say that they can do: asked outside of every transaction, then kept.

The last listing is used as long as no newer one came: a server that is away takes no tool from an assistant by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from assistants.catalog import mcp
from assistants.catalog.mcp import McpError, ToolListing
from assistants.catalog.models import McpServer
from sovereign.accounts import audit
from sovereign.core.database import in_database, now, service

LONGEST_ERROR = 500  # characters


async def refresh_listing(server_id: str) -> McpServer | None:
    """Ask a server for its tools, and keep what it says, or why it said nothing (``listing_error``).

    :returns: the row as it is now; ``None`` where there is none (any more), or it is not enabled.
    """
    server = await in_database(_enabled, server_id)
    return None if server is None else await in_database(_keep, server, await _asked(server))


async def _asked(server: McpServer) -> list[ToolListing] | McpError:
    try:
        return await mcp.list_tools(server.endpoint())
    except McpError as failure:
        return failure


def _keep(server: McpServer, answer: list[ToolListing] | McpError) -> McpServer | None:
    if isinstance(answer, McpError):
        return store_failure(server_id=server.pk, url=server.url, message=answer.message)
    return store_listing(server_id=server.pk, url=server.url, listed=answer)


@service
def store_listing(*, server_id: str, url: str, listed: Sequence[ToolListing]) -> McpServer | None:
    """Keep what a server said. A tool that is no longer what was allowed is withheld from now on.

    :param url: that it was asked at: an answer of another address is dropped.
    """
    server = _locked(server_id, url)
    if server is None:
        return None
    known = {tool.name for tool in server.tools if server.has_changed(tool)}
    server.listing = [asdict(tool) for tool in listed]
    server.listed_at, server.listing_error = now(), ""
    server.__dict__.pop("tools", None)
    server.save(update_fields=["listing", "listed_at", "listing_error"])
    if changed := sorted({tool.name for tool in server.tools if server.has_changed(tool)} - known):
        audit.record(None, "mcpserver.tools_changed", server, withheld=changed)
    return server


@service
def store_failure(*, server_id: str, url: str, message: str) -> McpServer | None:
    """Keep why a server could not be asked; what it listed before stays."""
    server = _locked(server_id, url)
    if server is not None:
        server.listing_error = message[:LONGEST_ERROR]
        server.save(update_fields=["listing_error"])
    return server


def _enabled(server_id: str) -> McpServer | None:
    server: McpServer | None = McpServer.objects.filter(pk=server_id, enabled=True).first()
    return server


def _locked(server_id: str, url: str) -> McpServer | None:
    rows = McpServer.objects.select_for_update(no_key=True).filter(pk=server_id, url=url)
    server: McpServer | None = rows.first()
    return server
