"""Counts of tokens, as upstreams give them: never trusted further than they make sense."""

from __future__ import annotations

from typing import Any

from inference.chat import Usage

LARGEST_COUNT = 2**31 - 1


def counted(prompt: Any, completion: Any, cached: Any = 0, reasoning: Any = 0) -> Usage:
    """What is missing or absurd counts as 0; a part is never more than its whole."""
    prompts, completions = count(prompt), count(completion)
    return Usage(prompts, completions, min(count(cached), prompts), min(count(reasoning), completions))


def count(value: Any) -> int:
    return min(max(value, 0), LARGEST_COUNT) if type(value) is int else 0


def read_usage(usage: dict[str, Any]) -> Usage:
    """OpenAI's ``usage``."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return counted(
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        prompt.get("cached_tokens"),
        completion.get("reasoning_tokens"),
    )
