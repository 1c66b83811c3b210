"""XML of any kind: what stands in its elements and attributes, each element on a line of its own."""

from __future__ import annotations

import xml.sax
from collections.abc import Iterator
from typing import BinaryIO
from xml.sax.handler import ContentHandler

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from assistants.knowledge.parsing.reasons import Reason, Unreadable

BLOCK = 1024 * 1024  # bytes


class _Reader(ContentHandler):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def startElement(self, name: str, attrs: xml.sax.xmlreader.AttributesImpl) -> None:
        self.parts.append("\n")
        self.parts += [f"{key}: {value}\n" for key, value in attrs.items() if not key.startswith("xmlns")]

    def endElement(self, name: str) -> None:
        self.parts.append("\n")

    def characters(self, content: str) -> None:
        self.parts.append(content)

    def take(self) -> str:
        taken = "".join(self.parts)
        self.parts.clear()
        return taken


def text_of(source: BinaryIO) -> Iterator[str]:
    """:raises Unreadable: it is no XML, or declares entities of its own, of which a few lines can make gigabytes."""
    reader = _Reader()
    parser = DefusedExpatParser(forbid_dtd=False, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(reader)
    try:
        while block := source.read(BLOCK):
            parser.feed(block)
            yield reader.take()
        parser.close()
    except DefusedXmlException:
        raise Unreadable(Reason.BOMB) from None
    except xml.sax.SAXException:
        raise Unreadable(Reason.BROKEN) from None
    yield reader.take()
