"""Charlie, an outsider, walks every route of ``/v1`` with Alice's ids: to him they are ids that nobody has.

The walk is generated from the URL table. A route without an entry here fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.knowledge.models import File, StoreFile, Upload, VectorStore
from assistants.knowledge.services import files, members, stores, uploads
from assistants.models import Assistant
from inference.models import RegisteredModel, StoredCompletion
from inference.services import completions
from runs.models import Feedback, Run, RunEvent, RunStep
from runs.services import creation
from sovereign.accounts import credentials, services
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.ids import new_id
from tests.runs.life_routes import (
    LIFE_BY_ID,
    LIFE_LISTS,
    LIFE_PREFIXES,
    LIFE_WITHOUT_ID,
    MEANINGS,
    life_in,
    life_of,
)
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

MESSAGE = {"role": "user", "content": "Mine now"}
THREAD = "threads/<str:thread_id>"
RUN = f"{THREAD}/runs/<str:run_id>"
COMPLETION = "chat/completions/<str:completion_id>"
FILE = "files/<str:file_id>"
UPLOAD = "uploads/<str:upload_id>"
STORE = "vector_stores/<str:vector_store_id>"
BATCH = f"{STORE}/file_batches/<str:batch_id>"
ORIGIN = "api/v1/runs/<str:run_id>"
FEEDBACK = f"{ORIGIN}/feedback"
CHAT = {"model": "tiny", "messages": [MESSAGE]}
ANSWER = {"object": "chat.completion", "model": "tiny", "choices": []}
OUTPUTS = {"tool_outputs": [{"tool_call_id": "call_x", "output": "x"}]}

#: Every route and method that names objects, with a body that is right in itself.
BY_ID: dict[tuple[str, str], dict[str, Any] | None] = {
    ("GET", "assistants/<str:assistant_id>"): None,
    ("POST", "assistants/<str:assistant_id>"): {"name": "Mine now"},
    ("DELETE", "assistants/<str:assistant_id>"): None,
    ("GET", THREAD): None,
    ("POST", THREAD): {"metadata": {"mine": "now"}},
    ("DELETE", THREAD): None,
    ("GET", f"{THREAD}/messages"): None,
    ("POST", f"{THREAD}/messages"): MESSAGE,
    ("GET", f"{THREAD}/messages/<str:message_id>"): None,
    ("POST", f"{THREAD}/messages/<str:message_id>"): {"metadata": {"mine": "now"}},
    ("DELETE", f"{THREAD}/messages/<str:message_id>"): None,
    ("GET", f"{THREAD}/runs"): None,
    ("POST", f"{THREAD}/runs"): {"assistant_id": "<assistant_id>"},
    ("GET", RUN): None,
    ("POST", RUN): {"metadata": {"mine": "now"}},
    ("POST", f"{RUN}/cancel"): None,
    ("POST", f"{RUN}/submit_tool_outputs"): OUTPUTS,
    ("GET", f"{RUN}/steps"): None,
    ("GET", f"{RUN}/steps/<str:step_id>"): None,
    ("POST", "threads/runs"): {"assistant_id": "<assistant_id>"},
    ("GET", COMPLETION): None,
    ("POST", COMPLETION): {"metadata": {"mine": "now"}},
    ("DELETE", COMPLETION): None,
    ("GET", f"{COMPLETION}/messages"): None,
    ("GET", FILE): None,
    ("DELETE", FILE): None,
    ("GET", f"{FILE}/content"): None,
    ("POST", f"{UPLOAD}/parts"): None,
    ("POST", f"{UPLOAD}/complete"): {"part_ids": ["part_x"]},
    ("POST", f"{UPLOAD}/cancel"): None,
    ("POST", "vector_stores"): {"file_ids": ["<file_id>"]},
    ("GET", STORE): None,
    ("POST", STORE): {"name": "Mine now"},
    ("DELETE", STORE): None,
    ("POST", f"{STORE}/search"): {"query": "secret"},
    ("GET", f"{STORE}/files"): None,
    ("POST", f"{STORE}/files"): {"file_id": "<file_id>", "attributes": {"mine": "now"}},
    ("GET", f"{STORE}/{FILE}"): None,
    ("POST", f"{STORE}/{FILE}"): {"attributes": {"mine": "now"}},
    ("DELETE", f"{STORE}/{FILE}"): None,
    ("GET", f"{STORE}/{FILE}/content"): None,
    ("POST", f"{STORE}/file_batches"): {"files": [{"file_id": "<file_id>"}]},
    ("GET", BATCH): None,
    ("POST", f"{BATCH}/cancel"): None,
    ("GET", f"{BATCH}/files"): None,
    ("GET", ORIGIN): None,
    ("GET", FEEDBACK): None,
    ("POST", FEEDBACK): {"rating": "up"},
    ("DELETE", FEEDBACK): None,
    ("POST", f"{ORIGIN}/replay"): {"version": "draft"},
    **LIFE_BY_ID,
}
#: Routes that name no object of a project.
WITHOUT_ID = {
    ("GET", "assistants"),
    ("POST", "assistants"),
    ("POST", "threads"),
    ("POST", "ws_tickets"),
    ("GET", "models"),
    ("GET", "models/<path:model>"),
    ("DELETE", "models/<path:model>"),
    ("GET", "chat/completions"),
    ("POST", "chat/completions"),
    ("POST", "completions"),
    ("POST", "embeddings"),
    ("POST", "moderations"),
    ("GET", "files"),
    ("POST", "files"),
    ("POST", "uploads"),
    ("GET", "vector_stores"),
    ("POST", "api/v1/chat/completions"),
    ("POST", "api/v1/chat/completions/stream"),
    ("GET", "api/v1/models"),
    ("GET", "api/v1/models/<str:provider>"),
    ("POST", "mcp"),  # what its calls name: tests/mcp
    *LIFE_WITHOUT_ID,
}
PREFIXES = {
    "assistant_id": "asst_",
    "thread_id": "thread_",
    "message_id": "msg_",
    "run_id": "run_",
    "step_id": "step_",
    "completion_id": "chatcmpl-",
    "file_id": "file-",
    "upload_id": "upload_",
    "vector_store_id": "vs_",
    "batch_id": "vsfb_",
    **LIFE_PREFIXES,
}
ROOTS = ("v1/", "api/v1/", "mcp")


def routes(patterns: list[Any], before: str = "") -> Iterator[tuple[str, str, Any]]:
    """``(method, route, view class)`` of everything under ``/v1``, and of the other roots with those before it."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route.startswith(ROOTS):
            view = pattern.callback.view_class
            named = pattern.callback.view_initkwargs.get("http_method_names", view.http_method_names)
            for method in ("get", "post", "put", "patch", "delete"):
                if method in named and hasattr(view, method):
                    yield method.upper(), route.removeprefix("v1/"), view


