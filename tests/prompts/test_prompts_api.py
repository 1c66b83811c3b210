"""``/api/v1/prompts``: making, finding, changing and deleting prompts."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.prompts import services
from assistants.prompts.models import Prompt, PromptVersion
from assistants.prompts.services import prompts as limits
from assistants.prompts.services import uses
from assistants.prompts.services.uses import Use
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from tests.prompts.conftest import TEMPLATE, VARIABLES

pytestmark = pytest.mark.django_db

LIST = "/api/v1/prompts"


def make(client: APIClient, name: str, **fields: Any) -> dict[str, Any]:
    answer = client.post(LIST, {"name": name, "template": "x", **fields}, format="json")
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()
    return made


def found(client: APIClient, **query: str) -> list[str]:
    answer = client.get(LIST, query)
    assert answer.status_code == 200, answer.content
    return [prompt["name"] for prompt in answer.json()["data"]]


def test_a_prompt_is_made_with_its_first_version(analyst: APIClient, viewer: APIClient) -> None:
    made = make(
        analyst,
        " Support desk ",
        template=TEMPLATE,
        variables=VARIABLES,
        notes="Begun.",
        description="For customers",
        type="support",
        language="pt-BR",
        tags=[" first line ", "customers", "customers", ""],
    )
    assert list(made) == [
        "id", "object", "created_at", "updated_at", "name", "description", "type", "language", "tags",
        "newest_version", "labels",
    ]  # fmt: skip
    assert made["id"].startswith("prompt_")
    assert {key: made[key] for key in list(made)[4:]} == {
        "name": "Support desk", "description": "For customers", "type": "support", "language": "pt-BR",
        "tags": ["first line", "customers"], "newest_version": 1, "labels": {},
    }  # fmt: skip
    assert viewer.get(f"{LIST}/{made['id']}").json() == made
    version = viewer.get(f"{LIST}/{made['id']}/versions/1").json()
    assert version["id"].startswith("promptv_")
    assert (version["number"], version["parent"], version["notes"]) == (1, None, "Begun.")
    assert version["template"] == TEMPLATE
    assert [variable["required"] for variable in version["variables"]] == [True, False]
    event = AuditEvent.objects.get(action="prompt.created")
    assert (event.object_id, event.details) == (made["id"], {"name": "Support desk"})


def test_only_name_and_template_are_needed(analyst: APIClient) -> None:
    made = make(analyst, "Plain")
    assert (made["type"], made["language"], made["tags"], made["description"]) == ("general", None, [], "")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"name": None}, "name", "invalid_type"),
        ({"name": ""}, "name", "string_below_min_length"),
        ({"name": "   "}, "name", "invalid_value"),
        ({"name": "x" * 129}, "name", "string_above_max_length"),
        ({"template": ""}, "template", "invalid_template"),
        ({"template": " \n"}, "template", "invalid_template"),
        ({"template": "{{ a"}, "template", "invalid_template"),
        ({"template": "{{ nobody }} {{ nothing }}"}, "template", "unknown_variable"),
        ({"template": "x" * 256_001}, "template", "string_above_max_length"),
        ({"template": 5}, "template", "invalid_type"),
        ({"variables": {}}, "variables", "invalid_type"),
        ({"variables": [{"name": "a", "type": "code"}]}, "variables[0].type", "invalid_variable"),
        ({"notes": "x" * 2_001}, "notes", "string_above_max_length"),
        ({"description": "x" * 513}, "description", "string_above_max_length"),
        ({"type": "poem"}, "type", "invalid_value"),
        ({"language": "German language"}, "language", "invalid_value"),
        ({"tags": "a"}, "tags", "invalid_type"),
        ({"tags": ["a"] * 33}, "tags", "array_above_max_length"),
        ({"tags": ["a", "x" * 65]}, "tags[1]", "string_above_max_length"),
        ({"color": "red"}, "color", "unknown_parameter"),
    ],
)
def test_what_is_wrong_is_refused_at_its_field(
    analyst: APIClient, fields: dict[str, Any], param: str, code: str
) -> None:
    answer = analyst.post(LIST, {"name": "n", "template": "x", **fields}, format="json")
    assert (answer.status_code, answer.json()["error"]["param"], answer.json()["error"]["code"]) == (400, param, code)
    assert not Prompt.objects.exists()
    assert not PromptVersion.objects.exists()


def test_all_unknown_names_are_told_and_the_refusal_is_audited(analyst: APIClient) -> None:
    answer = analyst.post(LIST, {"name": "n", "template": "{{ nobody }} {{# nothing }}{{/ nothing }}"}, format="json")
    assert "'nobody', 'nothing'" in answer.json()["error"]["message"]
    event = AuditEvent.objects.get(action="prompt.create_refused")
    assert (event.object_type, event.object_id, event.details["code"]) == ("prompt", "", "unknown_variable")


def test_a_name_is_there_once_in_a_project(analyst: APIClient, stranger: APIClient) -> None:
    make(analyst, "Desk")
    other = make(analyst, "Other")
    make(stranger, "Desk")
    again = analyst.post(LIST, {"name": "Desk ", "template": "x"}, format="json")
    renamed = analyst.put(f"{LIST}/{other['id']}", {"name": "Desk"}, format="json")
    for refused in (again, renamed):
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "name_taken")
    assert sorted(Prompt.objects.values_list("name", flat=True)) == ["Desk", "Desk", "Other"]
    assert PromptVersion.objects.count() == 3


def test_a_project_has_room_for_so_many(analyst: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAXIMUM_PROMPTS", 1)
    make(analyst, "one")
    refused = analyst.post(LIST, {"name": "two", "template": "x"}, format="json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "too_many_prompts")


def test_only_what_is_sent_changes(analyst: APIClient) -> None:
    made = make(analyst, "Desk", description="d", language="de", tags=["a"], type="support")
    path = f"{LIST}/{made['id']}"
    changed = analyst.put(path, {"language": None, "tags": ["b"]}, format="json").json()
    assert changed == {**made, "language": None, "tags": ["b"], "updated_at": changed["updated_at"]}
    assert analyst.put(path, {}, format="json").json()["tags"] == ["b"]
    for wrong in ({"template": "y"}, {"name": "  "}, {"type": None}):
        assert analyst.put(path, wrong, format="json").status_code == 400
    assert analyst.get(path).json()["name"] == "Desk"
    assert AuditEvent.objects.filter(action="prompt.updated")[1].details["fields"] == ["language", "tags"]


def test_a_prompt_is_deleted_with_its_versions(analyst: APIClient, prompt: dict[str, Any]) -> None:
    path = f"{LIST}/{prompt['id']}"
    analyst.put(f"{path}/labels/production", {"version": 1}, format="json")
    answer = analyst.delete(path)
    assert answer.json() == {"id": prompt["id"], "object": "prompt.deleted", "deleted": True}
    assert analyst.get(path).status_code == 404
    assert not PromptVersion.objects.exists()
    assert AuditEvent.objects.filter(action="prompt.deleted", object_id=prompt["id"]).exists()


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> list[Use]:
    """An assistant that uses whatever prompt, by the label ``production``."""
    use = Use(assistant_id="asst_1", assistant_name="Guide", link_id="link_1", kind="primary", label="production")
    monkeypatch.setattr(uses, "finders", [lambda principal, prompt_id: [use, use]])
    return [use]


def test_what_is_used_is_not_deleted(
    analyst: APIClient, viewer: APIClient, prompt: dict[str, Any], guide: list[Use]
) -> None:
    path = f"{LIST}/{prompt['id']}"
    refused = analyst.delete(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "in_use")
    assert refused.json()["error"]["message"] == ("The prompt 'Desk' is used by Guide. Take it away from them first.")
    assert Prompt.objects.exists()
    assert AuditEvent.objects.get(action="prompt.delete_refused").object_id == prompt["id"]
    used = viewer.get(f"{path}/usage").json()
    assert (used["object"], used["prompt_id"], len(used["assistants"])) == ("prompt.usage", prompt["id"], 2)
    assert used["assistants"][0] == {
        "assistant_id": "asst_1", "assistant_name": "Guide", "link_id": "link_1", "kind": "primary",
        "label": "production", "version": None, "is_enabled": True,
    }  # fmt: skip


def test_the_list_is_filtered(analyst: APIClient) -> None:
    make(analyst, "Returns", type="support", language="de", tags=["Shop", 'first "line"'])
    make(analyst, "Poems", type="creative", language="de-AT", tags=["shopping", "größe"], description="Rhymes 100%")
    make(analyst, "Sums", type="support", tags=[])
    assert found(analyst) == ["Sums", "Poems", "Returns"]
    assert found(analyst, type="support") == ["Sums", "Returns"]
    assert found(analyst, tag="shop") == ["Returns"]
    assert found(analyst, tag='first "line"') == ["Returns"]
    assert found(analyst, tag="größe") == ["Poems"]
    assert found(analyst, tag="sho") == []
    assert found(analyst, language="de") == ["Poems", "Returns"]
    assert found(analyst, language="DE-at") == ["Poems"]
    assert found(analyst, language="d") == []
    assert found(analyst, q="RETURN") == ["Returns"]
    assert found(analyst, q="rhymes poem") == ["Poems"]
    assert found(analyst, q="100%") == ["Poems"]
    assert found(analyst, q="größe") == ["Poems"]
    assert found(analyst, q="rhymes return") == []
    assert found(analyst, q="s", type="support", order="asc") == ["Returns", "Sums"]
    for name, value in (("type", "poem"), ("q", "x" * 257), ("tag", "x" * 257), ("limit", "500")):
        assert analyst.get(LIST, {name: value}).json()["error"]["param"] == name


def test_the_list_has_pages_and_takes_few_queries(analyst: APIClient, django_assert_max_num_queries: Any) -> None:
    ids = [make(analyst, f"p{number}")["id"] for number in range(5)]
    with django_assert_max_num_queries(8):
        first = analyst.get(LIST, {"limit": 3}).json()
    assert [prompt["id"] for prompt in first["data"]] == ids[:1:-1]
    assert first["has_more"]
    rest = analyst.get(LIST, {"limit": 3, "after": first["last_id"]}).json()
    assert ([prompt["id"] for prompt in rest["data"]], rest["has_more"]) == ([ids[1], ids[0]], False)


def test_another_projects_prompts_do_not_exist(stranger: APIClient, prompt: dict[str, Any], analyst: APIClient) -> None:
    path = f"{LIST}/{prompt['id']}"
    assert found(stranger) == []
    asked = [
        stranger.get(path),
        stranger.put(path, {"name": "Mine"}, format="json"),
        stranger.delete(path),
        stranger.get(f"{path}/usage"),
        stranger.get(f"{path}/versions"),
        stranger.post(f"{path}/versions", {"template": "y"}, format="json"),
        stranger.get(f"{path}/versions/1"),
        stranger.get(f"{path}/diff"),
        stranger.get(f"{path}/labels"),
        stranger.put(f"{path}/labels/production", {"version": 1}, format="json"),
        stranger.delete(f"{path}/labels/production"),
        stranger.post(f"{path}/preview", {}, format="json"),
        analyst.get(f"{LIST}/prompt_unknown"),
    ]
    assert [answer.status_code for answer in asked] == [404] * len(asked)
    assert {answer.json()["error"]["message"] for answer in asked[:-1]} == {
        f"No prompt found with id '{prompt['id']}'."
    }
    assert Prompt.objects.get().name == "Desk"
    assert PromptVersion.objects.count() == 1


def test_a_viewer_reads_and_changes_nothing(viewer: APIClient, prompt: dict[str, Any]) -> None:
    path = f"{LIST}/{prompt['id']}"
    for readable in (LIST, path, f"{path}/usage", f"{path}/versions", f"{path}/versions/1", f"{path}/labels"):
        assert viewer.get(readable).status_code == 200, readable
    assert viewer.post(f"{path}/preview", {"values": {"company": "ACME"}}, format="json").status_code == 200
    refused = [
        viewer.post(LIST, {"name": "n", "template": "x"}, format="json"),
        viewer.put(path, {"name": "n"}, format="json"),
        viewer.delete(path),
        viewer.post(f"{path}/versions", {"template": "y"}, format="json"),
        viewer.put(f"{path}/labels/production", {"version": 1}, format="json"),
        viewer.delete(f"{path}/labels/production"),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")
    assert (Prompt.objects.get().name, PromptVersion.objects.count()) == ("Desk", 1)
    actions = set(AuditEvent.objects.filter(action__endswith="_refused").values_list("action", flat=True))
    assert actions == {
        "prompt.create_refused", "prompt.update_refused", "prompt.delete_refused", "prompt.add_version_refused",
        "prompt.move_label_refused", "prompt.remove_label_refused",
    }  # fmt: skip


def test_without_a_key_nothing_is_told(client_of: Any, prompt: dict[str, Any]) -> None:
    assert APIClient().get(LIST).status_code == 401
    assert client_of("sk-sov-wrong").get(f"{LIST}/{prompt['id']}").status_code == 401


def test_the_same_post_with_a_key_makes_one_prompt(analyst: APIClient) -> None:
    body = {"name": "Once", "template": "x"}
    answers = [analyst.post(LIST, body, format="json", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert Prompt.objects.count() == 1


def test_services_ask_for_the_scope_themselves(alices: Principal) -> None:
    powerless = Principal(project_id=alices.project_id, user_id=alices.user_id, scopes=frozenset())
    made = services.create_prompt(principal=alices, name="n", template="x")
    calls: list[tuple[Any, dict[str, Any]]] = [
        (services.create_prompt, {"name": "m", "template": "x"}),
        (services.update_prompt, {"prompt_id": made.pk, "name": "m"}),
        (services.delete_prompt, {"prompt_id": made.pk}),
        (services.add_version, {"prompt_id": made.pk, "template": "y"}),
        (services.move_label, {"prompt_id": made.pk, "name": "production", "version": "1"}),
        (services.remove_label, {"prompt_id": made.pk, "name": "production"}),
    ]
    for call, arguments in calls:
        with pytest.raises(Exception, match="prompts:write"):
            call(principal=powerless, **arguments)
