"""The people of every test: Alice owns the project, Bob is a member, Charlie is an outsider and must be refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from django.test import Client
from rest_framework.test import APIClient
from whitenoise.middleware import WhiteNoiseMiddleware

from inference import snapshot
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.scopes import Role
from tests.support import migrated
from tests.support.client import PATIENCE

pytest_plugins = ["tests.support.fixtures"]  # processes for the live, sdk, fault and e2e rings

KEPT_BY_FLUSH = frozenset({"django_content_type", "auth_permission"})


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is tested on begins as a copy. SQLite's is a file, as the product's: threads and two connections behave as
    they really do."""
    configuration = connections["default"].settings_dict
    if is_sqlite():
        path: Path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        migrated.copy_of_sqlite(path)
        configuration["TEST"]["NAME"] = str(path)
    else:
        configuration["TEST"]["TEMPLATE"] = migrated.postgres_template(os.environ["DATABASE_URL"])
        # a test is one transaction, and on a busy machine may think for longer than a worker ever does
        configuration["OPTIONS"]["options"] += " -c idle_in_transaction_session_timeout=0"
        configuration["OPTIONS"]["pool"]["timeout"] = PATIENCE  # 64 clients share its twenty connections


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """Whether Django takes the test's database as it finds it."""
    return django_db_keepdb or is_sqlite()


def is_sqlite() -> bool:
    return bool(connections["default"].settings_dict["ENGINE"] == "sovereign.core.sqlite")


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """After a test with transactions of its own, the few rows that it made are deleted: a hundredth of what TRUNCATE
    of all tables costs Postgres. What Django knows of the models stays, and need not be made anew."""

    def sql_flush(self: Any, style: Any, tables: Iterable[str], **_: Any) -> list[str]:
        return [f"DELETE FROM {self.quote_name(table)}" for table in tables if table not in KEPT_BY_FLUSH]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(connection.ops), "sql_flush", sql_flush)
        patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", lambda *_, **__: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def static_files_are_found_once() -> Iterator[None]:
    """Every test client makes its own middleware, and that of static files looks through all folders each time."""
    found: dict[str, Any] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def remembered(self: WhiteNoiseMiddleware) -> None:
        if not found:
            before = dict(self.files)
            look(self)
            found.update({url: file for url, file in self.files.items() if before.get(url) is not file})
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", remembered)
        yield


@pytest.fixture(scope="session", autouse=True)
def files_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where uploaded files go: not into the data directory of who runs the tests."""
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "SOVEREIGN", replace(django_settings.SOVEREIGN, files_url=folder.as_uri()))
        yield folder


@pytest.fixture(autouse=True)
def unremembered_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests write rows and ask at once: the registry is read for every question, and not once a second."""
    monkeypatch.setattr("inference.snapshot.VALID", 0.0)
    monkeypatch.setattr("runs.tools.interpreter.reports.VALID", 0.0)


@pytest.fixture
def remembered_registry(unremembered_registry: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it makes this a process that has just read the registry: for tests that count queries."""

    def remember() -> None:
        monkeypatch.setattr(snapshot, "VALID", 600.0)
        snapshot.read()

    return remember


@pytest.fixture(scope="session")
def empty_static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("static")


@pytest.fixture(autouse=True)
def static_root(settings: Any, empty_static_root: Path) -> None:
    """WhiteNoise warns of a missing directory, and warnings are errors; tests need no collected files."""
    settings.STATIC_ROOT = empty_static_root


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob(project: Project) -> User:
    """An analyst in Alice's project."""
    user = User.objects.create_user("bob")
    services.add_member(project=project, user=user, role=Role.ANALYST)
    user.refresh_from_db()
    return user


@pytest.fixture
def charlie(db: None) -> User:
    """The owner of another project."""
    user = User.objects.create_user("charlie")
    services.create_project(name="Charlie's", owner=user)
    user.refresh_from_db()
    return user


@pytest.fixture
def project(alice: User) -> Project:
    project = services.create_project(name="Alice's", owner=alice)
    alice.refresh_from_db()
    return project


@pytest.fixture
def charlies_project(charlie: User) -> Project:
    return Project.objects.get(memberships__user=charlie)


@pytest.fixture
def api_key(project: Project) -> str:
    """The secret of a key of Alice's project with the default scopes."""
    return services.create_api_key(project=project, name="test")[1]


@pytest.fixture
def charlies_key(charlies_project: Project) -> str:
    return services.create_api_key(project=charlies_project, name="test")[1]


@pytest.fixture
def client_of() -> Callable[[str], APIClient]:
    """``client_of(secret)``: an API client with that key, as an SDK would send it."""

    def make(secret: str) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}", HTTP_OPENAI_BETA="assistants=v2")
        return client

    return make


@pytest.fixture
def api(client_of: Callable[[str], APIClient], api_key: str) -> APIClient:
    """A client with Alice's key."""
    return client_of(api_key)


@pytest.fixture
def outsider(client_of: Callable[[str], APIClient], charlies_key: str) -> APIClient:
    """A client with Charlie's key."""
    return client_of(charlies_key)


@pytest.fixture
def browser_of() -> Callable[[User], Client]:
    """``browser_of(user)``: a client with that person's session; it checks CSRF as a browser's request would."""

    def make(user: User) -> Client:
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        return client

    return make
