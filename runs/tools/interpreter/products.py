"""What code has made, as files of the project. Nothing here holds more than a piece of a file in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import PurePosixPath

from assistants.knowledge import storage
from assistants.knowledge.models import Purpose
from assistants.knowledge.models.files import FILENAME_LENGTH
from assistants.knowledge.services import files
from assistants.knowledge.storage import Draft, Stored
from runs.sandbox.outputs import FileRefused
from runs.sandbox.session import Session
from runs.tools.base import Surroundings
from runs.tools.interpreter.files import FOLDER
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_WRITE
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError

FILE_BYTES = 64 * 1024**2  # that one file may have
UNNAMED = timedelta(days=1)  # after which a file goes whose call came to nothing: it was cancelled, or its worker died


def is_product(path: str) -> bool:
    """Whether a file is one that somebody made, and not a cache or a hidden one; its path has to be one line."""
    parts = PurePosixPath(path).relative_to(FOLDER).parts
    return path.isprintable() and not any(part.startswith(".") or part == "__pycache__" for part in parts)


async def keep_file(surroundings: Surroundings, session: Session, path: str) -> str:
    """Make a file of a session one of the project; its id.

    :raises FileRefused: it cannot be read.
    :raises ApiError: the project, or the storage, has no room.
    :raises SandboxUnavailable: the session has ended.
    """
    with await asyncio.to_thread(Draft) as draft:

        async def take(piece: bytes) -> None:
            try:
                await asyncio.to_thread(draft.write, piece)
            except ApiError as error:
                raise FileRefused(str(error)) from None

        await session.read(path, take, maximum=FILE_BYTES)
        stored = await asyncio.to_thread(draft.keep)
    return await in_database(_row, surroundings, path, stored)


async def keep_image(surroundings: Surroundings, name: str, content: bytes) -> str:
    """Make an image a file; its id. Raises as :func:`keep_file`."""
    return await in_database(_row, surroundings, name, await asyncio.to_thread(storage.save, [content]))


def _row(surroundings: Surroundings, name: str, stored: Stored) -> str:
    filename = PurePosixPath(name).name.replace("\x00", "")[-FILENAME_LENGTH:]
    with files.unless_refused(stored):
        return files.create_file(
            principal=_maker(surroundings),
            purpose=Purpose.ASSISTANTS_OUTPUT,
            filename=filename,
            stored=stored,
            expires_after=UNNAMED,
        ).id


def _maker(surroundings: Surroundings) -> Principal:
    """The run makes its files, for whom it runs: what their key may do beside runs does not matter."""
    attribution = surroundings.attribution
    user_id = None if attribution.user is None else int(attribution.user)
    return Principal(
        project_id=surroundings.project_id, user_id=user_id, key_id=attribution.key, scopes=frozenset({FILES_WRITE})
    )
