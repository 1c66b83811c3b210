"""Unknown parameters: refused, or (``SOVEREIGN_UNKNOWN_PARAMETERS=lenient``) ignored and told with their paths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from inference.models import RegisteredModel
from sovereign.core.api.leniency import HEADER, HEADER_LENGTH, ignore, ignoring

pytestmark = pytest.mark.django_db

MESSAGE = {"role": "user", "content": "Hello?"}
SCHEMA = {"type": "object", "properties": {"foo": {"type": "string", "bar": 1}}, "x-own": True}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}


@pytest.fixture(autouse=True)
def tiny(db: None) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.fixture
def lenient(settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, unknown_parameters="lenient")


#: route, body, the paths that are unknown in it
BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("threads", {"foo": 1}, "foo"),
    (
        "threads",
        {"messages": [MESSAGE, {**MESSAGE, "id": "x"}], "embedding_model": "e"},
        "embedding_model, messages[1].id",
    ),
    ("threads", {"messages": [{**MESSAGE, "foo": 1}], "metadata": {"bar": "x"}}, "messages[0].foo"),
    (
        "threads",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "foo": 1}]}]},
        "messages[0].content[0].foo",
    ),
    (
        "threads",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://a.example/x.png", "foo": 1}}],
                }
            ]
        },
        "messages[0].content[0].image_url.foo",
    ),
    (
        "threads",
        {"tool_resources": {"code_interpreter": {"file_ids": [], "foo": 1}}},
        "tool_resources.code_interpreter.foo",
    ),
    ("assistants", {"model": "tiny", "tools": [FUNCTION, {**FUNCTION, "foo": 1}]}, "tools[1].foo"),
    (
        "assistants",
        {"model": "tiny", "tools": [{"type": "function", "function": {"name": "f", "foo": {"bar": 1}}}]},
        "tools[0].function.foo",
    ),
    (
        "assistants",
        {"model": "tiny", "tools": [{"type": "file_search", "file_search": {"ranking_options": {"foo": 1}}}]},
        "tools[0].file_search.ranking_options.foo",
    ),
    ("assistants", {"model": "tiny", "response_format": {"type": "text", "foo": 1}}, "response_format.foo"),
    (
        "assistants",
        {
            "model": "tiny",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": SCHEMA, "foo": 1},
                "bar": 1,
            },
        },
        "response_format.bar, response_format.json_schema.foo",
    ),
    (
        "assistants",
        {"model": "tiny", "response_format": {"type": "text", "json_schema": {"name": "n"}}},
        "response_format.json_schema",
    ),
    ("ws_tickets", {"foo": 1}, "foo"),
]


@pytest.mark.parametrize(("route", "body", "paths"), BODIES)
def test_strict_refuses_the_first_unknown_parameter(
    api: APIClient, route: str, body: dict[str, Any], paths: str
) -> None:
    answer = api.post(f"/v1/{route}", body, format="json")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "unknown_parameter")
    assert error["param"] in paths.split(", ")
    assert HEADER not in answer


@pytest.mark.parametrize(("route", "body", "paths"), BODIES)
def test_lenient_ignores_them_and_tells_their_paths(
    api: APIClient, lenient: None, route: str, body: dict[str, Any], paths: str
) -> None:
    answer = api.post(f"/v1/{route}", body, format="json")
    assert answer.status_code == 200, answer.json()
    assert answer[HEADER] == paths


def test_what_is_ignored_is_not_kept(api: APIClient, lenient: None) -> None:
    schema = {"name": "n", "schema": SCHEMA, "strict": True}
    body = {
        "model": "tiny",
        "tools": [{"type": "function", "function": FUNCTION["function"], "foo": 1}],
        "response_format": {"type": "json_schema", "json_schema": {**schema, "foo": 1}, "bar": 1},
        "metadata": {"foo": "kept"},
        "foo": 1,
    }
    made = api.post("/v1/assistants", body, format="json").json()
    assert made["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert made["tools"][0]["function"]["parameters"] == SCHEMA
    assert made["metadata"] == {"foo": "kept"}
    assert set(made["tools"][0]) == {"type", "function"}
    assert "foo" not in made


def test_free_form_objects_are_nobodys_to_look_into(api: APIClient, lenient: None) -> None:
    body = {
        "model": "tiny",
        "tools": [FUNCTION],
        "metadata": {"anything": "goes"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    }
    answer = api.post("/v1/assistants", body, format="json")
    assert answer.status_code == 200
    assert HEADER not in answer


def test_a_refusal_tells_what_was_ignored_besides(api: APIClient, lenient: None) -> None:
    answer = api.post("/v1/assistants", {"model": 5, "foo": 1}, format="json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert answer[HEADER] == "foo"
    answer = api.post("/v1/assistants/asst_x", {"name": "x", "foo": 1}, format="json")
    assert (answer.status_code, answer[HEADER]) == (404, "foo")


def test_lenient_still_refuses_wrong_values(api: APIClient, lenient: None) -> None:
    for body, code in (
        ({"messages": [{"role": "system", "content": "x"}]}, "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "sound", "sound": {}}]}]}, "invalid_value"),
        ({"metadata": {"x": 5}}, "invalid_type"),
    ):
        answer = api.post("/v1/threads", body, format="json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_the_header_is_one_short_line_whatever_the_names_are(api: APIClient, lenient: None) -> None:
    names = ["a,b", "c\r\nSet-Cookie: x=1", "é", "", " ", "x" * 500, '"', "%41"]
    answer = api.post("/v1/threads", dict.fromkeys(names, 1), format="json")
    assert answer.status_code == 200
    assert answer[HEADER].split(", ") == [
        "a%2Cb",
        "c%0D%0ASet-Cookie:%20x=1",
        "%C3%A9",
        "",
        "%20",
        "x" * 64,
        "%22",
        "%2541",
    ]
    answer = api.post("/v1/threads", {f"name_{index}": 1 for index in range(100_000)}, format="json")
    assert len(answer[HEADER]) < HEADER_LENGTH + 10
    shown, _, rest = answer[HEADER].rpartition(", +")
    assert len(shown.split(", ")) + int(rest) == 100_000


def test_the_longest_names_still_show_the_first(api: APIClient, lenient: None) -> None:
    names = {"💡" * 70 + str(index): 1 for index in range(3)}
    answer = api.post("/v1/threads", names, format="json")
    assert answer[HEADER] == "%F0%9F%92%A1" * 64 + ", +2"


def test_a_stream_tells_it_too(api: APIClient, lenient: None) -> None:
    assistant = api.post("/v1/assistants", {"model": "tiny", "instructions": "x"}, format="json").json()["id"]
    body = {"assistant_id": assistant, "stream": True, "thread": {"messages": [{**MESSAGE, "foo": 1}]}}
    answer = api.post("/v1/threads/runs", body, format="json")
    assert (answer.status_code, answer[HEADER]) == (200, "thread.messages[0].foo")
    assert answer["Content-Type"].startswith("text/event-stream")


def test_a_request_that_is_sent_again_is_told_again(api: APIClient, lenient: None) -> None:
    answers = [api.post("/v1/threads", {"foo": 1}, format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]
    assert [answer[HEADER] for answer in answers] == ["foo", "foo"]
    assert answers[0].content == answers[1].content


def test_nothing_is_ignored_outside() -> None:
    data = {"foo": 1}
    assert not ignore(data, ["foo"])
    with ignoring() as ignored:
        assert ignored.header(data) == ""
        assert ignore(data, ["foo"])
        assert ignored.header({"x": [[], [data]]}) == "x[1][0].foo"
    assert not ignore(data, ["foo"])


class Name(str):
    """A name that counts how often it is compared."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Name.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_names_are_not_compared_with_one_another() -> None:
    data = {Name(number): number for number in range(2_000)}
    with ignoring() as ignored:
        for _ in range(2):
            ignore(data, [Name(number) for number in range(2_000)])
    assert ignored.pruned([data]) == [{}]
    assert ignored.header(data).startswith("0, 1, 2, ")
    assert Name.comparisons < 20_000
