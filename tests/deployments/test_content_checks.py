"""Each check of what a version refers to: what is there passes, what is gone or broken is told with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from assistants import deployments
from assistants.catalog import entries
from assistants.catalog.mcp import ToolListing
from assistants.catalog.models import Function, McpServer
from assistants.deployments.checks import Finding, Verdict
from assistants.deployments.content_checks import (
    ContentCheck,
    KnowledgeIngested,
    ModelReachable,
    PromptsSound,
    ToolsResolvable,
)
from assistants.knowledge.models import File, StoreFile, VectorStore
from assistants.models import Assistant, Deployment
from assistants.prompting import PlacedPrompt
from assistants.snapshots import Content
from inference import gateway
from inference.chat import Availability, Capabilities
from inference.models import RegisteredModel
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.deployments.support import deployed

pytestmark = pytest.mark.django_db

Finder = Callable[..., Finding]


@pytest.fixture
def find(project: Project, served: SimpleNamespace) -> Finder:
    """``find(check, **content)``: what a check says of such a version of Alice's."""

    def look(check: ContentCheck, **content: Any) -> Finding:
        return check.find(Content(**{"model": "tiny", **content}), project.id)

    return look


def is_failed(finding: Finding, *words: str) -> bool:
    return finding.verdict == Verdict.FAILED and bool(finding.fix) and all(word in finding.detail for word in words)


# --------------------------------------------------------------------------------------------- the model


def test_the_model(find: Finder, served: SimpleNamespace) -> None:
    check = ModelReachable()
    assert find(check).verdict == Verdict.PASSED
    assert is_failed(find(check, model="unheard-of"), "unheard-of", "does not exist")
    served.ready = False
    assert is_failed(find(check), "No engine serves it.")


def test_a_model_that_no_engine_serves(project: Project) -> None:
    """The gateway as it is: it knows the name, and nobody who answers to it."""
    RegisteredModel.objects.create(name="tiny", created_at=now())
    assert is_failed(ModelReachable().find(Content(model="tiny"), project.id), "tiny")


# --------------------------------------------------------------------------------------------- tools


