"""What the official SDK makes of limits: its own class of error, and retries that wait for as long as they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import openai
import pytest

from tests.support.processes import Stack

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]


@pytest.fixture
def limited(server: Stack, request: pytest.FixtureRequest) -> Iterator[Callable[..., openai.OpenAI]]:
    """``limited("--requests-per-minute", "1")``: a client whose key is limited, and that does not retry."""
    made: list[openai.OpenAI] = []

    def make(*limits: str) -> openai.OpenAI:
        name = f"limited-{request.node.name}"
        key = server.another_key(name)
        limiting = server.start("set_limits", "--key", name, *limits)
        assert limiting.wait() == 0, limiting.output()
        made.append(openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0))
        return made[-1]

    yield make
    server.database.lift_limits()
    for client in made:
        client.close()


def test_one_too_many_is_a_rate_limit_error(limited: Callable[..., openai.OpenAI]) -> None:
    sdk = limited("--requests-per-minute", "1")
    first = sdk.beta.threads.with_raw_response.create()
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as refused:
        sdk.beta.threads.create()
    error = refused.value
    assert (error.status_code, error.type, error.param, error.code) == (429, "requests", None, "rate_limit_exceeded")
    assert "Rate limit reached for this API key on requests per min (RPM): Limit 1, Used 1" in error.message
    assert 0 < int(error.response.headers["retry-after"]) <= 60
    assert sdk.beta.assistants.list().data is not None, "reading is not limited"


def test_a_retry_waits_as_it_is_told_and_is_a_request_of_its_own(
    limited: Callable[..., openai.OpenAI], server: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        server.database.lift_limits()

    sdk = limited("--requests-per-minute", "1")
    others = sdk.beta.threads.create()
    monkeypatch.setattr(time, "sleep", wait)
    mine = sdk.with_options(max_retries=2).beta.threads.create()
    assert mine.id != others.id
    assert len(waited) == 1
    assert 30 < waited[0] <= 60


def test_chats_and_their_streams_say_how_many_tokens_are_left(limited: Callable[..., openai.OpenAI]) -> None:
    sdk = limited("--tokens-per-minute", "2000")
    ask = {"model": "fake", "messages": [{"role": "user", "content": "[tokens=5]"}], "max_completion_tokens": 50}
    whole = sdk.chat.completions.with_raw_response.create(**ask)
    used = whole.parse().usage
    assert used is not None
    assert whole.headers["x-ratelimit-limit-tokens"] == "2000"
    with sdk.chat.completions.with_streaming_response.create(**ask, stream=True) as streamed:
        assert int(streamed.headers["x-ratelimit-remaining-tokens"]) == 2000 - used.total_tokens
        assert "x-ratelimit-limit-requests" not in streamed.headers
        assert b"[DONE]" in streamed.read()


def test_more_tokens_than_there_can_ever_be_are_not_asked_for_again(
    limited: Callable[..., openai.OpenAI], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(seconds: float) -> None:
        raise AssertionError("it waited")

    sdk = limited("--tokens-per-minute", "100").with_options(max_retries=2)
    monkeypatch.setattr(time, "sleep", never)
    with pytest.raises(openai.RateLimitError, match="Request too large for this API key") as refused:
        sdk.chat.completions.create(model="fake", messages=[{"role": "user", "content": "word " * 400}])
    assert (refused.value.type, refused.value.code) == ("tokens", "rate_limit_exceeded")
