"""What a model's text says of files: marks of sources, ``【4:0†notes.md】``, and paths, ``sandbox:/mnt/data/a.csv``.

They are found while the text streams, and told as annotations; a path is a mark of its own kind.

Pure functions of the text so far: however it is cut into pieces, the same text and the same annotations come out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

OPENING, CLOSING = "【", "】"
PATH = "sandbox:"  # what the path of a file that code has made begins with
JOINTS = "-.%"  # that a name may go on with, and a sentence, too
GOES_ON = re.compile(rf"[{JOINTS}]?\w")  # behind a path: it was another's beginning
PLAIN = "/;,?:@&=+$#!~*'()"  # of these, in a path as an address has it: not everybody escapes them
NOTHING = r"(?!)"  # is found nowhere
ANONYMOUS = "source"  # what models write for the name where they think they know better
UNFIT = re.compile(r"[【】†\x00-\x1f\x7f]+")  # in a name: the mark would end, or be two lines


def marks_of_path(path: str) -> set[str]:
    """The ways in which models write the path of a file in the sandbox."""
    return {PATH + name for name in (path, path.replace(" ", "%20"), quote(path), quote(path, safe=PLAIN))}


def mark_of(position: int, index: int, name: str) -> str:
    """The mark of a passage: the position of the step that found it in its run, and its place there."""
    return f"{OPENING}{position}:{index}†{UNFIT.sub('_', name)}{CLOSING}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message's text; a citation where it has an ``annotation``, in the shape that a delta has."""

    text: str
    annotation: dict[str, Any] | None = None


class Citing:
    """Cuts a message's text at the marks of known sources, and at the paths of known files.

    What may become a mark is held back until it is one or cannot be one any more: never more than the longest mark and
    the two characters that show its end. Everything else is text like any other.

    :param sources: the ids of the files, by their marks.
    :param length: code points of the message that are written already; offsets go on from there.
    :param count: annotations that it has already.
    """

    def __init__(self, sources: Mapping[str, str], *, length: int = 0, count: int = 0) -> None:
        self._sources = sources
        self._marks = sorted(sources, key=len, reverse=True)
        self._longest = max(map(len, sources), default=0)
        self._beginning = re.compile("|".join(re.escape(first) for first in {mark[0] for mark in sources}) or NOTHING)
        self._length = length
        self._count = count
        self._held = ""

    def take(self, text: str) -> list[Piece]:
        """The pieces that are certain once ``text`` has come."""
        return self._cut(self._held + text, is_whole=False)

    def rest(self) -> list[Piece]:
        """What was held back, at the end of the text."""
        return self._cut(self._held, is_whole=True)

    def _cut(self, text: str, *, is_whole: bool) -> list[Piece]:
        start, until, pieces = 0, len(text), list[Piece]()
        beginning = self._beginning.search(text)
        while beginning is not None:
            place = beginning.start()
            if not is_whole and len(text) - place <= self._longest + 1 and self._may_become_mark(text[place:]):
                until = place
                break
            mark = self._mark_at(text, place)
            if mark:
                pieces += [*self._plain(text[start:place]), self._cited(mark)]
                start = place + len(mark)
            beginning = self._beginning.search(text, place + (len(mark) or 1))
        self._held = text[until:]
        return [*pieces, *self._plain(text[start:until])]

    def _may_become_mark(self, text: str) -> bool:
        """Whether what comes next decides: also where a path is whole that may go on."""
        joined = text[:-1] if text[-1] in JOINTS else text
        return any(
            (mark != text and mark.startswith(text)) or (_is_path(mark) and mark in (text, joined))
            for mark in self._marks
        )

    def _mark_at(self, text: str, place: int) -> str:
        """The longest mark there; a path's name ends where it does."""
        for mark in self._marks:
            end = place + len(mark)
            if text.startswith(mark, place) and not (_is_path(mark) and GOES_ON.match(text, end)):
                return mark
        return ""

    def _plain(self, text: str) -> list[Piece]:
        self._length += len(text)
        return [Piece(text)] if text else []

    def _cited(self, mark: str) -> Piece:
        start, self._length = self._length, self._length + len(mark)
        kind, file = "file_citation", {"file_id": self._sources[mark], "quote": ""}
        if _is_path(mark):
            kind, file = "file_path", {"file_id": self._sources[mark]}
        annotation = {
            "index": self._count,
            "type": kind,
            "text": mark,
            "start_index": start,
            "end_index": self._length,
            kind: file,
        }
        self._count += 1
        return Piece(mark, annotation)


def _is_path(mark: str) -> bool:
    return mark.startswith(PATH)


def settled(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation as a message keeps it: a delta's has its place in the list, and a quote that is always empty."""
    kept = {name: value for name, value in annotation.items() if name != "index"}
    if "file_citation" in kept:
        kept["file_citation"] = {"file_id": kept["file_citation"]["file_id"]}
    return kept
