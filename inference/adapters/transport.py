"""Connections to upstreams: one bounded session per event loop, and a watch over the calls that use it.

Time-outs are kept by one ticker and not by a timer per read: at thousands of deltas per second that is the difference
between some and no cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
import structlog

from inference.adapters.base import Endpoint
from inference.chat import EngineUnavailable, InferenceError

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 5.0  # seconds
FIRST_BYTE_TIMEOUT = 120.0  # seconds: a busy engine queues, and a long prompt takes its time
IDLE_TIMEOUT = 60.0  # seconds between two pieces of an answer
TRAILER_TIMEOUT = 5.0  # seconds that the usage may come after the finish reason
KEEP_ALIVE = 3.0  # seconds; shorter than the five of uvicorn and Node.js, so that no reused connection is a dead one
MAXIMUM_CONNECTIONS = 512
TICK = 0.5  # seconds
RECORD_INTERVAL = 5.0  # seconds between two records of an engine's tokens

CUT = "The engine closed the connection in the middle of the answer."
NO_ANSWER = "The engine closed the connection without an answer."

RecordToken = Callable[[str], Awaitable[None]]


class Call:
    """One request to an upstream; whoever holds it must ``close`` it."""

    __slots__ = ("_response", "_timeout", "_transport", "engine_id", "failure", "last", "limit")

    def __init__(self, transport: Transport, engine_id: str) -> None:
        self._transport = transport
        self._response: aiohttp.ClientResponse | None = None
        self._timeout: asyncio.Timeout | None = None
        self.engine_id = engine_id
        self.last = transport.loop.time()
        self.limit = FIRST_BYTE_TIMEOUT
        self.failure: InferenceError | None = None

    async def post(self, endpoint: Endpoint, path: str, body: bytes) -> aiohttp.ClientResponse:
        """Send the request and wait for the headers of the answer.

        :raises EngineUnavailable: no connection.
        :raises InferenceError: no answer, in time or at all.
        """
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
        }
        if endpoint.key:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        try:
            async with asyncio.timeout(FIRST_BYTE_TIMEOUT) as self._timeout:
                self._response = await self._send(endpoint.base_url + path, body, headers)
        except TimeoutError:
            raise self.failure or _too_slow(FIRST_BYTE_TIMEOUT) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self.failure or connection_error(endpoint.base_url, error) from None
        finally:
            self._timeout = None
        return self._response

    async def _send(self, url: str, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        session = self._transport.session
        try:
            return await session.post(url, data=body, headers=headers, allow_redirects=False)
        except aiohttp.ServerDisconnectedError:
            # a connection that was kept open and closed meanwhile, mostly; a model call may be repeated
            return await session.post(url, data=body, headers=headers, allow_redirects=False)

    async def read(self) -> bytes:
        """The next bytes of the answer, ``b""`` at its end.

        :raises InferenceError: the connection broke, or nothing came for too long.
        """
        assert self._response is not None
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError, ValueError):
            raise self.failure or InferenceError(CUT) from None
        if self.failure is not None:
            raise self.failure
        self.last = self._transport.loop.time()
        return chunk

    def answering(self) -> None:
        """The first bytes are there: from now on pauses are measured."""
        self.limit = IDLE_TIMEOUT

    def saw_token(self) -> None:
        if self.engine_id:
            self._transport.progress[self.engine_id] = self.last

    def abort(self, failure: InferenceError) -> None:
        """End the call from outside: whoever reads it gets ``failure``."""
        if self.failure is None:
            self.failure = failure
            if self._response is not None:
                self._response.close()
            elif self._timeout is not None:
                self._timeout.reschedule(self._transport.loop.time())

    def close(self) -> None:
        """Give the connection back, or close it where the answer was not read to its end: that frees the slot."""
        if self._response is not None:
            self._response.close()
        self._transport.calls.discard(self)


class Transport:
    """The session of one event loop, the calls that are open on it, and when each engine last produced a token."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAXIMUM_CONNECTIONS, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        self.calls: set[Call] = set()
        self.progress: dict[str, float] = {}  # engine id → the loop's time
        self._recorded: dict[str, float] = {}
        self._record: RecordToken | None = None
        self._ticker = asyncio.create_task(self._watch(), name="inference transport")

    def open(self, engine_id: str) -> Call:
        call = Call(self, engine_id)
        self.calls.add(call)
        return call

    def record_tokens_with(self, record: RecordToken) -> None:
        self._record = record

    def stalled(self, engine_id: str, seconds: float) -> bool:
        """Whether calls wait on this engine although none of them got a token for so long."""
        waiting = [call.last for call in self.calls if call.engine_id == engine_id]
        if not waiting:
            return False
        return self.loop.time() - max(min(waiting), self.progress.get(engine_id, 0.0)) > seconds

    def abort(self, engine_id: str, reason: str) -> None:
        """End all calls on an engine that is known to be dead."""
        for call in [call for call in self.calls if call.engine_id == engine_id]:
            call.abort(InferenceError(reason))

    async def close(self) -> None:
        self._ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticker

    async def _watch(self) -> None:
        """Runs until the loop or ``close`` cancels it, and closes the session then."""
        try:
            while True:
                await asyncio.sleep(TICK)
                self._end_overdue()
                await self._record_progress()
        finally:
            await self.session.close()

    def _end_overdue(self) -> None:
        now = self.loop.time()
        for call in [call for call in self.calls if now - call.last > call.limit]:
            call.abort(_too_slow(call.limit))

    async def _record_progress(self) -> None:
        for engine_id, at in list(self.progress.items()):
            if self._record is None or at - self._recorded.get(engine_id, -RECORD_INTERVAL) < RECORD_INTERVAL:
                continue
            self._recorded[engine_id] = at
            try:
                await self._record(engine_id)
            except Exception as error:  # the record is a convenience: the calls go on
                log.warning("token_not_recorded", engine=engine_id, error=type(error).__name__)


_transports: WeakKeyDictionary[asyncio.AbstractEventLoop, Transport] = WeakKeyDictionary()


def transport() -> Transport:
    """The running loop's transport, made on first use."""
    loop = asyncio.get_running_loop()
    found = _transports.get(loop)
    if found is None or found.session.closed:
        found = _transports[loop] = Transport()
    return found


async def close_transport() -> None:
    """Close the running loop's connections; the next call opens new ones."""
    found = _transports.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()


def connection_error(base_url: str, error: Exception) -> InferenceError:
    """What a failed connection means, in a sentence with the host and no more of the address."""
    host = urlsplit(base_url).netloc
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return InferenceError(NO_ANSWER)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return EngineUnavailable(f"{host} did not accept a connection within {CONNECT_TIMEOUT:.0f} s.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return EngineUnavailable(f"{host} has a certificate that is not trusted.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return EngineUnavailable(f"The host of {host} was not found.")
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        return EngineUnavailable(f"{host} {'refused the connection' if refused else 'could not be reached'}.")
    if isinstance(error, ConnectionError):
        return InferenceError(NO_ANSWER)
    return InferenceError("The engine's answer is not HTTP.")


def _too_slow(seconds: float) -> InferenceError:
    return InferenceError(f"The engine sent nothing for {seconds:.0f} seconds.")
