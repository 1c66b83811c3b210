"""A conversation with one MCP server: a revision is agreed on, time is bounded, it is closed whatever happens.

Revisions up to 2025-11-25 begin with a handshake, and may have sessions. A server that refuses it is asked once more
in the way of 2026-07-28, where every request stands alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress

from assistants.catalog.mcp import protocol
from assistants.catalog.mcp.protocol import Endpoint, McpError, Message
from assistants.catalog.mcp.transport import MAXIMUM_ANSWER, SAID_NOTHING, Reply, Transport
from sovereign.core.mcp_wire import (
    HANDSHAKE_REVISIONS,
    METHOD_HEADER,
    NAME_HEADER,
    SESSION_HEADER,
    STATELESS_REVISION,
    VERSION_HEADER,
)

SESSION_ID = re.compile(r"[\x21-\x7e]{1,1024}")
MAXIMUM_OWN_REQUESTS = 32  # of a server, in one conversation
FAREWELL = 2.0  # seconds that a server has to be told that a call is off, and the session over
HANDSHAKE = "initialize"
NONE: Mapping[str, str] = {}


@asynccontextmanager
async def connected(endpoint: Endpoint) -> AsyncIterator[Session]:
    """A session in a revision that both speak; what is done with it has what is left of the server's time.

    :raises McpError: in one sentence, whatever went wrong.
    """
    session = Session(endpoint)
    try:
        async with asyncio.timeout(endpoint.timeout):
            await session.agree()
            yield session
    except TimeoutError:
        message = f"The MCP server took longer than {endpoint.timeout:g} seconds."
        raise McpError(message, timed_out=True, never_began=not session.is_agreed) from None
    finally:
        await session.close()


class Session:
    """Made by :func:`connected`. One request at a time.

    :ivar received: bytes of all answers so far.
    :ivar is_agreed: whether a revision is agreed on: nothing was asked for before.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.received = 0
        self.is_agreed = False
        self._endpoint = endpoint
        self._transport = Transport(endpoint)
        self._headers: dict[str, str] = {}
        self._asked = 0
        self._open: int | None = None  # the request that a server may still work on
        self._own_requests = 0
        self._stateless = False

    async def agree(self) -> None:
        """:raises McpError: the server speaks no revision that is known here."""
        try:
            await self._shake_hands()
        except McpError as refusal:
            if not refusal.is_refusal or not await self._is_stateless():
                refusal.never_began = True
                raise
        self.is_agreed = True

    async def _shake_hands(self) -> None:
        result = await self.request(HANDSHAKE, protocol.handshake())
        version = result.get("protocolVersion")
        if version not in HANDSHAKE_REVISIONS:
            said = self._endpoint.quoted(version) or "none that can be read"
            raise McpError(f"The MCP server speaks another version of the protocol: {said}.")
        self._headers[VERSION_HEADER] = str(version)
        await self._tell(protocol.notification("notifications/initialized"))

    async def _is_stateless(self) -> bool:
        """Whether the server speaks the revision without handshakes, which is spoken from then on."""
        self._stateless, self._headers = True, {VERSION_HEADER: STATELESS_REVISION}
        try:
            versions = (await self.request("server/discover", {})).get("supportedVersions")
        except McpError:
            return False
        return isinstance(versions, list) and STATELESS_REVISION in versions

    async def request(
        self,
        method: str,
        params: Message,
        *,
        said_twice: Mapping[str, str] = NONE,
        maximum: int = MAXIMUM_ANSWER,
    ) -> Message:
        """The result of one request.

        :param said_twice: headers for it, where the revision has such.
        :param maximum: bytes that the answer may have.
        :raises McpError: there is none.
        """
        self._asked += 1
        self._open = self._asked if method != HANDSHAKE else None  # which the protocol does not let anybody cancel
        asked = protocol.request(self._asked, method, protocol.with_meta(params) if self._stateless else params)
        async with self._transport.send("POST", asked, self._headers_of(method, params, said_twice)) as reply:
            await self._check(reply)
            if method == HANDSHAKE:
                self._take_session(reply)
            try:
                result = await self._result(reply, maximum)
            finally:
                self.received += reply.received
        if self._stateless and result.get("resultType", "complete") != "complete":
            raise McpError("The MCP server wants to know more before it answers, which is not possible here.")
        return result

    async def _check(self, reply: Reply) -> None:
        try:
            await reply.check()
        except McpError:
            self._open = None  # it was not taken
            raise

    def _headers_of(self, method: str, params: Message, said_twice: Mapping[str, str]) -> dict[str, str]:
        """Without a handshake they say what the body says, too."""
        if not self._stateless:
            return self._headers
        name = {NAME_HEADER: params["name"]} if "name" in params else {}
        return {**self._headers, METHOD_HEADER: method, **name, **said_twice}

    def _take_session(self, reply: Reply) -> None:
        name = reply.header(SESSION_HEADER)
        if name and not SESSION_ID.fullmatch(name):
            raise McpError("The MCP server named its session in a way that the protocol does not allow.")
        if name:
            self._headers[SESSION_HEADER] = name

    async def _result(self, reply: Reply, maximum: int) -> Message:
        """What answers the request among all that a server sends: it may tell and ask things meanwhile."""
        async with aclosing(reply.messages(maximum)) as messages:
            async for message in messages:
                if protocol.is_notification(message):
                    continue
                if not protocol.is_request(message):
                    self._open = None
                    return protocol.result_of(message, self._asked, self._endpoint)
                await self._answer(message)
        raise McpError(SAID_NOTHING)

    async def _answer(self, asked: Message) -> None:
        self._own_requests += 1
        if self._own_requests > MAXIMUM_OWN_REQUESTS:
            raise McpError("The MCP server asks and asks instead of answering.")
        await self._tell(protocol.answer_to(asked))

    async def _tell(self, message: Message) -> None:
        """Send what is not answered."""
        async with self._transport.send("POST", message, self._headers) as reply:
            await reply.check()

    async def close(self) -> None:
        """Take back what was asked and is not answered, end the session, and drop the connections."""
        try:
            with suppress(TimeoutError, McpError):
                async with asyncio.timeout(FAREWELL):
                    await self._say_farewell()
        finally:
            await self._transport.close()

    async def _say_farewell(self) -> None:
        if self._open is not None and not self._stateless:  # there the connection's end says it
            params = {"requestId": self._open, "reason": "Nobody waits for it any more."}
            with suppress(McpError):
                await self._tell(protocol.notification("notifications/cancelled", params))
        if SESSION_HEADER in self._headers:
            async with self._transport.send("DELETE", None, self._headers):
                pass
