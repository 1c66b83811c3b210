"""The contents of images for models that see: of the project's own files, and of no size but a sensible one."""

from __future__ import annotations

import pytest

from assistants.knowledge import pictures, storage
from assistants.knowledge.models import File
from assistants.knowledge.services import files
from inference import pictures as shown
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import unavailable

pytestmark = pytest.mark.django_db(transaction=True)


def stored(principal: Principal) -> File:
    return files.store_file(principal=principal, purpose="vision", filename="a.png", chunks=[b"four"])


async def test_the_projects_own_images_are_read(principal: Principal) -> None:
    file = await in_database(stored, principal)
    assert shown.loader is pictures.load, "it is what the gateway reads them with"
    assert await pictures.load(file.project_id, file.id, 4) == b"four"


async def test_others_larger_ones_and_those_that_are_gone_are_not(principal: Principal) -> None:
    file = await in_database(stored, principal)
    assert await pictures.load("proj_other", file.id, 4) is None
    assert await pictures.load(file.project_id, file.id, 3) is None
    await in_database(files.delete_file, principal=principal, file_id=file.id)
    assert await pictures.load(file.project_id, file.id, 4) is None


async def test_a_storage_that_does_not_answer_is_an_oserror(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: str) -> None:
        raise unavailable("The storage is away.")

    file = await in_database(stored, principal)
    monkeypatch.setattr(storage, "open_stream", refuse)
    with pytest.raises(OSError, match="away"):
        await pictures.load(file.project_id, file.id, 4)
