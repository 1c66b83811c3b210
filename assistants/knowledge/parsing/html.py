"""Pages of the web: what is to be read on them. No tree is built, so that no page is too deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from lxml import etree

from assistants.knowledge.parsing import text
from assistants.knowledge.parsing.reasons import Reason, Unreadable

_UNREAD = frozenset({"script", "style", "template", "noscript", "svg", "object", "iframe"})
_BLOCKS = (
    "address article aside blockquote body details dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main "
    "nav ol p pre section table title ul"
)
_PARAGRAPHS = frozenset(_BLOCKS.split())
_LINES = frozenset({"dd", "div", "dt", "li", "option", "tr"})
_BEFORE = {"br": "\n", "td": " ", "th": " "}  # what stands before an element, and not after it
_HEADINGS = {f"h{level}": f"{'#' * level} " for level in range(1, 7)}


class _Reader:
    """What the parser tells, as text. White space in a page means a blank, but not in ``pre``."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._unread = self._verbatim = 0

    def start(self, tag: str, attributes: object) -> None:
        self._unread += tag in _UNREAD
        self._verbatim += tag == "pre"
        self._separate(tag)
        if self._unread == 0:
            self.parts.append(_BEFORE.get(tag) or _HEADINGS.get(tag, ""))

    def end(self, tag: str) -> None:
        self._unread -= tag in _UNREAD
        self._verbatim -= tag == "pre"
        self._separate(tag)

    def data(self, data: str) -> None:
        if self._unread > 0:
            return
        if self._verbatim > 0:
            self.parts.append(data)
        elif words := data.split():
            before, after = " " * data[0].isspace(), " " * data[-1].isspace()
            self.parts.append(f"{before}{' '.join(words)}{after}")
        else:
            self.parts.append(" ")

    def close(self) -> None:
        """Nothing is left to be told."""

    def _separate(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag in _LINES:
            self.parts.append("\n")

    def take(self) -> str:
        taken = "".join(self.parts)
        self.parts.clear()
        return taken


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: the page is in another encoding, or none that can be read."""
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, no_network=True, huge_tree=False)
    try:
        for block in text.text_of(source):
            parser.feed(block.replace("\0", ""))
            yield reader.take()
        parser.close()
    except etree.LxmlError:
        raise Unreadable(Reason.BROKEN) from None
    yield reader.take()
