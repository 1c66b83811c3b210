"""Cutting a text into chunks of so many tokens, each of which begins with the end of the one before.

Tokens are counted by a rule of our own, without a vocabulary: about as many as ``cl100k_base`` makes of European prose
and of code, the same on every machine, at tens of megabytes a second. What it counts is the sum of what it counts of
the pieces a text is cut into here, so that no limit can be missed by joining them again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    r"[A-Za-zÀ-ɏ]{1,7}"  # Latin letters: most words are one token, long ones are two
    r"|[0-9]{1,3}"
    r"|[!-/:-@\[-`{-~]{1,2}"
    r"|\s{2,16}|\n"  # a single blank belongs to the word after it
    r"|[Ͱ-᳿]{1,3}"  # alphabets that come in shorter tokens: Greek, Cyrillic, Arabic, Hindi, Thai …
    r"|\S"  # Chinese, Japanese, signs: each for itself
)
#: where a text may be cut: after a sentence and at the end of a line, always behind the white space that follows; looks
#: at each sign once, also where there are millions of full stops
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s+|[。！？]+[」』”]*\s*|\n\s*")

HARD, LINE, SENTENCE, SENTENCE_LINE, PARAGRAPH = range(5)  # how good a place to cut is
PIECES_IN_CHUNK = 4  # at least: longer sentences are cut, or an overlap could not be near what was asked for
LOOK_BACK = 1 / PIECES_IN_CHUNK  # of a chunk, for a better place than the last one
LONGEST_TOKEN = 17  # characters, with the blank that belongs to it


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text without white space around it, and its tokens."""

    text: str
    tokens: int


class _Piece(NamedTuple):
    """``text[start:end]``: what is never cut."""

    start: int
    end: int
    tokens: int
    rank: int


def count_tokens(text: str) -> int:
    """About how many tokens a model reads in ``text``."""
    return len(_TOKEN.findall(text))


def chunks(text: str, *, maximum: int, overlap: int) -> Iterator[Chunk]:
    """The chunks of a text, in order. Together they are all of it but for white space.

    Each ends where a paragraph, a sentence or a line does, if one does so in its last quarter.

    :param maximum: tokens of a chunk, 1 or more.
    :param overlap: tokens at most that a chunk repeats of the one before, in whole sentences if they are not too long.
    """
    if maximum < 1 or not 0 <= overlap < maximum:
        raise ValueError("a chunk needs a token, and must repeat less than all of them")
    window: deque[_Piece] = deque()
    held = repeated = 0  # tokens in the window, and pieces that the chunk before had too
    for piece in _pieces(text, max(1, maximum // PIECES_IN_CHUNK)):
        while held + piece.tokens > maximum:
            taken = _cut(window, repeated, maximum)
            yield from _chunk(text, window, taken, repeated)
            repeated = _drop(window, taken, overlap, maximum - piece.tokens)
            held = sum(other.tokens for other in window)
        window.append(piece)
        held += piece.tokens
    if len(window) > repeated:
        yield from _chunk(text, window, len(window), repeated)


def _cut(window: deque[_Piece], repeated: int, maximum: int) -> int:
    """How many pieces of a full window make the chunk: up to its best end near the limit, and at least one new one."""
    held, ends = 0, list[tuple[int, int]]()
    for number, piece in enumerate(window, 1):
        held += piece.tokens
        if number > repeated and held >= maximum * (1 - LOOK_BACK):
            ends.append((piece.rank, number))
    return max(ends)[1]


def _drop(window: deque[_Piece], taken: int, overlap: int, room: int) -> int:
    """Let go what the next chunk does not repeat; returns how many of the ``taken`` pieces are left.

    :param room: tokens that all that is left may have at most, so that the next piece still fits.
    """
    after = sum(piece.tokens for piece in list(window)[taken:])
    left = sum(piece.tokens for piece in list(window)[:taken])
    while taken and (left > overlap or left + after > room):
        left -= window.popleft().tokens
        taken -= 1
    return taken


def _chunk(text: str, window: deque[_Piece], taken: int, repeated: int) -> Iterator[Chunk]:
    """The chunk of the first pieces; nothing where those that the chunk before had not are white space only."""
    pieces = list(window)[:taken]
    whole = text[pieces[0].start : pieces[-1].end]
    part = whole.strip()
    if not text[pieces[repeated].start : pieces[-1].end].isspace():
        before, after = whole[: len(whole) - len(whole.lstrip())], whole[len(whole.rstrip()) :]
        yield Chunk(part, sum(piece.tokens for piece in pieces) - count_tokens(before) - count_tokens(after))


def _pieces(text: str, most: int) -> Iterator[_Piece]:
    """Sentences and lines, those of more than ``most`` tokens cut between words or, where there are none, anywhere."""
    start, longest = 0, LONGEST_TOKEN * (most + 1)
    for end, rank in _ends(text):
        tokens = len(_TOKEN.findall(text, start, min(end, start + longest)))
        if tokens <= most:
            yield _Piece(start, end, tokens, rank)
        else:
            yield from _parts(text, start, end, rank, most)
        start = end


def _ends(text: str) -> Iterator[tuple[int, int]]:
    """Where sentences and lines end, and how good a place to cut that is."""
    end = 0
    for found in _END.finditer(text):
        end = found.end()
        yield end, _rank(found.group())
    if end < len(text):
        yield len(text), PARAGRAPH


def _rank(end: str) -> int:
    lines, sentence = end.count("\n"), not end[0].isspace()
    if lines > 1:
        return PARAGRAPH
    if sentence:
        return SENTENCE_LINE if lines else SENTENCE
    return LINE


def _parts(text: str, start: int, end: int, rank: int, most: int) -> Iterator[_Piece]:
    """What is too long, in parts. They begin where tokens begin: none is counted twice or torn."""
    held = before = 0  # tokens so far, and those before the last word
    word = start
    for token in _TOKEN.finditer(text, start, end):
        if held == most:
            cut, inside = (word, before) if before else (token.start(), held)
            yield _Piece(start, cut, inside, HARD)
            start, held, before = cut, held - inside, 0
        if held and text[token.start() - 1].isspace():
            word, before = token.start(), held
        held += 1
    yield _Piece(start, end, held, rank)
