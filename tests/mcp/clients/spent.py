"""The official SDK of both lines with a key whose requests run out: ``python spent.py ADDRESS KEY TOOL``.

Prints one JSON object of what it was told, all in one session.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

MOST_CALLS = 12


@asynccontextmanager
async def session(address: str, headers: dict[str, str]) -> AsyncIterator[Any]:
    try:
        from mcp.client.client import Client
    except ImportError:  # the first line
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        async with (
            streamablehttp_client(address, headers=headers) as (reading, writing, _),
            ClientSession(reading, writing) as first,
        ):
            await first.initialize()
            yield first
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http)) as second,
    ):
        yield second


async def main(address: str, key: str, tool: str) -> dict[str, object]:
    async with session(address, {"Authorization": f"Bearer {key}"}) as asking:
        answers = []
        for _ in range(MOST_CALLS):
            answer = (await asking.call_tool(tool, {"message": "[tokens=1]"})).model_dump(by_alias=True)
            answers.append([answer["isError"], answer["content"][0]["text"]])
            if answer["isError"]:
                break
        try:
            listed = str(await asking.list_tools())
        except Exception as refused:  # each line has its own
            listed = refused.error.message
        again = (await asking.call_tool(tool, {"message": "[tokens=1]"})).model_dump(by_alias=True)
    return {"first": answers[0], "last": answers[-1], "listed": listed, "again": again["isError"]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
