"""The dialects of providers: one file each, found by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from inference.adapters.base import Adapter

#: engine kind → where its adapter is
ADAPTERS = {
    "vllm": "inference.adapters.openai_compatible.OpenAICompatible",
    "openai_compatible": "inference.adapters.openai_compatible.OpenAICompatible",
    "openai": "inference.adapters.openai.OpenAI",
    "anthropic": "inference.adapters.anthropic.Anthropic",
    "ollama": "inference.adapters.ollama.Ollama",
    "local": "inference.adapters.local.LocalEmbedding",  # no engine's kind: the embedder of this process
}


@cache
def adapter_for(kind: str) -> Adapter:
    module, _, name = ADAPTERS[kind].rpartition(".")
    adapter: Adapter = getattr(import_module(module), name)()
    return adapter
