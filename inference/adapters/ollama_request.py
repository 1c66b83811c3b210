"""Writes requests in Ollama's own dialect from OpenAI's."""

from __future__ import annotations

from typing import Any

from inference.adapters.base import Endpoint
from inference.adapters.exchange import unsupported
from inference.adapters.messages import (
    arguments_of,
    invalid,
    json_schema,
    named_tool,
    parts_of,
    wants_json,
)
from inference.calls import CompletionRequest, EmbeddingRequest
from inference.chat import ChatRequest

#: where a provider's option goes: into the request itself, or among the model's options
OF_THE_REQUEST = frozenset({"keep_alive"})
OF_THE_MODEL = frozenset({"num_ctx", "num_gpu", "num_batch", "num_thread", "repeat_penalty", "top_k", "min_p"})
THINKING: dict[str, bool | str] = {"none": False, "minimal": "low", "low": "low", "medium": "medium", "high": "high"}


def chat_body(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The body of ``POST /api/chat``. Whether a tool must be called cannot be said here, which ones there are can.

    :raises InferenceError: the conversation or what is asked cannot be said in this dialect.
    """
    if request.continues and not endpoint.capabilities.continuation:
        raise unsupported("An answer that was cut cannot be continued")
    body = {"model": endpoint.model, "messages": conversation(request.messages), "stream": True}
    body |= _of_the_request(endpoint)
    if tools := _tools(request):
        body["tools"] = tools
    if (schema := json_schema(request)) is not None:
        body["format"] = schema.get("schema") or "json"
    elif wants_json(request):
        body["format"] = "json"
    if request.reasoning_effort is not None:
        body["think"] = THINKING.get(request.reasoning_effort, True)
    if request.logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    return body | {"options": _options(endpoint, request)}


def text_body(endpoint: Endpoint, request: CompletionRequest) -> dict[str, Any]:
    """The body of ``POST /api/generate``, without the model's template.

    :raises InferenceError: what is asked cannot be said in this dialect.
    """
    if not isinstance(request.prompt, str):
        raise unsupported("Prompts of token ids are not read")
    if request.echo:
        raise unsupported("Prompts are not given back")
    body = {"model": endpoint.model, "prompt": request.prompt, "stream": True, **_of_the_request(endpoint)}
    # a suffix is what the model's template is for: it says where the gap is
    body |= {"raw": True} if request.suffix is None else {"suffix": request.suffix}
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    return body | {"options": _options(endpoint, request)}


def embedding_body(endpoint: Endpoint, request: EmbeddingRequest) -> dict[str, Any]:
    """The body of ``POST /api/embed``; texts that are too long are refused, as OpenAI does.

    :raises InferenceError: token ids.
    """
    if not all(isinstance(text, str) for text in request.texts):
        raise unsupported("Token ids are not made vectors of")
    body = {"model": endpoint.model, "input": request.texts, "truncate": False, **_of_the_request(endpoint)}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return body | {"options": _of_the_model(endpoint)}


def _of_the_request(endpoint: Endpoint) -> dict[str, Any]:
    return {name: value for name, value in endpoint.options.items() if name in OF_THE_REQUEST}


def _of_the_model(endpoint: Endpoint) -> dict[str, Any]:
    return {name: value for name, value in endpoint.options.items() if name in OF_THE_MODEL}


def _options(endpoint: Endpoint, request: ChatRequest | CompletionRequest) -> dict[str, Any]:
    length, most = endpoint.capabilities.context_length, request.max_tokens
    asked = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "num_predict": most if most is None or length is None else min(most, length),
        "stop": request.stop or None,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    return _of_the_model(endpoint) | {name: value for name, value in asked.items() if value is not None}


def conversation(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with texts, images beside them, and tools' results by the name of their tool."""
    names: dict[str, str] = {}  # call → tool
    written = []
    for message in messages:
        role = "system" if message.get("role") == "developer" else message.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            raise invalid(f"A message of the role '{role}' cannot be given to this kind of provider.")
        parts = parts_of(message.get("content") or message.get("refusal"))
        entry: dict[str, Any] = {"role": role, "content": "\n".join(text for kind, text, _ in parts if kind == "text")}
        if images := [data for kind, _, data in parts if kind == "image"]:
            entry["images"] = images
        if calls := message.get("tool_calls"):
            names |= {call["id"]: call["function"]["name"] for call in calls}
            entry["tool_calls"] = [_call(call) for call in calls]
        if role == "tool":
            call_id = message.get("tool_call_id", "")
            entry |= {"tool_name": names.get(call_id, ""), "tool_call_id": call_id}
        written.append(entry)
    return written


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": call["id"], "function": {"name": call["function"]["name"], "arguments": arguments_of(call)}}


def _tools(request: ChatRequest) -> list[dict[str, Any]]:
    if request.tool_choice == "none":
        return []
    named = named_tool(request)
    return [
        {
            "type": "function",
            "function": {
                "name": tool["function"]["name"],
                "description": tool["function"].get("description") or "",
                "parameters": {"type": "object", "properties": {}} | (tool["function"].get("parameters") or {}),
            },
        }
        for tool in request.tools
        if named is None or tool["function"]["name"] == named
    ]
