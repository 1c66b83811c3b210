"""Bringing a version back: the draft is what it was, or nothing changes and what is gone is named."""

from __future__ import annotations

from typing import Any

import pytest

from assistants import services, snapshots
from assistants.catalog.models import Function
from assistants.catalog.services import create_function, delete_function, delete_server
from assistants.knowledge.services import stores
from assistants.models import Assistant, LifeStatus, PromptLink
from assistants.prompts import services as prompts
from assistants.resolution import resolve
from assistants.services import links, versions
from inference.models import RegisteredModel
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.assistants.conftest import Change, Publish
from tests.catalog.people import a_server, person
from tests.knowledge.filled import a_file, a_store

pytestmark = pytest.mark.django_db

CODE = {"type": "code_interpreter"}
SEARCH = {"type": "file_search", "file_search": {}}


def restored(analyst: Principal, assistant: Assistant, version: int | str) -> Assistant:
    return versions.restore(principal=analyst, assistant_id=assistant.id, version=str(version))


def refusal(analyst: Principal, assistant: Assistant, version: int | str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        restored(analyst, assistant, version)
    return refused.value


def instructions_of(assistant: Assistant) -> str:
    return resolve(assistant=assistant, environment=None, thread_id="thread_1", variables=None).instructions


def test_the_draft_is_what_the_version_was(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish
) -> None:
    change(tools=[CODE], temperature=0.25, reasoning_effort="low")
    first = publish()
    change(tools=[], temperature=1.5, reasoning_effort=None, instructions="Be long.", name="Renamed")
    publish()
    back = restored(analyst, assistant, 1)
    assert {name: getattr(back, name) for name in snapshots.COLUMNS} == {
        name: first.content[name] for name in snapshots.COLUMNS
    }
    assert back.based_on == first.id
    assert back.name == "Renamed"  # what nobody's answer depends on stays
    assert snapshots.take_for_version(back).digest() == first.digest
    told = AuditEvent.objects.get(action="assistant.restored")
    assert told.details == {"version": first.id, "number": 1}


def test_a_name_that_a_prompt_says_comes_back(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish
) -> None:
    prompt = prompts.create_prompt(principal=analyst, name="Who", template="You are {{ assistant_name }}.")
    links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=prompt.id)
    first = publish()
    change(name="Desk")
    publish()
    back = restored(analyst, assistant, 1)
    assert (back.name, instructions_of(back)) == ("Guide", "You are Guide.")
    assert snapshots.take_for_version(back).digest() == first.digest


def test_what_was_restored_is_published_as_a_child_of_that_version(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish
) -> None:
    first = publish()
    change(instructions="Be long.")
    second = publish()
    restored(analyst, assistant, first.id)
    third = publish()
    assert (third.number, third.parent_id, third.digest) == (3, first.id, first.digest)
    came = versions.lineage(principal=analyst, assistant_id=assistant.id, version="1")
    assert (came.ancestors, came.children) == ([], [second, third])
    of_third = versions.lineage(principal=analyst, assistant_id=assistant.id, version="3")
    assert (of_third.ancestors, of_third.children) == ([first], [])


def test_everything_that_is_gone_is_named_and_nothing_changes(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish, project: Project, alice: User
) -> None:
    file, store = a_file(project, "figures.csv"), a_store(analyst, project, ["Opening hours"])
    server = a_server(alice)
    entry = {"type": "mcp", "server_id": server.id, "tools": None}
    file_id, function = file.id, create_function(principal=analyst, name="book_table")
    resources: dict[str, Any] = {
        "code_interpreter": {"file_ids": [file.id]},
        "file_search": {"vector_store_ids": [store.id]},
    }
    change(tools=[CODE, SEARCH], tool_resources=resources, functions=[function.id], server_tools=[entry])
    publish()
    RegisteredModel.objects.create(name="other", created_at=file.created_at)
    change(model="other", tools=[], tool_resources={}, functions=[], server_tools=[], instructions="Now")
    delete_function(principal=analyst, function_id=function.id)
    stores.delete_store(principal=analyst, store_id=store.id)
    file.delete()
    delete_server(principal=person(alice), server_id=server.id)
    RegisteredModel.objects.get(name="tiny").delete()
    error = refusal(analyst, assistant, 1)
    assert (error.status, error.code) == (400, "version_not_restorable")
    assert [(gone["kind"], gone["id"]) for gone in error.details["missing"]] == [
        ("model", "tiny"),
        ("vector store", store.id),
        ("file", file_id),
        ("function", function.id),
        ("MCP server", server.id),
    ]
    assert f"the file 'figures.csv' ({file_id})" in error.message
    assistant.refresh_from_db()
    assert (assistant.instructions, assistant.model, assistant.tools) == ("Now", "other", [])


