"""Files that go into a sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import structlog

from assistants.knowledge import storage
from assistants.knowledge.models import File
from runs.sandbox.outputs import FileRefused
from runs.sandbox.session import safe_name
from sovereign.core.errors import ApiError

log = structlog.get_logger(__name__)

FOLDER = "/mnt/data"


@dataclass(frozen=True, slots=True)
class Given:
    """A file that the code may read.

    :ivar name: its name at ``/mnt/data``: safe, and nobody else's.
    :ivar size: bytes.
    """

    id: str
    name: str
    key: str
    size: int

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.name}"

    def pieces(self) -> Iterator[bytes]:
        """The content. Asks no database.

        :raises FileRefused: it cannot be read, or the storage does not answer.
        """
        try:
            yield from storage.pieces(self.key)
        except OSError as error:
            log.warning("file_not_read", file=self.id, error=str(error))
            raise FileRefused("Its content cannot be read.") from None
        except ApiError as error:
            raise FileRefused(str(error)) from None


def given(project_id: str, resources: Iterable[dict[str, Any]]) -> list[Given]:
    """The files that ``tool_resources`` name for the code interpreter, in their order, if the project has them.

    A function of the ORM: call it with ``in_database``.
    """
    named = (resource.get("code_interpreter") or {} for resource in resources)
    ids = list(dict.fromkeys(file_id for held in named for file_id in held.get("file_ids") or []))
    found = File.objects.filter(project_id=project_id, pk__in=ids).in_bulk() if ids else {}
    there = [found[file_id] for file_id in ids if file_id in found]
    names = unique_names(file.filename for file in there)
    return [Given(file.id, name, file.storage_key, file.bytes) for file, name in zip(there, names, strict=True)]


def unique_names(names: Iterable[str]) -> list[str]:
    """Names that are safe in a folder, and differ.

    >>> unique_names(["a.csv", "../a.csv", "b\\n.txt"])
    ['a.csv', 'a (2).csv', 'b_.txt']
    """
    given_out: dict[str, None] = {}
    for name in names:
        candidate, number = safe_name(name), 2
        stem, suffix = PurePosixPath(candidate).stem, PurePosixPath(candidate).suffix
        while candidate in given_out:
            candidate, number = f"{stem} ({number}){suffix}", number + 1
        given_out[candidate] = None
    return list(given_out)
