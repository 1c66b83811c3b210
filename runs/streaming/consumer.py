"""The WebSocket of a thread: ``{"subscribe": run_id, "after": seq}`` in, ``{"run", "seq", "event", "data"}`` out.

Calls that wait for a person's consent are answered by ``{"approve": run_id, "calls": [{"call_id", "approve": bool,
"reason"}]}``, all of a run's at once; what comes of it is told to those who follow the run.

``{"watch": true}`` asks for the thread itself: ``{"thread": {"id", "active_run", "newest_message", "revision"}}`` comes
now and after every change, with what rooms above tell; ``{"thread": {"id", "is_gone": true}}`` once it was deleted.

What is wrong with a frame is told as ``{"event": "error", "data"}``, and the socket stays open. It is closed with 4401
when the rights it was opened with are gone, with 1009 after a frame that is too large or binary, and with 1011 when a
subscription cannot be looked up; then the client connects again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs

import orjson
import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from runs.models import Run
from runs.services import control
from runs.streaming import frames
from runs.streaming.guard import guard
from runs.streaming.reader import read
from runs.streaming.rights import Rights
from runs.streaming.watcher import Seen, watcher
from sovereign.accounts import credentials
from sovereign.accounts.scopes import RUNS_READ
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError, not_found, unavailable
from sovereign.core.origins import is_allowed_origin
from threads.services import get_thread, note_reading

log = structlog.get_logger(__name__)

FRAME_LIMIT = 64 * 1024  # characters a client may send at once
SUBSCRIPTIONS = 32  # runs followed on one socket
REVOKED = 4401
FRAME = b'{"run":%s,"seq":%d,"event":"%s","data":%s}'
TOO_LARGE = 1009
FAILED = 1011


class ThreadConsumer(AsyncWebsocketConsumer):
    """Follows any runs of the thread, each from its own cursor; subscribing again to one moves its cursor."""

    channel_layer_alias = ""  # none: wake-ups come over sovereign.core.bus, and a layer costs every socket 4 kB
    rights: Rights

    async def __call__(self, *args: Any) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_admitted = self._is_watching = False
        self._seen: Seen | None = None  # of the thread, and not told yet
        self._telling: asyncio.Task[None] | None = None
        try:
            await super().__call__(*args)
        finally:  # however the socket ended: Channels does not call disconnect() where a handler failed
            if self._is_admitted:
                guard().dismiss(self.rights, self._revoke)
            await self._rest()

    async def _rest(self) -> None:
        if self._is_watching:
            watcher().leave(self._thread_id, self._on_seen)
            self._is_watching = False
        await _end([*self._tasks.values(), *([self._telling] if self._telling else [])])

    async def connect(self) -> None:
        self._thread_id = self.scope["url_route"]["kwargs"]["thread_id"]
        headers = credentials.headers_of_scope(self.scope["headers"])
        if not is_allowed_origin(headers.get("Origin"), headers.get("Host", "")):
            await self.close()
            return
        try:
            self.rights = await in_database(self._authenticate, headers)
        except ApiError as error:
            log.info("websocket_refused", reason=error.message)
            await self.close()
            return
        await self.accept()
        self._is_admitted = True
        guard().admit(self.rights, self._revoke)

    def _authenticate(self, headers: dict[str, str]) -> Rights:
        query = {name: values[0] for name, values in parse_qs(self.scope["query_string"].decode("latin-1")).items()}
        session = self.scope.get("session") or {}
        project = session.get(credentials.SESSION_PROJECT)
        principal = credentials.read(headers, self.scope.get("user"), query, session_project=project)
        principal.require(RUNS_READ)
        return Rights(principal, credentials.login_of(principal, session))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is None or len(text_data) > FRAME_LIMIT:
            await self.close(TOO_LARGE)
        elif not await self.rights.still_hold():
            await self._revoke()
        else:
            await self._handle(text_data)

    async def _handle(self, text: str) -> None:
        try:
            await self._obey(frames.read(text))
        except ApiError as error:
            await self._tell(error)
        except DatabaseError as error:
            log.warning("websocket_failed", error=type(error).__name__)
            await self._tell(unavailable("The database does not answer. Connect again."))
            await self.close(FAILED)

    async def _obey(self, frame: frames.Subscription | frames.Answers | frames.Watch) -> None:
        if isinstance(frame, frames.Answers):
            await in_database(self._answer, frame)
            return
        if isinstance(frame, frames.Watch):
            await self._begin_watching()
            return
        if len(self._tasks) >= SUBSCRIPTIONS:
            raise ApiError(f"At most {SUBSCRIPTIONS} runs can be followed on one socket.", code="too_many")
        await in_database(self._check_visible, frame.run_id)
        if previous := self._tasks.pop(frame.run_id, None):
            previous.cancel()
        self._tasks[frame.run_id] = asyncio.create_task(self._follow(frame.run_id, frame.after))

    def _answer(self, frame: frames.Answers) -> None:
        self._check_visible(frame.run_id)
        control.submit_tool_outputs(
            principal=self.rights.principal,
            thread_id=self._thread_id,
            run_id=frame.run_id,
            tool_outputs=frame.outputs,
        )

    def _check_visible(self, run_id: str) -> None:
        if "\x00" in run_id + self._thread_id:  # Postgres refuses to look for one
            raise not_found("run", run_id)
        runs = Run.objects.visible_to(self.rights.principal).select_related("thread")
        run = runs.filter(pk=run_id, thread_id=self._thread_id).first()
        if run is None:
            raise not_found("run", run_id)
        note_reading(principal=self.rights.principal, thread=run.thread)

    async def _begin_watching(self) -> None:
        """From now on, or once more from the beginning."""
        await in_database(self._read_thread)
        if self._is_watching:
            watcher().leave(self._thread_id, self._on_seen)
        self._is_watching = True
        watcher().take(self._thread_id, self._on_seen)

    def _read_thread(self) -> None:
        if "\x00" in self._thread_id:
            raise not_found("thread", self._thread_id)
        principal = self.rights.principal
        note_reading(principal=principal, thread=get_thread(principal=principal, thread_id=self._thread_id))

    def _on_seen(self, seen: Seen) -> None:
        """Told as soon as what was told before has left: of what came between only the newest matters."""
        self._seen = seen
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_seen())

    async def _tell_seen(self) -> None:
        try:
            while (seen := self._seen) is not None:
                self._seen = None
                told = seen.to(self.rights.principal.user_id)
                await self.send(text_data=orjson.dumps({"thread": told}).decode())
        except Exception:  # the page is told by a socket's end that it has to look again
            log.exception("websocket_watch_failed", thread=self._thread_id)
            await self.close(FAILED)

    async def _follow(self, run_id: str, after: int) -> None:
        name = orjson.dumps(run_id)
        try:
            async with aclosing(read(run_id, after)) as entries:
                async for entry in entries:
                    if entry is not None:
                        frame = FRAME % (name, entry.seq, entry.type.encode(), entry.payload)
                        await self.send(text_data=frame.decode())
        except Run.DoesNotExist:
            await self._tell(not_found("run", run_id))
        except Exception:
            log.exception("websocket_stream_failed", run=run_id)
            await self._tell(ApiError("The stream was interrupted. Subscribe again from the last seq.", status=500))
        finally:
            if self._tasks.get(run_id) is asyncio.current_task():
                del self._tasks[run_id]

    async def _tell(self, error: ApiError) -> None:
        await self.send(text_data=orjson.dumps({"event": "error", "data": error.body()}).decode())

    async def _revoke(self) -> None:
        await self._rest()
        await self.close(REVOKED)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
