"""``python -m assistants.knowledge.parsing.child EXTENSION MAXIMUM OVERLAP PARENT``: a document in, its chunks out.

The document is standard input, the chunks go to standard output, which is a file, as ``reasons.HEADER`` and UTF-8; the
exit status says why there are none. No Django is loaded, and nothing of the parent's environment is here.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterable

from assistants.knowledge.chunking import Chunk, chunks, count_tokens
from assistants.knowledge.parsing.formats import EXTENSIONS
from assistants.knowledge.parsing.limits import give_up_rights
from assistants.knowledge.parsing.reasons import (
    HEADER,
    MAXIMUM_CHUNKS,
    MAXIMUM_TEXT,
    MAXIMUM_TOKENS,
    Reason,
    Unreadable,
)

BLANK_LINES = re.compile(r"(?<![ \t])(?:[ \t]*+\n){3,}")  # looks at each blank once


def main(extension: str, maximum: int, overlap: int, parent: int) -> int:
    logging.disable()
    sys.modules["numpy"] = None  # type: ignore[assignment]  # openpyxl would load it, with its threads and its memory
    module = importlib.import_module(EXTENSIONS[extension])  # libraries look for files of the system when they load
    give_up_rights(parent)
    try:
        with os.fdopen(0, "rb") as source:
            text = _joined(module.text_of(source))
        _write(chunks(text, maximum=maximum, overlap=overlap))
    except Unreadable as refusal:
        return refusal.reason
    except (MemoryError, RecursionError):
        return Reason.TOO_COMPLEX
    return 0


def _write(made: Iterable[Chunk]) -> None:
    """:raises Unreadable: there are too many, or there is no room for them."""
    try:
        with os.fdopen(1, "wb") as target:
            for number, chunk in enumerate(made):
                if number == MAXIMUM_CHUNKS:
                    raise Unreadable(Reason.TOO_MANY_CHUNKS)
                data = chunk.text.encode()
                target.write(HEADER.pack(chunk.tokens, len(data)) + data)
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
    if size > MAXIMUM_TOKENS and sum(map(count_tokens, parts)) > MAXIMUM_TOKENS:  # no token is less than a byte
        raise Unreadable(Reason.TOO_MANY_TOKENS)
    joined = "".join(parts)
    if not joined or joined.isspace():
        raise Unreadable(Reason.NO_TEXT)
    return BLANK_LINES.sub("\n\n", joined)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
