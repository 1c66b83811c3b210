"""What an adapter is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from inference.chat import Capabilities, ChatRequest, Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a call goes: one engine, and the name that the model has there."""

    engine_id: str
    kind: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    capabilities: Capabilities = field(default_factory=Capabilities)


class Adapter(Protocol):
    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The deltas of one call, ended by exactly one ``Finished``; closing it closes the connection.

        :raises EngineUnavailable: nothing was begun, and another try may succeed.
        :raises InferenceError: the call failed.
        """
        ...
