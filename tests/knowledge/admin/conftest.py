"""Who looks at the pages, and at what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from assistants.knowledge.models import VectorStore
from assistants.knowledge.services import stores
from sovereign.accounts import credentials
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from tests.knowledge.admin.pages import put
from tests.knowledge.filled import a_file


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Where the bytes of files are."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=f"file://{tmp_path}/files")
    return tmp_path / "files"


@pytest.fixture
def visit() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        user.refresh_from_db()
        client = Client(headers={"Accept": "text/html"})
        client.force_login(user)
        return client

    return make


@pytest.fixture
def client(bob: User, visit: Callable[[User], Client]) -> Client:
    """An analyst's browser."""
    return visit(bob)


@pytest.fixture
def principal(bob: User) -> Principal:
    return credentials.principal_of_person(bob.pk)


@pytest.fixture
def store(principal: Principal) -> VectorStore:
    return stores.create_store(principal=principal, name="House")


@pytest.fixture
def theirs(charlie: User) -> VectorStore:
    """Another project's store, with a file in it."""
    outsider = credentials.principal_of_person(charlie.pk)
    store = stores.create_store(principal=outsider, name="Charlie's secrets")
    put(outsider, store, a_file(store.project, "charlies.txt"))
    return store
