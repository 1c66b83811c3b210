"""Counts of tokens, as upstreams give them: never trusted further than they make sense."""

from __future__ import annotations

from typing import Any

from inference.chat import Usage

LARGEST_COUNT = 2**31 - 1
LARGEST_THOUGHT = 131_072  # tokens that a model may have thought without that any of it was sent
#: tokens that a prompt may have beside its bytes, for itself and for every picture that is only named: the engine's
#: own instructions, and what it finds at an address
UNSEEN = 65_536
A_PICTURE = b'"image_url"'


def counted(prompt: Any, completion: Any, cached: Any = 0, reasoning: Any = 0) -> Usage:
    """What is missing or absurd counts as 0; a part is never more than its whole."""
    prompts, completions = count(prompt), count(completion)
    return Usage(prompts, completions, min(count(cached), prompts), min(count(reasoning), completions))


def count(value: Any) -> int:
    return min(max(value, 0), LARGEST_COUNT) if type(value) is int else 0


def most_prompt(body: bytes | None) -> int:
    """The most tokens that a request can have been: none is shorter than a byte."""
    return 0 if body is None else len(body) + UNSEEN * (1 + body.count(A_PICTURE))


def believed(usage: Usage, prompts: int, received: int, context_length: int | None) -> Usage:
    """``usage`` as far as it can be true, so that one lie does not use up what a project may use.

    :param prompts: the most that the request can have been.
    :param received: bytes of the answer; what was thought may not be among them.
    :param context_length: tokens, where it is known.
    """
    length = context_length or LARGEST_COUNT
    prompt, thought = min(usage.prompt_tokens, prompts, length), min(usage.reasoning_tokens, LARGEST_THOUGHT)
    completion = min(usage.completion_tokens, received + thought, length)
    if (prompt, completion) == (usage.prompt_tokens, usage.completion_tokens):
        return usage
    return counted(prompt, completion, usage.cached_tokens, usage.reasoning_tokens)


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
