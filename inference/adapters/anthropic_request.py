"""Writes a request for Anthropic's Messages from one of OpenAI's chats."""

from __future__ import annotations

import re
from typing import Any

from inference.adapters.base import Endpoint
from inference.adapters.exchange import unsupported
from inference.adapters.messages import (
    arguments_of,
    invalid,
    json_schema,
    named_tool,
    parts_of,
    text_of,
    wants_json,
)
from inference.chat import ChatRequest

DEFAULT_MAX_TOKENS = 16_384  # Anthropic wants a number, and every model since Claude 3.7 can do this one
MAXIMUM_USER = 256  # characters
NOT_IN_IDS = re.compile(r"[^\w-]", re.ASCII)
NOTHING_SAID = "(nothing)"  # a conversation must begin with its user, and no text may be empty
GO_ON = "Continue."  # what an answer of the assistant at the end would otherwise be taken for: the begin of the next
ONLY_JSON = "Answer with one JSON object and nothing else."
#: the generation of a model, from its name: ``claude-3-7-sonnet-…``, ``claude-opus-4-6``, ``claude-opus-5``
GENERATION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
LAST_TO_BE_SAMPLED = (4, 6)  # later ones refuse temperature and top_p
#: the version of the dialect, unless the provider's options name another: every server that speaks it knows this
#: one, and only in it can older models still be told how to sample
VERSION = "2023-06-01"
FIRST_ADAPTIVE = (4, 6)  # these say themselves how long they think
FIRST_THINKING = (3, 7)  # these are given a number of tokens
SMALLEST_BUDGET = 1_024  # tokens
BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 32_768}
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
#: rules of JSON schemas that Anthropic's own constraint refuses
UNKNOWN_RULES = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
    | {"uniqueItems", "minProperties", "maxProperties", "patternProperties", "$schema"}
)
MAPS_OF_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
MAXIMUM_DEPTH = 64


