"""The contents of files that are images, for models that see."""

from __future__ import annotations

import asyncio

from assistants.knowledge import storage
from assistants.knowledge.models import File
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError


async def load(project_id: str, file_id: str, most: int) -> bytes | None:
    """A file's content; ``None`` where the project has no such file, or it has more than ``most`` bytes.

    :raises OSError: the storage does not answer.
    """
    key = await in_database(_key, project_id, file_id, most)
    return None if key is None else await asyncio.to_thread(_read, key)


def _key(project_id: str, file_id: str, most: int) -> str | None:
    files = File.objects.filter(pk=file_id, project_id=project_id, bytes__lte=most)
    return files.values_list("storage_key", flat=True).first()


def _read(key: str) -> bytes:
    try:
        with storage.open_stream(key) as stream:
            return stream.read()
    except ApiError as error:
        raise OSError(str(error)) from error
