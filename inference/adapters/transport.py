"""Connections to upstreams: bounded sessions per event loop, and a watch over the calls that use them.

One session reaches every address, for engines of our own network; another only public ones; and each has one beside
it for probes, which find out about engines that hold all connections. Time-outs are kept by one ticker and not by a
timer per read: at thousands of deltas per second that is the difference between some and no cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
import structlog

from inference.adapters.base import Endpoint
from inference.adapters.refusals import NOT_BEGUN, retry_after
from inference.chat import EngineUnavailable, InferenceError
from sovereign.core.egress import EgressRefused, check_url, public_connector

log = structlog.get_logger(__name__)

TRAILER_TIMEOUT = 5.0  # seconds that the usage may come after the finish reason
KEEP_ALIVE = 3.0  # seconds; shorter than the five of uvicorn and Node.js, so that no reused connection is a dead one
MAXIMUM_CONNECTIONS = 2_048
MAXIMUM_PER_ENGINE = 512  # connections to one host and port: an engine that hangs does not keep others from theirs
MAXIMUM_PROBES = 64  # connections, beside those of calls
MAXIMUM_PROBES_PER_ENGINE = 8
TICK = 0.5  # seconds
RECORD_INTERVAL = 5.0  # seconds between two records of an engine's tokens
CONNECT_PAUSE = 0.1  # seconds before a refused connection is tried once more: a server may just be starting again
LARGE_BODY = 256 * 1024  # bytes; more is written piece by piece, so that the loop goes on meanwhile
LONGEST_PAUSE = 2.0  # seconds: who asks for a longer one is left to the gateway, which may know another engine

CUT = "The engine closed the connection in the middle of the answer."
NO_ANSWER = "The engine closed the connection without an answer."

RecordToken = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One HTTP request to an upstream: its path behind the address, and its body if it has one."""

    path: str
    body: bytes | None = None
    accept: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def to_send(self) -> dict[str, str]:
        """All headers. Nothing compressed is asked for, nor unpacked: what comes is as large as it looks."""
        headers = {"Accept": self.accept, "Accept-Encoding": "identity", **self.headers}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        return headers


class Call:
    """One request to an upstream; whoever holds it must ``close`` it.

    :ivar silent_since: the loop's time since which the engine is waited for; ``None`` while nobody reads, which is
        no silence of the engine's.
    """

    __slots__ = (
        "_answering",
        "_begun",
        "_patience",
        "_response",
        "_timeout",
        "_transport",
        "endpoint",
        "engine_id",
        "failure",
        "limit",
        "on_kept_connection",
        "silent_since",
    )

    def __init__(self, transport: Transport, endpoint: Endpoint) -> None:
        self._transport = transport
        self._response: aiohttp.ClientResponse | None = None
        self._timeout: asyncio.Timeout | None = None
        self._patience = endpoint.patience
        self._answering = False
        self.endpoint = endpoint
        self.engine_id = endpoint.engine_id
        self._begun = transport.loop.time()
        self.silent_since: float | None = self._begun
        self.limit = endpoint.patience.first_token
        self.failure: InferenceError | None = None
        self.on_kept_connection = False

    async def send(self, asked: Asked) -> aiohttp.ClientResponse:
        """Send the request and wait for the headers of the answer, whatever its status.

        :raises EngineUnavailable: no connection.
        :raises InferenceError: no answer, in time or at all.
        """
        patience = min(self._patience.first_token, self._patience.total)
        try:
            async with asyncio.timeout(patience) as self._timeout:
                self._response = await self._send(asked)
        except aiohttp.ConnectionTimeoutError as error:  # a TimeoutError, but not ours
            raise self.failure or connection_error(self.endpoint, error) from None
        except TimeoutError:
            raise self.failure or too_slow(patience) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self.failure or connection_error(self.endpoint, error) from None
        finally:
            self._timeout = None
        return self._response

    async def _send(self, asked: Asked) -> aiohttp.ClientResponse:
        """Send it, and once more where nothing can have been begun."""
        try:
            response = await self._request(asked)
        except aiohttp.ServerDisconnectedError:
            if not self.on_kept_connection:
                raise  # it read the request, and may have worked on it
            return await self._request(asked)  # the connection had been kept open, and was closed meanwhile
        except aiohttp.ClientConnectorError as error:
            if not isinstance(error.os_error, ConnectionError):
                raise
            await asyncio.sleep(CONNECT_PAUSE)
            return await self._request(asked)
        if response.status in NOT_BEGUN and (pause := retry_after(response)) is not None and pause <= LONGEST_PAUSE:
            response.close()
            await asyncio.sleep(pause)
            return await self._request(asked)
        return response

    async def _request(self, asked: Asked) -> aiohttp.ClientResponse:
        endpoint = self.endpoint
        url = endpoint.base_url + asked.path
        check_url(url, inner_network=endpoint.inner_network)
        return await self._transport.session_for(endpoint).request(
            "GET" if asked.body is None else "POST",
            url,
            data=io.BytesIO(asked.body) if asked.body is not None and len(asked.body) > LARGE_BODY else asked.body,
            headers=asked.to_send(),
            allow_redirects=False,
            trace_request_ctx=self,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
        )

    async def read(self) -> bytes:
        """The next bytes of the answer, ``b""`` at its end.

        :raises InferenceError: the connection broke, nothing came for too long, or the answer takes too long.
        """
        assert self._response is not None
        if self.silent_since is None:
            self.silent_since = self._transport.loop.time()
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError, ValueError):
            raise self.failure or InferenceError(CUT) from None
        if self.failure is not None:
            raise self.failure
        if self._answering:
            self.silent_since = None
        return chunk

    def saw_token(self) -> None:
        """A token came: from now on pauses are measured."""
        if not self._answering:
            self._answering = True
            self.limit = self._patience.idle
            self.silent_since = None
        if self.engine_id:
            self._transport.progress[self.engine_id] = self._transport.loop.time()

    def may_end_within(self, seconds: float) -> None:
        """The answer is there, and only what follows it is waited for."""
        self._answering = True
        self.limit = seconds
        self.silent_since = None

    def overdue(self, now: float) -> InferenceError | None:
        """Why the call must end now, if it must."""
        if self.silent_since is not None and now - self.silent_since > self.limit:
            return too_slow(self.limit)
        if now - self._begun > self._patience.total:
            return InferenceError(f"The answer was not complete after {_spoken(self._patience.total)} seconds.")
        return None

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
    """The sessions of one event loop, the calls that are open on it, and when each engine last produced a token."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        calls = _bounds(MAXIMUM_CONNECTIONS, MAXIMUM_PER_ENGINE)
        probes = _bounds(MAXIMUM_PROBES, MAXIMUM_PROBES_PER_ENGINE)
        self.session = _session(aiohttp.TCPConnector(**calls))
        self.public_session = _session(public_connector(**calls))
        self.probe_session = _session(aiohttp.TCPConnector(**probes))
        self.public_probe_session = _session(public_connector(**probes))
        self.calls: set[Call] = set()
        self.progress: dict[str, float] = {}  # engine id → the loop's time
        self._recorded: dict[str, float] = {}
        self._record: RecordToken | None = None
        self._recording: asyncio.Task[None] | None = None
        self._ticker = asyncio.create_task(self._watch(), name="inference transport")

    def open(self, endpoint: Endpoint) -> Call:
        call = Call(self, endpoint)
        self.calls.add(call)
        return call

    def session_for(self, endpoint: Endpoint) -> aiohttp.ClientSession:
        """What names no engine or no model of it is a probe."""
        if endpoint.engine_id and endpoint.model:
            return self.session if endpoint.inner_network else self.public_session
        return self.probe_session if endpoint.inner_network else self.public_probe_session

    def record_tokens_with(self, record: RecordToken) -> None:
        self._record = record

    def stalled(self, engine_id: str, seconds: float) -> bool:
        """Whether calls wait on this engine although none of them got a token for so long."""
        of_engine = (call.silent_since for call in self.calls if call.engine_id == engine_id)
        waiting = [since for since in of_engine if since is not None]
        if not waiting:
            return False
        return self.loop.time() - max(min(waiting), self.progress.get(engine_id, 0.0)) > seconds

    def abort(self, engine_id: str, reason: str) -> None:
        """End all calls on an engine that is known to be dead."""
        for call in [call for call in self.calls if call.engine_id == engine_id]:
            call.abort(InferenceError(reason))

    async def close(self) -> None:
        for task in (self._ticker, self._recording):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._close_sessions()  # a ticker that never had its turn closed nothing

    async def _watch(self) -> None:
        """Runs until the loop or ``close`` cancels it, and closes the sessions then; it waits for nothing else."""
        try:
            while True:
                await asyncio.sleep(TICK)
                self._end_overdue()
                self._begin_recording()
        finally:
            await self._close_sessions()

    async def _close_sessions(self) -> None:
        for session in (self.session, self.public_session, self.probe_session, self.public_probe_session):
            await session.close()

    def _end_overdue(self) -> None:
        now = self.loop.time()
        for call in list(self.calls):
            if (failure := call.overdue(now)) is not None:
                call.abort(failure)

    def _begin_recording(self) -> None:
        """In a task of its own: the database may be slow, or locked."""
        if self._record is None or (self._recording is not None and not self._recording.done()):
            return
        due = {
            engine_id: at
            for engine_id, at in self.progress.items()
            if at - self._recorded.get(engine_id, -RECORD_INTERVAL) >= RECORD_INTERVAL
        }
        if due:
            self._recorded |= due
            self._recording = asyncio.create_task(self._record_progress(self._record, list(due)), name="progress")

    async def _record_progress(self, record: RecordToken, engine_ids: list[str]) -> None:
        for engine_id in engine_ids:
            try:
                await record(engine_id)
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


def connection_error(endpoint: Endpoint, error: Exception) -> InferenceError:
    """What a failed connection means: its message names the model, its ``detail`` the host, and no more of it."""
    host = _host(endpoint)
    refused = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(refused, EgressRefused):
        return _unreached(endpoint, "must not be connected to.", f"{host} must not be connected to: {refused}")
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return InferenceError(NO_ANSWER)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        limit = _spoken(endpoint.patience.connect)
        return _unreached(endpoint, f"did not accept a connection within {limit} s.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return _unreached(endpoint, "has a certificate that is not trusted.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _unreached(endpoint, "was not found.", f"The host of {host} was not found.")
    if isinstance(error, aiohttp.ClientConnectorError):
        closed = isinstance(error.os_error, ConnectionRefusedError)
        return _unreached(endpoint, "refused the connection." if closed else "could not be reached.")
    if isinstance(error, aiohttp.InvalidURL):
        return InferenceError("The address is not one of an HTTP server.")
    if isinstance(error, ConnectionError):
        return InferenceError(NO_ANSWER)
    return InferenceError("The engine's answer is not HTTP.")


def _unreached(endpoint: Endpoint, what: str, detail: str = "") -> EngineUnavailable:
    """:param what: of "The engine …", and of its host where there is no ``detail``."""
    engine = f"The engine of {endpoint.model}" if endpoint.model else "The engine"
    return EngineUnavailable(f"{engine} {what}", detail=detail or f"{_host(endpoint)} {what}")


def _host(endpoint: Endpoint) -> str:
    return urlsplit(endpoint.base_url).netloc.rpartition("@")[2]


def too_slow(seconds: float) -> InferenceError:
    return InferenceError(f"The engine sent nothing for {_spoken(seconds)} seconds.")


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 1 else f"{seconds:g}"


async def _kept(session: aiohttp.ClientSession, context: Any, parameters: Any) -> None:
    """A call goes over a connection that is not new."""
    if context.trace_request_ctx is not None:  # the request belongs to no call: somebody looks at an engine
        context.trace_request_ctx.on_kept_connection = True


def _bounds(most: int, of_one_engine: int) -> dict[str, Any]:
    return {"limit": most, "limit_per_host": of_one_engine, "keepalive_timeout": KEEP_ALIVE}


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    traces = aiohttp.TraceConfig()
    traces.on_connection_reuseconn.append(_kept)
    return aiohttp.ClientSession(
        trace_configs=[traces],
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
