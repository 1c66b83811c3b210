"""The official SDK's first line: ``python first.py ADDRESS KEY TOOL``, run by the interpreter of its own environment.

Prints one JSON object of what it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.exceptions import McpError


async def main(address: str, key: str, tool: str) -> dict[str, object]:
    signs: list[tuple[float, str | None]] = []

    async def progress(number: float, total: float | None, message: str | None) -> None:
        signs.append((number, message))

    headers = {"Authorization": f"Bearer {key}"}
    async with (
        streamablehttp_client(address, headers=headers) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        begun = await session.initialize()
        await session.send_ping()
        listed = await session.list_tools()
        first = await session.call_tool(tool, {"message": "[tokens=12 rate=40]"}, progress_callback=progress)
        thread = first.structuredContent["thread_id"] if first.structuredContent else ""
        second = await session.call_tool(tool, {"message": "[tokens=3]", "thread_id": thread})
        wrong = await session.call_tool(tool, {"message": ""})
        try:
            unknown = str(await session.call_tool("nobody", {"message": "x"}))
        except McpError as error:
            unknown = error.error.message
    return {
        "version": begun.protocolVersion,
        "server": begun.serverInfo.name,
        "tools": [found.name for found in listed.tools],
        "first": [part.text for part in first.content],
        "structured": first.structuredContent,
        "second": second.structuredContent,
        "wrong": [wrong.isError, wrong.content[0].text],
        "unknown": unknown,
        "progress": signs,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
