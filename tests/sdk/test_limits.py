"""What the official SDK makes of limits: its own class of error, and retries that wait for as long as they are told."""

from __future__ import annotations

import time
from collections.abc import Iterator

import openai
import pytest

from tests.support.processes import Stack

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]


@pytest.fixture
def limited(server: Stack, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """A client whose key may make one request a minute, and does not retry."""
    name = f"limited-{request.node.name}"
    key = server.another_key(name)
    limiting = server.start("set_limits", "--key", name, "--requests-per-minute", "1")
    assert limiting.wait() == 0, limiting.output()
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
        yield client
    server.database.lift_limits()


def test_one_too_many_is_a_rate_limit_error(limited: openai.OpenAI) -> None:
    first = limited.beta.threads.with_raw_response.create()
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as refused:
        limited.beta.threads.create()
    error = refused.value
    assert (error.status_code, error.type, error.param, error.code) == (429, "requests", None, "rate_limit_exceeded")
    assert "Rate limit reached for this API key on requests per min (RPM): Limit 1, Used 1" in error.message
    assert 0 < int(error.response.headers["retry-after"]) <= 60
    assert limited.beta.assistants.list().data is not None, "reading is not limited"


def test_a_retry_waits_as_it_is_told_and_is_a_request_of_its_own(
    limited: openai.OpenAI, server: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        server.database.lift_limits()

    others = limited.beta.threads.create()
    monkeypatch.setattr(time, "sleep", wait)
    mine = limited.with_options(max_retries=2).beta.threads.create()
    assert mine.id != others.id
    assert len(waited) == 1
    assert 30 < waited[0] <= 60
