"""The library's pages: writing, previewing, comparing, labelling; refusals stand at their field and are audited."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.prompts import services
from assistants.prompts.models import Prompt, PromptLabel, PromptVersion
from assistants.prompts.services import uses
from assistants.prompts.services.uses import Use
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.accounts.services import add_member
from tests.prompts.conftest import TEMPLATE, VARIABLES

pytestmark = pytest.mark.django_db

EVIL = "<script>alert('xss')</script>\"><img src=x onerror=alert(1)></textarea>"
EVIL_MARKS = ("<script>alert", "<img src=x")


def page(view: str, *args: Any) -> str:
    return reverse(f"admin:prompts_prompt_{view}", args=[quote(arg) if isinstance(arg, str) else arg for arg in args])


def told(answer: Any) -> str:
    return " ".join(message.message for message in get_messages(answer.wsgi_request))


def visit(user: User) -> Client:
    client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
    client.force_login(user)
    return client


@pytest.fixture
def client(alice: User, project: Project) -> Client:
    return visit(alice)


@pytest.fixture
def desk(alices: Principal) -> Prompt:
    """A prompt with two versions; ``production`` points to the first."""
    made = services.create_prompt(
        principal=alices, name="Desk", template=TEMPLATE, variables=VARIABLES, tags=["a", "b"]
    )
    services.add_version(principal=alices, prompt_id=made.pk, template="Short: {{ company }}", notes="Shorter.")
    services.move_label(principal=alices, prompt_id=made.pk, name="production", version="1")
    return made


def filled_in(project: Project, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Desk", "project": project.pk, "type": "support", "language": "de", "description": "d",
        "tags": "first line, customers", "template": TEMPLATE.replace("\n", "\r\n"), "variables": json.dumps(VARIABLES),
        "notes": "", "expected_version": "", **changes,
    }  # fmt: skip


def as_shown(desk: Prompt, **changes: Any) -> dict[str, Any]:
    """The form of a prompt as a browser sends it when nothing was typed."""
    newest = services.newest_of(desk)
    return {
        "name": desk.name, "type": desk.type, "language": desk.language, "description": desk.description,
        "tags": ", ".join(desk.tags), "template": newest.template.replace("\n", "\r\n"),
        "variables": json.dumps(newest.variables), "notes": "", "expected_version": str(newest.number), **changes,
    }  # fmt: skip


def test_a_prompt_is_made_with_its_first_version(client: Client, project: Project) -> None:
    answer = client.post(page("add"), filled_in(project))
    made = Prompt.objects.get()
    assert (answer.status_code, answer.url) == (302, page("change", made.pk))
    assert (made.name, made.type, made.language, made.tags) == ("Desk", "support", "de", ["first line", "customers"])
    version = PromptVersion.objects.get()
    assert (version.number, version.template) == (1, TEMPLATE)
    assert [variable["name"] for variable in version.variables] == ["company", "topics"]
    assert "with its first version" in told(answer)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": " "}, "name", "required"),
        ({"language": "Deutsch!"}, "language", "such as en"),
        ({"tags": "x" * 65}, "tags", "64 characters"),
        ({"template": "{{ nobody }}"}, "template", "'nobody'"),
        ({"template": "a\n{{ company"}, "template", "Line 2"),
        ({"template": ""}, "template", "required"),
        ({"variables": "[{"}, "variables", "valid JSON"),
        ({"variables": "{}"}, "variables", "a list of at most"),
        ({"variables": '[{"name": "a b"}]'}, "variables", "variables[0].name"),
        ({"variables": ""}, "template", "'company'"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    client: Client, project: Project, changes: dict[str, str], field: str, words: str
) -> None:
    answer = client.post(page("add"), filled_in(project, **changes))
    assert answer.status_code == 200
    assert words in answer.context["adminform"].form.errors[field][0]
    assert not Prompt.objects.exists()


def test_a_changed_text_makes_a_version(client: Client, desk: Prompt) -> None:
    answer = client.post(page("change", desk.pk), as_shown(desk, template="Other: {{ company }}", notes="Kinder."))
    assert answer.status_code == 302
    newest = services.newest_of(desk)
    assert (newest.number, newest.template, newest.notes) == (3, "Other: {{ company }}", "Kinder.")
    assert "Version 3 is the newest now" in told(answer)
    assert PromptLabel.objects.get().version.number == 1, "labels stay"
    assert not AuditEvent.objects.filter(action="prompt.updated").exists(), "nothing else was changed"


def test_a_changed_variable_makes_a_version(client: Client, desk: Prompt) -> None:
    variables = [{**VARIABLES[0], "description": "Whose"}, VARIABLES[1]]
    client.post(page("change", desk.pk), as_shown(desk, variables=json.dumps(variables)))
    newest = services.newest_of(desk)
    assert (newest.number, newest.variables[0]["description"]) == (3, "Whose")


def test_who_changes_only_what_is_said_of_it_makes_none(client: Client, alices: Principal) -> None:
    windows = services.create_prompt(principal=alices, name="Windows", template="one\r\ntwo\r\n", tags=["x"])
    answer = client.post(page("change", windows.pk), as_shown(windows, description="Told.", tags="x, y"))
    assert answer.status_code == 302
    windows.refresh_from_db()
    assert (windows.description, windows.tags) == ("Told.", ["x", "y"])
    assert PromptVersion.objects.get().template == "one\r\ntwo\r\n"
    assert AuditEvent.objects.get(action="prompt.updated").details["fields"] == ["description", "tags"]


def test_who_saves_second_gets_the_text_back_and_may_save_again(
    client: Client, desk: Prompt, alices: Principal
) -> None:
    form = as_shown(desk, template="Mine: {{ company }}")
    services.add_version(principal=alices, prompt_id=desk.pk, template="Theirs: {{ company }}")
    answer = client.post(page("change", desk.pk), form)
    shown = answer.context["adminform"].form
    assert "Version 3 was added meanwhile" in shown.errors["template"][0]
    assert "Mine: {{ company }}" in answer.content.decode()
    assert PromptVersion.objects.count() == 3
    again = {**form, "expected_version": shown["expected_version"].value()}
    assert client.post(page("change", desk.pk), again).status_code == 302
    newest = services.newest_of(desk)
    assert (newest.number, newest.template) == (4, "Mine: {{ company }}")


def test_a_name_that_is_taken_is_told(client: Client, desk: Prompt, project: Project) -> None:
    answer = client.post(page("add"), filled_in(project))
    assert "already" in str(answer.context["adminform"].form.errors)
    assert Prompt.objects.count() == 1


# ------------------------------------------------------------------------------------------------ its page


def test_the_page_shows_versions_labels_and_a_comparison(client: Client, desk: Prompt) -> None:
    answer = client.get(page("change", desk.pk), {"from": "1", "to": "2"})
    text = answer.content.decode()
    assert "Shorter." in text
    assert "production" in text
    assert "<del>" in text
    assert "<ins>Short" in text
    assert "No assistant yet" in text
    assert "alice" in text
    assert "Short: {{ company }}" in text, "the newest version's text is in the form"


@pytest.mark.parametrize(
    ("query", "words"),
    [({"from": "1", "to": "1"}, "Both say the same"), ({"from": "1", "to": "9"}, "No version of the prompt")],
)
def test_what_cannot_be_compared_is_said(client: Client, desk: Prompt, query: dict[str, str], words: str) -> None:
    assert words in client.get(page("change", desk.pk), query).content.decode()


def test_a_label_is_moved_and_taken_away(client: Client, desk: Prompt) -> None:
    answer = client.post(page("label", desk.pk), {"name": "production", "version": "2"})
    assert (answer.status_code, answer.url) == (302, f"{page('change', desk.pk)}#history")
    assert PromptLabel.objects.get().version.number == 2
    client.post(page("label", desk.pk), {"name": "production", "remove": "1"})
    assert not PromptLabel.objects.exists()


@pytest.mark.parametrize(
    ("data", "words", "action"),
    [
        ({"name": "Big", "version": "1"}, "small letters", "prompt.move_label_refused"),
        ({"name": "beta", "version": "7"}, "No version", "prompt.move_label_refused"),
        ({"name": "beta", "remove": "1"}, "No label", "prompt.remove_label_refused"),
    ],
)
def test_a_label_that_cannot_be_moved_says_why(
    client: Client, desk: Prompt, data: dict[str, str], words: str, action: str
) -> None:
    assert words in told(client.post(page("label", desk.pk), data))
    assert PromptLabel.objects.get().version.number == 1
    assert AuditEvent.objects.get(action=action).object_id == desk.pk


def test_an_older_version_is_used_again(client: Client, desk: Prompt) -> None:
    client.post(page("again", desk.pk, 1))
    newest = services.newest_of(desk)
    assert (newest.number, newest.template, newest.notes) == (3, TEMPLATE, "As version 1.")
    assert "says the same already" in told(client.post(page("again", desk.pk, 1)))
    assert AuditEvent.objects.get(action="prompt.add_version_refused").details["code"] == "nothing_changed"


def test_who_uses_it_is_shown_and_it_is_not_deleted(
    client: Client, desk: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = Use(assistant_id="asst_1", assistant_name="Guide", link_id="link_1", kind="primary", label="production")
    hidden = Use(assistant_id=None, assistant_name="a private assistant", link_id=None, kind="fallback", version=2)
    monkeypatch.setattr(uses, "finders", [lambda principal, prompt_id: [use, hidden]])
    text = client.get(page("change", desk.pk)).content.decode()
    assert "as primary, label production" in text
    assert reverse("admin:assistants_assistant_change", args=["asst_5F1"]) in text
    assert "as fallback, version 2" in text
    answer = client.post(page("delete", desk.pk), {"post": "yes"})
    assert "is used by Guide, a private assistant" in told(answer)
    assert Prompt.objects.exists()
    event = AuditEvent.objects.get(action="prompt.delete_refused")
    assert (event.object_id, event.details["code"]) == (desk.pk, "in_use")


def test_what_nobody_uses_is_deleted(client: Client, desk: Prompt) -> None:
    assert "2 versions" in client.get(page("delete", desk.pk)).content.decode()
    assert client.post(page("delete", desk.pk), {"post": "yes"}).status_code == 302
    assert not PromptVersion.objects.exists()


# ------------------------------------------------------------------------------------------------ preview


def preview(client: Client, template: str, variables: Any = VARIABLES, **values: Any) -> dict[str, Any]:
    data = {"template": template, "variables": json.dumps(variables), "values": json.dumps(values)}
    told: dict[str, Any] = client.post(page("preview"), data).json()
    return told


def test_a_text_is_filled_in_while_it_is_typed(client: Client, project: Project) -> None:
    assert preview(client, TEMPLATE, company="<b>", topics="x, y", gone="?") == {
        "text": "Answer for <b>.\n- x\n- y\n", "unused": [],
    }  # fmt: skip
    kinds = [{"name": name, "type": name, "required": True} for name in ("string", "number", "boolean", "list")]
    kinds.append({"name": "choice", "type": "choice", "choices": ["p", "q"], "required": True})
    text = "{{ string }} {{ number }} {{ boolean }} {{ list }} {{ choice }}"
    assert preview(client, text, kinds)["text"] == "{string} 1 true {list} 1, {list} 2 p", "samples of what is required"
    assert not Prompt.objects.exists()


def test_what_is_wrong_is_said_while_it_is_typed(client: Client, project: Project) -> None:
    told = preview(client, "{{ b }} {{ a }} {{ company }} {{ date }}")
    assert (told["field"], told["unknown"]) == ("template", ["a", "b"])
    assert preview(client, "{{ company", company="x")["field"] == "template"
    assert preview(client, "x", [{"name": 1}])["field"] == "variables"
    assert preview(client, "x", topics={})["field"] == "values"
    for data in ({"variables": "[" * 100_000}, {"values": "[]"}, {"values": "{"}, {"template": "x" * 1_100_000}):
        assert set(client.post(page("preview"), data).json()) == {"field", "message"}


# ------------------------------------------------------------------------------------------------ people


def test_others_prompts_do_not_exist(charlie: User, desk: Prompt) -> None:
    outsider = visit(charlie)
    assert desk.pk not in outsider.get(page("changelist")).content.decode()
    assert outsider.get(page("change", desk.pk)).status_code == 302, "to the overview: there is no such prompt"
    for address, data in (
        (page("label", desk.pk), {"name": "production", "version": "2"}),
        (page("again", desk.pk, 1), {}),
    ):
        assert outsider.post(address, data).status_code == 404
    outsider.post(page("change", desk.pk), as_shown(desk, name="Mine"))
    outsider.post(page("delete", desk.pk), {"post": "yes"})
    desk.refresh_from_db()
    assert (desk.name, services.newest_of(desk).number, PromptLabel.objects.get().version.number) == ("Desk", 2, 1)


def test_an_analyst_writes_and_a_viewer_does_not_get_in(
    bob: User, desk: Prompt, project: Project, charlies_project: Project
) -> None:
    analyst = visit(bob)
    assert desk.pk in analyst.get(page("changelist")).content.decode()
    assert analyst.post(page("change", desk.pk), as_shown(desk, template="x")).status_code == 302
    assert services.newest_of(desk).created_by_user == bob.pk
    foreign = analyst.post(page("add"), filled_in(charlies_project, name="There"))
    assert not Prompt.objects.filter(project=charlies_project).exists(), foreign.status_code
    dora = User.objects.create_user("dora")
    add_member(project=project, user=dora, role=Role.VIEWER)
    viewer = visit(dora)
    for address in (page("changelist"), page("change", desk.pk), page("add")):
        assert viewer.get(address).status_code in (302, 403)
    assert viewer.post(page("preview"), {"template": "x"}).status_code in (302, 403)


def test_changes_are_posts(client: Client, desk: Prompt) -> None:
    for address in (page("preview"), page("label", desk.pk), page("again", desk.pk, 1)):
        assert client.get(address).status_code == 403


def test_what_members_wrote_stands_escaped(client: Client, alices: Principal) -> None:
    variables = [{"name": "a", "description": EVIL, "default": EVIL}]
    made = services.create_prompt(
        principal=alices, name=EVIL, template=EVIL, variables=variables, notes=EVIL, description=EVIL, tags=[EVIL[:60]]
    )
    services.add_version(principal=alices, prompt_id=made.pk, template=f"{EVIL} more", variables=[])
    for address in (page("changelist"), f"{page('change', made.pk)}?from=1&to=2", page("delete", made.pk)):
        text = client.get(address).content.decode()
        assert not any(mark in text for mark in EVIL_MARKS), address


def test_the_list_takes_few_queries_and_finds(
    client: Client, alices: Principal, desk: Prompt, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(10):
        made = services.create_prompt(principal=alices, name=f"p{number}", template="x", tags=["ten"])
        services.move_label(principal=alices, prompt_id=made.pk, name="staging", version="1")
    with django_assert_max_num_queries(14):
        text = client.get(page("changelist")).content.decode()
    assert "staging: 1" in text
    assert "production: 1" in text
    assert ">p7<" in client.get(page("changelist"), {"q": "ten"}).content.decode()
    assert ">Desk<" not in client.get(page("changelist"), {"q": "ten"}).content.decode()
