"""Office documents are archives of XML: what may be unpacked of them, and how it is read."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from assistants.knowledge.parsing.reasons import Reason, Unreadable

MAXIMUM_ENTRIES = 10_000
MAXIMUM_UNPACKED = 512 * 1024 * 1024  # bytes
MAXIMUM_RATIO = 200  # of an entry that unpacks to more than …
UNSUSPICIOUS = 1024 * 1024  # bytes
OLD_OR_PROTECTED = b"\xd0\xcf\x11\xe0"  # Office's older container, which also wraps what has a password


def opened(source: BinaryIO) -> zipfile.ZipFile:
    """The archive, once its table of contents promises to stay within bounds; reading keeps to what it promises.

    :raises Unreadable: it is none, has a password, or unpacks to too much.
    """
    beginning = source.read(4)
    source.seek(0)
    if beginning == OLD_OR_PROTECTED:
        raise Unreadable(Reason.PROTECTED)
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        raise Unreadable(Reason.BROKEN) from None
    _check(archive.infolist())
    return archive


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAXIMUM_ENTRIES or sum(entry.file_size for entry in entries) > MAXIMUM_UNPACKED:
        raise Unreadable(Reason.BOMB)
    for entry in entries:
        if entry.flag_bits & 1:
            raise Unreadable(Reason.PROTECTED)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(Reason.BROKEN)
        if entry.file_size > max(UNSUSPICIOUS, entry.compress_size * MAXIMUM_RATIO):
            raise Unreadable(Reason.BOMB)


def elements(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[bool, str, Any]]:
    """The elements of a part in document order: whether it begins, its name without namespace, itself.

    Nothing is kept of what has ended, so that large parts take no memory. What an element says of itself may be looked
    at when it begins, its text when it ends.

    :raises Unreadable: the part is missing or broken, or declares a document type, which Office never does.
    """
    try:
        with archive.open(name) as part:
            walk = etree.iterparse(
                part, events=("start", "end"), resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False
            )
            for event, element in walk:
                if element.getparent() is None and element.getroottree().docinfo.doctype:
                    raise Unreadable(Reason.BOMB)
                if not isinstance(element.tag, str):
                    continue
                yield event == "start", etree.QName(element).localname, element
                if event == "end":
                    _forget(element)
    except KeyError:
        raise Unreadable(Reason.BROKEN) from None
    except (etree.LxmlError, zipfile.BadZipFile, EOFError, OSError, zlib.error):
        raise Unreadable(Reason.BROKEN) from None


def _forget(element: Any) -> None:
    parent = element.getparent()
    element.clear(keep_tail=True)
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def relations(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """What a part refers to inside the archive: id → (kind, name). Nothing, where that is not told."""
    folder, name = posixpath.split(part)
    table = f"{folder}/_rels/{name}.rels"
    if table not in archive.namelist():
        return {}
    found = {}
    for begins, tag, element in elements(archive, table):
        if begins and tag == "Relationship" and element.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, element.get("Target", "")))
            found[element.get("Id", "")] = (element.get("Type", "").rpartition("/")[2], target.lstrip("/"))
    return found
