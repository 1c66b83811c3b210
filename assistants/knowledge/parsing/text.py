"""Texts, tables of commas, JSON and programs: what they hold is what is searched."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from assistants.knowledge.parsing.reasons import Reason, Unreadable

BLOCK = 1024 * 1024  # characters
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: the text is neither UTF-8 (so also ASCII) nor marked as UTF-16."""
    beginning = source.read(3)
    source.seek(0)
    encoding = next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), "utf-8")
    lines = io.TextIOWrapper(source, encoding, errors="strict", newline=None)
    try:
        while block := lines.read(BLOCK):
            yield block
    except UnicodeError:
        raise Unreadable(Reason.ENCODING) from None
