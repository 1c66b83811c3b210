"""``/api/v1/assistants/{id}/versions``: shapes, roles, other tenants, and refusals that are audited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.api.lifecycle.version_objects import (
    AssistantVersionDifferenceObject,
    AssistantVersionLineageObject,
    AssistantVersionObject,
    WholeAssistantVersionObject,
)
from assistants.models import Assistant, AssistantVersion, Visibility
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.scopes import ASSISTANTS_READ, ROLE_SCOPES, Role
from tests.assistants.conftest import Change, Publish

pytestmark = pytest.mark.django_db

Send = Callable[..., Any]
ADDRESSES = [
    ("get", ""),
    ("post", ""),
    ("get", "/1"),
    ("get", "/1/diff"),
    ("get", "/1/lineage"),
    ("post", "/1/restore"),
]


def address(assistant: Assistant, rest: str = "") -> str:
    return f"/api/v1/assistants/{assistant.id}/versions{rest}"


@pytest.fixture
def client_with(project: Project, client_of: Callable[[str], APIClient]) -> Callable[..., APIClient]:
    """``client_with(Role.VIEWER)``: a key with that role's scopes."""

    def make(role: Role) -> APIClient:
        return client_of(accounts.create_api_key(project=project, name=role, scopes=ROLE_SCOPES[role])[1])

    return make


@pytest.fixture
def post(api: APIClient, assistant: Assistant) -> Send:
    def send(rest: str = "", body: dict[str, Any] | None = None) -> Any:
        return api.post(address(assistant, rest), body or {}, format="json")

    return send


def test_publishing_answers_the_version(post: Send, api: APIClient, assistant: Assistant) -> None:
    answer = post(body={"notes": "The first"})
    assert answer.status_code == 200, answer.content
    body, version = answer.json(), AssistantVersion.objects.get()
    assert list(body) == list(WholeAssistantVersionObject().fields)
    assert (body["id"], body["object"], body["number"], body["notes"]) == (
        version.id,
        "assistant.version",
        1,
        "The first",
    )
    assert body["published_by_key"] is not None
    assert body["content"]["instructions"] == "Be brief."
    for name in ("1", version.id):
        assert api.get(address(assistant, f"/{name}")).json() == body


def test_versions_are_listed_newest_first_and_without_contents(
    post: Send, change: Change, api: APIClient, assistant: Assistant
) -> None:
    for number in range(3):
        change(instructions=f"Text {number}")
        post()
    page = api.get(address(assistant), {"limit": 2}).json()
    assert [version["number"] for version in page["data"]] == [3, 2]
    assert list(page["data"][0]) == list(AssistantVersionObject().fields)
    assert page["has_more"] is True
    rest = api.get(address(assistant), {"after": page["last_id"]}).json()
    assert [version["number"] for version in rest["data"]] == [1]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"notes": 1}, "notes", "invalid_type"),
        ({"notes": "x" * 2001}, "notes", "string_above_max_length"),
        ({"expected_version": -1}, "expected_version", "integer_below_min_value"),
        ({"expected_version": "1"}, "expected_version", "invalid_type"),
        ({"as_written": "yes"}, "as_written", "invalid_type"),
        ({"content": {}}, "content", "unknown_parameter"),
    ],
)
def test_what_cannot_be_published_is_refused(post: Send, body: dict[str, Any], param: str, code: str) -> None:
    answer = post(body=body)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert not AssistantVersion.objects.exists()


@pytest.mark.parametrize("field", ["instructions", "personality"])
def test_variables_that_nothing_fills_in_are_published_by_who_means_them(
    post: Send, change: Change, field: str
) -> None:
    change(**{field: "Write templates such as {{ name }}, {{#list}}{{ . }}{{/list}} or {{ 7 }}."})
    error = post().json()["error"]
    assert (error["param"], error["code"]) == (field, "unknown_variable")
    assert "{{ list }}, {{ name }}." in error["message"]
    assert not AssistantVersion.objects.exists()
    answer = post(body={"as_written": True})
    assert answer.status_code == 200, answer.content
    assert "{{ name }}" in answer.json()["content"][field]


def test_of_two_who_publish_one_wins_and_the_other_is_told(post: Send, change: Change, assistant: Assistant) -> None:
    assert post(body={"expected_version": 0}).status_code == 200
    change(instructions="Theirs")
    refused = post(body={"expected_version": 0})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "version_conflict")
    told = AuditEvent.objects.get(action="assistant.publish_refused")
    assert (told.object_id, told.details["code"]) == (assistant.id, "version_conflict")
    assert post(body={"expected_version": 1}).status_code == 200
    assert post().json()["error"]["code"] == "nothing_to_publish"


def test_a_difference_is_that_to_the_parent_unless_another_is_named(
    post: Send, change: Change, api: APIClient, assistant: Assistant
) -> None:
    post()
    change(instructions="Be long.")
    post()
    change(temperature=0.5)

    def told(version: str, **query: str) -> tuple[Any, Any, list[str]]:
        body = api.get(address(assistant, f"/{version}/diff"), query).json()
        assert list(body) == list(AssistantVersionDifferenceObject().fields)
        return body["version"], body["against"], [change["field"] for change in body["changes"]]

    assert told("2") == ("2", "1", ["instructions"])
    assert told("1") == ("1", None, ["model", "instructions"])
    assert told("1", against="2") == ("1", "2", ["instructions"])
    assert told("draft") == ("draft", "2", ["temperature"])
    assert told("1", against="draft") == ("1", "draft", ["instructions", "temperature"])
    body = api.get(address(assistant, "/2/diff")).json()["changes"][0]
    assert body == {
        "field": "instructions",
        "title": "Instructions",
        "kind": "changed",
        "before": "Be brief.",
        "after": "Be long.",
        "lines": ["@@ -1,1 +1,1 @@", "-Be brief.", "+Be long."],
    }