def body_for(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    """The body of ``POST /v1/messages``.

    :raises InferenceError: the conversation or what is asked cannot be said in this dialect.
    """
    if request.logprobs:
        raise unsupported("Probabilities of tokens are not told")
    if request.continues and not endpoint.capabilities.continuation:
        raise unsupported("An answer that was cut cannot be continued")
    body = {
        "model": endpoint.model,
        "max_tokens": _max_tokens(endpoint, request),
        "messages": conversation(request.messages, continues=request.continues),
        "stream": True,
        **_tools(endpoint, request),
        **_system(request),
    }
    if stops := [text for text in request.stop if text.strip()]:
        body["stop_sequences"] = stops
    if request.end_user:
        body["metadata"] = {"user_id": request.end_user[:MAXIMUM_USER]}
    if (wanted := json_schema(request)) is not None and endpoint.capabilities.json_schema:
        schema = understood(wanted.get("schema") or {"type": "object"})
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    _think(endpoint, request, body)
    _sample(endpoint, request, body)
    return body


def answers_by_tool(endpoint: Endpoint, request: ChatRequest) -> str | None:
    """The name of the tool that an answer with a schema is written into, where the model has no better means."""
    wanted = json_schema(request)
    if wanted is None or endpoint.capabilities.json_schema:
        return None
    return NOT_IN_IDS.sub("_", str(wanted.get("name") or "answer"))[:64]


def version(endpoint: Endpoint) -> str:
    """The value of ``anthropic-version``."""
    chosen = endpoint.options.get("version")
    return chosen if isinstance(chosen, str) and chosen.isprintable() else VERSION


def generation(model: str) -> tuple[int, int]:
    """Of a name without numbers, the newest."""
    found = GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (99, 0)


def _max_tokens(endpoint: Endpoint, request: ChatRequest) -> int:
    given = endpoint.options.get("max_tokens")
    most = request.max_tokens or (given if type(given) is int and given > 0 else DEFAULT_MAX_TOKENS)
    length = endpoint.capabilities.context_length
    return min(most, length) if length else most


def _system(request: ChatRequest) -> dict[str, Any]:
    """All system messages, wherever they stand: this dialect has one place for them."""
    texts = [text_of(message.get("content")) for message in request.messages if _is_system(message)]
    if wants_json(request):
        texts.append(ONLY_JSON)
    joined = "\n\n".join(text for text in texts if text.strip())
    return {"system": joined} if joined else {}


def _is_system(message: dict[str, Any]) -> bool:
    return message.get("role") in ("system", "developer")


def conversation(messages: list[dict[str, Any]], *, continues: bool = False) -> list[dict[str, Any]]:
    """Turns of user and assistant, one after the other; results of tools are the user's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if _is_system(message):
            continue
        role, blocks = _turn(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": [_text_block(NOTHING_SAID)]})
    if turns[-1]["role"] == "assistant":
        if continues:
            _without_trailing_space(turns[-1]["content"])
        else:
            turns.append({"role": "user", "content": [_text_block(GO_ON)]})
    return turns


def _turn(message: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    role = message.get("role")
    if role == "user":
        return "user", _blocks(message.get("content"))
    if role == "tool":
        content = _blocks(message.get("content"))
        return "user", [{"type": "tool_result", "tool_use_id": _id(message["tool_call_id"]), "content": content}]
    if role == "assistant":
        refused = message.get("refusal")
        said = _blocks(message.get("content") or refused)
        return "assistant", said + [_tool_use(call) for call in message.get("tool_calls") or []]
    raise invalid(f"A message of the role '{role}' cannot be given to this kind of provider.")


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [
        _text_block(first)
        if kind == "text"
        else {"type": "image", "source": {"type": "base64", "media_type": first, "data": data}}
        for kind, first, data in parts_of(content)
    ]


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": _id(call["id"]),
        "name": call["function"]["name"],
        "input": arguments_of(call),
    }


def _id(identifier: str) -> str:
    return NOT_IN_IDS.sub("_", identifier) or "_"


def _without_trailing_space(blocks: list[dict[str, Any]]) -> None:
    """Anthropic refuses to continue a text that ends in white space."""
    if blocks[-1]["type"] == "text":
        blocks[-1] = _text_block(blocks[-1]["text"].rstrip())


def _tools(endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
    tools = [_tool(endpoint, tool["function"]) for tool in request.tools]
    if (name := answers_by_tool(endpoint, request)) is not None:
        schema = (json_schema(request) or {}).get("schema") or {"type": "object"}
        tools.append({"name": name, "description": "Give the answer with this.", "input_schema": schema})
        forced = {"type": "any"} if request.tools else {"type": "tool", "name": name}
        return {"tools": tools, "tool_choice": forced}
    if not tools:
        return {}
    choice = _choice(request)
    if not request.parallel_tool_calls and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _tool(endpoint: Endpoint, function: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}} | (function.get("parameters") or {})
    strict = bool(function.get("strict")) and endpoint.capabilities.json_schema
    tool = {"name": function["name"], "input_schema": understood(schema) if strict else schema}
    if function.get("description"):
        tool["description"] = function["description"]
    return tool | ({"strict": True} if strict else {})


def _choice(request: ChatRequest) -> dict[str, Any]:
    if (name := named_tool(request)) is not None:
        return {"type": "tool", "name": name}
    choice = request.tool_choice if isinstance(request.tool_choice, str) else "auto"
    return {"type": {"required": "any", "none": "none"}.get(choice, "auto")}


def understood(schema: Any, depth: int = 0) -> Any:
    """A schema with the rules that Anthropic's constraint knows; objects must be closed there."""
    if depth > MAXIMUM_DEPTH:
        raise invalid("The schema is nested too deeply.")
    if isinstance(schema, list):
        return [understood(item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for rule, value in schema.items():
        if rule in MAPS_OF_SCHEMAS and isinstance(value, dict):
            kept[rule] = {name: understood(inner, depth + 1) for name, inner in value.items()}
        elif rule in ("enum", "const", "default", "required"):
            kept[rule] = value
        elif rule not in UNKNOWN_RULES and not (rule == "minItems" and value not in (0, 1)):
            kept[rule] = understood(value, depth + 1)
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    return kept


def _think(endpoint: Endpoint, request: ChatRequest, body: dict[str, Any]) -> None:
    """How long the model may think, where the request says so; never together with a tool that must be called."""
    effort, model = request.reasoning_effort or "none", generation(endpoint.model)
    if effort not in EFFORTS or body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return
    if model >= FIRST_ADAPTIVE:
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = body.get("output_config", {}) | {"effort": EFFORTS[effort]}
        return
    budget = min(BUDGETS[effort], body["max_tokens"] - 1)
    # what the model thought before it called a tool is not kept, and these want it back
    after_tool = request.messages[-1].get("role") == "tool"
    if model >= FIRST_THINKING and budget >= SMALLEST_BUDGET and not after_tool:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _sample(endpoint: Endpoint, request: ChatRequest, body: dict[str, Any]) -> None:
    """One of temperature (0 to 1 here) and ``top_p``, where the model takes either."""
    is_newer = version(endpoint) != VERSION or generation(endpoint.model) > LAST_TO_BE_SAMPLED
    if is_newer or "thinking" in body:
        return
    if request.temperature is not None:
        body["temperature"] = min(max(request.temperature, 0.0), 1.0)
    elif request.top_p is not None:
        body["top_p"] = min(max(request.top_p, 0.0), 1.0)
