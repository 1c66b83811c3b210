"""Forms that several people have open at once: nothing is overwritten unknowingly, nothing that was typed is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
from django.db import connections
from django.db.models import Model
from django.test import Client

from assistants.catalog.services import create_function
from assistants.knowledge.services.stores import create_store
from assistants.models import Assistant
from assistants.services import add_knowledge, update_assistant
from runs.alerts.services import create_rule
from runs.evaluations.services import create_case, create_set
from sovereign.accounts.admin.base import page_of
from sovereign.accounts.admin.careful import _lines
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import set_project_limits
from sovereign.accounts.services.quotas import Limits
from sovereign.core.comparing import Effort
from tests.assistants.linking import a_prompt
from tests.catalog.people import a_server
from tests.inference.helpers import provider_engine
from tests.knowledge.filled import a_file
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db
Visit = Callable[[User], Client]


def typed(answer: Any, **changes: Any) -> dict[str, Any]:
    """What a browser sends of the page, with what was typed over it."""
    assert answer.status_code == 200, answer
    form = answer.context["adminform"].form
    data: dict[str, Any] = {"_seen": form.seen}
    for name, field in form.fields.items():
        bound, value = form[name], form[name].value()
        data[name] = "" if value is None else value
        if field.show_hidden_initial:
            sent = form.data.get(bound.html_initial_name) if form.is_bound else None
            data[bound.html_initial_name] = data[name] if sent is None else sent
    return {name: value for name, value in data.items() if value is not False} | changes


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 200, answer
    return {name: " ".join(found) for name, found in answer.context["adminform"].form.errors.items()}


@pytest.fixture
def client(alice: User, project: Project, model: str, visit: Visit) -> Client:
    return visit(alice)


def test_who_comes_second_sees_what_the_other_changed_and_keeps_what_they_typed(
    client: Client, assistant: Assistant, bob: User
) -> None:
    address = page_of(assistant)
    mine = typed(client.get(address), name="Renamed")
    update_assistant(principal=principal_of_person(bob.pk), assistant_id=assistant.pk, instructions="Bob was\nhere.")
    answer = client.post(address, mine)
    assert list(errors(answer)) == ["instructions"]
    assert "bob (" in errors(answer)["instructions"]
    page = unescape(answer.content.decode())
    assert "has changed this since you opened it" in page
    assert "Bob was\nhere.</textarea>" in page
    assistant.refresh_from_db()
    assert (assistant.name, assistant.instructions) == ("Guide", "Bob was\nhere.")

    again = typed(answer)
    assert (again["name"], again["instructions"]) == ("Renamed", "Bob was\nhere.")
    assert client.post(address, again).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.name, assistant.instructions) == ("Renamed", "Bob was\nhere.")


def test_what_both_changed_stands_side_by_side_and_may_be_saved_over(
    client: Client, assistant: Assistant, principal: Principal, bob: User
) -> None:
    update_assistant(principal=principal, assistant_id=assistant.pk, instructions="One.\nTwo.\nThree.")
    address = page_of(assistant)
    mine = typed(client.get(address), instructions="One.\r\nMine.\r\nThree.", temperature="0.5")
    bobs = principal_of_person(bob.pk)
    update_assistant(
        principal=bobs, assistant_id=assistant.pk, instructions=f"One.\n{EVIL}\nThree.", temperature=0.2, name=EVIL
    )
    answer = client.post(address, mine)
    assert set(errors(answer)) == {"name", "instructions", "temperature"}
    assert "changed this meanwhile: 0.2. Yours stands here" in errors(answer)["temperature"]
    differences = {one.name: one for one in answer.context["adminform"].form.differences}
    assert differences["name"].yours is None
    kinds = [(kind, text) for kind, _, text in differences["instructions"].lines]
    assert kinds == [("same", "One."), ("removed", EVIL), ("added", "Mine."), ("same", "Three.")]
    assert not any(mark in answer.content.decode() for mark in EVIL_MARKS)
    assert client.post(address, typed(answer)).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.instructions.splitlines()[1], assistant.temperature) == ("Mine.", 0.5)
    assert assistant.name == EVIL


def test_texts_that_differ_in_how_their_lines_end_alone_are_told_without_lines() -> None:
    long = "word " * 40
    assert _lines(f"{long}\nend", f"{long}\rend", Effort()) == []


def test_another_change_in_between_is_told_again(client: Client, assistant: Assistant, principal: Principal) -> None:
    address = page_of(assistant)
    mine = typed(client.get(address), name="Mine")
    update_assistant(principal=principal, assistant_id=assistant.pk, name="First")
    told = client.post(address, mine)
    update_assistant(principal=principal, assistant_id=assistant.pk, name="Second")
    assert "Second" in errors(client.post(address, typed(told)))["name"]


def test_what_nobody_else_changed_is_saved_without_a_word(
    client: Client, assistant: Assistant, principal: Principal
) -> None:
    address = page_of(assistant)
    wrong = client.post(address, typed(client.get(address), temperature="3"))
    assert list(errors(wrong)) == ["temperature"]
    mine = typed(wrong, temperature="0.5", name="Both")
    update_assistant(principal=principal, assistant_id=assistant.pk, name="Both")  # who wrote the same is in no way
    assert client.post(address, mine).status_code == 302
    for unreadable in ("", "[]", "{", json.dumps({"name": 1})):  # of some other program's
        assert client.post(address, {**mine, "_seen": unreadable}).status_code == 302


def test_files_that_come_meanwhile_are_in_nobodys_way(
    client: Client, assistant: Assistant, principal: Principal, project: Project
) -> None:
    mine = typed(client.get(page_of(assistant)), name="Renamed")
    tool = {"type": "file_search", "file_search": {"ranking_options": {"ranker": "auto", "score_threshold": 0.0}}}
    add_knowledge(principal=principal, assistant_id=assistant.pk, file_ids=[a_file(project).pk], search_tool=tool)
    assert client.post(page_of(assistant), mine).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.name, assistant.tools) == ("Renamed", [tool])


RULE = {
    "name": "One", "metric": "error_rate", "direction": "above", "threshold": 0.1, "window_minutes": 60,
    "minimum_runs": 1, "severity": "warning",
}  # fmt: skip
ROWS: dict[str, tuple[str, Callable[[Principal, User], Any]]] = {
    "function": ("name", lambda principal, _: create_function(principal=principal, name="one")),
    "server": ("label", lambda _, user: a_server(user)),
    "prompt": ("name", lambda principal, _: a_prompt(principal, "One")),
    "rule": ("name", lambda principal, _: create_rule(principal=principal, **RULE).rule),
    "set": ("name", lambda principal, _: create_set(principal=principal, name="One")),
    "case": ("name", lambda principal, _: _a_case(principal)),
    "store": ("name", lambda principal, _: create_store(principal=principal, name="One")),
}


def _a_case(principal: Principal) -> Any:
    owner = create_set(principal=principal, name="One")
    return create_case(principal=principal, set_id=owner.pk, name="One", input="Who?", reference="Me.")


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_that_remembers_when_it_was_changed_is_kept_so(
    kind: str, client: Client, principal: Principal, alice: User
) -> None:
    field, make = ROWS[kind]
    row: Model = make(principal, alice)
    address = page_of(row)
    mine = typed(client.get(address), **{field: "mine"})
    type(row)._default_manager.filter(pk=row.pk).update(**{field: "theirs"})
    answer = client.post(address, mine)
    assert "theirs. Yours stands here" in errors(answer)[field]
    row.refresh_from_db()
    assert getattr(row, field) == "theirs"
    assert client.post(address, typed(answer)).status_code == 302
    row.refresh_from_db()
    assert getattr(row, field) == "mine"


def test_providers_and_limits_are_kept_so_too(project: Project, alice: User, visit: Visit) -> None:
    root = visit(User.objects.create_superuser("root"))
    provider = provider_engine("http://127.0.0.1:9", name="ours", kind="ollama").provider
    assert provider is not None
    limit = set_project_limits(project=project, limits=Limits(requests_per_minute=10))
    for row, field, mine, theirs in ((provider, "idle_seconds", 30, 40), (limit, "requests_per_minute", 30, 40)):
        assert row is not None
        address = page_of(row)
        typed_by_me = typed(root.get(address), **{field: mine})
        type(row)._default_manager.filter(pk=row.pk).update(**{field: theirs})
        answer = root.post(address, typed_by_me)
        assert f"{theirs}. Yours stands here" in errors(answer)[field].replace(".0.", ".")
        row.refresh_from_db()
        assert getattr(row, field) == theirs
        assert root.post(address, typed(answer)).status_code == 302
        row.refresh_from_db()
        assert getattr(row, field) == mine


def test_a_name_that_is_taken_is_said_at_its_field_and_nothing_is_lost(
    client: Client, principal: Principal, project: Project
) -> None:
    create_function(principal=principal, name="taken")
    other = create_function(principal=principal, name="other", description="Before.")
    answer = client.post(page_of(other), typed(client.get(page_of(other)), name="taken", description="Typed."))
    assert errors(answer) == {"name": "There is a function 'taken' already."}
    assert typed(answer)["description"] == "Typed."
    other.refresh_from_db()
    assert (other.name, other.description) == ("other", "Before.")

    a_prompt(principal, "Taken")
    prompt = a_prompt(principal, "Other")
    answer = client.post(page_of(prompt), typed(client.get(page_of(prompt)), name="Taken", template="Typed."))
    assert list(errors(answer)) == ["name"]
    assert typed(answer)["template"] == "Typed."
    assert AuditEvent.objects.filter(action="prompt.update_refused").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_who_save_at_once_one_does(alice: User, assistant: Assistant, visit: Visit) -> None:
    address, clients = page_of(assistant), [visit(alice) for _ in range(4)]
    forms = [typed(client.get(address), name=f"From {number}") for number, client in enumerate(clients)]
    gate = threading.Barrier(len(clients))

    def save(number: int) -> int:
        try:
            gate.wait(60)
            return clients[number].post(address, forms[number]).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(clients)) as pool:
        assert sorted(pool.map(save, range(len(clients)))) == [200] * (len(clients) - 1) + [302]
    assert AuditEvent.objects.filter(action="assistant.updated").count() == 1
