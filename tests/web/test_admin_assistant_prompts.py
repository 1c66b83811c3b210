"""An assistant's prompts in the admin: added, changed, taken away, suggested, and tried."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.admin.prompt_forms import LinkForm, initial_of
from assistants.models import Assistant, PromptLink
from assistants.services import links, update_assistant
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.assistants.linking import a_prompt
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

TEXTS = ("meant", "weight", "languages", "groups", "begins", "ends", "days", "timezone", "variables")
EMPTY = {**dict.fromkeys(TEXTS, ""), "kind": "primary", "priority": "0"}


@pytest.fixture
def client(alice: User, project: Project, model: str, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def link(principal: Principal, assistant: Assistant) -> PromptLink:
    """The prompt "Greeting", which speaks of a plan, as the assistant has it."""
    template = "{{ instructions }} Greet in {{ language }}."
    prompt = a_prompt(principal, "Greeting", template, "Greet twice.", labels=["production"])
    return links.link_prompt(principal=principal, assistant_id=assistant.pk, prompt_id=prompt.pk, version=1)


def page(assistant: Assistant, link: PromptLink | None = None) -> str:
    name = "prompts" if link is None else "prompt"
    return reverse(f"admin:assistants_assistant_{name}", args=[quote(one.pk) for one in (assistant, link) if one])


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return unescape(answer.content.decode())


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200, said(answer)
    found: dict[str, list[str]] = answer.context["form"].errors
    return found


def test_the_page_of_an_assistant_leads_there(client: Client, assistant: Assistant) -> None:
    own = client.get(reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)]))
    (address,) = {part for part in text_of(own).split('"') if "its-prompts" in part}
    assert client.get(address).url == page(assistant)
    text = text_of(client.get(page(assistant)))
    assert "It has none" in text
    assert "The project's library has none" in text


def test_a_prompt_is_added_with_conditions(client: Client, principal: Principal, assistant: Assistant) -> None:
    prompt = a_prompt(principal, "Greeting", labels=["production"])
    given = {
        **EMPTY,
        "prompt": prompt.pk,
        "meant": "production",
        "kind": "fallback",
        "priority": "-3",
        "weight": "40",
        "languages": "de, en-*",
        "groups": "analyst",
        "variables": 'plan = pro, team\nnote = ["a, b"]\nempty =',
        "begins": "08:00",
        "ends": "18:00",
        "days": "fri, mon",
        "timezone": "Europe/Berlin",
        "is_enabled": "on",
    }
    answer = client.post(page(assistant), given)
    assert (answer.status_code, answer.url) == (302, page(assistant))
    link = PromptLink.objects.get(assistant=assistant)
    assert (link.label, link.kind, link.priority, link.weight, link.is_enabled) == (
        "production", "fallback", -3, 40, True,
    )  # fmt: skip
    assert link.conditions == {
        "variables": {"plan": ["pro", "team"], "note": ["a, b"], "empty": [""]},
        "language": ["de", "en-*"],
        "user_group": ["analyst"],
        "time": {"from": "08:00", "to": "18:00", "days": ["mon", "fri"], "timezone": "Europe/Berlin"},
    }
    text = text_of(client.get(page(assistant)))
    assert "production: version 1" in text
    assert "language de or en-*, user group analyst, plan pro or team" in text
    assert "It cannot be published so: The weights of the fallback prompts with priority -3 are 40" in text


def test_what_a_form_shows_and_saves_is_the_same(
    client: Client, principal: Principal, assistant: Assistant, link: PromptLink
) -> None:
    asked = {
        "variables": {"a": ["x,y", "z"], "b": ["[1]"], "c": [" "], "d": ["plain", "two words"]},
        "language": ["de"],
    }
    links.update_link(
        principal=principal, assistant_id=assistant.pk, name=link.pk, conditions=asked, weight=100, priority=2
    )
    link.refresh_from_db()
    shown = LinkForm(prompts=None, initial=initial_of(link))
    data = {field.html_name: field.value() for field in shown if field.value() is not None}
    assert data["variables"] == 'a = ["x,y", "z"]\nb = ["[1]"]\nc = [" "]\nd = plain, two words'
    assert client.post(page(assistant, link), {name: value for name, value in data.items() if value}).status_code == 302
    before = {name: getattr(link, name) for name in ("version_id", "label", "kind", "priority", "weight", "conditions")}
    link.refresh_from_db()
    assert {name: getattr(link, name) for name in before} == before


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("meant", "9", "has no version 9"),
        ("meant", "nowhere", "has the label 'nowhere'"),
        ("weight", "101", "Invalid 'weight'"),
        ("priority", "1001", "Invalid 'priority'"),
        ("priority", "high", "Enter a whole number"),
        ("languages", "German!", "languages such as"),
        ("groups", "x" * 65, "names of groups"),
        ("variables", "plan", "write name = value"),
        ("variables", "plan = [1", "no list"),
        ("variables", "plan = [null]", "a text of at most"),
        ("begins", "8", "a time such as"),
        ("ends", "26:00", "a time such as"),
        ("days", "someday", "days: mon"),
        ("timezone", "Mars", "Invalid 'conditions.time"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_changes(
    field: str, value: str, words: str, client: Client, assistant: Assistant, link: PromptLink
) -> None:
    before = PromptLink.objects.values().get()
    answer = client.post(page(assistant, link), {**EMPTY, "begins": "07:00", field: value})
    at = {"timezone": "timezone", "ends": "begins"}.get(field, field)
    assert words in errors(answer)[at][0]
    assert PromptLink.objects.values().get() == before


def test_refusals_are_in_the_audit_log(client: Client, assistant: Assistant, link: PromptLink) -> None:
    client.post(page(assistant, link), {**EMPTY, "weight": "101"})
    client.post(page(assistant), {**EMPTY, "prompt": link.prompt_id, "meant": "nowhere"})
    assert list(
        AuditEvent.objects.filter(action__endswith="_refused").order_by("pk").values_list("action", "object_id")
    ) == [
        ("assistant.change_prompt_link_refused", assistant.pk),
        ("assistant.link_prompt_refused", assistant.pk),
    ]


def test_one_is_changed_and_taken_away(client: Client, assistant: Assistant, link: PromptLink) -> None:
    text = text_of(client.get(page(assistant, link)))
    assert "Version 1" in text
    answer = client.post(page(assistant, link), {**EMPTY, "kind": "secondary", "priority": "7"})
    assert answer.status_code == 302
    link.refresh_from_db()
    assert (link.kind, link.priority, link.version, link.is_enabled) == ("secondary", 7, None, False)
    answer = client.post(page(assistant, link), {"take": "1"})
    assert (answer.url, said(answer)[-1]) == (page(assistant), "The assistant has Greeting no more.")
    assert client.get(page(assistant, link)).status_code == 404


def test_who_changes_a_link_after_somebody_else_is_told_what_is_there_now(
    client: Client, assistant: Assistant, link: PromptLink
) -> None:
    seen = client.get(page(assistant, link)).context["form"].seen
    data = {**EMPTY, "meant": "1", "kind": "secondary", "priority": "7", "is_enabled": "on", "_seen": seen}
    PromptLink.objects.update(weight=30, priority=5)
    answer = client.post(page(assistant, link), data)
    assert set(answer.context["form"].errors) == {"weight", "priority"}
    text = text_of(answer)
    assert "has changed this since you opened it" in text
    assert "5. Yours stands here" in text
    link.refresh_from_db()
    assert (link.kind, link.priority, link.weight) == ("primary", 5, 30), "nothing is overwritten"
    shown = answer.context["form"]
    assert (shown["priority"].value(), shown["weight"].value()) == ("7", 30)
    again = {**data, "weight": "30", "_seen": shown.seen}
    assert client.post(page(assistant, link), again).status_code == 302
    link.refresh_from_db()
    assert (link.kind, link.priority, link.weight) == ("secondary", 7, 30)


def test_what_a_run_would_get_is_shown(client: Client, assistant: Assistant, link: PromptLink) -> None:
    PromptLink.objects.update(conditions={"language": ["de"], "user_group": ["beta"]})
    occasion = {"try": "1", "metadata": "language = de-AT", "group": "beta", "thread": "any"}
    text = text_of(client.get(page(assistant), occasion))
    assert "Greet in de-AT." in text
    assert "its conditions hold: language de, user group beta" in text
    assert "No prompt fits" in text_of(client.get(page(assistant), {"try": "1", "metadata": "language = fr"}))
    assert "write name = value" in text_of(client.get(page(assistant), {"try": "1", "metadata": "language"}))
    assert "No prompt fits" not in text_of(client.get(page(assistant)))


def test_prompts_are_suggested_with_reasons(client: Client, principal: Principal, assistant: Assistant) -> None:
    update_assistant(principal=principal, assistant_id=assistant.pk, instructions="Help with invoices.")
    prompt = a_prompt(principal, "Invoices", "Invoices are answered politely.")
    text = text_of(client.get(page(assistant)))
    assert "It is for assistants of the type general, as this one is." in text
    assert f"?prompt={prompt.pk}#add" in text
    text = text_of(client.get(page(assistant), {"prompt": prompt.pk}))
    assert f'<option value="{prompt.pk}" selected>Invoices' in text


def test_texts_of_others_are_escaped(client: Client, principal: Principal, assistant: Assistant) -> None:
    prompt = a_prompt(principal, EVIL[:128], EVIL.replace("{{ 7 }}", ""), description=EVIL)
    suggested = client.get(page(assistant))
    evil = {"variables": {"plan": EVIL}, "user_group": EVIL[:64]}
    link = links.link_prompt(
        principal=principal, assistant_id=assistant.pk, prompt_id=prompt.pk, kind="secondary", conditions=evil
    )
    tried = {"try": "1", "metadata": f"plan = {EVIL}", "group": EVIL[:64]}
    answers = [suggested, client.get(page(assistant)), client.get(page(assistant, link))]
    for answer in [*answers, client.get(page(assistant), tried)]:
        assert prompt.name in text_of(answer)
        assert not any(mark in answer.content.decode() for mark in EVIL_MARKS)


def test_who_may_not_change_only_looks(
    client: Client, principal: Principal, assistant: Assistant, link: PromptLink, visit: Callable[[User], Client],
    charlie: User, bob: User, project: Project,
) -> None:  # fmt: skip
    analyst, stranger = visit(bob), visit(charlie)
    assert analyst.get(page(assistant)).status_code == 200
    for address in (page(assistant), page(assistant, link)):
        assert stranger.get(address).status_code == 404
        assert stranger.post(address, EMPTY).status_code == 404
    Assistant.objects.update(status="archived")
    text = text_of(client.get(page(assistant)))
    assert "Add a prompt" not in text
    assert "Save</button>" not in text_of(client.get(page(assistant, link)))
    answer = client.post(page(assistant, link), {"take": "1"})
    assert "is archived" in said(answer)[-1]
    assert PromptLink.objects.exists()
    viewer = User.objects.create_user("vera", is_staff=True)
    services.add_member(project=project, user=viewer, role=Role.VIEWER)
    answer = visit(viewer).post(page(assistant, link), {"take": "1"})
    assert answer.status_code in (302, 403)
    assert PromptLink.objects.exists()
