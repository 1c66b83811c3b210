"""``python -m tests.support.register_mcp URL APPROVAL ASSISTANT``: what an administrator does about an MCP server.

It is registered under a label of its own, its tools are listed and allowed, and the assistant is given them all. Prints
the label.
"""

from __future__ import annotations

import asyncio
import sys

import django

django.setup()

from assistants.catalog.models import McpServer  # noqa: E402  (apps first)
from assistants.catalog.services import refresh_listing  # noqa: E402
from assistants.models import Assistant  # noqa: E402
from sovereign.core.ids import new_id  # noqa: E402


def main(url: str, approval: str, assistant_id: str) -> None:
    assistant = Assistant.objects.get(pk=assistant_id)
    label = new_id("house_").lower()
    fields = {"label": label, "url": url, "approval": approval, "inner_network": True}
    server = McpServer.objects.create(project_id=assistant.project_id, **fields)
    listed = asyncio.run(refresh_listing(server.pk))
    assert listed is not None, "the server is not enabled"
    assert not listed.listing_error, listed.listing_error
    listed.allowed = {tool.name: tool.digest for tool in listed.tools}
    listed.save()
    assistant.server_tools = [{"type": "mcp", "server_id": server.pk, "tools": None}]
    assistant.save()
    print(label)


if __name__ == "__main__":
    main(*sys.argv[1:])
