"""The messages of the Model Context Protocol, as far as a server without sessions knows them. Pure functions.

There are two kinds of clients: those that begin with ``initialize``, and (from 2026-07-28 on) those that say in every
request which version they speak. Neither leaves anything here between two requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sovereign.core.mcp_wire import (
    CAPABILITIES_KEY,
    HANDSHAKE_REVISIONS,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LONGEST_ID,
    METHOD_HEADER,
    METHOD_NOT_FOUND,
    NAME_HEADER,
    REVISIONS,
    SERVER_KEY,
    STATELESS_REVISION,
    UNSUPPORTED_VERSION,
    VERSION_HEADER,
    VERSION_KEY,
    unpacked,
)

NAME, TITLE, SERVER_VERSION = "sovereign", "Sovereign", "1"
UNSAID = HANDSHAKE_REVISIONS[0]  # what a client speaks that does not say it, by the specification
LARGEST_ID = 2**53  # what JavaScript counts exactly
STATUS = {METHOD_NOT_FOUND: 404, INVALID_PARAMS: 400, INTERNAL_ERROR: 500}  # for modern clients; others get 200

Token = str | int


class RpcError(Exception):
    """What a client is told instead of a result.

    :param identifier: of the request that it answers, where that was understood.
    :param data: more about it, for programs.
    """

    def __init__(self, code: int, message: str, *, identifier: Token | None = None, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.identifier, self.data = code, message, identifier, data


@dataclass(frozen=True, slots=True)
class Question:
    """A request that is to be answered.

    :ivar version: of the protocol, that its sender speaks.
    """

    id: Token
    method: str
    params: dict[str, Any]
    version: str

    @property
    def is_modern(self) -> bool:
        return self.version == STATELESS_REVISION

    @property
    def progress_token(self) -> Token | None:
        """:raises RpcError: it is no token."""
        token = _meta_of(self.params).get("progressToken")
        if token is not None and not _is_token(token):
            raise RpcError(INVALID_PARAMS, "'_meta.progressToken' must be a string or an integer.", identifier=self.id)
        return token


def read(message: Any, headers: Mapping[str, str]) -> Question | None:
    """The request in a body; ``None`` for what asks for no answer: notifications, and responses.

    :raises RpcError: it is no message, or in no version of the protocol that is spoken here.
    """
    if isinstance(message, list):
        raise RpcError(INVALID_REQUEST, "Send one message a request: batches are not supported.")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'Expected a JSON-RPC message with "jsonrpc": "2.0".')
    method = message.get("method")
    if method is None and ("result" in message or "error" in message):
        return None
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "'method' must be a string.")
    if "id" not in message:
        return None
    return _question(message, method, headers)


def _question(message: dict[str, Any], method: str, headers: Mapping[str, str]) -> Question:
    identifier, params = message["id"], message.get("params", {})
    if not _is_token(identifier):
        raise RpcError(INVALID_REQUEST, f"'id' must be an integer, or a string of at most {LONGEST_ID} characters.")
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "'params' must be an object.", identifier=identifier)
    question = Question(identifier, method, params, _version(params, headers, identifier))
    if question.is_modern:
        _check_headers(question, headers)
    return question


def _version(params: dict[str, Any], headers: Mapping[str, str], identifier: Token) -> str:
    """:raises RpcError: it is none that is spoken here."""
    told, meta = headers.get(VERSION_HEADER), _meta_of(params)
    version = meta.get(VERSION_KEY, told or UNSAID)
    if version not in REVISIONS:
        data = {"supported": list(REVISIONS), "requested": version if isinstance(version, str) else None}
        raise RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", identifier=identifier, data=data)
    if version == STATELESS_REVISION and not (VERSION_KEY in meta and CAPABILITIES_KEY in meta):
        message = f"'params._meta' must hold '{VERSION_KEY}' and '{CAPABILITIES_KEY}'."
        raise RpcError(INVALID_PARAMS, message, identifier=identifier)
    return str(version)


def _check_headers(question: Question, headers: Mapping[str, str]) -> None:
    """What stands in front of the server may decide by the headers: they have to say what the body says.

    :raises RpcError: they do not.
    """
    said: dict[str, Any] = {VERSION_HEADER: question.version, METHOD_HEADER: question.method}
    if question.method == "tools/call":
        said[NAME_HEADER] = question.params.get("name")
    for name, value in said.items():
        if unpacked(headers.get(name)) != value:
            message = f"The header '{name}' does not say what the body says."
            raise RpcError(HEADER_MISMATCH, message, identifier=question.id)


def answer(question: Question, result: dict[str, Any]) -> dict[str, Any]:
    """The response to a request."""
    if question.is_modern:
        info = {SERVER_KEY: server_info()}
        result = {"resultType": "complete", **result, "_meta": {**info, **result.get("_meta", {})}}
    return {"jsonrpc": "2.0", "id": question.id, "result": result}


def refusal(error: RpcError) -> dict[str, Any]:
    """The response that says why there is no result."""
    told = {"code": error.code, "message": error.message, **({} if error.data is None else {"data": error.data})}
    return {"jsonrpc": "2.0", "id": error.identifier, "error": told}


def notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def status_of(error: RpcError, question: Question | None) -> int:
    """Of HTTP. What was no request is a 400; older clients take some statuses for the end of a session."""
    if question is None:
        return 400
    return STATUS.get(error.code, 200) if question.is_modern else 200


def server_info() -> dict[str, str]:
    return {"name": NAME, "title": TITLE, "version": SERVER_VERSION}


def _meta_of(params: dict[str, Any]) -> dict[str, Any]:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def _is_token(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID
