"""Daphne with bounds: on what anybody may send, and on what is held for a reader that does not read.

Daphne keeps a whole body before the application sees any of it, and writes without asking whether the other side reads.
Here uploads go to their views piece by piece, and ``send`` waits for the reader.
Importing this module installs Twisted's asyncio reactor.
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import unquote

import daphne.server
import orjson
import structlog
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.internet import reactor as reactor  # for those that must have this module's before any other's
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol

from sovereign.core.errors import ApiError, request_too_large
from sovereign.core.ids import new_request_id
from sovereign.core.incoming import limit_of

log = structlog.get_logger(__name__)

STALLED = 60.0  # seconds in which a full buffer must have been emptied; a stream can be resumed afterwards
LINGER = 10.0  # seconds in which a refused client may finish sending and read why it was refused
POLL = 0.05  # seconds
HELD = 256 * 1024  # bytes of a body that wait for the application that takes it as it comes


class Flow:
    """Whether a connection may be written to, as its transport says: Twisted's push producer.

    A transport pauses it at 64 KiB that the kernel did not take, and resumes it when they are gone.
    """

    def __init__(self) -> None:
        self._is_open = asyncio.Event()
        self._is_open.set()

    def pauseProducing(self) -> None:
        self._is_open.clear()

    def resumeProducing(self) -> None:
        self._is_open.set()

    def stopProducing(self) -> None:
        self._is_open.set()

    async def opens_within(self, seconds: float) -> bool:
        if not self._is_open.is_set():
            try:
                await asyncio.wait_for(self._is_open.wait(), seconds)
            except TimeoutError:
                return False
        return True


class Intake:
    """The queue between a connection and an application that takes a body as it comes (``core.incoming``).

    The connection is not read while much of it waits here.
    """

    def __init__(self, transport: Any) -> None:
        self.is_whole = False
        self._transport = transport
        self._pieces: list[bytes] = []
        self._held = 0  # bytes
        self._has_left = self._is_told = False
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        self._changed.set()
        if self._held > HELD:
            self._transport.pauseProducing()

    def end(self) -> None:
        self.is_whole = True
        self._changed.set()

    def put_nowait(self, message: dict[str, Any]) -> None:
        """What Daphne has to say: that the client has gone. The body it gives, it believes to be all there is."""
        if message["type"] == "http.disconnect":
            self._has_left = True
            self._changed.set()

    async def get(self) -> dict[str, Any]:
        """The application's next message: all that has come of the body, or that the client has gone."""
        while not (self._has_left or self._pieces or (self.is_whole and not self._is_told)):
            self._changed.clear()
            await self._changed.wait()
        if self._has_left:
            return {"type": "http.disconnect"}
        body, self._pieces, self._held = b"".join(self._pieces), [], 0
        self._is_told = self.is_whole
        self._transport.resumeProducing()
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}


class Channel(HTTPChannel):
    """A connection whose refusals are in the contract's envelope, those of Twisted's parser included."""

    is_answered_early = False

    def refuse(self, error: ApiError) -> None:
        status, body = HTTPStatus(error.status), orjson.dumps(error.body())
        head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        head += f"\r\nX-Request-Id: {new_request_id()}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self._read_out()

    def _read_out(self) -> None:
        """Read on without keeping anything: a connection that is reset takes the answer with it."""
        self.transport.loseWriteConnection()
        self.dataReceived = lambda data: None
        self.clearLineBuffer()  # the parser would go on with what it has
        self.transport.resumeProducing()
        reactor.callLater(LINGER, self.transport.abortConnection)

    def loseConnection(self) -> Any:
        return self._read_out() if self.is_answered_early else super().loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(
            ApiError("We could not read your request: it is not HTTP, or its headers are too many or too long.")
        )

    def lineLengthExceeded(self, line: bytes) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if self.requests else HTTPStatus.REQUEST_URI_TOO_LONG
        what = "A header" if self.requests else "The address"
        self.refuse(ApiError(f"{what} is longer than {self.MAX_LENGTH // 1024} KB.", status=status))


