"""OpenAI itself: its dialect, where it differs from that of the servers that copy it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from inference.adapters.base import Endpoint, Served
from inference.adapters.exchange import unsupported
from inference.adapters.openai_compatible import OpenAICompatible
from inference.adapters.openai_models import read_list
from inference.chat import ChatRequest

#: models that think before they answer, and refuse to be told how to sample
REASONING = re.compile(r"(ft:)?(o\d|gpt-(?!.*chat)([5-9]|\d{2}))(?!\d)")
NOT_WHILE_REASONING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
)
O_SERIES = re.compile(r"(ft:)?o\d")
NOT_OF_O_SERIES = ("stop", "parallel_tool_calls")
#: of all that its list holds, what answers neither chats nor texts
OTHER_KINDS = re.compile(r"whisper|tts|dall-e|image|realtime|audio|transcribe|sora|live|computer-use|translate")
TEXTS_ONLY = re.compile(r"(babbage|davinci)-|.*-instruct")
CAPABILITIES = {"tools": True, "json_schema": True, "logprobs": True, "vision": True}
HEADERS = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}


class OpenAI(OpenAICompatible):
    """The adapter; it keeps no state."""

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """The key, and for which organisation and project, from the provider's options."""
        chosen = {HEADERS[name]: value for name, value in endpoint.options.items() if name in HEADERS}
        plain = {name: value for name, value in chosen.items() if isinstance(value, str) and value.isprintable()}
        return super().headers(endpoint) | plain

    def chat_body(self, endpoint: Endpoint, request: ChatRequest) -> dict[str, Any]:
        """As everywhere, with the newer name for the most tokens, and without what the model would refuse."""
        if request.continues:
            raise unsupported("An answer that was cut cannot be continued")
        body = super().chat_body(endpoint, request)
        if "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        for name in refused(endpoint.model, request.reasoning_effort):
            body.pop(name, None)
        return body

    def read_models(self, body: Any) -> Served:
        """OpenAI says nothing of its models but their names."""
        listed = read_list(body)
        models = [_described(model) for model in listed.models]
        return replace(listed, models=models, capabilities=CAPABILITIES)


def refused(model: str, effort: str | None) -> tuple[str, ...]:
    """The parameters that a model refuses."""
    if O_SERIES.match(model):
        return NOT_WHILE_REASONING + NOT_OF_O_SERIES
    if REASONING.match(model):
        return () if effort == "none" else NOT_WHILE_REASONING
    return ("reasoning_effort",)


def _described(model: dict[str, Any]) -> dict[str, Any]:
    if "abilities" in model:
        return model
    if OTHER_KINDS.search(model["id"]):
        return model | {"abilities": {"chat": False}}
    if TEXTS_ONLY.match(model["id"]):
        return model | {"abilities": {"chat": False, "completions": True}}
    return model
