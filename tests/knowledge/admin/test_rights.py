"""Files and vector stores in the admin: who may do what, and what others wrote stays text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.knowledge.services import stores
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.knowledge.admin.pages import page, put, told, upload
from tests.knowledge.filled import a_file, failed
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db
READING = ("files:read", "vector_stores:read", "assistants:read")


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("model", ["file", "vectorstore"])
def test_pages_open_for_those_who_get_into_the_admin(
    model: str, role: str, project: Project, visit: Callable[[User], Client]
) -> None:
    user = User.objects.create_user(f"member-{role}")
    services.add_member(project=project, user=user, role=role)
    statuses = {visit(user).get(page(model, view)).status_code for view in ("changelist", "add")}
    assert statuses == ({302} if role == Role.VIEWER else {200})


def test_nothing_of_another_project_is_seen(client: Client, theirs: VectorStore) -> None:
    file = File.objects.get(filename="charlies.txt")
    for address in (page("file", "changelist"), page("vectorstore", "changelist")):
        listed = client.get(address).content.decode()
        assert "charlies.txt" not in listed
        assert "secrets" not in listed
    for model, pk in (("file", file.pk), ("vectorstore", theirs.pk)):
        for view in ("change", "delete", "history"):
            answer = client.get(page(model, view, pk))
            assert answer.status_code in (302, 403, 404), view
            assert "harlie" not in answer.content.decode()
    assert client.get(page("vectorstore", "contents", theirs.pk)).status_code == 404
    assert client.get(page("vectorstore", "change", theirs.pk) + "?query=secrets").status_code == 302
    assert client.get(f"/admin/knowledge/file/{file.pk}/download/").status_code == 403


def test_nothing_of_another_project_is_changed(
    client: Client, theirs: VectorStore, store: VectorStore, project: Project
) -> None:
    file = File.objects.get(filename="charlies.txt")
    assert client.post(page("vectorstore", "contents", theirs.pk), {"files": [upload()]}).status_code == 404
    for view in ("retry", "remove"):
        assert client.post(page("vectorstore", view, theirs.pk, file.pk)).status_code == 404
    client.post(page("file", "delete", file.pk), {"post": "yes"})
    for model, pk in (("file", file.pk), ("vectorstore", theirs.pk)):
        client.post(page(model, "changelist"), {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    answer = client.post(page("vectorstore", "contents", store.pk), {"file_ids": [file.pk]})
    assert f"No such File object: {file.pk}" in told(answer)
    data = {"project": theirs.project_id, "purpose": "assistants", "files": [upload()]}
    assert "Choose a project" in told(client.post(page("file", "add"), data))
    assert list(StoreFile.objects.values_list("store", "file")) == [(theirs.pk, file.pk)]


def test_who_may_not_write_is_given_no_button(
    client: Client, store: VectorStore, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = failed(put(principal, store, a_file(store.project)))
    monkeypatch.setattr("sovereign.accounts.credentials.ROLE_SCOPES", {Role.ANALYST.value: frozenset(READING)})
    shown = client.get(page("vectorstore", "change", store.pk)).content.decode()
    assert "notes.txt" in shown
    for button in ("Remove", "Try again", 'type="file"', 'name="_save"'):
        assert button not in shown, button
    for view in ("retry", "remove"):
        assert client.post(page("vectorstore", view, store.pk, member.file_id)).status_code == 403
    assert client.post(page("vectorstore", "contents", store.pk), {"files": [upload()]}).status_code == 403
    assert client.get(page("file", "add")).status_code == 403


def test_names_and_reasons_stay_text(client: Client, principal: Principal, project: Project) -> None:
    store = stores.create_store(principal=principal, name=EVIL, description=EVIL)
    member = failed(put(principal, store, a_file(project, EVIL)))
    StoreFile.objects.update(error_message=EVIL, note=EVIL)
    addresses = [page(model, "changelist") for model in ("file", "vectorstore")]
    addresses += [page("file", view, member.file_id) for view in ("change", "delete")]
    addresses += [page("vectorstore", view, store.pk) for view in ("change", "delete")]
    for address in addresses:
        shown = client.get(address).content.decode()
        for mark in EVIL_MARKS:
            assert mark not in shown, address
    html = client.get(page("vectorstore", "contents", store.pk)).json()["html"]
    assert all(mark not in html for mark in EVIL_MARKS)


def test_pages_ask_as_often_for_many_as_for_few(
    client: Client,
    principal: Principal,
    project: Project,
    django_assert_max_num_queries: Any,
    remembered_registry: Callable[[], None],
) -> None:
    def fill(store: VectorStore, number: int) -> None:
        for _ in range(number):
            put(principal, store, a_file(project))

    filled = [stores.create_store(principal=principal, name=f"S{number}") for number in range(12)]
    for store in filled:
        fill(store, 2)
    fill(filled[0], 20)
    for address, most in (
        (page("file", "changelist"), 12),
        (page("vectorstore", "changelist"), 12),
        (page("vectorstore", "change", filled[0].pk), 14),
        (page("vectorstore", "contents", filled[0].pk), 8),
        (page("file", "change", File.objects.first().pk), 14),
    ):
        remembered_registry()
        with django_assert_max_num_queries(most):
            assert client.get(address).status_code == 200