def test_a_draft_that_was_never_published_differs_from_nothing(api: APIClient, assistant: Assistant) -> None:
    body = api.get(address(assistant, "/draft/diff")).json()
    assert (body["against"], [change["kind"] for change in body["changes"]]) == (None, ["added", "added"])


def test_restoring_answers_the_draft(post: Send, change: Change, api: APIClient, assistant: Assistant) -> None:
    first = post().json()
    change(instructions="Be long.")
    answer = post("/1/restore")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["instructions"], answer.json()["based_on"]) == ("Be brief.", first["id"])
    assert api.get(f"/v1/assistants/{assistant.id}").json()["instructions"] == "Be brief."


def test_what_cannot_be_restored_is_listed(post: Send, change: Change, publish: Publish) -> None:
    change(model="tiny")
    publish()
    AssistantVersion.objects.update(content={**AssistantVersion.objects.get().content, "model": "gone"})
    error = post("/1/restore").json()["error"]
    assert error["code"] == "version_not_restorable"
    assert error["missing"] == [{"kind": "model", "id": "gone", "name": "gone"}]
    assert AuditEvent.objects.get(action="assistant.restore_refused").details["code"] == "version_not_restorable"


def test_lineage_tells_ancestors_and_children(post: Send, change: Change, api: APIClient, assistant: Assistant) -> None:
    for text in ("A", "B", "C"):
        change(instructions=text)
        post()
    body = api.get(address(assistant, "/2/lineage")).json()
    assert list(body) == list(AssistantVersionLineageObject().fields)
    assert [version["number"] for version in body["ancestors"]] == [1]
    assert [version["number"] for version in body["children"]] == [3]


@pytest.mark.parametrize(("method", "rest"), ADDRESSES)
def test_another_tenant_finds_nothing(
    method: str, rest: str, publish: Publish, assistant: Assistant, outsider: APIClient
) -> None:
    publish()
    answer = getattr(outsider, method)(address(assistant, rest))
    assert answer.status_code == 404
    assert assistant.id in answer.json()["error"]["message"]
    assert AssistantVersion.objects.count() == 1


@pytest.mark.parametrize(("method", "rest"), ADDRESSES)
def test_what_others_keep_to_themselves_is_not_found_either(
    method: str, rest: str, publish: Publish, assistant: Assistant, client_with: Callable[..., APIClient]
) -> None:
    publish()
    Assistant.objects.update(visibility=Visibility.PRIVATE, instructions="Secret")
    expected = {"post": 404, "get": 404}[method]
    assert getattr(client_with(Role.ANALYST), method)(address(assistant, rest)).status_code == expected
    assert getattr(client_with(Role.ADMIN), method)(address(assistant, rest)).status_code == 200


@pytest.mark.parametrize(("method", "rest"), ADDRESSES)
def test_viewers_read_and_analysts_publish(
    method: str, rest: str, publish: Publish, change: Change, assistant: Assistant,
    client_with: Callable[..., APIClient],
) -> None:  # fmt: skip
    publish()
    change(instructions="Be long.")
    answer = getattr(client_with(Role.VIEWER), method)(address(assistant, rest))
    assert answer.status_code == (403 if method == "post" else 200)
    assert AssistantVersion.objects.count() == 1
    assert getattr(client_with(Role.ANALYST), method)(address(assistant, rest)).status_code == 200


@pytest.mark.parametrize(("method", "rest"), ADDRESSES)
def test_who_may_not_read_assistants_reads_no_versions(
    method: str, rest: str, publish: Publish, assistant: Assistant, project: Project,
    client_of: Callable[[str], APIClient],
) -> None:  # fmt: skip
    publish()
    scopes = ROLE_SCOPES[Role.VIEWER] - {ASSISTANTS_READ}
    blind = client_of(accounts.create_api_key(project=project, name="blind", scopes=scopes)[1])
    assert getattr(blind, method)(address(assistant, rest)).status_code == 403


@pytest.mark.parametrize("rest", ["/2", "/2/diff", "/1/diff?against=9", "/asstv_x/lineage", "/1%00/diff", "/draft"])
def test_an_unknown_version_is_not_found(rest: str, publish: Publish, assistant: Assistant, api: APIClient) -> None:
    publish()
    assert api.get(address(assistant, rest)).status_code == 404


def test_the_same_post_again_publishes_once(api: APIClient, assistant: Assistant) -> None:
    first, second = (
        api.post(address(assistant), {}, format="json", headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert first.json() == second.json()
    assert AssistantVersion.objects.count() == 1


def test_a_key_of_a_person_without_a_project_is_nobodys(assistant: Assistant, bob: User) -> None:
    assert APIClient().get(address(assistant)).status_code == 401
