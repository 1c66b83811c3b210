"""Who is asking: one frozen value that serves the API, the WebSocket, the admin and commands."""

from __future__ import annotations

from dataclasses import dataclass

from sovereign.core.errors import forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person or an API key inside one project (the tenant)."""

    project_id: str
    user_id: int | None = None  # a person (a session, or the ticket of one)
    key_id: str | None = None  # an API key
    secret: str | None = None  # the visible part of the one of its secrets that it came with
    role: str | None = None  # a ``Role`` value for persons
    scopes: frozenset[str]
    environment: str | None = None
    visitor_id: str | None = (
        None  # somebody without an account, on whose behalf an embed's key asks: see assistants.embeds
    )

    def allows(self, scope: str) -> bool:
        return scope in self.scopes

    def require(self, scope: str) -> None:
        """:raises ApiError: 403, naming the missing scope."""
        if scope not in self.scopes:
            raise forbidden(scope)
