"""The event parser gives the same events however the bytes arrive, and bounds what it holds."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.core.sse_parser import EventParser, StreamTooLarge

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
EVENTS = st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6)


def encode(events: list[list[str]], end: str, noise: list[str]) -> bytes:
    """Events with comments and other fields between their lines, and ``end`` after each line."""
    written: list[str] = []
    for number, lines in enumerate(events):
        written += noise[number % len(noise) :] if noise else []
        written += [f"data: {line}" for line in lines] + [""]
    return "".join(line + end for line in written).encode()


def feed(parser: EventParser, chunks: Iterable[bytes]) -> list[bytes]:
    return [data for chunk in chunks for data in parser.feed(chunk)]


@given(
    events=EVENTS,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    noise=st.lists(st.sampled_from([": ping", "event: x", "id: 7", "retry: 1", "data-less"]), max_size=3),
    mark=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_events_do_not_depend_on_where_the_bytes_are_cut(
    events: list[list[str]], end: str, noise: list[str], mark: bool, cuts: list[int]
) -> None:
    raw = (b"\xef\xbb\xbf" if mark else b"") + encode(events, end, noise)
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    parser = EventParser()
    found = [data for a, b in itertools.pairwise(places) for data in parser.feed(raw[a:b])]
    assert [data.decode() for data in found] == ["\n".join(lines) for lines in events]


@given(events=EVENTS, end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_come_byte_by_byte(events: list[list[str]], end: str) -> None:
    parser = EventParser()
    raw = encode(events, end, [])
    found = [data for i in range(len(raw)) for data in parser.feed(raw[i : i + 1])]
    assert [data.decode() for data in found] == ["\n".join(lines) for lines in events]


@given(raw=st.binary(max_size=300), cut=st.integers(0, 300))
def test_any_bytes_are_survived_and_cut_alike(raw: bytes, cut: int) -> None:
    whole, parts = EventParser(), EventParser()
    assert whole.feed(raw) == parts.feed(raw[:cut]) + parts.feed(raw[cut:])


def test_an_event_that_the_end_cuts_off_is_not_given_out() -> None:
    assert EventParser().feed(b"data: whole\n\ndata: half\n") == [b"whole"]


def test_a_field_without_a_space_and_one_without_a_colon() -> None:
    assert EventParser().feed(b"data:tight\ndata\n\n") == [b"tight\n"]


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 200, b"data: " + b"x" * 60 + b"\n", b"x" * 200])
def test_a_line_or_event_that_never_ends_is_refused(chunk: bytes) -> None:
    parser = EventParser(maximum_line=100)
    with pytest.raises(StreamTooLarge):
        feed(parser, [chunk] * 3)


def test_a_whole_event_that_is_too_long_is_refused_although_it_came_in_one_piece() -> None:
    with pytest.raises(StreamTooLarge):
        EventParser(maximum_line=100).feed(b"data: " + b"x" * 200 + b"\n\n")


def test_a_stream_that_never_ends_is_refused() -> None:
    parser = EventParser(maximum_total=1_000)
    with pytest.raises(StreamTooLarge):
        feed(parser, [b"data: xxxx\n\n"] * 200)


def test_a_long_event_comes_in_very_small_pieces() -> None:
    """What is held is not copied for every piece: byte by byte a mebibyte would block the loop for a minute."""
    pieces = itertools.chain([b"data: "], itertools.repeat(b"x", 500_000), [b"\n\n"])
    assert feed(EventParser(), pieces) == [b"x" * 500_000]
