"""Views that take a file: its bytes go to where they stay while they come, and nowhere else.

Who asks is known and admitted before any of the body is read. Then no thread waits for the client: the loop does, and
each piece that has come is parsed and written in one of a few threads.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar, Protocol

from django.db import Error as DatabaseError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from sovereign.accounts.api.base import REPLAYED, ApiView
from sovereign.core.api.multipart import Event, MultipartParser, Part, malformed
from sovereign.core.api.transport import refuse_encoded
from sovereign.core.asgi import LaterResponse
from sovereign.core.database import DatabaseExecutor
from sovereign.core.errors import ApiError, request_too_large, unsupported_content_type
from sovereign.core.incoming import MULTIPART, SCOPE, Incoming

FIELDS = 64 * 1024  # bytes that everything beside the file may have
FIELD_COUNT = 16
PIECE = 256 * 1024  # bytes that are read at once from a body that is there already
NAMELESS = "upload"  # the name of a file that comes without one, as SDKs say

_writers = DatabaseExecutor(8, "upload")
_keepers = DatabaseExecutor(2, "keep")  # for what takes minutes: the writers stay free


class Draft(Protocol):
    """Where a file's bytes go while they come. ``bytes`` are those that came, ``sha256`` is theirs so far."""

    bytes: int

    @property
    def sha256(self) -> str: ...

    def write(self, piece: builtins.bytes) -> None: ...  # `bytes` alone would be the attribute

    def keep(self) -> Any:
        """Make them stay; gives what the view's handler gets as ``self.stored``."""

    def close(self) -> None:
        """Forget them, unless they were kept."""


class Reception:
    """What has come of a body: fields, and one file in a draft."""

    def __init__(self, content_type: str, file_field: str, limit: int, new_draft: Callable[[], Draft]) -> None:
        """:param limit: bytes that the file may have."""
        self.draft: Draft | None = None
        self._parser = MultipartParser(content_type)
        self._file_field, self._limit, self._new_draft = file_field, limit, new_draft
        self._fields: list[tuple[str, bytearray]] = []
        self._filename = ""
        self._into_file = False

    def feed(self, data: bytes) -> None:
        """:raises ApiError: 400, 413, and what the draft raises."""
        for event in self._parser.feed(data):
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, Part):
            self._begin(event)
        elif self._into_file and self.draft is not None:
            self.draft.write(event)
            if self.draft.bytes > self._limit:
                raise request_too_large(self._limit, self._file_field)
        else:
            self._fields[-1][1].extend(event)
            if sum(len(value) for _, value in self._fields) > FIELDS:
                raise request_too_large(FIELDS, self._fields[-1][0])

    def _begin(self, part: Part) -> None:
        self._into_file = part.name == self._file_field and part.filename is not None
        if not self._into_file:
            if len(self._fields) == FIELD_COUNT:
                raise malformed(f"it has more than {FIELD_COUNT} fields")
            self._fields.append((part.name, bytearray()))
        elif self.draft is None:
            self.draft, self._filename = self._new_draft(), part.filename or ""
        else:
            raise ApiError(
                f"Invalid '{self._file_field}': expected one file, but got more of them.",
                param=self._file_field,
                code="invalid_value",
            )

    def finish(self) -> None:
        """:raises ApiError: 400, the body ends too early."""
        self._parser.finish()
        if self.draft is not None and not self.draft.bytes and not self._filename:  # a form in which none was chosen
            self.close()
            self.draft = None

    def body(self) -> dict[str, Any]:
        """What came, as JSON would have it: ``a[b]`` is the member ``b`` of the object ``a``; the file has a name,
        a size and a digest."""
        body: dict[str, Any] = {}
        for name, value in self._fields:
            outer, bracket, inner = name.partition("[")
            if outer == self._file_field:  # no plain field passes for the file
                body[outer] = value.decode(errors="replace")
            elif bracket and inner.endswith("]") and isinstance(body.setdefault(outer, {}), dict):
                body[outer][inner[:-1]] = value.decode(errors="replace")
            else:
                body[name] = value.decode(errors="replace")
        if self.draft is not None:
            name = self._filename or NAMELESS
            body[self._file_field] = {"filename": name, "bytes": self.draft.bytes, "sha256": self.draft.sha256}
        return body

    def keep(self) -> Any:
        """What the draft makes of the file."""
        assert self.draft is not None  # a body without one is not valid
        return self.draft.keep()

    def close(self) -> None:
        if self.draft is not None:
            self.draft.close()


