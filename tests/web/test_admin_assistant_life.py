"""The life of an assistant on its page: status, tags, what it may do, clones, and templates to start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant, Deployment
from assistants.services import create_assistant, versions
from assistants.templates import templates
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from tests.web.conftest import EVIL, EVIL_MARKS
from tests.web.test_admin_assistants import LIST, form, page

pytestmark = pytest.mark.django_db

TEMPLATES = reverse("admin:assistants_assistant_from_template")
Visit = Callable[[User], Client]


@pytest.fixture
def client(alice: User, project: Project, model: str, visit: Visit) -> Client:
    return visit(alice)


def clone_page(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_clone", args=[assistant.pk])


def words(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def errors_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, words(answer)
    return dict(answer.context["adminform"].form.errors)


def test_an_assistant_is_made_with_its_traits(client: Client, project: Project) -> None:
    data = form(
        project, type="support", status="active", visibility="private", tags=" b, a,b,\n c ,, ", personality="Dry.",
        context_memory_size="12", default_max_tokens="512", capabilities=["vision"],
    )  # fmt: skip
    assert client.post(page("add"), data).status_code == 302
    made = Assistant.objects.get()
    assert (made.type, made.status, made.visibility) == ("support", "active", "private")
    assert (made.tags, made.personality, made.capabilities) == (["b", "a", "c"], "Dry.", ["vision"])
    assert (made.context_memory_size, made.default_max_tokens) == (12, 512)


def test_the_page_shows_them_and_saves_what_was_touched(client: Client, project: Project, assistant: Assistant) -> None:
    Assistant.objects.update(tags=["x", "y"], capabilities=["tools"], personality="Dry.", context_memory_size=3)
    content = client.get(page("change", assistant.pk)).content.decode()
    assert 'value="x, y"' in content
    for name, shown in (("tools", " checked"), ("vision", "")):
        assert f'name="capabilities" value="{name}"{shown}>' in content
    data = form(
        project, description=assistant.description, instructions="", tags="x, y", personality="Dry.",
        context_memory_size="", **{"initial-capabilities": ["tools"], "capabilities": ["tools"]},
    )  # fmt: skip
    assert client.post(page("change", assistant.pk), data).status_code == 302
    assert AuditEvent.objects.get(action="assistant.updated").details["fields"] == ["context_memory_size"]
    data |= {"tags": "y", "capabilities": ["vision"]}
    assert client.post(page("change", assistant.pk), data).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.tags, assistant.capabilities, assistant.context_memory_size) == (["y"], ["vision"], None)
    assert AuditEvent.objects.filter(action="assistant.updated").latest("pk").details["fields"] == [
        "capabilities", "tags",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "words_"),
    [
        ("tags", ",".join(map(str, range(33))), "at most 32"),
        ("tags", "x" * 65, "1 to 64"),
        ("context_memory_size", "0", "below minimum"),
        ("default_max_tokens", "12", "below minimum"),
        ("capabilities", ["flight"], "flight"),
        ("personality", "x" * 4_001, "at most 4000"),
        ("status", "archived", "not one of the available choices"),
        ("type", "wise", "not one of the available choices"),
    ],
)
def test_a_refusal_stands_at_its_field(field: str, value: Any, words_: str, client: Client, project: Project) -> None:
    errors = errors_of(client.post(page("add"), form(project, **{field: value})))
    assert list(errors) == [field]
    assert words_ in str(errors[field])
    assert not Assistant.objects.exists()


def test_only_what_may_follow_is_offered(client: Client, project: Project, assistant: Assistant) -> None:
    def offered() -> list[str]:
        field = client.get(page("change", assistant.pk)).context["adminform"].form.fields["status"]
        return [value for value, _ in field.choices]

    assert offered() == ["draft", "active", "archived"]
    data = form(project, description=assistant.description, instructions="", status="active")
    assert client.post(page("change", assistant.pk), data).status_code == 302
    assert offered() == ["active", "inactive", "archived"]
    assert "status" in errors_of(client.post(page("change", assistant.pk), {**data, "status": "draft"}))
    recorded = AuditEvent.objects.get(action="assistant.status_changed")
    assert recorded.details == {"before": "draft", "after": "active"}


def test_an_archived_one_is_brought_back_before_it_is_changed(
    client: Client, project: Project, assistant: Assistant
) -> None:
    Assistant.objects.update(status="archived")
    data = form(project, name="B", description=assistant.description, instructions="", status="archived")
    assert "bring it back" in str(errors_of(client.post(page("change", assistant.pk), data))["status"])
    assert client.post(page("change", assistant.pk), {**data, "status": "inactive"}).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.name, assistant.status) == ("B", "inactive")


def test_an_analyst_does_not_end_what_serves_in_production(
    assistant: Assistant, principal: Principal, project: Project, bob: User, visit: Visit
) -> None:
    version = versions.publish(principal=principal, assistant_id=assistant.pk)
    Deployment.objects.create(
        project=project, assistant=assistant, version=version, environment="production", status="active"
    )
    client = visit(bob)
    data = form(project, description=assistant.description, instructions="", status="inactive")
    answer = client.post(page("change", assistant.pk), data)
    assert "insufficient permissions" in str(errors_of(answer)["__all__"])
    answer = client.post(page("delete", assistant.pk), {"post": "yes"})
    assert "insufficient permissions" in words(answer)
    assistant.refresh_from_db()
    assert assistant.status == "active"


def test_who_did_not_make_it_does_not_hide_it(
    assistant: Assistant, project: Project, alice: User, bob: User, visit: Visit
) -> None:
    data = form(project, description=assistant.description, instructions="", visibility="private", name="B")
    assert visit(bob).post(page("change", assistant.pk), data).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.visibility, assistant.name) == ("project", "B")
    assert visit(alice).post(page("change", assistant.pk), data).status_code == 302
    assistant.refresh_from_db()
    assert assistant.visibility == "private"


def test_the_list_is_filtered_by_status_and_type(client: Client, principal: Principal, assistant: Assistant) -> None:
    create_assistant(principal=principal, model="gpt-4o", name="Other", type="creative", status="inactive")
    for query in ("status__exact=draft", "type__exact=general"):
        content = client.get(f"{LIST}?{query}").content.decode()
        assert "Guide" in content, query
        assert "Other" not in content, query
    assert "Inactive" in client.get(LIST).content.decode()


# ------------------------------------------------------------------------------------------------ clones


def test_a_clone_is_made_on_a_page(client: Client, assistant: Assistant, principal: Principal) -> None:
    versions.publish(principal=principal, assistant_id=assistant.pk)
    Assistant.objects.update(instructions="Later.")
    assert clone_page(assistant) in client.get(page("change", assistant.pk)).content.decode()
    shown = client.get(clone_page(assistant)).content.decode()
    assert 'value="Guide (copy)"' in shown
    assert "Version 1" in shown
    assert Assistant.objects.count() == 1
    for version, instructions in (("1", None), ("", "Later.")):
        answer = client.post(clone_page(assistant), {"name": f"B{version}", "version": version})
        made = Assistant.objects.get(name=f"B{version}")
        assert answer["Location"] == page("change", quote(made.pk))
        assert (made.parent_id, made.instructions, made.status) == (assistant.pk, instructions, "draft")
    assert f'href="{page("change", quote(assistant.pk))}"' in client.get(page("change", made.pk)).content.decode()


def test_what_cannot_be_cloned_is_said_on_the_page(client: Client, assistant: Assistant) -> None:
    Assistant.objects.update(model="gone")
    answer = client.post(clone_page(assistant), {"name": "B", "version": ""})
    assert "does not exist" in answer.content.decode()
    answer = client.post(clone_page(assistant), {"name": "B", "version": "7"})
    assert "not one of the available choices" in answer.content.decode()
    assert Assistant.objects.count() == 1
    assert AuditEvent.objects.filter(action="assistant.clone_refused", object_id=assistant.pk).count() == 1


def test_another_tenant_and_a_viewer_clone_nothing(
    assistant: Assistant, project: Project, charlie: User, bob: User, visit: Visit
) -> None:
    viewer = User.objects.create_user("dora", is_staff=True)
    services.add_member(project=project, user=viewer, role="viewer")
    for user in (charlie, viewer):
        for ask in (visit(user).get, visit(user).post):
            assert ask(clone_page(assistant)).status_code in (302, 403, 404)
    assert Assistant.objects.count() == 1
    assert visit(bob).post(clone_page(assistant), {"name": "B"}).status_code == 302
    assert Assistant.objects.count() == 2


# ------------------------------------------------------------------------------------------------ templates


def test_every_template_can_be_started_from(client: Client, project: Project) -> None:
    assert TEMPLATES in client.get(LIST).content.decode()
    shown = client.get(TEMPLATES).content.decode()
    for template in templates().values():
        assert f'value="{template.id}"' in shown
        answer = client.post(TEMPLATES, {"project": project.pk, "template": template.id})
        made = Assistant.objects.get(name=template.name)
        assert answer["Location"] == page("change", quote(made.pk))
        assert (made.status, made.model, made.instructions) == ("draft", "fake", template.fields["instructions"])
        assert client.get(page("change", made.pk)).status_code == 200


def test_an_unknown_template_and_a_foreign_project_are_refused(
    client: Client, project: Project, charlies_project: Project
) -> None:
    assert "No template found" in client.post(TEMPLATES, {"project": project.pk, "template": "x"}).content.decode()
    answer = client.post(TEMPLATES, {"project": charlies_project.pk, "template": "tutor"})
    assert "not one of the available choices" in answer.content.decode()
    assert not Assistant.objects.exists()


def test_what_others_wrote_stands_escaped(client: Client, principal: Principal, model: str) -> None:
    made = create_assistant(principal=principal, model=model, name=EVIL, personality=EVIL, tags=["<script>alert"])
    for address in (page("change", made.pk), clone_page(made)):
        content = client.get(address).content.decode()
        assert "&lt;script&gt;" in content, address
        for mark in EVIL_MARKS:
            assert mark not in content, address
