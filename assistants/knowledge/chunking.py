"""Cutting a text into chunks of so many tokens, each of which begins with the end of the one before.

Tokens are counted by a rule of our own, without a vocabulary: about as many as ``cl100k_base`` makes of European prose
and of code, the same on every machine, at tens of megabytes a second. What it counts is the sum of what it counts of
the pieces a text is cut into here, so that no limit can be missed by joining them again.
"""

from __future__ import annotations

import functools
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
#: at each sign once, also where there are millions of full stops; begins with a set of signs, which is found quickly
_END = re.compile(
    r"[.!?…。！？\n](?:"
    r"(?<=[.!?…])(?<![.!?…]{2})[.!?…]*+[\"'”’»)\]]*+\s+"  # from the first of a row of them
    r"|(?<=[。！？])[。！？]*[」』”]*\s*"
    r"|(?<=\n)\s*)"
)

HARD, LINE, SENTENCE, SENTENCE_LINE, PARAGRAPH = range(5)  # how good a place to cut is
PIECES_IN_CHUNK = 4  # at least: longer sentences are cut, or an overlap could not be near what was asked for
LOOK_BACK = 1 / PIECES_IN_CHUNK  # of a chunk, for a better place than the last one
LONGEST_TOKEN = 17  # characters, with the blank that belongs to it


class TooManyTokens(ValueError):
    """A text has more than it may have."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text without white space around it, its tokens, and the place of its first character."""

    text: str
    tokens: int
    start: int


class _Piece(NamedTuple):
    """``text[start:end]``: what is never cut."""

    start: int
    end: int
    tokens: int
    rank: int


def count_tokens(text: str) -> int:
    """About how many tokens a model reads in ``text``."""
    return len(_TOKEN.findall(text))


def chunks(text: str, *, maximum: int, overlap: int, most: int | None = None) -> Iterator[Chunk]:
    """The chunks of a text, in order. Together they are all of it but for white space.

    Each ends where a paragraph, a sentence or a line does, if one does so in its last quarter, and behind the one
    before; none begins before it.

    :param maximum: tokens of a chunk, 1 or more.
    :param overlap: tokens at most that a chunk repeats of the one before, in whole sentences if they are not too long.
    :param most: tokens of the whole text.
    :raises TooManyTokens: it has more, which is known when as many have been cut.
    """
    if maximum < 1 or not 0 <= overlap < maximum:
        raise ValueError("a chunk needs a token, and must repeat less than all of them")
    window: deque[_Piece] = deque()
    total = held = repeated = 0  # tokens so far, tokens in the window, and pieces that the chunk before had too
    for piece in _pieces(text, max(1, maximum // PIECES_IN_CHUNK)):
        tokens = piece.tokens
        while held + tokens > maximum:
            taken, inside = _cut(window, repeated, maximum)
            yield from _chunk(text, window, taken, inside, repeated)
            repeated, dropped = _drop(window, taken, inside, min(overlap, maximum - tokens - held + inside))
            held -= dropped
        window.append(piece)
        held += tokens
        total += tokens
        if most is not None and total > most:
            raise TooManyTokens
    if len(window) > repeated:
        yield from _chunk(text, window, len(window), held, repeated)


def _cut(window: deque[_Piece], repeated: int, maximum: int) -> tuple[int, int]:
    """How many pieces of a full window make the chunk: up to its best end near the limit, and at least one new one.

    :returns: them, and their tokens.
    """
    least, best = maximum * (1 - LOOK_BACK), (-1, 0, 0)
    held = 0
    for number, piece in enumerate(window, 1):
        held += piece.tokens
        if held >= least and number > repeated and piece.rank >= best[0]:
            best = (piece.rank, number, held)
    return best[1:]


def _drop(window: deque[_Piece], taken: int, inside: int, room: int) -> tuple[int, int]:
    """Let go what the next chunk does not repeat of the ``taken`` pieces, which have ``inside`` tokens.

    :param room: tokens that may be left of them.
    :returns: how many pieces are left of them, and how many tokens are gone.
    """
    left = inside
    while taken and left > room:
        left -= window.popleft().tokens
        taken -= 1
    return taken, inside - left


def _chunk(text: str, window: deque[_Piece], taken: int, inside: int, repeated: int) -> Iterator[Chunk]:
    """The chunk of the first pieces; nothing where those that the chunk before had not are white space only."""
    start, end = window[0].start, window[taken - 1].end
    if text[window[repeated].start : end].isspace():
        return
    whole = text[start:end]
    part = whole.rstrip()
    after = whole[len(part) :]
    part = part.lstrip()
    before = whole[: len(whole) - len(after) - len(part)]
    yield Chunk(part, inside - count_tokens(before) - count_tokens(after), start + len(before))


def _pieces(text: str, most: int) -> Iterator[_Piece]:
    """Sentences and lines, those of more than ``most`` tokens cut between words or, where there are none, anywhere."""
    start, longest, tokens_of = 0, LONGEST_TOKEN * (most + 1), _TOKEN.findall
    for end, rank in _ends(text):
        tokens = len(tokens_of(text, start, end if end - start < longest else start + longest))
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


@functools.lru_cache(maxsize=1_000)
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
