"""Images that are files, from a message to the engine: what a run sends to models that see, and to others."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from assistants import services as assistants
from assistants.knowledge.services import files
from inference.pictures import BLIND
from runs.models import Run
from runs.services import creation
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.inference.conftest import Upstream, upstream
from tests.inference.helpers import ready_engine
from tests.knowledge.uploading import folder
from tests.runs.support import ended, working
from threads import services as threads

__all__ = ["folder", "upstream"]

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n and more"


@pytest.fixture
def ask(principal: Principal, folder: Path) -> Callable[[], Run]:
    """A queued run on a thread whose message has an image."""

    def make() -> Run:
        file = files.store_file(principal=principal, purpose="vision", filename="a.png", chunks=[PNG])
        image = {"type": "image_file", "image_file": {"file_id": file.id, "detail": "high"}}
        said = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}
        thread = threads.create_thread(principal=principal, messages=[said])
        assistant = assistants.create_assistant(principal=principal, model="tiny")
        return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run

    return make


@pytest.mark.parametrize("sees", [True, False])
async def test_an_image_reaches_a_model_that_sees(upstream: Upstream, ask: Callable[[], Run], sees: bool) -> None:
    await in_database(ready_engine, upstream.url, "tiny", capabilities={"vision": sees})
    run = await in_database(ask)
    async with working():
        assert (await ended(run.id)).status == "completed"
    (message,) = upstream.requests[-1].body["messages"]
    url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    image = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    shown = image if sees else {"type": "text", "text": BLIND}
    assert message["content"] == [{"type": "text", "text": "What is it?"}, shown]
