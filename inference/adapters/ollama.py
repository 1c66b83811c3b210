"""Ollama's own dialect, which says more than its OpenAI-compatible one: context, keep-alive, thinking, pulling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from inference.adapters import vectors
from inference.adapters.base import Endpoint, Patience, Served
from inference.adapters.exchange import check_stream, document, encoded, streamed, unsupported
from inference.adapters.lines import LineParser
from inference.adapters.ollama_request import chat_body, embedding_body, text_body
from inference.adapters.openai_chunks import MAXIMUM_TOOL_CALLS, clean, read_logprobs
from inference.adapters.openai_models import bounded, is_name
from inference.adapters.refusals import MALFORMED, TOO_LONG
from inference.adapters.transport import CUT, Asked, transport
from inference.adapters.usage import LARGEST_COUNT, count, counted
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import (
    ChatRequest,
    Delta,
    Finished,
    FinishReason,
    InferenceError,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from sovereign.core.error_messages import message_of, sanitised
from sovereign.core.sse_parser import StreamTooLarge

LINES = "application/x-ndjson"
STREAM = frozenset({LINES})
NOT_OLLAMA = "The engine sent an answer that is not in Ollama's format."
NOT_A_LIST = "The engine sent a list of models that is not in Ollama's format."
MAXIMUM_SHOWN = 500  # models that are asked for what they can do
SHOWN_AT_ONCE = 4
REMEMBERED = 2_000  # models, by the digest of what they are
PULL_PATIENCE = Patience(first_token=60.0, idle=300.0, total=24 * 3600.0)  # many gigabytes
FINISH_REASONS: dict[str, FinishReason] = {"length": "length"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is: what is done now, and bytes of the piece that is fetched, where one is."""

    status: str
    completed: int = 0
    total: int = 0


