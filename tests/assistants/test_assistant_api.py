"""Assistants over HTTP: shapes, defaults, partial updates, normal forms, and the models at the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.api.objects import AssistantObject
from assistants.models import Assistant
from inference.models import Engine, ModelAlias, Provider, RegisteredModel
from sovereign.accounts.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def tiny(db: None) -> RegisteredModel:
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.fixture
def post(api: APIClient, tiny: RegisteredModel) -> Callable[..., Any]:
    def send(body: dict[str, Any], identifier: str = "") -> Any:
        return api.post(f"/v1/assistants{identifier and '/' + identifier}", body, format="json")

    return send


def made(post: Callable[..., Any], **fields: Any) -> dict[str, Any]:
    answer = post({"model": "tiny", **fields})
    assert answer.status_code == 200, answer.content
    return answer.json()  # type: ignore[no-any-return]


def test_only_the_model_is_required(post: Callable[..., Any], api: APIClient) -> None:
    body = made(post)
    assistant = Assistant.objects.get()
    assert list(body) == list(AssistantObject().fields)
    assert body == {
        "id": assistant.id,
        "object": "assistant",
        "created_at": int(assistant.created_at.timestamp()),
        "name": None,
        "description": None,
        "model": "tiny",
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "reasoning_effort": None,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
    }
    assert api.get(f"/v1/assistants/{assistant.id}").json() == body
    assert api.get("/v1/assistants").json()["data"] == [body]


def test_nulls_are_the_defaults(post: Callable[..., Any]) -> None:
    nothing = dict.fromkeys(
        (
            "name",
            "description",
            "instructions",
            "reasoning_effort",
            "tools",
            "tool_resources",
            "metadata",
            "temperature",
            "top_p",
            "response_format",
        )
    )
    ours = {name: value for name, value in made(post, **nothing).items() if name not in ("id", "created_at")}
    assert ours == {name: value for name, value in made(post).items() if name not in ("id", "created_at")}


def test_everything_given_is_kept(post: Callable[..., Any], api: APIClient) -> None:
    fields = {
        "name": "Ada \N{PILE OF POO}",
        "description": "Counts",
        "instructions": "Count.\r\n\tWell.",
        "reasoning_effort": "low",
        "metadata": {"k": "v", "": ""},
        "temperature": 0.0,
        "top_p": 0.5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "strict": True, "schema": {"type": "object", "x": [1, 2.5, None]}},
        },
    }
    body = made(post, **fields)
    assert {name: body[name] for name in fields} == fields
    assert api.get(f"/v1/assistants/{body['id']}").json() == body


def test_an_update_changes_what_was_sent_and_nothing_else(post: Callable[..., Any]) -> None:
    before = made(post, name="a", instructions="b", metadata={"x": "1", "y": "2"}, temperature=0.5)
    after = post({"metadata": {"z": "3"}}, before["id"]).json()
    assert after == {**before, "metadata": {"z": "3"}}
    assert post({}, before["id"]).json() == after
    reset = post({"name": None, "temperature": None, "metadata": None}, before["id"]).json()
    assert reset == {**before, "name": None, "temperature": 1.0, "metadata": {}}
    assert post({"model": None}, before["id"]).json()["error"]["param"] == "model"


def test_deleting(post: Callable[..., Any], api: APIClient) -> None:
    identifier = made(post)["id"]
    assert api.delete(f"/v1/assistants/{identifier}").json() == {
        "id": identifier,
        "object": "assistant.deleted",
        "deleted": True,
    }
    for gone in (api.get(f"/v1/assistants/{identifier}"), api.delete(f"/v1/assistants/{identifier}")):
        assert (gone.status_code, gone.json()["error"]["message"]) == (
            404,
            f"No assistant found with id '{identifier}'.",
        )
    assert list(AuditEvent.objects.filter(action__startswith="assistant.").values_list("action", flat=True)[:2])


FUNCTION = {"name": "f", "description": None, "parameters": {"type": "object", "properties": {}}, "strict": False}
RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": FUNCTION}),
        (
            {"type": "function", "function": {"name": "f", "parameters": None, "strict": None, "description": None}},
            {"type": "function", "function": FUNCTION},
        ),
        (
            {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}},
            {"type": "function", "function": {**FUNCTION, "strict": True, "parameters": {"type": "object"}}},
        ),
        ({"type": "file_search"}, {"type": "file_search", "file_search": {"ranking_options": RANKING}}),
        ({"file_search": {}}, {"type": "file_search", "file_search": {"ranking_options": RANKING}}),
        (
            {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": {"ranker": "auto"}}},
            {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": RANKING}},
        ),
        ({"type": "code_interpreter"}, {"type": "code_interpreter"}),
    ],
)
def test_tools_come_back_in_their_normal_form(
    post: Callable[..., Any], given: dict[str, Any], normal: dict[str, Any]
) -> None:
    assert made(post, tools=[given])["tools"] == [normal]


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({}, "tools[0].type"),
        ({"type": None}, "tools[0].type"),
        ({"type": 5}, "tools[0].type"),
        ({"type": ["function"]}, "tools[0].type"),
        ({"type": "function"}, "tools[0].function"),
        ({"type": "function", "function": None}, "tools[0].function"),
        ({"type": "function", "function": {}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "a b"}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": ""}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "x" * 65}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "é"}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "mcp_approval_request"}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "f", "parameters": []}}, "tools[0].function.parameters"),
        ({"type": "function", "function": {"name": "f"}, "extra": 1}, "tools[0].extra"),
        ({"type": "code_interpreter", "file_ids": []}, "tools[0].file_ids"),
        ({"type": "file_search", "file_search": {"max_num_results": 51}}, "tools[0].file_search.max_num_results"),
        (
            {"type": "file_search", "file_search": {"ranking_options": {"ranker": "best"}}},
            "tools[0].file_search.ranking_options.ranker",
        ),
    ],
)
def test_a_tool_of_another_shape_is_refused(post: Callable[..., Any], tool: Any, param: str) -> None:
    answer = post({"model": "tiny", "tools": [tool]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("format_", "param"),
    [
        ("json", "response_format"),
        (5, "response_format"),
        ({}, "response_format.type"),
        ({"type": "xml"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {}}, "response_format.json_schema.name"),
        ({"type": "json_object", "x": 1}, "response_format.x"),
    ],
)
def test_a_response_format_of_another_shape_is_refused(post: Callable[..., Any], format_: Any, param: str) -> None:
    answer = post({"model": "tiny", "response_format": format_})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_tool_resources(post: Callable[..., Any]) -> None:
    with_tool = made(post, tools=[{"type": "code_interpreter"}])
    assert with_tool["tool_resources"] == {"code_interpreter": {"file_ids": []}}
    empty = {"file_search": {"vector_store_ids": []}}
    assert made(post, tools=[{"type": "file_search"}], tool_resources=empty)["tool_resources"] == empty


def test_resources_go_with_their_tool(post: Callable[..., Any]) -> None:
    tools = [{"type": "code_interpreter"}, {"type": "file_search"}]
    assistant = made(post, tools=tools)
    files, stores = {"code_interpreter": {"file_ids": []}}, {"file_search": {"vector_store_ids": []}}
    assert assistant["tool_resources"] == files | stores
    for kept, shown in ((tools[1:], stores), ([], {}), (tools[:1], files), (None, {})):
        assert post({"tools": kept}, assistant["id"]).json()["tool_resources"] == shown
    assert made(post, tool_resources=files)["tool_resources"] == {}


@pytest.mark.parametrize(
    ("resources", "status", "param"),
    [
        ({"code_interpreter": {"file_ids": ["file-x"]}}, 404, "id"),
        ({"code_interpreter": {"file_ids": ["file-x"] * 21}}, 400, "tool_resources.code_interpreter.file_ids"),
        ({"code_interpreter": {"file_ids": [5]}}, 400, "tool_resources.code_interpreter.file_ids[0]"),
        ({"file_search": {"vector_store_ids": ["vs_x"]}}, 404, None),
        ({"file_search": {"vector_store_ids": ["a", "b"]}}, 400, "tool_resources.file_search.vector_store_ids"),
        ({"file_search": {"vector_stores": [{"file_ids": ["file-x"]}]}}, 404, "id"),
        (
            {"file_search": {"vector_stores": [{"file_ids": 5}]}},
            400,
            "tool_resources.file_search.vector_stores[0].file_ids",
        ),
        ({"file_search": {"vector_stores": [5]}}, 400, "tool_resources.file_search.vector_stores[0]"),
        ({"file_search": {"vector_store_ids": ["a"], "vector_stores": [{}]}}, 400, "tool_resources"),
        ({"browser": {}}, 400, "tool_resources.browser"),
        (5, 400, "tool_resources"),
    ],
)
def test_resources_that_do_not_exist_are_refused(
    post: Callable[..., Any], resources: Any, status: int, param: str | None
) -> None:
    answer = post({"model": "tiny", "tool_resources": resources})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert not Assistant.objects.exists()


# ------------------------------------------------------------------------------------------------ models


@pytest.mark.parametrize("name", ["no-such-model", "tiny ", "TINY", "x" * 256])
def test_an_unknown_model_is_refused_at_the_door(post: Callable[..., Any], name: str) -> None:
    answer = post({"model": name})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (404, "model", "model_not_found")
    if len(name) <= 200:
        assert error["message"] == f"The model '{name}' does not exist"
    existing = made(post)
    assert post({"model": name}, existing["id"]).status_code == 404


def test_a_model_whose_engine_is_down_is_accepted(post: Callable[..., Any], tiny: RegisteredModel) -> None:
    Engine.objects.create(
        name="e",
        kind="openai_compatible",
        provider=Provider.objects.create(
            name="elsewhere", kind="openai_compatible", all_projects=True, created_at=timezone.now()
        ),
        state="down",
        since=timezone.now(),
        served=[{"id": "tiny"}],
        created_at=timezone.now(),
    )
    assert made(post)["model"] == "tiny"


def test_an_alias_is_echoed_as_it_was_asked_for(post: Callable[..., Any], tiny: RegisteredModel) -> None:
    ModelAlias.objects.create(alias="house", model=tiny, created_at=timezone.now())
    assert made(post, model="house")["model"] == "house"


def test_names_that_old_clients_send_mean_the_default(post: Callable[..., Any]) -> None:
    assert made(post, model="gpt-4o")["model"] == "gpt-4o"


def test_an_assistant_whose_model_has_gone_can_still_be_changed(
    post: Callable[..., Any], tiny: RegisteredModel
) -> None:
    existing = made(post)
    tiny.delete()
    assert post({"name": "renamed", "model": "tiny"}, existing["id"]).json()["name"] == "renamed"


def test_changes_are_audited(post: Callable[..., Any], api: APIClient) -> None:
    identifier = made(post)["id"]
    post({"name": "x"}, identifier)
    api.delete(f"/v1/assistants/{identifier}")
    actions = set(AuditEvent.objects.filter(action__startswith="assistant.").values_list("action", flat=True))
    assert actions == {"assistant.created", "assistant.updated", "assistant.deleted"}