class Request(WebRequest):
    """A request whose body is refused as soon as it is known to be too large.

    Where its view takes the body as it comes, it is given to the application before there is any (``intake``).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.flow = Flow()
        self.intake: Intake | None = None
        self.is_event_stream = False
        self._received = 0
        self._is_refused = False
        # Twisted would parse forms for ``request.args``, which nobody reads, and block everybody meanwhile
        super().__init__(*args, **{**options, "parsePOSTFormSubmission": False})

    def gotLength(self, length: int | None) -> None:
        taken = self._limit_of_upload()
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if taken is None else taken
        super().gotLength(0)  # with more Twisted would write to a file, for which everybody waits
        if length is not None and length > limit:
            self._refuse(limit)
        elif taken is not None:
            self.intake = Intake(self.channel.transport)
            super().requestReceived(self.channel._command, self.channel._path, self.channel._version)
        else:
            self.content = SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE)  # noqa: SIM115 - the request closes it

    def _limit_of_upload(self) -> int | None:
        path = unquote(self.channel._path.partition(b"?")[0].decode("latin-1"))
        content_type = self.requestHeaders.getRawHeaders(b"content-type", [b""])[0]
        return limit_of(self.channel._command.decode("latin-1"), path, content_type)

    def handleContentChunk(self, data: bytes) -> None:
        if self.intake is not None:
            self.intake.feed(data)
            return
        self._received += len(data)
        if self._received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and not self._is_refused:
            self._refuse(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if not self._is_refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self.intake is not None:
            self.intake.end()
        elif not self._is_refused:
            super().requestReceived(command, path, version)

    def _refuse(self, limit: int) -> None:
        self._is_refused = True
        self.requestHeaders.removeHeader(b"Expect")  # no "100 Continue" behind the answer
        self.channel.refuse(request_too_large(limit))

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message.get("headers", [])}
            self.is_event_stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            if self._is_early():
                self.channel.persistent = False
                self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        if message.get("more_body") and not self.finished and self.channel is not None and self.producer is None:
            self.registerProducer(self.flow, True)
        super().handle_reply(message)

    def _is_early(self) -> bool:
        """Whether more of the body is to come; not where the client has gone."""
        return self.intake is not None and not self.intake.is_whole and self.channel is not None

    def finish(self) -> None:
        if self._is_early():
            self.channel.is_answered_early = True
        if self.producer is not None:
            self.unregisterProducer()
        self.flow.resumeProducing()
        super().finish()


class WebSocket(WebSocketProtocol):
    """A WebSocket that knows whether its messages are taken."""

    def onConnect(self, request: Any) -> Any:
        self.flow = Flow()
        self.transport.unregisterProducer()  # the HTTP channel it came from
        self.transport.registerProducer(self.flow, True)
        return super().onConnect(request)

    def _closeConnection(self, abort: bool = False) -> None:
        self.transport.unregisterProducer()  # a transport with a paused producer would wait for it before it closes
        self.flow.resumeProducing()
        super()._closeConnection(abort)


class BoundedHTTPFactory(HTTPFactory):
    def protocol(self) -> Any:
        return _GenericHTTPChannelProtocol(Channel())

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = Request
        return protocol

    def log(self, request: Any) -> None:
        """Twisted's access log goes nowhere here, but would be written line by line."""


class BoundedWebSocketFactory(WebSocketFactory):
    protocol = WebSocket


class BoundedServer(daphne.server.Server):
    """Daphne's server with our protocols; ``send`` returns to the application when more can be taken."""

    def run(self) -> None:
        # Daphne takes its factories from its own module, and from nowhere else
        daphne.server.HTTPFactory = BoundedHTTPFactory
        daphne.server.WebSocketFactory = BoundedWebSocketFactory
        super().run()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        intake = getattr(protocol, "intake", None)
        if intake is None:
            return super().create_application(protocol, scope)
        scope.setdefault("asgi", {"version": "3.0"})
        work = self.application(scope=scope, receive=intake.get, send=partial(self.handle_reply, protocol))
        self.connections[protocol]["application_instance"] = asyncio.ensure_future(work)
        return intake

    def listen_success(self, port: Any) -> Any:
        super().listen_success(port)
        return port  # Daphne forgets it, and with it how to close it

    async def requests_end(self) -> None:
        """Wait until no request is being answered; streams, which can be resumed, are not waited for."""
        while any(self._is_being_answered(*entry) for entry in self.connections.items()):
            await asyncio.sleep(POLL)
        await asyncio.sleep(POLL)  # and the last answer is on its way

    @staticmethod
    def _is_being_answered(protocol: Any, details: dict[str, Any]) -> bool:
        work = details.get("application_instance")
        is_request = isinstance(protocol, Request) and not protocol.is_event_stream
        return is_request and work is not None and not work.done()

    def kill_all_applications(self) -> Any:
        for protocol in [key for key, details in self.connections.items() if "application_instance" not in details]:
            del self.connections[protocol]  # Daphne stumbles over half a request, and would leave the others alive
        return super().kill_all_applications()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if not await protocol.flow.opens_within(STALLED):
            log.info("stalled_reader_dropped", client=protocol.client_addr)
            protocol.transport.abortConnection()
