"""The names of the files that messages show, and what the chat's page knows of files before it sends any."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from assistants.knowledge.models import File
from assistants.knowledge.services.files import store_file
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.web.chat.files import limits

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(principal: Principal) -> File:
    return store_file(principal=principal, purpose="assistants", filename="plan <b>.pdf", chunks=[b"12345"])


def test_files_are_named_for_who_may_see_them(
    file: File, alice: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    query = {"id": [file.id, "file-unknown"]}
    assert visit(alice).get("/chat/files.json", query).json() == {
        "data": [{"id": file.id, "name": "plan <b>.pdf", "bytes": 5}]
    }
    assert visit(charlie).get("/chat/files.json", query).json() == {"data": []}
    answer = Client().get("/chat/files.json", query)
    assert (answer.status_code, answer["Cache-Control"]) == (401, "no-store")


def test_the_page_knows_the_limits_of_files() -> None:
    told = limits()
    assert told["image_bytes"] <= told["bytes"]
    assert {"pdf", "docx", "csv", "md"} <= set(told["searchable"])
    assert "image/svg+xml" not in told["images"]
