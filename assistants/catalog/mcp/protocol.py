"""What is said to an MCP server and how its answers are read: JSON-RPC 2.0, and nothing of how it is carried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sovereign.core.error_messages import sanitised
from sovereign.core.mcp_wire import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    LONGEST_ID,
    METHOD_NOT_FOUND,
    STATELESS_REVISION,
    VERSION_KEY,
)

PREFERRED = "2025-06-18"  # the revision that a server is asked for; it may answer with another
CLIENT = {"name": "sovereign", "title": "Sovereign", "version": "1"}
SHORTEST_SECRET = 8  # characters; a shorter word of a header is nothing to hide

NOT_JSON_RPC = "The MCP server sent a message that is not in its protocol's format."

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an MCP server is.

    :ivar headers: what is sent with every request, credentials among it.
    :ivar timeout: seconds for one listing or one call, from the connection to the last byte.
    :ivar inner_network: whether its address may be one of an inner network.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0
    inner_network: bool = False

    def without_secrets(self, text: str) -> str:
        """What a server said, without the values of our headers: it may repeat them."""
        values = {part for value in self.headers.values() for part in (value, *value.split())}
        for secret in sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True):
            text = text.replace(secret, "[secret]")
        return text

    def quoted(self, text: Any) -> str:
        """A server's words as one short printable line, ``""`` where they are none."""
        return sanitised(self.without_secrets(text)) if isinstance(text, str) else ""


class McpError(Exception):
    """A conversation with an MCP server that failed.

    :ivar message: one sentence for people, with nothing secret in it.
    :ivar timed_out: the server took longer than it has.
    :ivar never_began: the server cannot have begun what it was asked for.
    :ivar is_refusal: the server refuses in the protocol's own terms, so that it speaks some revision of it.
    """

    def __init__(
        self, message: str, *, timed_out: bool = False, never_began: bool = False, is_refusal: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.timed_out = timed_out
        self.never_began = never_began
        self.is_refusal = is_refusal


def request(number: int, method: str, params: Message) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def notification(method: str, params: Message | None = None) -> Message:
    return {"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params})


def handshake() -> Message:
    """What ``initialize`` is asked with."""
    return {"protocolVersion": PREFERRED, "capabilities": {}, "clientInfo": CLIENT}


def with_meta(params: Message) -> Message:
    """What a request is asked with where there was no handshake."""
    meta = {VERSION_KEY: STATELESS_REVISION, CLIENT_KEY: CLIENT, CAPABILITIES_KEY: {}}
    return {**params, "_meta": meta}


def answer_to(asked: Message) -> Message:
    """What a server's own request gets: a ping is answered, everything else (sampling, roots …) is refused.

    :raises McpError: its id is none.
    """
    number = asked.get("id")
    if not (isinstance(number, int) or (isinstance(number, str) and len(number) <= LONGEST_ID)):
        raise McpError(NOT_JSON_RPC)
    if asked["method"] == "ping":
        return {"jsonrpc": "2.0", "id": number, "result": {}}
    return {"jsonrpc": "2.0", "id": number, "error": {"code": METHOD_NOT_FOUND, "message": "Not supported here."}}


def is_request(message: Message) -> bool:
    """Whether a server asks for something itself; what has no id only tells something."""
    return isinstance(message.get("method"), str) and "id" in message


def is_notification(message: Message) -> bool:
    return isinstance(message.get("method"), str) and "id" not in message


def result_of(message: Message, number: int, endpoint: Endpoint) -> Message:
    """The result that a response carries.

    :raises McpError: it answers something else, is malformed, or is an error.
    """
    if message.get("id") != number or isinstance(message.get("id"), bool):
        raise McpError("The MCP server answered something that it was not asked.")
    if ("error" in message) == ("result" in message):
        raise McpError(NOT_JSON_RPC)
    if "error" in message:
        raise McpError(_refused(message["error"], endpoint), is_refusal=True)
    result = message["result"]
    if not isinstance(result, dict):
        raise McpError(NOT_JSON_RPC)
    return result


def _refused(error: Any, endpoint: Endpoint) -> str:
    """A JSON-RPC error as a sentence."""
    said = endpoint.quoted(error.get("message")) if isinstance(error, dict) else ""
    return f"The MCP server refused: {said}" if said else "The MCP server refused without a reason."