def test_an_expired_store_is_gone(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish, project: Project
) -> None:
    store = a_store(analyst, project, ["Opening hours"])
    change(tools=[SEARCH], tool_resources={"file_search": {"vector_store_ids": [store.id]}})
    publish()
    store.expires_after_days = 1
    store.last_active_at = store.last_active_at.replace(year=2001)
    store.save()
    assert [gone["kind"] for gone in refusal(analyst, assistant, 1).details["missing"]] == ["vector store"]


def test_an_archived_assistant_is_neither_restored_nor_published(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish
) -> None:
    publish()
    change(instructions="Be long.")
    Assistant.objects.update(status=LifeStatus.ARCHIVED)
    assert refusal(analyst, assistant, 1).code == "assistant_archived"
    with pytest.raises(ApiError) as refused:
        publish()
    assert refused.value.code == "assistant_archived"


def test_prompts_come_back_with_the_texts_that_they_had(
    analyst: Principal, assistant: Assistant, publish: Publish
) -> None:
    tone = prompts.create_prompt(principal=analyst, name="Tone", template="Be kind.")
    other = prompts.create_prompt(principal=analyst, name="Other", template="Say less.")
    link = links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=tone.id)
    first = publish()
    prompts.add_version(principal=analyst, prompt_id=tone.id, template="Be firm.")
    later = links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=other.id, kind="secondary")
    assert instructions_of(assistant) == "Be firm.\n\nSay less."
    second = publish()
    restored(analyst, assistant, 1)
    assert instructions_of(assistant) == "Be kind."
    kept = PromptLink.objects.get(pk=link.pk)
    assert (kept.version_id, kept.label) == (first.content["prompts"][0]["version_id"], "")
    assert not PromptLink.objects.get(pk=later.pk).is_enabled
    assert snapshots.take_for_version(assistant).digest() == first.digest
    restored(analyst, assistant, 2)
    assert instructions_of(assistant) == "Be firm.\n\nSay less."
    assert snapshots.take_for_version(assistant).digest() == second.digest


@pytest.mark.parametrize(("label", "is_moved"), [("production", False), ("production", True), ("", False), ("", True)])
def test_a_link_goes_on_following_what_still_means_the_text(
    label: str, is_moved: bool, analyst: Principal, assistant: Assistant, change: Change, publish: Publish
) -> None:
    tone = prompts.create_prompt(principal=analyst, name="Tone", template="Be kind.")
    prompts.move_label(principal=analyst, prompt_id=tone.id, name="production", version="1")
    link = links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=tone.id, label=label)
    first = publish()
    change(instructions="Be long.")
    if label:  # meanwhile the draft is fixed to it
        text = first.content["prompts"][0]["version_id"]
        PromptLink.objects.filter(pk=link.pk).update(label="", version_id=text)
    if is_moved:
        prompts.add_version(principal=analyst, prompt_id=tone.id, template="Be firm.")
        prompts.move_label(principal=analyst, prompt_id=tone.id, name="production", version="2")
    back = restored(analyst, assistant, 1)
    kept = PromptLink.objects.get(pk=link.pk)
    fixed = ("", first.content["prompts"][0]["version_id"])
    assert (kept.label, kept.version_id) == (fixed if is_moved else (label, None))
    assert instructions_of(back) == "Be kind."
    assert snapshots.take_for_version(back).digest() == first.digest


