"""Streamable HTTP: messages are posted, and come back as JSON or as a stream of events.

This is the only place that connects to MCP servers. Addresses of inner networks are refused unless the server's row
allows them, no redirect is followed, nothing is unpacked, and whatever never ends is given up: after so many bytes
here, after so many seconds in :mod:`assistants.catalog.mcp.session`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from assistants.catalog.mcp.protocol import NOT_JSON_RPC, Endpoint, McpError, Message
from sovereign.core.egress import EgressRefused, check_url, public_connector
from sovereign.core.error_messages import message_of
from sovereign.core.sse_parser import EventParser, StreamTooLarge

CONNECT_TIMEOUT = 5.0  # seconds
KEEP_ALIVE = 3.0  # seconds; shorter than what servers keep, so that no connection is used that is gone already
MAXIMUM_ANSWER = 4 * 1024 * 1024  # bytes of one answer, whatever else its stream tells
MAXIMUM_ERROR = 64 * 1024  # bytes that are read of an answer that is none
MAXIMUM_BATCH = 64  # messages in one JSON document, which the revision of 2025-03-26 allows
JSON, EVENTS = "application/json", "text/event-stream"
ACCEPT = f"{JSON}, {EVENTS}"
SAID_NOTHING = "The MCP server closed the connection without an answer."
TOO_LONG = "The MCP server sent a longer answer than is accepted."
CREDENTIALS = frozenset({401, 403})


class Transport:
    """The connections to one server, for one conversation."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        connect = aiohttp.TCPConnector if endpoint.inner_network else public_connector
        self._session = aiohttp.ClientSession(
            connector=connect(keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def send(self, method: str, body: Message | None, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """The reply to one request, whatever its status.

        :raises McpError: there is none, or it breaks off while it is read.
        """
        try:
            response = await self._request(method, body, headers)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _not_answered(error) from None
        try:
            yield Reply(self._endpoint, response)
        except (aiohttp.ClientError, OSError):
            raise McpError("The MCP server closed the connection in the middle of its answer.") from None
        finally:
            response.release()

    async def _request(self, method: str, body: Message | None, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        check_url(self._endpoint.url, inner_network=self._endpoint.inner_network)
        own = {"Accept": ACCEPT, "Accept-Encoding": "identity", **headers}
        if body is not None:
            own["Content-Type"] = JSON
        return await self._session.request(
            method,
            self._endpoint.url,
            data=None if body is None else _encoded(body),
            headers={**self._endpoint.headers, **own},
            allow_redirects=False,
        )


class Reply:
    """One answer over HTTP, of which nothing but the head was read.

    :ivar received: bytes of its body so far.
    """

    def __init__(self, endpoint: Endpoint, response: aiohttp.ClientResponse) -> None:
        self._endpoint = endpoint
        self._response = response
        self.received = 0

    def header(self, name: str) -> str:
        return str(self._response.headers.get(name, ""))

    async def check(self) -> None:
        """:raises McpError: the server did not take what was sent."""
        status = self._response.status
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise McpError("The MCP server redirects to another address, which is not followed.", never_began=True)
        if status in CREDENTIALS:
            raise McpError(f"The MCP server refused our credentials (status {status}).", never_began=True)
        body = await self._document()
        said = self._endpoint.quoted(message_of(body))
        if status in (404, 405) and not said:
            raise McpError(f"There is no MCP server at this address (status {status}).", never_began=True)
        message = f"The MCP server answered with status {status}" + (f": {said}" if said else ".")
        raise McpError(message, is_refusal=isinstance(body, dict) and "jsonrpc" in body)

    async def messages(self, maximum: int) -> AsyncGenerator[Message, None]:
        """The messages of an answer, in order.

        :param maximum: bytes of all of them.
        :raises McpError: it is no answer of an MCP server.
        """
        encoding = self.header("Content-Encoding").strip().lower()
        if encoding not in ("", "identity"):
            raise McpError("The MCP server sent a compressed answer, which was not asked for.")
        kind = self._response.content_type
        if kind == EVENTS:
            async for data in self._events(maximum):
                for message in _messages_in(data):
                    yield message
        elif kind == JSON:
            for message in _messages_in(await self._whole(maximum)):
                yield message
        else:
            raise McpError(f"What is at this address is no MCP server: it answered with {self._endpoint.quoted(kind)}.")

    async def _events(self, maximum: int) -> AsyncGenerator[bytes, None]:
        parser = EventParser(maximum_line=maximum, maximum_total=maximum)
        while chunk := await self._next():
            try:
                events = parser.feed(chunk)
            except StreamTooLarge:
                raise McpError(TOO_LONG) from None
            for data in events:
                if data:  # an empty one only says where a stream may be taken up again
                    yield data

    async def _whole(self, maximum: int) -> bytes:
        pieces = []
        while chunk := await self._next():
            if self.received > maximum:
                raise McpError(TOO_LONG)
            pieces.append(chunk)
        return b"".join(pieces)

    async def _next(self) -> bytes:
        """The next bytes, ``b""`` at the end."""
        chunk = await self._response.content.readany()
        self.received += len(chunk)
        return chunk

    async def _document(self) -> Any:
        """The body of a refusal, if it is JSON."""
        try:
            return orjson.loads(await self._whole(MAXIMUM_ERROR))
        except (McpError, ValueError):
            return None


def _encoded(body: Message) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a number of more than 64 bits, half a character
        raise McpError("What was to be sent to the MCP server cannot be written as JSON.", never_began=True) from None


def _messages_in(data: bytes) -> list[Message]:
    try:
        document: Any = orjson.loads(data)
    except ValueError:
        raise McpError("The MCP server's answer is not JSON.") from None
    messages = document if isinstance(document, list) else [document]
    if len(messages) > MAXIMUM_BATCH or not all(isinstance(message, dict) for message in messages):
        raise McpError(NOT_JSON_RPC)
    return messages


def _not_answered(error: Exception) -> McpError:
    """Why there is no answer. Only what failed before the request was sent is known not to have begun."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, EgressRefused):
        return McpError(f"The MCP server must not be connected to: {cause}", never_began=True)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return McpError(f"The MCP server did not accept a connection within {CONNECT_TIMEOUT:g} s.", never_began=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return McpError("The MCP server has a certificate that is not trusted.", never_began=True)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return McpError("The host of the MCP server was not found.", never_began=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return McpError("The MCP server could not be reached.", never_began=True)
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return McpError(SAID_NOTHING)
    return McpError("What is at this address does not speak HTTP.")
