from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.catalog.scripted import ScriptedServer, serving


@pytest_asyncio.fixture
async def mcp() -> AsyncIterator[ScriptedServer]:
    """An MCP server on this machine that behaves well until it is told not to."""
    async with serving() as server:
        yield server