ALL = [(method, route, view) for method, route, view in routes(get_resolver().url_patterns)]


def test_every_route_has_an_entry() -> None:
    found = {(method, route) for method, route, _ in ALL}
    assert found - set(BY_ID) - WITHOUT_ID == set()
    assert set(BY_ID) <= found


def belongings(secret: str) -> dict[str, str]:
    """One object of every kind in the key's project, the run waiting for an output."""
    principal = credentials.principal_of_key(secret)
    assistant = assistants.create_assistant(principal=principal, model="tiny", instructions="x")
    thread = threads.create_thread(principal=principal, messages=[{"role": "user", "content": "secret"}])
    run = creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run
    step = RunStep.objects.create(run=run, position=1, type="tool_calls", step_details={"type": "tool_calls"})
    message = Message.objects.get(thread=thread)
    completion = completions.store_completion(
        principal=principal, body=CHAT, answer=ANSWER | {"id": new_id("chatcmpl-")}
    )
    file = files.store_file(principal=principal, purpose="assistants", filename="a.txt", chunks=[b"secret"])
    upload = uploads.create_upload(
        principal=principal, purpose="assistants", filename="a.txt", bytes=1, mime_type="text/plain"
    )
    store = stores.create_store(principal=principal, name="secret")
    batch = members.create_batch(principal=principal, store_id=store.id, files=[members.NewFile(file.id)])
    return {
        "file_id": file.id,
        "vector_store_id": store.id,
        "batch_id": batch.id,
        "upload_id": upload.id,
        "completion_id": completion.id,
        "assistant_id": assistant.id,
        "thread_id": thread.id,
        "run_id": run.id,
        "step_id": step.id,
        "message_id": message.id,
        **life_of(principal, assistant),
    }


@pytest.fixture
def api_key(project: Project) -> str:
    """A key that may do everything: what it is refused is not its own."""
    return services.create_api_key(project=project, name="test", scopes=sorted(ALL_SCOPES))[1]


@pytest.fixture
def charlies_key(charlies_project: Project) -> str:
    return services.create_api_key(project=charlies_project, name="test", scopes=sorted(ALL_SCOPES))[1]


@pytest.fixture
def alices(api_key: str) -> dict[str, str]:
    RegisteredModel.objects.create(name="tiny", created_at="2026-01-01T00:00:00Z")
    return belongings(api_key)


def request_of(route: str, body: Any, ids: dict[str, str]) -> tuple[str, str]:
    """Address and body of a request about these objects."""
    path, filled = MEANINGS.get(route, route), "" if body is None else json.dumps(body)
    for name, identifier in ids.items():
        path = path.replace(f"<str:{name}>", identifier)
        filled = filled.replace(f'"<{name}>"', f'"{identifier}"')
    return (f"/{path}" if path.startswith(ROOTS[1:]) else f"/v1/{path}"), filled


