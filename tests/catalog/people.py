"""What tests of the catalog begin with."""

from __future__ import annotations

from typing import Any

from assistants.catalog.mcp import ToolListing
from assistants.catalog.models import McpServer
from assistants.catalog.services import create_server, store_listing
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal

URL = "https://tools.example.org/mcp"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def person(user: User) -> Principal:
    principal = principal_of_person(user.pk)
    assert principal is not None
    return principal


def tool(name: str, digest: str = "", **more: Any) -> ToolListing:
    return ToolListing(name=name, input_schema=WEATHER, digest=digest or f"digest-of-{name}", **more)


def a_server(user: User, *tools: ToolListing, label: str = "tools", url: str = URL, **described: Any) -> McpServer:
    """A server of the user's project that has listed these tools; none of them is allowed."""
    server = create_server(principal=person(user), label=label, url=url, **described)
    listed(server, *tools)
    return server


def listed(server: McpServer, *tools: ToolListing) -> McpServer:
    store_listing(server_id=server.pk, url=server.url, listed=tools)
    return again(server)


def again(server: McpServer) -> McpServer:
    return McpServer.objects.get(pk=server.pk)
