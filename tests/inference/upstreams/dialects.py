"""Each dialect's way of saying the same things, right and wrong, and an upstream that never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from inference.adapters.base import Endpoint
from inference.chat import Capabilities
from tests.inference import conftest
from tests.inference.conftest import Asked, Upstream
from tests.inference.upstreams import anthropic, ollama

MEMORY = 24 * 1024 * 1024  # bytes that a call and its server together may take in these tests


@dataclass(frozen=True)
class Dialect:
    """How a provider would say things."""

    kind: str
    head: bytes
    start: bytes
    token: bytes  # a piece of text, "a"
    end: bytes  # with usage: prompt and completion are put in
    absurd: bytes  # an end with numbers that cannot be
    tool_call: bytes  # one that breaks the format
    garbage: Callable[[bytes], bytes]  # a document of the stream, whatever it holds
    failure: Callable[[str], bytes]  # told inside the stream
    path: str = "/v1"


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _openai(kind: str) -> Dialect:
    usage = {"prompt_tokens": 10**30, "completion_tokens": -4, "prompt_tokens_details": {"cached_tokens": 10**40}}
    call = {"tool_calls": [{"index": 0, "function": {"name": {"a": 1}, "arguments": [1]}}]}
    return Dialect(
        kind=kind,
        head=conftest.HEAD,
        start=b"",
        token=conftest.event({"content": "a"}),
        end=conftest.event(reason="stop") + b"data: [DONE]\n\n",
        absurd=_number_too_large(usage, lambda text: conftest.event(reason="stop") + _event(text)),
        tool_call=conftest.event(call),
        garbage=_event,
        failure=lambda said: _event(orjson.dumps({"error": {"message": said}})),
    )


def _number_too_large(usage: dict[str, Any], wrap: Callable[[bytes], bytes]) -> bytes:
    text = str({"choices": [], "usage": usage}).replace("'", '"')
    return wrap(text.encode())


def _claude(kind: str, **fields: Any) -> bytes:
    return anthropic.event(kind, **fields)


ANTHROPIC = Dialect(
    kind="anthropic",
    head=conftest.HEAD,
    start=_claude("message_start", message={"usage": {}})
    + _claude("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    token=_claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}),
    end=_claude("message_delta", delta={"stop_reason": "end_turn"}, usage={}) + _claude("message_stop"),
    absurd=_event(
        b'{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 1e300, '
        b'"output_tokens": -4, "cache_read_input_tokens": 99999999999999999999}}'
    ),
    tool_call=_claude("content_block_start", index=1, content_block={"type": "tool_use", "id": 7, "name": ["f"]}),
    garbage=_event,
    failure=lambda said: _claude("error", error={"type": "api_error", "message": said}),
    path="",
)
OLLAMA = Dialect(
    kind="ollama",
    head=ollama.HEAD,
    start=b"",
    token=ollama.chat("a"),
    end=ollama.end(),
    absurd=b'{"message": {"content": ""}, "done": true, "prompt_eval_count": 99999999999999999999999, '
    b'"eval_count": -4}\n',
    tool_call=ollama.chat(tool_calls=[{"function": {"name": "f", "arguments": '{"a": '}}]),
    garbage=lambda data: data + b"\n",
    failure=lambda said: ollama.line(error=said),
    path="",
)
DIALECTS = [_openai("openai_compatible"), _openai("openai"), ANTHROPIC, OLLAMA]


def endpoint(upstream: Upstream, dialect: Dialect, **changes: Any) -> Endpoint:
    base = {"kind": dialect.kind, "base_url": upstream.url.removesuffix("/v1") + dialect.path}
    return upstream.endpoint(**{**base, "capabilities": Capabilities(), **changes})


class Endless:
    """Writes blocks until the client goes, and counts what it got rid of."""

    def __init__(self, upstream: Upstream, head: bytes, block: bytes) -> None:
        self.sent = 0
        self._head, self._block = head, block
        upstream.script, upstream.lists = self._answer, False
        self.ended = asyncio.Event()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head)
        try:
            while not asked.gone.is_set():
                writer.write(self._block)
                await writer.drain()
                self.sent += len(self._block)
                await asyncio.sleep(0)
        finally:
            self.ended.set()
