"""``python -m assistants.knowledge.parsing.child EXTENSION PARENT``: the text of the document on its standard input.

The text is written in UTF-8 to standard output, which is a file; the exit status says why there is none. No Django is
loaded, and nothing of the parent's environment is here.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from assistants.knowledge.parsing.formats import EXTENSIONS
from assistants.knowledge.parsing.limits import give_up_rights
from assistants.knowledge.parsing.reasons import MAXIMUM_TEXT, Reason, Unreadable


def main(extension: str, parent: int) -> int:
    logging.disable()
    sys.modules["numpy"] = None  # type: ignore[assignment]  # openpyxl would load it, with its threads and its memory
    module = importlib.import_module(EXTENSIONS[extension])  # libraries look for files of the system when they load
    give_up_rights(parent)
    with os.fdopen(0, "rb") as source, os.fdopen(1, "wb") as target:
        try:
            _copy(module.text_of(source), target)
        except Unreadable as refusal:
            return refusal.reason
        except (MemoryError, RecursionError):
            return Reason.TOO_COMPLEX
    return 0


def _copy(texts: Iterator[str], target: BinaryIO) -> None:
    written, said = 0, False  # said: something that is not white space
    for text in texts:
        said = said or not (text == "" or text.isspace())
        data = text.replace("\0", "").encode(errors="ignore")  # which drops halves of characters
        written += len(data)
        if written > MAXIMUM_TEXT:
            raise Unreadable(Reason.TOO_MUCH_TEXT)
        target.write(data)
    if not said:
        raise Unreadable(Reason.NO_TEXT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