def test_a_link_that_was_taken_away_comes_back_with_its_chance(
    analyst: Principal, assistant: Assistant, publish: Publish
) -> None:
    tone = prompts.create_prompt(principal=analyst, name="Tone", template="Be kind.")
    link = links.link_prompt(
        principal=analyst, assistant_id=assistant.id, prompt_id=tone.id, priority=7, conditions={"language": ["de"]}
    )
    first = publish()
    links.unlink_prompt(principal=analyst, assistant_id=assistant.id, name=link.id)
    publish()
    restored(analyst, assistant, 1)
    back = PromptLink.objects.get()
    assert (back.pk, back.priority, back.conditions) == (link.pk, 7, {"language": ["de"]})
    assert snapshots.take_for_version(assistant).digest() == first.digest


def test_a_prompt_that_was_deleted_is_named(analyst: Principal, assistant: Assistant, publish: Publish) -> None:
    tone = prompts.create_prompt(principal=analyst, name="Tone", template="Be kind.")
    link = links.link_prompt(principal=analyst, assistant_id=assistant.id, prompt_id=tone.id)
    publish()
    links.unlink_prompt(principal=analyst, assistant_id=assistant.id, name=link.id)
    prompts.delete_prompt(principal=analyst, prompt_id=tone.id)
    assert refusal(analyst, assistant, 1).details["missing"] == [{"kind": "prompt", "id": tone.id, "name": "Tone"}]


def test_functions_of_the_library_are_as_they_are_now(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish
) -> None:
    function = create_function(principal=analyst, name="book_table")
    change(functions=[function.id])
    publish()
    Function.objects.update(description="Books a table.")
    change(functions=[])
    back = restored(analyst, assistant, 1)
    assert back.functions == [function.id]
    told = versions.compare(principal=analyst, assistant_id=assistant.id, version="draft")
    assert [change.field for change in told.changes] == ["library_tools.book_table"]


def test_a_name_of_a_file_changes_no_digest(
    analyst: Principal, assistant: Assistant, change: Change, publish: Publish, project: Project
) -> None:
    file, store = a_file(project, "figures.csv"), a_store(analyst, project, ["Opening hours"])
    resources: dict[str, Any] = {
        "code_interpreter": {"file_ids": [file.id]},
        "file_search": {"vector_store_ids": [store.id]},
    }
    change(tools=[CODE, SEARCH], tool_resources=resources)
    version = publish()
    names = [(held["name"], held["number"]) for held in version.content["knowledge"]]
    assert names == [(str(store), 1), ("figures.csv", 0)]
    file.filename = "renamed.csv"
    file.save()
    stores.update_store(principal=analyst, store_id=store.id, name="Renamed")
    assert versions.version_of_draft(principal=analyst, assistant=assistant) == version
    store.files.all().delete()
    assert versions.version_of_draft(principal=analyst, assistant=assistant).number == 2


def test_of_a_large_store_a_part_is_named_and_all_of_it_counts(
    monkeypatch: pytest.MonkeyPatch, analyst: Principal, assistant: Assistant, change: Change, publish: Publish,
    project: Project,
) -> None:  # fmt: skip
    monkeypatch.setattr(snapshots, "NAMED_FILES", 1)
    store = a_store(analyst, project, ["One", "Two", "Three"])
    change(tools=[SEARCH], tool_resources={"file_search": {"vector_store_ids": [store.id]}})
    held = publish().content["knowledge"][0]
    assert (len(held["files"]), held["number"]) == (1, 3)
    store.files.order_by("file_id").last().delete()
    publish()
    told = versions.compare(principal=analyst, assistant_id=assistant.id, version="2")
    assert told.changes[0].lines[-2:] == ["-and 2 more", "+and 1 more"]


def test_somebody_elses_version_is_not_restored(
    charlies: Principal, assistant: Assistant, publish: Publish, analyst: Principal
) -> None:
    publish()
    assert refusal(charlies, assistant, 1).status == 404
    mine = services.create_assistant(principal=analyst, model="tiny")
    assert refusal(analyst, mine, 1).status == 404  # a number counts within its assistant