class NoParser(BaseParser):
    """For bodies that DRF is not to read."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


class KeepingView(ApiView):
    """A view whose ``POST`` stores a content before its transaction (``keep``), for which the handler finds
    ``self.stored``. What was stored for a request that is refused, or was answered before, is given up again.

    It works in one of two threads: a content may take minutes, and the other threads are for other requests.
    """

    stored: Any = None

    def keep(self, request: Request, **names: str) -> Any:
        """Store what the body, which is valid, is about; ``None`` where there is nothing to store."""
        raise NotImplementedError

    def give_up(self, stored: Any) -> None:
        """Remove what was stored."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **names: Any) -> None:
        super().initial(request, *args, **names)
        if request.method == "POST":
            vars(self)["post"] = partial(self._keeping, self.post)  # type: ignore[attr-defined]

    def prepare(self, request: Request, **names: str) -> None:
        self.stored = self.keep(request, **names)

    def _keeping(self, recorded: Callable[..., Response], request: Request, **names: str) -> HttpResponseBase:
        """:param recorded: does the work and keeps its answer (``ApiView``)."""
        act = partial(self._conclude, partial(recorded, request, **names))
        if _scope_of(request) is None:  # no loop in which a later response would be awaited
            return act()
        self.given()  # the body is closed when this thread has done
        return LaterResponse(partial(_keepers.run, self._rendered, act))

    def _conclude(self, act: Callable[[], Response]) -> Response:
        """Do what was asked for. After an error of the database nobody knows whether something came of it."""
        try:
            response = act()
        except DatabaseError:
            raise
        except BaseException:
            self._give_up()
            raise
        if REPLAYED in self.headers:
            self._give_up()
        return response

    def _give_up(self) -> None:
        if self.stored is not None:
            self.give_up(self.stored)

    def _rendered(self, act: Callable[[], Response]) -> HttpResponse:
        """As DRF's ``dispatch`` would have it: the answer, or what becomes of an exception."""
        try:
            response = act()
        except Exception as error:
            response = self.handle_exception(error)
        final: Response = self.finalize_response(self.request, response)
        return final.render()


class ReceivingView(KeepingView):
    """A view that stores a file: ``file_field`` says in which field of the form it comes."""

    file_field: ClassVar[str]
    parser_classes = (NoParser,)

    _reception: Reception | None = None

    @classmethod
    def file_limit(cls) -> int:
        """How many bytes the file may have."""
        raise NotImplementedError

    @classmethod
    def body_limit(cls) -> int:
        """What ``core.incoming`` knows these views by."""
        return cls.file_limit() + FIELDS

    def new_draft(self) -> Draft:
        raise NotImplementedError

    def admit(self, request: Request, **names: str) -> None:
        """Refuse what needs no look at the body."""

    def keep(self, request: Request, **names: str) -> Any:
        assert self._reception is not None
        return self._reception.keep()

    def given(self) -> Any:
        return self._reception.body() if self._reception else {}

    def outline(self) -> Any:
        return {"length": self.request.headers.get("Content-Length", "")}

    def _keeping(self, recorded: Callable[..., Response], request: Request, **names: str) -> HttpResponseBase:
        self.admit(request, **names)
        refuse_encoded(request)
        content_type = request.headers.get("Content-Type", "")
        if not content_type.lower().startswith(MULTIPART.decode()):
            raise unsupported_content_type(content_type, MULTIPART.decode())
        self._reception = reception = Reception(content_type, self.file_field, self.file_limit(), self.new_draft)
        act = partial(self._conclude, partial(recorded, request, **names))
        incoming = (_scope_of(request) or {}).get(SCOPE)
        if incoming is not None:
            return LaterResponse(partial(self._receive, incoming, reception, act))
        try:  # a server that has all of it already
            while piece := request._request.read(PIECE):
                reception.feed(piece)
            reception.finish()
            return act()
        finally:
            reception.close()

    async def _receive(self, incoming: Incoming, reception: Reception, act: Callable[[], Response]) -> HttpResponse:
        writing: Future[Any] = Future()
        writing.set_result(None)
        try:
            while piece := await incoming.read():
                writing = _writers.submit(reception.feed, piece)
                await asyncio.wrap_future(writing)
            reception.finish()
            writing = _writers.submit(self._rendered, act)
            return await asyncio.wrap_future(writing)
        except (ApiError, OSError) as error:
            return await _writers.run(self._rendered, partial(_fail, error))
        finally:  # a client that leaves does not end what a thread is at
            writing.add_done_callback(lambda _: reception.close())


def _scope_of(request: Request) -> dict[str, Any] | None:
    """The scope of a request that came through ASGI."""
    return getattr(request._request, "scope", None)


def _fail(error: Exception) -> Response:
    raise error
