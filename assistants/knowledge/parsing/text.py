"""Texts, tables of commas, JSON and programs: what they hold is what is searched."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from assistants.knowledge.parsing.reasons import Reason, Unreadable

BLOCK = 1024 * 1024  # characters
SAMPLE = 4096  # bytes
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: the text is neither UTF-8 (so also ASCII) nor UTF-16."""
    beginning = source.read(SAMPLE)
    source.seek(0)
    marked = (name for mark, name in _MARKS.items() if beginning.startswith(mark))
    encoding = next(marked, None) or _unmarked(beginning)
    lines = io.TextIOWrapper(source, encoding, errors="strict", newline=None)
    try:
        while block := lines.read(BLOCK):
            yield block
    except UnicodeError:
        raise Unreadable(Reason.ENCODING) from None


def _unmarked(beginning: bytes) -> str:
    """UTF-16 without a mark gives itself away: every other byte of what is mostly Latin text is NUL."""
    even, odd = (beginning[start::2].count(0) for start in (0, 1))
    few, many = sorted((even, odd))
    if many * 4 < len(beginning) or few * 10 > many:
        return "utf-8"
    return "utf-16-le" if odd > even else "utf-16-be"
