"""The official SDK as it is today: ``python second.py ADDRESS KEY TOOL MODE``, run by its own environment.

``MODE``: ``legacy`` begins with a handshake, ``auto`` finds out that none is needed. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


async def main(address: str, key: str, tool: str, mode: str) -> dict[str, object]:
    signs: list[tuple[float, str | None]] = []

    async def progress(number: float, total: float | None, message: str | None) -> None:
        signs.append((number, message))

    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        listed = await client.list_tools()
        first = await client.call_tool(tool, {"message": "[tokens=12 rate=40]"}, progress_callback=progress)
        thread = first.structured_content["thread_id"] if first.structured_content else ""
        second = await client.call_tool(tool, {"message": "[tokens=3]", "thread_id": thread})
        wrong = await client.call_tool(tool, {"message": ""})
        try:
            unknown = str(await client.call_tool("nobody", {"message": "x"}))
        except MCPError as error:
            unknown = error.error.message
        found = {"version": client.protocol_version, "server": client.server_info.name if client.server_info else ""}
    return {
        **found,
        "tools": [tool.name for tool in listed.tools],
        "first": [part.text for part in first.content],
        "structured": first.structured_content,
        "second": second.structured_content,
        "wrong": [wrong.is_error, wrong.content[0].text],
        "unknown": unknown,
        "progress": signs,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