def test_tools_of_this_server(find: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    check, reason = ToolsResolvable(), ""
    monkeypatch.setitem(entries.reasons, "code_interpreter", lambda: reason)
    content = {"tools": [{"type": "code_interpreter"}], "server_tools": [{"type": "calculator"}]}
    assert find(check).detail == "It has none."
    assert find(check, **content).detail == "2 of 2 can be used."
    reason = "There is no sandbox."
    assert is_failed(find(check, **content), "'code_interpreter': There is no sandbox.")


def test_functions_of_the_library(find: Finder, project: Project, charlies_project: Project) -> None:
    check = ToolsResolvable()
    mine, theirs = (Function.objects.create(project=each, name="look") for each in (project, charlies_project))
    assert find(check, functions=[mine.id], library_tools=[mine.as_tool()]).verdict == Verdict.PASSED
    assert is_failed(find(check, functions=[mine.id, theirs.id]), theirs.id, "no longer in the library")


def test_tools_of_mcp_servers(find: Finder, project: Project, charlies_project: Project) -> None:
    check = ToolsResolvable()
    listing = ToolListing(name="search", digest="as-allowed")
    server = McpServer.objects.create(project=project, label="wiki", url="https://wiki.example/mcp")
    theirs = McpServer.objects.create(project=charlies_project, label="wiki", url="https://wiki.example/mcp")

    def of(entry: dict[str, Any]) -> Finding:
        return find(check, server_tools=[{"type": "mcp", "tools": None, "server_id": server.id, **entry}])

    assert is_failed(of({}), "No tool of the MCP server 'wiki' is allowed.")
    server.listing, server.allowed = [asdict(listing)], {"search": listing.digest}
    server.save()
    assert of({}).verdict == Verdict.PASSED
    assert of({"tools": ["search"]}).verdict == Verdict.PASSED
    assert is_failed(of({"tools": ["search", "write"]}), "'wiki' does not offer 'write'")
    assert is_failed(of({"server_id": theirs.id}), "no longer registered")
    McpServer.objects.update(enabled=False)
    assert is_failed(of({}), "'wiki' is switched off")


def test_a_model_that_calls_no_tools(find: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Availability(ready=True, capabilities=Capabilities(tools=False))
    monkeypatch.setattr(gateway, "availability", lambda name, **_: answer)
    check, calculator = ToolsResolvable(), [{"type": "calculator"}]
    assert is_failed(find(check, server_tools=calculator), "'tiny' calls no tools")
    assert find(check, server_tools=calculator, capabilities=[]).verdict == Verdict.PASSED
    assert find(check, tools=[{"type": "file_search"}]).verdict == Verdict.PASSED
    assert is_failed(find(check, tools=[{"type": "file_search"}], retrieval="tool"), "calls no tools")


# --------------------------------------------------------------------------------------------- knowledge


@pytest.fixture
def store(project: Project) -> VectorStore:
    return VectorStore.objects.create(project=project, name="Handbook", last_active_at=now())


def put(store: VectorStore, name: str, status: str, message: str = "") -> StoreFile:
    file = File.objects.create(project_id=store.project_id, purpose="assistants", filename=name, bytes=1,
                               sha256="0" * 64, storage_key=name)  # fmt: skip
    return StoreFile.objects.create(store=store, file=file, status=status, error_message=message, created_at=now())


def searching(store_id: str) -> dict[str, Any]:
    return {"tool_resources": {"file_search": {"vector_store_ids": [store_id]}}}


def test_what_is_searched(find: Finder, store: VectorStore, charlies_project: Project) -> None:
    check = KnowledgeIngested()
    assert find(check).detail == "It searches no files."
    put(store, "done.txt", "completed")
    assert find(check, **searching(store.id)).detail == "1 files can be searched."
    waiting = put(store, "waiting.txt", "in_progress")
    finding = find(check, **searching(store.id))
    assert (finding.verdict, finding.detail) == (Verdict.PENDING, "'waiting.txt' is still being taken in.")
    waiting.delete()
    broken = [put(store, f"{number}.pdf", "failed", "It has a password") for number in range(5)]
    found = find(check, **searching(store.id))
    assert is_failed(found, "'0.pdf', '1.pdf', '2.pdf' and 2 more could not be read: It has a password.")
    for member in broken:
        member.delete()
    VectorStore.objects.update(expires_after_days=1, last_active_at=now() - timedelta(days=2))
    assert is_failed(find(check, **searching(store.id)), "'Handbook' has expired")
    VectorStore.objects.update(project=charlies_project)
    assert is_failed(find(check, **searching(store.id)), store.id, "does not exist any more")


def test_files_for_code(find: Finder, store: VectorStore) -> None:
    check, file_id = KnowledgeIngested(), put(store, "table.csv", "completed").file_id
    resources = {"tool_resources": {"code_interpreter": {"file_ids": [file_id]}}}
    assert find(check, **resources).verdict == Verdict.PASSED
    File.objects.all().delete()
    assert is_failed(find(check, **resources), file_id, "does not exist any more")


def test_a_deployment_waits_for_files_that_are_being_taken_in(
    assistant: Assistant, analyst: Principal, store: VectorStore
) -> None:
    member = put(store, "waiting.txt", "in_progress")
    Assistant.objects.update(tools=[{"type": "file_search"}], **searching(store.id))
    waiting = deployed(analyst, assistant, "One.")
    assert waiting.status == Deployment.Status.VALIDATING
    StoreFile.objects.filter(pk=member.pk).update(status="completed")
    settled = deployments.settle(waiting.id)
    assert settled is not None
    assert settled.status == Deployment.Status.ACTIVE


# --------------------------------------------------------------------------------------------- prompts

PLACED = PlacedPrompt(
    link_id="link_1", prompt_id="prompt_1", prompt_name="Tone", version_id="promptv_1", number=3, label="",
    kind="primary", priority=0, weight=None, conditions={}, template="Speak {{ language }}.",
)  # fmt: skip


def test_templates(find: Finder) -> None:
    check = PromptsSound()
    assert find(check).detail == "It has none."
    assert find(check, prompts=[PLACED]).detail == "1 of 1 can be filled in."
    unknown = replace(PLACED, template="Speak {{ dialect }}.")
    assert is_failed(find(check, prompts=[PLACED, unknown]), "'Tone', version 3", "dialect")
    assert is_failed(find(check, prompts=[replace(PLACED, template="{{#a}}")]), "'Tone', version 3")


@pytest.mark.parametrize(
    ("weights", "is_even"),
    [([None, None], True), ([60, 40], True), ([60, None], True), ([60, 30], False), ([60, 60, None], False)],
)
def test_weights(weights: list[int | None], is_even: bool, find: Finder) -> None:
    prompts = [replace(PLACED, weight=weight) for weight in weights]
    finding = find(PromptsSound(), prompts=prompts)
    assert (finding.verdict == Verdict.PASSED) is is_even
    elsewhere = [replace(prompt, kind="secondary") for prompt in prompts]
    assert find(PromptsSound(), prompts=elsewhere).verdict == Verdict.PASSED