class Ollama:
    """The adapter. It remembers what models can do, by server and digest: the list is asked for every few seconds."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], dict[str, Any]] = {}

    def stream(self, endpoint: Endpoint, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """See :class:`inference.adapters.base.Adapter`."""

        def ask() -> Asked:
            return _asked(endpoint, "/api/chat", chat_body(endpoint, request), LINES)

        return streamed(endpoint, ask, STREAM, LineParser(), Decoder(endpoint.key))

    def complete(self, endpoint: Endpoint, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """See :class:`inference.adapters.base.Adapter`."""

        def ask() -> Asked:
            return _asked(endpoint, "/api/generate", text_body(endpoint, request), LINES)

        return streamed(endpoint, ask, STREAM, LineParser(), Decoder(endpoint.key))

    async def embed(self, endpoint: Endpoint, request: EmbeddingRequest) -> Embedded:
        """See :class:`inference.adapters.base.Adapter`."""

        def ask(part: EmbeddingRequest) -> Asked:
            return _asked(endpoint, "/api/embed", embedding_body(endpoint, part))

        return await vectors.embedded(endpoint, request, ask, _read_vectors, at_once=vectors.WRITTEN_AT_ONCE)

    async def moderate(self, endpoint: Endpoint, request: ModerationRequest) -> Moderated:
        """Not there."""
        raise unsupported("Texts are not judged")

    async def list_models(self, endpoint: Endpoint) -> Served:
        """See :class:`inference.adapters.base.Adapter`."""
        listed = await self._listed(endpoint)
        gate = asyncio.Semaphore(SHOWN_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._described(endpoint, entry, gate)) for entry in listed[:MAXIMUM_SHOWN]]
        models = [task.result() for task in tasks]
        models += [{"id": entry["name"], "context_length": None} for entry in listed[MAXIMUM_SHOWN:]]
        return Served(models, {"json_schema": True, "completions": True, "logprobs": True})

    async def pull(self, endpoint: Endpoint, model: str) -> AsyncGenerator[Progress, None]:
        """Have it fetch ``model``; the last progress has the status ``success``.

        :raises InferenceError: it could not, or the connection broke; what was fetched is kept there.
        """
        patient = replace(endpoint, engine_id="", patience=PULL_PATIENCE)
        call, parser, status = transport().open(patient), LineParser(), ""
        try:
            asked = _asked(patient, "/api/pull", {"model": model, "stream": True}, LINES)
            await check_stream(await call.send(asked), patient, STREAM)
            while chunk := await call.read():
                call.saw_token()
                for line in _lines(parser, chunk):
                    progress = _read_progress(line, endpoint.key)
                    status = progress.status
                    yield progress
        finally:
            call.close()
        if status != "success":
            raise InferenceError(CUT)

    async def _listed(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        body = await document(endpoint, _asked(endpoint, "/api/tags"), computed=False)
        try:
            return [entry for entry in bounded(body["models"]) if is_name(entry["name"])]
        except MALFORMED:
            raise InferenceError(NOT_A_LIST) from None

    async def _described(self, endpoint: Endpoint, entry: dict[str, Any], gate: asyncio.Semaphore) -> dict[str, Any]:
        """An entry of ``Served.models``; one that cannot be shown is still listed."""
        digest = str(entry.get("digest") or "")
        key = (endpoint.base_url, digest)  # no server is believed about another's models
        shown = self._shown.get(key) if digest else None
        if shown is None:
            async with gate:
                shown = await self._show(endpoint, entry["name"])
            if digest and shown:
                if len(self._shown) >= REMEMBERED:
                    self._shown.clear()
                self._shown[key] = shown
        length, chosen = shown.get("context_length"), count(endpoint.options.get("num_ctx"))
        if chosen:
            length = min(length, chosen) if length else chosen
        return {**shown, "id": entry["name"], "context_length": length}

    async def _show(self, endpoint: Endpoint, name: str) -> dict[str, Any]:
        try:
            return _read_shown(await document(endpoint, _asked(endpoint, "/api/show", {"model": name}), computed=False))
        except InferenceError:
            return {}


def _asked(
    endpoint: Endpoint, path: str, body: dict[str, Any] | None = None, accept: str = "application/json"
) -> Asked:
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    return Asked(path=path, body=None if body is None else encoded(body), accept=accept, headers=headers)


def _read_vectors(body: Any, request: EmbeddingRequest) -> Embedded:
    """:raises InferenceError: they are none, or cannot be used."""
    try:
        found, usage = body["embeddings"], counted(body.get("prompt_eval_count"), 0)
        if not all(isinstance(vector, list) for vector in found):
            raise TypeError
    except MALFORMED:
        raise InferenceError("The engine sent vectors that are not in Ollama's format.") from None
    return Embedded(vectors.checked(found, request), usage)


def _read_shown(body: Any) -> dict[str, Any]:
    """What ``/api/show`` says: the longest context, and what the model can do."""
    try:
        information, told = body.get("model_info") or {}, body.get("capabilities")
        lengths = [count(value) for name, value in information.items() if name.endswith(".context_length")]
        length = next((value for value in lengths if 0 < value < LARGEST_COUNT), None)
        if not isinstance(told, list):
            return {"context_length": length}
        abilities = {
            "chat": "completion" in told,
            "completions": "completion" in told,
            "tools": "tools" in told,
            "vision": "vision" in told,
            "embeddings": "embedding" in told,
        }
        return {"context_length": length, "abilities": abilities}
    except MALFORMED:
        return {}


def _lines(parser: LineParser, chunk: bytes) -> list[bytes]:
    try:
        return parser.feed(chunk)
    except StreamTooLarge:
        raise InferenceError(TOO_LONG) from None


def _read_progress(line: bytes, key: str) -> Progress:
    try:
        body = orjson.loads(line)
        if "error" in body:
            raise InferenceError(f"The model could not be pulled: {sanitised(message_of(body), key)}")
        status = sanitised(body["status"], key)
        return Progress(status, _bytes(body.get("completed")), _bytes(body.get("total")))
    except MALFORMED:
        raise InferenceError(NOT_OLLAMA) from None


def _bytes(value: Any) -> int:
    return min(max(value, 0), 2**63 - 1) if type(value) is int else 0


class Decoder:
    """Reads the lines of one streamed chat or text; calls of tools come whole there."""

    __slots__ = ("_calls", "_key", "_pieces", "_usage", "done", "reason")

    def __init__(self, key: str = "") -> None:
        self.done = False
        self.reason: FinishReason | None = None
        self._key = key
        self._calls = 0
        self._pieces = 0
        self._usage: tuple[Any, Any] = (None, None)

    def take(self, data: bytes, deltas: list[Delta]) -> None:
        """Read one line and append the deltas that it holds.

        :raises InferenceError: it is no line of an answer, or it tells of a failure.
        """
        before = len(deltas)
        try:
            body = orjson.loads(data)
            if "error" in body:
                said = sanitised(message_of(body), self._key)
                raise InferenceError(f"The engine failed in the middle of the answer{': ' + said if said else '.'}")
            message = body["message"] if "message" in body else {"content": body["response"], **body}
            self._message(message, body.get("logprobs"), deltas)
            if body.get("done") is True:
                self.done = True
                self.reason = FINISH_REASONS.get(body.get("done_reason") or "stop", "stop")
                self._usage = (body.get("prompt_eval_count"), body.get("eval_count"))
        except MALFORMED:
            raise InferenceError(NOT_OLLAMA) from None
        self._pieces += len(deltas) - before

    def _message(self, message: dict[str, Any], logprobs: Any, deltas: list[Delta]) -> None:
        thought, text = message.get("thinking"), message.get("content")
        if thought:
            deltas.append(ReasoningDelta(clean(thought)))
        if text:
            deltas.append(TextDelta(clean(text), read_logprobs(logprobs)))
        deltas.extend(map(self._call, message.get("tool_calls") or []))

    def _call(self, call: dict[str, Any]) -> ToolCallDelta:
        function = call["function"]
        name, arguments = clean(function["name"]), function.get("arguments") or {}
        if not name or not isinstance(arguments, dict) or self._calls >= MAXIMUM_TOOL_CALLS:
            raise ValueError("no call")
        identifier = clean(call.get("id") or "") or None
        number, self._calls = self._calls, self._calls + 1
        return ToolCallDelta(number, identifier, name, clean(orjson.dumps(arguments).decode()))

    def finished(self) -> Finished:
        """The end of the stream.

        :raises InferenceError: it ended before it was done.
        """
        if self.reason is None:
            raise InferenceError(CUT)
        reason: FinishReason = "tool_calls" if self.reason == "stop" and self._calls else self.reason
        prompt, completion = self._usage
        return Finished(reason, counted(prompt, self._pieces if completion is None else completion))
