"""An OpenAI-compatible engine for tests: scripted, deterministic, in a process of its own.

``python -m tests.support.upstream [--port N] [--model NAME] [--owner vllm]`` prints its port on the first line. An
answer is the numbered tokens " t0 t1 t2 …", so whoever reads it can tell what was lost, repeated or moved. What the
last user message holds in square brackets decides: ``[tokens=200 rate=50 key=a]``.

    tokens=N     how many (10)                      rate=N    tokens a second (0: as fast as can be)
    delay=S      seconds before the first token     hold=N    stop before token N until ``POST /release?key=…``;
                                                              a ``text`` waits before all of it
    tool=NAME    call that tool instead             calls=N   so many calls at once (1)
    error=CODE   answer with that HTTP status       drop=N    cut the connection before token N
    hang=N       say nothing more before token N    key=NAME  under which ``GET /stats`` counts the request
    rounds=N     call the tool that many times (1)  say=N     so many tokens of text before a call (0)
    keep=1       keep the request's body: ``GET /kept?key=…`` gives those of a key
    text=T       say T, or what ``POST /lines`` taught that T stands for, in pieces of four characters
    with=A:X,Y   the argument of the calls: ``{"A": "X"}`` of the first, ``{"A": "Y"}`` of the second; a value that
                 ``POST /lines`` taught stands for what it taught
    beside=NAME  call that tool too, in the same turn
    stamp=1      instead of its number each token is the microsecond, by the monotonic clock, in which it is sent
    cite=W       say the sentence with the word W of what a search of files found, and the mark of its passage

``POST /lines`` with ``{text: tags}`` teaches what a text means that cannot hold its tags itself.

After the outputs of a tool the answer is text. ``continue_final_message`` goes on behind the last number of the given
text; what ``drop``, ``hang`` and ``hold`` said of the place it begins at is over. ``--owner vllm`` makes the product
believe that answers can be continued.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

TAGS = re.compile(r"\[(\w+=[^\[\]]*)\]")
NUMBERS = re.compile(r"t(\d+)")
BATCH = 32  # tokens in one write where nothing paces them
REQUEST_LIMIT = 16 * 1024 * 1024


@dataclass(slots=True)
class Script:
    """What the tags ask for."""

    tokens: int = 10
    rate: float = 0.0
    delay: float = 0.0
    hold: int = -1
    drop: int = -1
    hang: int = -1
    tool: str = ""
    calls: int = 1
    error: int = 0
    key: str = ""
    rounds: int = 1
    say: int = 0
    keep: int = 0
    text: str = ""
    with_: str = ""
    cite: str = ""
    beside: str = ""
    stamp: int = 0

    @classmethod
    def of(cls, text: str) -> Script:
        script = cls()
        for tag in TAGS.findall(text):
            for name, _, value in (pair.partition("=") for pair in tag.split()):
                name = f"{name}_" if name == "with" else name
                if hasattr(script, name):
                    setattr(script, name, type(getattr(script, name))(value))
        return script

    def arguments(self, index: int, lines: dict[str, str]) -> str:
        """Of the call with that number; JSON."""
        if not self.with_:
            return f'{{"number": {index}}}'
        name, _, values = self.with_.partition(":")
        value = values.split(",")[index]
        return json.dumps({name: lines.get(value, value)})


@dataclass(slots=True)
class Served:
    """One request, as ``/stats`` shows it."""

    key: str
    start: int
    sent: int = 0
    continued: bool = False
    outcome: str = "open"  # completed, aborted (the caller went away), dropped, refused


@dataclass(slots=True)
class Engine:
    """What all connections share."""

    model: str
    owner: str
    requests: list[Served] = field(default_factory=list)
    canaries: int = 0
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def gate(self, key: str) -> asyncio.Event:
        return self.gates.setdefault(key, asyncio.Event())

    def stats(self, key: str | None) -> dict[str, Any]:
        requests = [served for served in self.requests if key is None or served.key == key]
        return {
            "open": sum(served.outcome == "open" for served in requests),
            "aborted": sum(served.outcome == "aborted" for served in requests),
            "canaries": self.canaries,
            "requests": [asdict(served) for served in requests],
        }


class Connection:
    """One HTTP connection, which is kept open as real engines do: what streams comes in chunks."""

    def __init__(self, engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._engine, self._reader, self._writer = engine, reader, writer
        self._ahead = b""  # of the next request, read while the last answer ended

    async def serve(self) -> None:
        try:
            while await self._one():
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _one(self) -> bool:
        """Answer one request; true where the connection goes on."""
        head = (self._ahead + await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self._ahead = b""
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        key = parse_qs(parts.query).get("key", [None])[0]
        if parts.path == "/v1/models":
            entry = {"id": self._engine.model, "object": "model", "created": 0, "owned_by": self._engine.owner}
            self._json(200, {"object": "list", "data": [entry]})
        elif parts.path == "/stats":
            self._json(200, self._engine.stats(key))
        elif parts.path == "/kept":
            self._json(200, self._engine.kept.get(key or "", []))
        elif (method, parts.path) == ("POST", "/lines"):
            self._engine.lines.update(json.loads(body))
            self._json(200, {})
        elif (method, parts.path) == ("POST", "/release"):
            self._engine.gate(key or "").set()
            self._json(200, {})
        elif (method, parts.path) == ("POST", "/v1/chat/completions"):
            return await self._complete(json.loads(body))
        else:
            self._json(404, {"error": {"message": f"no such address: {target}"}})
        return True

    def _json(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        self._writer.write(head.encode() + raw)

    # ----------------------------------------------------------------------------------------- completions

    async def _complete(self, body: dict[str, Any]) -> bool:
        text = _last_user_text(body["messages"])
        script = Script.of(self._engine.lines.get(text, text))
        served = Served(script.key, start=_start(body), continued=bool(body.get("continue_final_message")))
        if body.get("max_tokens") == 1:
            self._engine.canaries += 1
        else:
            self._engine.requests.append(served)
            if script.keep:
                self._engine.kept.setdefault(script.key, []).append(body)
        if script.error:
            served.outcome = "refused"
            self._json(script.error, {"error": {"message": f"scripted error {script.error}"}})
            return True
        if not body.get("stream"):
            served.sent, served.outcome = script.tokens, "completed"
            self._json(200, _whole(script.tokens))
            return True
        answer = asyncio.create_task(self._stream(body, script, served))
        gone = asyncio.create_task(self._reader.read(1))  # the caller waits for the end: this ends when it leaves
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
        for task in (answer, gone):
            task.cancel()
        _, ahead = await asyncio.gather(answer, gone, return_exceptions=True)
        if served.outcome == "open":
            served.outcome = "aborted"
        self._ahead = ahead if isinstance(ahead, bytes) else b""
        return served.outcome == "completed"

    async def _stream(self, body: dict[str, Any], script: Script, served: Served) -> None:
        self._writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(script.delay)
        if script.tool and _rounds(body["messages"]) < script.rounds:
            reason = await self._call_tools(script, served)
        else:
            reason = await self._say(body, script, served)
        if reason is None:
            served.outcome = "dropped"
            return
        usage = {"prompt_tokens": len(body["messages"]), "completion_tokens": served.sent}
        usage["total_tokens"] = sum(usage.values())
        served.outcome = "completed"  # the next request may come before this goes on
        self._send(_chunk({}, reason) + _event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def _send(self, events: bytes) -> None:
        self._writer.write(b"%x\r\n%s\r\n" % (len(events), events))

    async def _say(self, body: dict[str, Any], script: Script, served: Served) -> str | None:
        given = self._engine.lines.get(script.text, script.text)
        if text := given or (script.cite and _cited(body["messages"], script.cite)):
            if script.hold != -1:
                await self._engine.gate(script.key).wait()
            pieces = [text[start : start + 4] for start in range(0, len(text), 4)]
            self._send(b"".join(_chunk({"content": piece}) for piece in pieces))
            served.sent += len(pieces)
            return "stop"
        limit = body.get("max_tokens")
        end = script.tokens if limit is None else min(script.tokens, served.start + limit)
        batch = 1 if script.rate or max(script.hold, script.drop, script.hang) != -1 or end < BATCH else BATCH
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(served.start, end, batch):
            if number > served.start or not served.continued:
                if number == script.drop:
                    self._writer.transport.abort()
                    return None
                if number == script.hang:
                    await asyncio.Event().wait()
                if number == script.hold:
                    await self._engine.gate(script.key).wait()
            if script.rate:
                await asyncio.sleep(begun + (number - served.start) / script.rate - loop.time())
            until = min(number + batch, end)
            self._send(b"".join(_stamp() if script.stamp else _token(n) for n in range(number, until)))
            served.sent += until - number
            await self._writer.drain()
            if not script.rate:
                await asyncio.sleep(0)  # others have their turn, and a caller that left is noticed
        return "stop" if end == script.tokens else "length"

    async def _call_tools(self, script: Script, served: Served) -> str:
        if script.say:
            self._send(b"".join(_token(number) for number in range(script.say)))
        served.sent += script.say
        names = [script.tool] * script.calls + [script.beside] * bool(script.beside)
        for index, name in enumerate(names):
            function = {"name": name, "arguments": ""}
            call = {"index": index, "id": f"upstream-{index}", "type": "function", "function": function}
            self._send(_chunk({"tool_calls": [call]}))
            arguments = script.arguments(index, self._engine.lines) if index < script.calls else "{}"
            for piece in (arguments[:5], arguments[5:11], arguments[11:]):
                self._send(_chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
            await self._writer.drain()
        return "tool_calls"


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    content = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _cited(messages: list[dict[str, Any]], word: str) -> str:
    """The first sentence with that word in the newest results, and the mark of its passage; else that there is none."""
    told = [message["content"] or "" for message in reversed(messages) if message["role"] in ("tool", "system")]
    found = next((content for content in told if "\n\n【" in content), "")
    for block in re.split(r"\n\n(?=【)", found)[1:]:
        mark, _, text = block.partition("\n")
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            if word in sentence:
                return f"{' '.join(sentence.split())} {mark}"
    return "Nothing."


def _rounds(messages: list[dict[str, Any]]) -> int:
    """How often the tool was called since the last user message."""
    last = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=-1)
    return sum("tool_calls" in message for message in messages[last + 1 :])


def _start(body: dict[str, Any]) -> int:
    """The number of the first token: behind the given text where an answer is continued."""
    if not body.get("continue_final_message"):
        return 0
    numbers = NUMBERS.findall(body["messages"][-1]["content"])
    return int(numbers[-1]) + 1 if numbers else 0


def _token(number: int) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":" t%d"},"finish_reason":null}]}\n\n' % number


def _stamp() -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":" %d"},"finish_reason":null}]}\n\n' % (
        time.monotonic_ns() // 1_000
    )


def _whole(count: int) -> dict[str, Any]:
    """An answer that is not streamed."""
    message = {"role": "assistant", "content": "".join(f" t{number}" for number in range(count))}
    usage = {"prompt_tokens": 1, "completion_tokens": count, "total_tokens": 1 + count}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "upstream", "object": "chat.completion", "choices": choices, "usage": usage}


def _chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="fake")
    parser.add_argument("--owner", default="tests")
    options = parser.parse_args()
    engine = Engine(options.model, options.owner)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(engine, reader, writer).serve()

    server = await asyncio.start_server(serve, "127.0.0.1", options.port, limit=REQUEST_LIMIT)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
