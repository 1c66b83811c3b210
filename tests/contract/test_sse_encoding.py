"""Whatever an event holds: one ``data:`` line each, and the official client's own decoder gives it back."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai._streaming import ServerSentEvent, SSEDecoder

from runs.models import RunEvent
from runs.rendering import RunHead, render_event
from sovereign.core import sse
from sovereign.core.sse_parser import EventParser

SETTINGS = settings(max_examples=150, derandomize=True, deadline=None, database=None)
#: Everything that some reader takes for the end of a line, or of a frame.
NASTY = [
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1e",
    "\ufeff",
    "data: ",
    ":",
    "\x00",
]
TEXT = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(NASTY), max_size=6).map("".join)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["thread.message.delta", "thread.run.completed", "error"])
EVENTS = st.lists(st.tuples(NAMES, JSON, st.none() | st.integers(1, 2**31)), max_size=5)


def chunks_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream as a network may deliver it."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(places)]


def decoded(stream: bytes, cuts: list[int]) -> list[ServerSentEvent]:
    return list(SSEDecoder().iter_bytes(iter(chunks_of(stream, cuts))))


@SETTINGS
@example(events=[("error", text, 1) for text in NASTY], cuts=[])
@given(events=EVENTS, cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_every_event_comes_back_as_it_was(events: list[tuple[str, Any, int | None]], cuts: list[int]) -> None:
    frames = [sse.encode(name, orjson.dumps(data), seq) for name, data, seq in events]
    for frame, (_, _, seq) in zip(frames, events, strict=True):
        fields = [line.partition(b": ")[0] for line in frame.split(b"\n")]
        assert fields == [*([] if seq is None else [b"id"]), b"event", b"data", b"", b""]
        assert b"\r" not in frame
    stream = b"".join([*(sse.PING + frame + sse.PING for frame in frames), sse.PING, sse.DONE])
    *received, done = decoded(stream, cuts)
    assert (done.event, done.data) == ("done", "[DONE]")
    assert [(one.event, json.loads(one.data)) for one in received] == [(name, data) for name, data, _ in events]
    numbers = [seq for _, _, seq in events]
    assert [one.id for one in received] == [last_known(numbers[: at + 1]) for at in range(len(numbers))]


def last_known(numbers: list[int | None]) -> str | None:
    """A reader keeps the last id it saw."""
    return next((str(number) for number in reversed(numbers) if number is not None), None)


@SETTINGS
@given(events=EVENTS, cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_our_own_reader_of_engines_agrees(events: list[tuple[str, Any, int | None]], cuts: list[int]) -> None:
    stream = b"".join(sse.encode(name, orjson.dumps(data), seq) for name, data, seq in events)
    parser = EventParser()
    received = [data for chunk in chunks_of(stream, cuts) for data in parser.feed(chunk)]
    assert [json.loads(data) for data in received] == [data for _, data, _ in events]


@SETTINGS
@given(pieces=st.lists(TEXT, min_size=1, max_size=5))
def test_the_pieces_of_a_text_add_up(pieces: list[str]) -> None:
    """From what an event stores to what the client puts together."""
    head = RunHead("run_1", "thread_1", "asst_1", 1, {}, {})
    stream = b""
    for seq, piece in enumerate(pieces, start=1):
        content = [{"index": 0, "type": "text", "text": {"value": piece}}]
        event = RunEvent(seq=seq, type="thread.message.delta", data={"id": "msg_1", "content": content})
        stream += sse.encode(event.type, render_event(head, event), seq)
    values = [json.loads(one.data)["delta"]["content"][0]["text"]["value"] for one in decoded(stream, [])]
    assert "".join(values) == "".join(pieces)


def test_a_line_end_in_the_data_would_be_noticed() -> None:
    """The test itself: data that is not on one line does not come back."""
    with pytest.raises(AssertionError):
        assert [one.data for one in decoded(sse.encode("error", b'"a\nb"'), [])] == ['"a\nb"']