def ask(client: APIClient, method: str, route: str, body: Any, ids: dict[str, str]) -> tuple[int, str]:
    """Status and body of the answer, with the ids that were sent named instead of shown."""
    path, filled = request_of(route, body, ids)
    answer = client.generic(method, path, filled, "application/json")
    text = answer.content.decode()
    for name, identifier in ids.items():
        text = text.replace(identifier, f"<{name}>")
    return answer.status_code, text


def snapshot(project: Project) -> list[Any]:
    def runs_of(model: Any) -> list[Any]:
        return list(model.objects.filter(run__project=project).order_by("pk").values())

    owned = (Assistant, Thread, StoredCompletion, File, Upload, VectorStore)
    tenants = [list(model.objects.filter(project=project).order_by("pk").values()) for model in owned]
    rest = [list(model.objects.filter(project=project).order_by("pk").values()) for model in (Message, Run)]
    held = list(StoreFile.objects.filter(store__project=project).order_by("pk").values())
    life = [list(rows.order_by("pk").values()) for rows in life_in(project)]
    return [*tenants, *rest, runs_of(RunStep), runs_of(RunEvent), runs_of(Feedback), held, *life]


def named(route: str, body: Any) -> list[str]:
    """The ids that a route and its body name."""
    route = MEANINGS.get(route, route)
    return [name for name in PREFIXES if f"<str:{name}>" in route or f'"<{name}>"' in json.dumps(body)]


@contextmanager
def undone() -> Iterator[None]:
    """The next route finds the objects as this one did."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_another_tenants_ids_are_unknown_ones(
    outsider: APIClient, charlies_key: str, project: Project, alices: dict[str, str], subtests: pytest.Subtests
) -> None:
    charlies = belongings(charlies_key)
    before = snapshot(project)
    for (method, route), body in sorted(BY_ID.items(), key=lambda entry: entry[0]):
        with subtests.test(f"{method} {route}"), undone():
            names = named(route, body)
            for foreign in [names, *([name] for name in names)]:
                stolen = {**charlies, **{name: alices[name] for name in foreign}}
                unknown = {**charlies, **{name: new_id(PREFIXES[name]) for name in foreign}}
                status, text = ask(outsider, method, route, body, stolen)
                assert status == 404, text
                assert '"invalid_request_error"' in text
                assert (status, text) == ask(outsider, method, route, body, unknown)
            assert snapshot(project) == before


LISTS = [
    "assistants",
    "chat/completions",
    "files",
    "vector_stores",
    f"{STORE}/files",
    f"{BATCH}/files",
    f"{COMPLETION}/messages",
    f"{THREAD}/messages",
    f"{THREAD}/runs",
    f"{RUN}/steps",
]
ASKED = [
    *((route, parameter) for route in LISTS for parameter in ("after", "before", "run_id")),
    *((route, parameter) for route, more in LIFE_LISTS.items() for parameter in ("after", *more)),
]


def test_lists_show_nothing_of_another_tenant(
    outsider: APIClient, charlies_key: str, alices: dict[str, str], subtests: pytest.Subtests
) -> None:
    charlies = belongings(charlies_key)
    foreign = [alices[name] for name in PREFIXES]
    for route, parameter in ASKED:
        with subtests.test(f"{route}?{parameter}"), undone():
            for identifier in foreign:
                status, text = ask(outsider, "GET", f"{route}?{parameter}={identifier}", None, charlies)
                assert status in (200, 400, 404), text
                shown = text if status == 200 else text.replace(identifier, "")  # an error repeats what was sent
                assert not any(own in shown for own in foreign)


def test_a_stream_of_another_tenants_run_is_a_404(outsider: APIClient, alices: dict[str, str]) -> None:
    answer = outsider.get(f"/v1/threads/{alices['thread_id']}/runs/{alices['run_id']}?stream=true")
    assert answer.status_code == 404


def test_every_route_refuses_a_key_without_its_scope(
    project: Project, client_of: Callable[[str], APIClient], alices: dict[str, str], subtests: pytest.Subtests
) -> None:
    before = snapshot(project)
    for method, route, view in ALL:
        with subtests.test(f"{method} {route}"), undone():
            scope = view.scopes[method]
            assert scope in ALL_SCOPES
            _, secret = services.create_api_key(project=project, name="narrow", scopes=sorted(ALL_SCOPES - {scope}))
            status, text = ask(client_of(secret), method, route, BY_ID.get((method, route)), alices)
            assert status == 403
            assert scope in text
            assert snapshot(project) == before


def test_every_route_refuses_who_says_nothing(alices: dict[str, str], subtests: pytest.Subtests) -> None:
    for method, route, _ in ALL:
        with subtests.test(f"{method} {route}"), undone():
            status, text = ask(APIClient(), method, route, BY_ID.get((method, route)), alices)
            assert status == 401
            assert "You didn't provide an API key" in text
