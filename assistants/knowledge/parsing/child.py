"""What a process does that reads one document: the document in, its chunks out. ``forkserver`` makes such processes.

The document is standard input, the chunks go to standard output, which is a file, as ``wire`` writes them; the exit
status says why there are none. No Django is loaded, and nothing of the parent's environment is here.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterable
from types import ModuleType

from assistants.knowledge.chunking import TooManyTokens, chunks
from assistants.knowledge.parsing import wire
from assistants.knowledge.parsing.formats import EXTENSIONS
from assistants.knowledge.parsing.limits import give_up_rights
from assistants.knowledge.parsing.reasons import MAXIMUM_TEXT, MAXIMUM_TOKENS, Reason, Unreadable

BLANK_LINES = re.compile(r"\n(?:[ \t]*+\n){2,}")  # the end of a line, and such lines: looks at each blank once


def main(extension: str, maximum: int, overlap: int, parent: int) -> int:
    """:param parent: the process that started this one."""
    module = load(extension)  # before: libraries look for files of the system when they load
    give_up_rights(parent)
    try:
        with os.fdopen(0, "rb") as source:
            text = _joined(module.text_of(source))
        _write(text, maximum, overlap)
    except Unreadable as refusal:
        return refusal.reason
    except TooManyTokens:
        return Reason.TOO_MANY_TOKENS
    except (MemoryError, RecursionError):
        return Reason.TOO_COMPLEX
    return 0


def load(extension: str) -> ModuleType:
    """The module that reads such documents, with its libraries."""
    logging.disable()
    sys.modules["numpy"] = None  # type: ignore[assignment]  # openpyxl would load it, with its threads and its memory
    return importlib.import_module(EXTENSIONS[extension])


def _write(text: str, maximum: int, overlap: int) -> None:
    """:raises Unreadable: there are too many chunks or tokens, or there is no room for them."""
    try:
        with os.fdopen(1, "wb") as target:
            wire.write(target, text, chunks(text, maximum=maximum, overlap=overlap, most=MAXIMUM_TOKENS))
    except OSError as error:
        raise Unreadable(Reason.TOO_MUCH_TEXT if error.errno == errno.EFBIG else Reason.NO_ROOM) from None


def _joined(texts: Iterable[str]) -> str:
    """The text without rows of blank lines, and without NUL and halves of characters, which databases refuse.

    :raises Unreadable: there is none, or too much of it.
    """
    parts, size = [], 0
    for text in texts:
        data = text.replace("\0", "").encode(errors="ignore")
        size += len(data)
        if size > MAXIMUM_TEXT:
            raise Unreadable(Reason.TOO_MUCH_TEXT)
        parts.append(data.decode())
    joined = "".join(parts)
    if not joined or joined.isspace():
        raise Unreadable(Reason.NO_TEXT)
    return "\n\n".join(part.rstrip(" \t") for part in BLANK_LINES.split(joined))
