"""What an adapter is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Protocol

from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import Capabilities, ChatRequest, Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that an upstream has."""

    connect: float = 5.0
    first_token: float = 120.0  # a busy engine queues, and a long prompt takes its time
    idle: float = 60.0  # between two pieces of an answer
    total: float = 3_600.0  # an answer that never ends is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a call goes: one engine, and the name that the model has there.

    ``inner_network``: whether its address may be one of an inner network. ``options``: what its kind alone knows
    (Ollama: ``keep_alive``, ``num_ctx``).
    """

    engine_id: str
    kind: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    capabilities: Capabilities = field(default_factory=Capabilities)
    patience: Patience = Patience()
    inner_network: bool = True
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """What an upstream serves: ``[{"id": name, "context_length": tokens or None, "abilities": {name: bool}}]``."""

    models: list[dict[str, Any]]
    capabilities: dict[str, Any] = field(default_factory=dict)


class Adapter(Protocol):
    """One dialect. What a provider cannot do raises ``InferenceError`` with the code ``unsupported``."""

    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The deltas of one call, ended by exactly one ``Finished``; closing it closes the connection.

        :raises EngineUnavailable: nothing was begun, and another try may succeed.
        :raises InferenceError: the call failed.
        """
        ...

    def complete(self, endpoint: Endpoint, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """As ``stream``, of a text: ``TextDelta`` and one ``Finished``."""
        ...

    async def embed(self, endpoint: Endpoint, request: EmbeddingRequest) -> Embedded:
        """:raises InferenceError: as ``stream``."""
        ...

    async def moderate(self, endpoint: Endpoint, request: ModerationRequest) -> Moderated:
        """:raises InferenceError: as ``stream``."""
        ...

    async def list_models(self, endpoint: Endpoint) -> Served:
        """What it serves; ``endpoint.model`` is of no account.

        :raises InferenceError: no answer in time, or not a list of models.
        """
        ...
