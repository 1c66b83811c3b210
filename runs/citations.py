"""Marks of sources in a model's text, like ``【4:0†notes.md】``: found while the text streams, and told as annotations.

Pure functions of the text so far: however it is cut into pieces, the same text and the same annotations come out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OPENING, CLOSING = "【", "】"
ANONYMOUS = "source"  # what models write for the name where they think they know better
UNFIT = re.compile(r"[【】†\x00-\x1f\x7f]+")  # in a name: the mark would end, or be two lines


def mark_of(position: int, index: int, name: str) -> str:
    """The mark of a passage: the position of the step that found it in its run, and its place there."""
    return f"{OPENING}{position}:{index}†{UNFIT.sub('_', name)}{CLOSING}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message's text; a citation where it has an ``annotation``, in the shape that a delta has."""

    text: str
    annotation: dict[str, Any] | None = None


class Citing:
    """Cuts a message's text at the marks of known sources.

    What may become a mark is held back until it is one or cannot be one any more: never more than the longest mark.
    Everything else in such brackets is text like any other.

    :param sources: the ids of the files, by their marks.
    :param length: code points of the message that are written already; offsets go on from there.
    :param count: annotations that it has already.
    """

    def __init__(self, sources: Mapping[str, str], *, length: int = 0, count: int = 0) -> None:
        self._sources = sources
        self._length = length
        self._count = count
        self._held = ""

    def take(self, text: str) -> list[Piece]:
        """The pieces that are certain once ``text`` has come."""
        text, start, pieces = self._held + text, 0, list[Piece]()
        place = text.find(OPENING)
        while place != -1:
            end = text.find(CLOSING, place)
            mark = text[place : end + 1] if end != -1 else text[place:]
            if end != -1 and mark in self._sources:
                pieces += [*self._plain(text[start:place]), self._cited(mark)]
                start = end + 1
            elif end == -1 and self._may_become_mark(mark):
                break
            place = text.find(OPENING, max(start, place + 1))
        until = len(text) if place == -1 else place
        self._held = text[until:]
        return [*pieces, *self._plain(text[start:until])]

    def rest(self) -> list[Piece]:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return self._plain(held)

    def _may_become_mark(self, text: str) -> bool:
        return any(mark.startswith(text) for mark in self._sources)

    def _plain(self, text: str) -> list[Piece]:
        self._length += len(text)
        return [Piece(text)] if text else []

    def _cited(self, mark: str) -> Piece:
        start, self._length = self._length, self._length + len(mark)
        annotation = {
            "index": self._count,
            "type": "file_citation",
            "text": mark,
            "start_index": start,
            "end_index": self._length,
            "file_citation": {"file_id": self._sources[mark], "quote": ""},
        }
        self._count += 1
        return Piece(mark, annotation)


def settled(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation as a message keeps it: a delta's has its place in the list, and a quote that is always empty."""
    kept = {name: value for name, value in annotation.items() if name != "index"}
    if "file_citation" in kept:
        kept["file_citation"] = {"file_id": kept["file_citation"]["file_id"]}
    return kept
