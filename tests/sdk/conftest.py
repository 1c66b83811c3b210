"""What the tests with official clients share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import openai
import pytest
import pytest_asyncio

from tests.support.processes import Stack


@pytest.fixture
def sdk(server: Stack) -> Iterator[openai.OpenAI]:
    """openai-python as its users make it: a base address and a key; answers are validated, failures not retried."""
    address = f"{server.url}/v1"
    with openai.OpenAI(
        base_url=address, api_key=server.api_key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest_asyncio.fixture
async def async_sdk(server: Stack) -> AsyncIterator[openai.AsyncOpenAI]:
    """The same without blocking."""
    address = f"{server.url}/v1"
    async with openai.AsyncOpenAI(
        base_url=address, api_key=server.api_key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client
