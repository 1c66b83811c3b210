"""OpenAI's own dialect: vLLM, Ollama's ``/v1``, LM Studio, llama.cpp and many services.

What comes back is untrusted: every field is checked before it is used, and a stream that breaks OpenAI's format ends
with an ``InferenceError`` that says so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from inference.adapters import vectors
from inference.adapters.base import Endpoint, Served
from inference.adapters.exchange import EVENTS, document, encoded, streamed
from inference.adapters.openai_chunks import ChatDecoder, TextDecoder
from inference.adapters.openai_models import read_list
from inference.adapters.refusals import MALFORMED
from inference.adapters.transport import Asked
from inference.adapters.usage import read_usage
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import ChatRequest, Delta, InferenceError
from sovereign.core.sse_parser import EventParser

SMALLEST_TOP_P = 1e-6  # keeps the most probable token alone
STREAM = frozenset({EVENTS})
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


class OpenAICompatible:
    """The adapter; it keeps no state."""

    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """See :class:`inference.adapters.base.Adapter`."""
        ask = partial(self._ask_chat, endpoint, request)
        return streamed(endpoint, ask, STREAM, EventParser(), ChatDecoder(endpoint.key))

    def complete(self, endpoint: Endpoint, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """See :class:`inference.adapters.base.Adapter`."""
        ask = partial(self._ask_text, endpoint, request)
        return streamed(endpoint, ask, STREAM, EventParser(), TextDecoder(endpoint.key))

    async def embed(self, endpoint: Endpoint, request: EmbeddingRequest) -> Embedded:
        """See :class:`inference.adapters.base.Adapter`."""
        return await vectors.embedded(endpoint, request, partial(self._ask_vectors, endpoint), vectors.read_openai)

    async def moderate(self, endpoint: Endpoint, request: ModerationRequest) -> Moderated:
        """See :class:`inference.adapters.base.Adapter`."""
        body = {"model": endpoint.model, "input": request.inputs}
        asked = Asked(path="/moderations", body=encoded(body), headers=self.headers(endpoint))
        return read_moderation(await document(endpoint, asked), request)

    async def list_models(self, endpoint: Endpoint) -> Served:
        """See :class:`inference.adapters.base.Adapter`."""
        asked = Asked(path="/models", headers=self.headers(endpoint))
        return self.read_models(await document(endpoint, asked, computed=False))

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Who we are."""
        return {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}

    def chat_body(self, endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
        """The body of a chat completion.

        :raises InferenceError: the engine cannot do what is asked.
        """
        body = {"model": endpoint.model, "messages": request.messages, **STREAMED}
        body |= tools_of(request) | chat_numbers(endpoint, request)
        if isinstance(request.response_format, dict) and request.response_format.get("type") != "text":
            body["response_format"] = request.response_format
        if request.continues:
            if not endpoint.capabilities.continuation:
                raise InferenceError("The engine cannot continue an answer that was cut.")
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def read_models(self, body: Any) -> Served:
        """What the list of models means."""
        return read_list(body)

    def _ask_chat(self, endpoint: Endpoint, request: ChatRequest) -> Asked:
        body = encoded(self.chat_body(endpoint, request))
        return Asked(path="/chat/completions", body=body, accept=EVENTS, headers=self.headers(endpoint))

    def _ask_text(self, endpoint: Endpoint, request: CompletionRequest) -> Asked:
        body = {"model": endpoint.model, "prompt": request.prompt, **STREAMED, **text_numbers(endpoint, request)}
        return Asked(path="/completions", body=encoded(body), accept=EVENTS, headers=self.headers(endpoint))

    def _ask_vectors(self, endpoint: Endpoint, request: EmbeddingRequest) -> Asked:
        body = {"model": endpoint.model, "input": request.texts, "encoding_format": "base64"}
        body |= _given(dimensions=request.dimensions, user=request.end_user)
        return Asked(path="/embeddings", body=encoded(body), headers=self.headers(endpoint))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def tools_of(request: ChatRequest) -> dict[str, Any]:
    """Tools and what is said of them, where there are any."""
    if not request.tools:
        return {}
    return {"tools": request.tools} | _given(
        tool_choice=request.tool_choice, parallel_tool_calls=None if request.parallel_tool_calls else False
    )


def chat_numbers(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """All that shapes the answer, each only where it was given."""
    return sampling(endpoint, request) | _given(
        reasoning_effort=request.reasoning_effort,
        logprobs=True if request.logprobs else None,
        top_logprobs=request.top_logprobs if request.logprobs else None,
    )


def text_numbers(endpoint: Endpoint, request: CompletionRequest) -> dict[str, Any]:
    """As of a chat, with what text completions have of their own."""
    return sampling(endpoint, request) | _given(
        suffix=request.suffix, logprobs=request.logprobs, echo=True if request.echo else None
    )


def sampling(endpoint: Endpoint, request: ChatRequest | CompletionRequest) -> dict[str, Any]:
    """The numbers, within what engines take: vLLM refuses a ``top_p`` of 0, and more tokens than its context has."""
    length, most = endpoint.capabilities.context_length, request.max_tokens
    return _given(
        temperature=request.temperature,
        top_p=request.top_p if request.top_p is None else max(request.top_p, SMALLEST_TOP_P),
        max_tokens=most if most is None or length is None else min(most, length),
        stop=request.stop or None,
        seed=request.seed,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logit_bias=request.logit_bias or None,
        user=request.end_user,
    )


def read_moderation(body: Any, request: ModerationRequest) -> Moderated:
    """OpenAI's results, one for each input, with the fields that they have and no others.

    :raises InferenceError: they are none, or not as many.
    """
    try:
        results = [_judgement(result) for result in body["results"]]
        usage = read_usage(body.get("usage") or {})
    except MALFORMED:
        raise InferenceError("The engine sent a judgement that is not in OpenAI's format.") from None
    if len(results) != len(request.inputs) and not _is_one(request.inputs, results):
        raise InferenceError(f"The engine judged {len(results)} of {len(request.inputs)} inputs.")
    return Moderated(results, usage)


def _is_one(inputs: list[Any], results: list[dict[str, Any]]) -> bool:
    """Text and images together are one input, which is judged as a whole."""
    return len(results) == 1 and all(isinstance(part, dict) for part in inputs)


def _judgement(result: dict[str, Any]) -> dict[str, Any]:
    flagged, categories, scores = result["flagged"], result["categories"], result["category_scores"]
    if type(flagged) is not bool or not all(type(value) is bool for value in categories.values()):
        raise TypeError("a verdict that is neither true nor false")
    if not all(type(value) in (float, int) for value in scores.values()):
        raise TypeError("a score that is no number")
    kept = {"flagged": flagged, "categories": categories, "category_scores": scores}
    types = result.get("category_applied_input_types")
    return kept | ({"category_applied_input_types": types} if isinstance(types, dict) else {})
