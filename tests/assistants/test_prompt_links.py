"""``/api/v1/assistants/{id}/prompts``: prompts of the library at an assistant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import RestrictedError

from assistants.api.lifecycle.prompt_objects import AssistantOfPromptObject, AssistantPromptObject
from assistants.models import Assistant, PromptLink
from assistants.prompts import services as library
from assistants.prompts.models import Prompt
from assistants.services import links
from sovereign.accounts.models import AuditEvent, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.assistants.calling import Caller, caller_of, person, tiny
from tests.assistants.linking import a_prompt

__all__ = ["person", "tiny"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(person: Callable[[str], Caller]) -> Caller:
    """An analyst."""
    return person("analyst")


@pytest.fixture
def assistant_id(caller: Caller) -> str:
    identifier: str = caller.made(name="Guide")["id"]
    return identifier


@pytest.fixture
def prompt(caller: Caller) -> Prompt:
    """Three versions, the first of which is in production."""
    return a_prompt(caller.principal, "Greeting", "One.", "Two.", "Three.", labels=["production"])


@pytest.fixture
def link(caller: Caller, assistant_id: str, prompt: Prompt) -> Callable[..., dict[str, Any]]:
    """``link(prompt, weight=…)``: the assistant has it, and how."""

    def make(which: Prompt = prompt, **fields: Any) -> dict[str, Any]:
        answer = caller.post(f"{assistant_id}/prompts", prompt_id=which.id, **fields)
        assert answer.status_code == 200, answer.content
        made: dict[str, Any] = answer.json()
        return made

    return make


def refusal(answer: Any, status: int = 400) -> tuple[str | None, str | None]:
    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    return error["param"], error["code"]


# ------------------------------------------------------------------------------------------- making


def test_only_the_prompt_is_required(link: Callable[..., Any], prompt: Prompt, assistant_id: str) -> None:
    body = link()
    newest = library.newest_of(prompt)
    assert list(body) == list(AssistantPromptObject().fields)
    assert body == {
        "id": body["id"],
        "object": "assistant.prompt",
        "created_at": body["created_at"],
        "assistant_id": assistant_id,
        "prompt_id": prompt.id,
        "prompt_name": "Greeting",
        "kind": "primary",
        "priority": 0,
        "weight": None,
        "conditions": {},
        "version": None,
        "label": None,
        "current": {"id": newest.id, "number": 3},
        "enabled": True,
    }
    assert body["id"].startswith("link_")


def test_everything_that_is_given_is_kept(link: Callable[..., Any], caller: Caller, assistant_id: str) -> None:
    given = {
        "label": "production",
        "kind": "fallback",
        "priority": -7,
        "weight": 40,
        "conditions": {"language": "de", "variables": {"plan": ["pro", 7]}},
        "enabled": False,
    }
    body = link(**given)
    kept = {**given, "conditions": {"language": ["de"], "variables": {"plan": ["pro", 7]}}}
    assert {name: body[name] for name in kept} == kept
    assert body["current"]["number"] == 1
    assert caller.get(f"{assistant_id}/prompts/{body['id']}") == body
    assert caller.get(f"{assistant_id}/prompts/{body['prompt_id']}") == body


def test_a_version_a_label_or_the_newest(
    link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    body = link(version=2)
    address = f"{assistant_id}/prompts/{body['id']}"
    assert (body["version"], body["label"], body["current"]["number"]) == (2, None, 2)
    changed = caller.put(address, {"label": "production"}).json()
    assert (changed["version"], changed["label"], changed["current"]["number"]) == (None, "production", 1)
    library.move_label(principal=caller.principal, prompt_id=prompt.id, name="production", version="2")
    assert caller.get(address)["current"]["number"] == 2
    changed = caller.put(address, {"version": 3}).json()
    assert (changed["version"], changed["label"], changed["current"]["number"]) == (3, None, 3)
    assert caller.put(address, {"priority": 1}).json()["version"] == 3
    changed = caller.put(address, {"version": None}).json()
    assert (changed["version"], changed["label"], changed["current"]["number"]) == (None, None, 3)
    library.add_version(principal=caller.principal, prompt_id=prompt.id, template="Four.")
    assert caller.get(address)["current"]["number"] == 4


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"version": 9}, ("version", "unknown_version")),
        ({"version": 0}, ("version", "integer_below_min_value")),
        ({"label": "nothing"}, ("label", "unknown_label")),
        ({"label": "production", "version": 1}, ("label", "invalid_value")),
        ({"kind": "tertiary"}, ("kind", "invalid_value")),
        ({"kind": None}, ("kind", "invalid_type")),
        ({"priority": 1_001}, ("priority", "integer_above_max_value")),
        ({"priority": "high"}, ("priority", "invalid_type")),
        ({"weight": 101}, ("weight", "integer_above_max_value")),
        ({"weight": 2.5}, ("weight", "invalid_type")),
        ({"conditions": []}, ("conditions", "invalid_type")),
        ({"conditions": {"mood": "good"}}, ("conditions", "unknown_parameter")),
        ({"conditions": {"time": {"from": "8"}}}, ("conditions.time.from", "invalid_value")),
        ({"enabled": "yes"}, ("enabled", "invalid_type")),
        ({"mood": "good"}, ("mood", "unknown_parameter")),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_changes(
    fields: dict[str, Any], expected: tuple[str, str], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    assert refusal(caller.post(f"{assistant_id}/prompts", prompt_id=prompt.id, **fields)) == expected
    assert not PromptLink.objects.exists()
    made = caller.post(f"{assistant_id}/prompts", prompt_id=prompt.id).json()
    assert refusal(caller.put(f"{assistant_id}/prompts/{made['id']}", fields)) == expected
    assert caller.get(f"{assistant_id}/prompts/{made['id']}") == made


def test_the_prompt_has_to_be_named_and_cannot_be_changed(
    link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    assert refusal(caller.post(f"{assistant_id}/prompts")) == ("prompt_id", "missing_required_parameter")
    made = link()
    answer = caller.put(f"{assistant_id}/prompts/{made['id']}", {"prompt_id": prompt.id})
    assert refusal(answer) == ("prompt_id", "unknown_parameter")


def test_an_assistant_has_so_many_prompts_and_no_more(
    monkeypatch: pytest.MonkeyPatch, link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    monkeypatch.setattr(links, "MAXIMUM_LINKS", 2)
    link(), link()
    answer = caller.post(f"{assistant_id}/prompts", prompt_id=prompt.id)
    assert refusal(answer) == ("prompt_id", "too_many_prompts")


def test_an_archived_assistant_stays_as_it_is(link: Callable[..., Any], caller: Caller, assistant_id: str) -> None:
    made = link()
    Assistant.objects.update(status="archived")
    address = f"{assistant_id}/prompts"
    assert refusal(caller.post(address, prompt_id=made["prompt_id"]))[1] == "assistant_archived"
    assert refusal(caller.put(f"{address}/{made['id']}", {"priority": 1}))[1] == "assistant_archived"
    assert refusal(caller.delete(f"{address}/{made['id']}"))[1] == "assistant_archived"
    assert caller.get(f"{address}/{made['id']}") == made


# ------------------------------------------------------------------------------------------- several


def test_lists_are_pages(link: Callable[..., Any], caller: Caller, assistant_id: str) -> None:
    made = [link(priority=number)["id"] for number in range(3)]
    address = f"{assistant_id}/prompts"
    page = caller.get(address, limit="2", order="asc")
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (made[:2], True)
    rest = caller.get(address, limit="2", order="asc", after=page["last_id"])
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (made[2:], False)
    assert [one["id"] for one in caller.get(address)["data"]] == made[::-1]
    other = caller.made()["id"]
    assert caller.get(f"{other}/prompts")["data"] == []


def test_a_list_asks_a_fixed_number_of_questions(
    link: Callable[..., Any], caller: Caller, assistant_id: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        link(priority=number, **({"version": 2} if number % 2 else {"label": "production"}))
    with django_assert_max_num_queries(3):  # the assistant, the links, the numbers of their versions
        assert len(caller.get(f"{assistant_id}/prompts")["data"]) == 6


def test_a_prompt_that_is_there_twice_is_named_by_its_link(
    link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    first, second = link(), link(kind="secondary")
    for answer in (
        caller.ask(f"{assistant_id}/prompts/{prompt.id}"),
        caller.put(f"{assistant_id}/prompts/{prompt.id}", {"priority": 1}),
        caller.delete(f"{assistant_id}/prompts/{prompt.id}"),
    ):
        assert refusal(answer, 409) == ("prompt_id", "ambiguous_prompt")
        assert f"{first['id']}, {second['id']}" in answer.json()["error"]["message"]
    assert caller.put(f"{assistant_id}/prompts/{second['id']}", {"priority": 1}).json()["priority"] == 1
    assert caller.delete(f"{assistant_id}/prompts/{first['id']}").status_code == 200
    assert caller.get(f"{assistant_id}/prompts/{prompt.id}")["id"] == second["id"]


def test_taking_one_away_leaves_the_library_as_it_is(
    link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    made = link()
    answer = caller.delete(f"{assistant_id}/prompts/{prompt.id}")
    assert answer.json() == {"id": made["id"], "object": "assistant.prompt.deleted", "deleted": True}
    assert refusal(caller.delete(f"{assistant_id}/prompts/{prompt.id}"), 404) == (None, None)
    assert Prompt.objects.filter(pk=prompt.pk).exists()


# ------------------------------------------------------------------------------------------- weights


def test_weights_beyond_100_are_refused_at_once(
    link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    first, second = link(weight=60), link(weight=40)
    answer = caller.post(f"{assistant_id}/prompts", prompt_id=prompt.id, weight=1)
    assert refusal(answer) == ("weight", "weights_do_not_add_up")
    assert "are 101 together" in answer.json()["error"]["message"]
    assert refusal(caller.put(f"{assistant_id}/prompts/{first['id']}", {"weight": 61}))[1] == "weights_do_not_add_up"
    assert PromptLink.objects.get(pk=first["id"]).weight == 60
    # other groups, switched off, and secondary ones, which share nothing
    link(weight=100, priority=1)
    link(weight=100, kind="fallback")
    link(weight=100, enabled=False)
    link(weight=80, kind="secondary"), link(weight=80, kind="secondary")
    assert caller.put(f"{assistant_id}/prompts/{second['id']}", {"weight": 30}).status_code == 200


@pytest.mark.parametrize(
    ("weights", "is_even"),
    [
        ([], True),
        ([None], True),
        ([None, None], True),
        ([100], True),
        ([30, 70], True),
        ([30, None], True),
        ([100, None], True),
        ([30, 60], False),
        ([99], False),
        ([0], False),
    ],
)
def test_weights_that_are_not_100_are_not_published(
    weights: list[int | None], is_even: bool, link: Callable[..., Any], assistant_id: str
) -> None:
    for weight in weights:
        link(weight=weight)
    link(weight=1, kind="secondary")
    link(weight=1, enabled=False)
    if is_even:
        links.refuse_uneven_weights(assistant_id)
    else:
        with pytest.raises(ApiError) as refused:
            links.refuse_uneven_weights(assistant_id)
        assert (refused.value.code, refused.value.param) == ("weights_do_not_add_up", "weight")
        assert f"are {sum(weight or 0 for weight in weights)} together" in refused.value.message


def test_a_label_that_is_gone_is_not_published(
    link: Callable[..., Any], caller: Caller, assistant_id: str, prompt: Prompt
) -> None:
    link(label="production")
    prompt.labels.all().delete()
    assert caller.get(f"{assistant_id}/prompts/{prompt.id}")["current"] is None
    with pytest.raises(ApiError) as refused:
        links.refuse_uneven_weights(assistant_id)
    assert refused.value.code == "unknown_label"


# ------------------------------------------------------------------------------------------- the prompt's side


def test_the_assistants_of_a_prompt(
    link: Callable[..., Any], caller: Caller, person: Callable[[str], Caller], prompt: Prompt
) -> None:
    first, second = link(), link(kind="secondary")
    hidden = caller.made(name="Hidden", visibility="private")["id"]
    assert caller.post(f"{hidden}/prompts", prompt_id=prompt.id).status_code == 200
    caller.made(name="Without")
    mine = caller.get(f"prompts/{prompt.id}/assistants")
    assert [one["name"] for one in mine["data"]] == ["Hidden", "Guide"]
    found = mine["data"][1]
    assert list(found) == list(AssistantOfPromptObject().fields)
    assert found["prompts"] == [first, second]
    theirs = person("analyst").get(f"prompts/{prompt.id}/assistants")
    assert [one["name"] for one in theirs["data"]] == ["Guide"]
    page = caller.get(f"prompts/{prompt.id}/assistants", limit="1")
    assert (len(page["data"]), page["has_more"]) == (1, True)
    assert caller.ask("prompts/prompt_none/assistants").status_code == 404


def test_a_prompt_that_an_assistant_has_stays(
    link: Callable[..., Any], caller: Caller, person: Callable[[str], Caller], assistant_id: str, prompt: Prompt
) -> None:
    link(label="production", enabled=False)
    with pytest.raises(ApiError) as refused:
        library.delete_prompt(principal=caller.principal, prompt_id=prompt.id)
    assert refused.value.code == "in_use"
    assert "Guide" in refused.value.message
    with pytest.raises(ApiError) as refused:
        library.remove_label(principal=caller.principal, prompt_id=prompt.id, name="production")
    assert "Guide" in refused.value.message
    with pytest.raises(RestrictedError):
        prompt.delete()
    Assistant.objects.update(visibility="private")
    with pytest.raises(ApiError) as refused:
        library.delete_prompt(principal=person("analyst").principal, prompt_id=prompt.id)
    assert "Guide" not in refused.value.message
    assert "a private assistant" in refused.value.message
    assert caller.delete(f"{assistant_id}/prompts/{prompt.id}").status_code == 200
    library.delete_prompt(principal=caller.principal, prompt_id=prompt.id)


def test_an_assistant_takes_its_links_with_it(link: Callable[..., Any], caller: Caller, assistant_id: str) -> None:
    link()
    assert caller.delete(assistant_id).status_code == 200
    assert not PromptLink.objects.exists()


# ------------------------------------------------------------------------------------------- rights


@pytest.mark.parametrize(
    ("role", "may_change"), [("viewer", False), ("analyst", True), ("admin", True), ("owner", True)]
)
def test_roles(
    role: str,
    may_change: bool,
    link: Callable[..., Any],
    person: Callable[[str], Caller],
    assistant_id: str,
    prompt: Prompt,
) -> None:
    made, who, address = link(), person(role), f"{assistant_id}/prompts"
    assert who.get(address)["data"] == [made]
    assert who.get(f"{address}/{made['id']}") == made
    assert who.get(f"{address}/suggestions")["object"] == "list"
    assert who.get(f"prompts/{prompt.id}/assistants")["data"][0]["id"] == assistant_id
    expected = 200 if may_change else 403
    assert who.put(f"{address}/{made['id']}", {"priority": 1}).status_code == expected
    assert who.post(address, prompt_id=prompt.id).status_code == expected
    assert who.delete(f"{address}/{made['id']}").status_code == expected


def test_another_project_sees_and_changes_nothing(
    link: Callable[..., Any], caller: Caller, charlie: User, assistant_id: str, prompt: Prompt
) -> None:
    made, stranger = link(), caller_of(charlie)
    theirs = stranger.made()["id"]
    for answer in (
        stranger.ask(f"{assistant_id}/prompts"),
        stranger.ask(f"{assistant_id}/prompts/{made['id']}"),
        stranger.ask(f"{theirs}/prompts/{made['id']}"),
        stranger.ask(f"{assistant_id}/prompts/suggestions"),
        stranger.ask(f"prompts/{prompt.id}/assistants"),
        stranger.post(f"{assistant_id}/prompts", prompt_id=prompt.id),
        stranger.put(f"{assistant_id}/prompts/{made['id']}", {"priority": 1}),
        stranger.put(f"{theirs}/prompts/{made['id']}", {"priority": 1}),
        stranger.delete(f"{assistant_id}/prompts/{made['id']}"),
        stranger.delete(f"{theirs}/prompts/{made['id']}"),
    ):
        assert refusal(answer, 404) == (None, None)
    assert refusal(stranger.post(f"{theirs}/prompts", prompt_id=prompt.id), 404) == ("prompt_id", None)
    assert caller.get(f"{assistant_id}/prompts/{made['id']}") == made


def test_others_private_assistants_are_not_there(
    link: Callable[..., Any], person: Callable[[str], Caller], assistant_id: str, prompt: Prompt
) -> None:
    made = link()
    Assistant.objects.update(visibility="private")
    other = person("analyst")
    assert other.ask(f"{assistant_id}/prompts").status_code == 404
    assert other.put(f"{assistant_id}/prompts/{made['id']}", {}).status_code == 404
    assert other.post(f"{assistant_id}/prompts", prompt_id=prompt.id).status_code == 404


def test_changes_and_refusals_are_audited(
    link: Callable[..., Any], caller: Caller, person: Callable[[str], Caller], assistant_id: str, prompt: Prompt
) -> None:
    made = link()
    caller.put(f"{assistant_id}/prompts/{made['id']}", {"priority": 1})
    caller.put(f"{assistant_id}/prompts/{made['id']}", {"version": 99})
    person("viewer").delete(f"{assistant_id}/prompts/{made['id']}")
    caller.delete(f"{assistant_id}/prompts/{made['id']}")
    caller.post(f"{assistant_id}/prompts", prompt_id="prompt_none")
    events = AuditEvent.objects.filter(object_id=assistant_id, action__contains="prompt").order_by("pk")
    assert [event.action for event in events.order_by("created_at", "pk")] == [
        "assistant.prompt_linked",
        "assistant.prompt_link_changed",
        "assistant.change_prompt_link_refused",
        "assistant.unlink_prompt_refused",
        "assistant.prompt_unlinked",
        "assistant.link_prompt_refused",
    ]
    changed = events.get(action="assistant.prompt_link_changed")
    assert changed.details == {"link": made["id"], "prompt": prompt.id, "kind": "primary", "fields": ["priority"]}
    assert changed.user_id == caller.principal.user_id


def test_services_ask_for_the_scope_themselves(
    link: Callable[..., Any], person: Callable[[str], Caller], assistant_id: str, prompt: Prompt
) -> None:
    link()
    viewer: Principal = person("viewer").principal
    for attempt in (
        lambda: links.link_prompt(principal=viewer, assistant_id=assistant_id, prompt_id=prompt.id),
        lambda: links.update_link(principal=viewer, assistant_id=assistant_id, name=prompt.id),
        lambda: links.unlink_prompt(principal=viewer, assistant_id=assistant_id, name=prompt.id),
    ):
        with pytest.raises(ApiError) as refused:
            attempt()
        assert refused.value.status == 403
