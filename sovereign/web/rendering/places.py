"""Where the annotations of a text are in it, while the text goes through Markdown.

Each is a number between two characters of a private area, behind a key that was made for this text alone: whatever a
model writes, also in other spellings of the same characters, is no place.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import quote, unquote

OPENING, CLOSING = "\ue000", "\ue001"
KEY_BYTES = 6
#: what may be a place in an address, as Markdown writes one
ESCAPED = re.compile(f"{quote(OPENING)}[0-9a-f]+:\\d+{quote(CLOSING)}")
MOST = 1_000  # annotations of a text; those behind them stay text
MARK = re.compile(r"【\d+:\d+†(.*)】", re.DOTALL)
#: where no annotation is: a mark that a model imitates; no file's name is longer
IMITATED = re.compile(r"【\d{1,6}:\d{1,6}†[^【】\n]{0,255}】")


class Kind(Enum):
    CITATION = "file_citation"
    FILE = "file_path"


@dataclass(frozen=True, slots=True)
class Place:
    """An annotation that is shown, or a mark that there is none of and that is left out."""

    kind: Kind | None  # ``None`` where no annotation backs it
    original: str  # the text that it stands for
    file_id: str
    name: str  # of the file
    number: int  # of a cited file, from 1, in its text; 0 for a path
    index: int  # among all annotations of the message, from 0


@dataclass(slots=True)
class Marked:
    """A text with its places."""

    text: str = ""
    places: list[Place] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)  # the cited files: names by their ids, in order
    key: str = field(default_factory=lambda: secrets.token_hex(KEY_BYTES))

    def add_text(self, text: str) -> None:
        """A piece without annotations: the marks in it say nothing."""
        self.text += IMITATED.sub(lambda found: self._placed(Place(None, found[0], "", "", 0, 0)), text)

    def add(self, place: Place) -> None:
        self.text += self._placed(place)

    def _placed(self, place: Place) -> str:
        self.places.append(place)
        return f"{OPENING}{self.key}:{len(self.places) - 1}{CLOSING}"

    def cut(self, text: str) -> Iterator[str | Place]:
        """A piece of the text after Markdown, cut at its places."""
        pieces = re.split(f"{OPENING}{self.key}:(\\d+){CLOSING}", text)
        return (self.places[int(piece)] if at % 2 else piece for at, piece in enumerate(pieces))

    def restored(self, text: str) -> str:
        """``text`` as it was, where a place means nothing: in code, in a formula."""
        if OPENING not in text:
            return text
        return "".join(piece if isinstance(piece, str) else piece.original for piece in self.cut(text))

    def restored_address(self, address: str) -> str:
        pattern = f"{quote(OPENING)}{self.key}:(\\d+){quote(CLOSING)}"
        return re.sub(pattern, lambda found: quote(self.places[int(found[1])].original), address)

    def alone(self, text: str) -> Place | None:
        """The place that is all of ``text``."""
        pieces = [*self.cut(text)]
        return pieces[1] if len(pieces) == 3 and isinstance(pieces[1], Place) and not (pieces[0] or pieces[2]) else None

    def behind(self, address: str) -> Place | None:
        """The place that is all of an address."""
        return self.alone(unquote(address)) if ESCAPED.fullmatch(address) else None


def marked(text: str, annotations: Sequence[Any], *, first: int = 0) -> Marked:
    """``text`` with a place for each of its annotations.

    One that is wrong (its offsets count code points, and do not overlap those of another) stays text.

    :param first: annotations of the message that belong to its texts before this one.
    """
    made, seen = Marked(), 0
    known = [(place, index) for index, one in enumerate(annotations[:MOST], first) if (place := _offsets(one))]
    for (start, end, kind), index in sorted(known, key=lambda one: one[0][:2]):
        if start < seen or end > len(text):
            continue
        made.add_text(text[seen:start])
        made.add(_place(kind, text[start:end], annotations[index - first], index, made.sources))
        seen = end
    made.add_text(text[seen:])
    return made


def _offsets(annotation: Any) -> tuple[int, int, Kind] | None:
    """Beginning, end and kind; ``None`` of what is no annotation that can be shown."""
    if not isinstance(annotation, dict):
        return None
    start, end = annotation.get("start_index"), annotation.get("end_index")
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        return None
    for kind in Kind:
        file = annotation.get(kind.value)
        if isinstance(file, dict) and isinstance(file.get("file_id"), str):
            return start, end, kind
    return None


def _place(kind: Kind, original: str, annotation: dict[str, Any], index: int, sources: dict[str, str]) -> Place:
    file_id = annotation[kind.value]["file_id"]
    if kind is Kind.FILE:
        return Place(kind, original, file_id, original.rsplit("/", 1)[-1] or original, 0, index)
    mark = MARK.fullmatch(original)
    name = sources.setdefault(file_id, mark[1] if mark else "")
    return Place(kind, original, file_id, name, [*sources].index(file_id) + 1, index)
