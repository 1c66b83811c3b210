"""A run in figures: what it was asked with, and what each of its model calls took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistants.kinds import Capability
from assistants.models import Retrieval
from inference.admin.usage import money
from inference.models import UsageRecord
from runs.admin.spans import PURPOSE, name_of
from sovereign.core.visible import visible

SECOND = 1_000  # milliseconds
OUTCOMES = {"stop": "answered", "tool_calls": "called tools", "length": "out of tokens", "content_filter": "filtered"}


def described_calls_of(calls: Sequence[UsageRecord], *, shows_cost: bool) -> dict[str, Any]:
    """``{"rows", "sum", "shows_cost"}``; a row says which model answered where, its tokens, times and cost.

    ``cached`` is what of the prompt the engine had in its cache, with its share in per cent.
    """
    return {
        "rows": list(_rows(calls)),
        "sum": _sum(calls),
        "shows_cost": shows_cost,
    }


def _rows(calls: Sequence[UsageRecord]) -> Iterator[dict[str, Any]]:
    number = 0
    for call in calls:
        number += call.purpose == PURPOSE
        yield {
            "name": f"Call {number}" if call.purpose == PURPOSE else name_of(call),
            "model": visible(call.model),
            "asked": visible(call.asked) if call.asked != call.model else "",
            "provider": visible(call.provider) or "engine of the house",
            "outcome": OUTCOMES.get(call.outcome) or visible(call.outcome),
            "prompt": call.prompt_tokens,
            "cached": call.cached_tokens,
            "cached_share": _share(call.cached_tokens, call.prompt_tokens),
            "completion": call.completion_tokens,
            "reasoning": call.reasoning_tokens,
            "queue": call.queue_ms,
            "first_token": call.first_token_ms,
            "total": call.total_ms,
            "speed": _speed(call),
            "cost": money(call.cost),
        }


def _sum(calls: Sequence[UsageRecord]) -> dict[str, Any]:
    prompt, cached = (sum(getattr(call, name) for call in calls) for name in ("prompt_tokens", "cached_tokens"))
    return {
        "prompt": prompt,
        "cached": cached,
        "cached_share": _share(cached, prompt),
        "completion": sum(call.completion_tokens for call in calls),
        "reasoning": sum(call.reasoning_tokens for call in calls),
        "total": sum(call.total_ms for call in calls),
        "cost": money(sum(call.cost for call in calls)),
    }


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def _speed(call: UsageRecord) -> str:
    """Tokens a second, from the first one on."""
    writing = call.total_ms - call.queue_ms - (call.first_token_ms or 0)
    if call.first_token_ms is None or writing <= 0 or call.completion_tokens < 2:
        return ""
    return f"{(call.completion_tokens - 1) * SECOND / writing:.1f}"


def parameters(configuration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a run was asked with, in words: names and values. Its instructions and tools are told elsewhere."""
    told = [
        ("Model", configuration["model"]),
        ("Temperature", f"{configuration['temperature']:g}"),
        ("Top P", f"{configuration['top_p']:g}"),
        ("Reasoning effort", configuration["reasoning_effort"] or "as the model does"),
        ("Format of the answer", _format(configuration["response_format"])),
        ("Choice of tools", _choice(configuration["tool_choice"])),
        ("Several calls at once", "yes" if configuration["parallel_tool_calls"] else "no"),
        ("What of the thread is sent", _cut(configuration)),
        ("Most tokens of prompts", _budget(configuration["max_prompt_tokens"])),
        ("Most tokens of the answer", _budget(configuration["max_completion_tokens"])),
        ("How files are searched", str(Retrieval(configuration.get("retrieval", Retrieval.AUTO)).label)),
        ("What it may do", _capabilities(configuration)),
    ]
    return [(name, visible(value)) for name, value in told]


def _format(wanted: Any) -> str:
    if not isinstance(wanted, dict):
        return "text"
    named = (wanted.get("json_schema") or {}).get("name", "")
    return {"json_object": "JSON", "json_schema": f"JSON by the schema {named}"}.get(wanted["type"], "text")


def _choice(choice: Any) -> str:
    if isinstance(choice, str):
        return {"auto": "the model's", "none": "none is called", "required": "one has to be called"}[choice]
    return str((choice.get("function") or {}).get("name") or choice["type"])


def _cut(configuration: Mapping[str, Any]) -> str:
    truncation, conversation = configuration["truncation_strategy"], configuration.get("conversation") or {}
    cut = "as much as fits"
    if truncation["type"] == "last_messages":
        cut = f"the last {truncation['last_messages']} messages, as far as they fit"
    if (tokens := conversation.get("window_tokens")) is not None:
        cut += f", of {tokens:,} tokens at most"
    return f"{cut}; the rest is summed up" if conversation.get("compression") == "summary" else cut


def _budget(tokens: int | None) -> str:
    return "no limit" if tokens is None else f"{tokens:,}"


def _capabilities(configuration: Mapping[str, Any]) -> str:
    known = {capability.value: str(capability.label) for capability in Capability}
    names = configuration.get("capabilities", Capability.values)
    return ", ".join(known.get(name, name) for name in names) or "nothing beside answering"


def pretty(value: Any) -> str:
    """JSON on several lines, with characters spelt out that nobody sees."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False))
