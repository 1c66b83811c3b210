"""A run's page tells what made its answer and what was said of it, and the list finds runs by both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant, Deployment
from assistants.prompts import services as prompts
from assistants.services import links, versions
from runs.models import Run
from runs.services import feedback
from runs.services.creation import create_thread_and_run
from runs.services.environments import acting_in
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_key, principal_of_person
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CONVERSATIONS_READ, RUNS_WRITE
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

RUNS = reverse("admin:runs_run_changelist")


def begin(principal: Principal, assistant: Assistant, chosen: str) -> Run:
    message = {"role": "user", "content": "How are you?"}
    return create_thread_and_run(
        principal=acting_in(principal, chosen), assistant_id=assistant.id, thread={"messages": [message]}
    ).run


def page_of(run: Run) -> str:
    return reverse("admin:runs_run_change", args=[run.pk])


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def prompt(principal: Principal, assistant: Assistant) -> Any:
    """A prompt of the library, in place of the assistant's instructions."""
    made = prompts.create_prompt(principal=principal, name="Tone of the house", template="Be kind.")
    links.link_prompt(principal=principal, assistant_id=assistant.id, prompt_id=made.id)
    return made


@pytest.fixture
def deployment(principal: Principal, assistant: Assistant, prompt: Any) -> Deployment:
    version = versions.publish(principal=principal, assistant_id=assistant.id)
    return Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=version, environment="production", status="active"
    )


@pytest.fixture
def answered(principal: Principal, assistant: Assistant, deployment: Deployment) -> Run:
    """A run that was answered by what is deployed."""
    run = begin(principal, assistant, "production")
    Run.objects.filter(pk=run.pk).update(status="completed")
    return run


def listed(client: Client, query: str) -> set[str]:
    """The ids of the runs that the list finds."""
    return set(client.get(f"{RUNS}?{query}").context["cl"].queryset.values_list("pk", flat=True))


def test_the_page_tells_version_deployment_and_environment(
    client: Client, answered: Run, deployment: Deployment, assistant: Assistant
) -> None:
    content = client.get(page_of(answered)).content.decode()
    address = reverse("admin:assistants_assistant_version", args=[assistant.id.replace("_", "_5F"), 1])
    assert f'href="{address}">version 1</a>' in content
    assert f"{deployment.id} (In service)" in content
    assert "Production" in content


def test_the_page_tells_which_prompts_made_the_instructions(client: Client, answered: Run, prompt: Any) -> None:
    content = client.get(page_of(answered)).content.decode()
    assert "Tone of the house</a>" in content
    assert "version 1, primary" in content
    assert reverse("admin:prompts_prompt_change", args=[prompt.id.replace("_", "_5F")]) in content


def test_a_run_of_the_draft_says_so(client: Client, principal: Principal, assistant: Assistant) -> None:
    content = client.get(page_of(begin(principal, assistant, "draft"))).content.decode()
    assert "the draft" in content
    assert "Prompts that made" not in content


def test_what_is_gone_is_told_by_its_id(client: Client, answered: Run) -> None:
    Run.objects.filter(pk=answered.pk).update(version_id="asstv_gone", deployment_id="dep_gone")
    content = client.get(page_of(answered)).content.decode()
    assert "asstv_gone (deleted)" in content
    assert "dep_gone (Deleted)" in content


def test_the_page_shows_what_was_said(client: Client, answered: Run, bob: User, project: Project) -> None:
    secret = services.create_api_key(project=project, name="Bot", scopes=[RUNS_WRITE, CONVERSATIONS_READ])[1]
    feedback.rate(principal=principal_of_person(bob.pk), run_id=answered.pk, rating="down", comment=EVIL)
    feedback.rate(principal=principal_of_key(secret), run_id=answered.pk, rating="up")
    content = client.get(page_of(answered)).content.decode()
    assert ">Bad</span> <strong>bob</strong>" in content
    assert ">Good</span> <strong>Bot</strong>" in content
    assert not any(mark in content for mark in EVIL_MARKS)


def test_the_list_finds_runs_by_where_they_came_from(
    client: Client, answered: Run, deployment: Deployment, principal: Principal, assistant: Assistant, prompt: Any
) -> None:
    links.unlink_prompt(principal=principal, assistant_id=assistant.id, name=prompt.id)
    draft = begin(principal, assistant, "draft")
    staging = versions.publish(principal=principal, assistant_id=assistant.id)
    Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=staging, environment="staging", status="active"
    )
    staged = begin(principal, assistant, "staging")
    found = {answered.pk}
    for query in (
        "environment=production",
        f"version_id={deployment.version_id}",
        f"deployment_id={deployment.pk}",
        f"q={deployment.pk}",
        f"prompt_version={answered.configuration.data['prompts'][0]['version']}",
    ):
        assert listed(client, query) == found, query
    assert listed(client, "environment=none") == {draft.pk}
    assert listed(client, "environment=staging") == {staged.pk}
    assert listed(client, "prompt_version=promptv_none") == set()


def test_configurations_of_other_projects_are_not_looked_through(client: Client, answered: Run) -> None:
    version = answered.configuration.data["prompts"][0]["version"]
    for asked, known in ((version, True), ("promptv_none", False)):
        rows = client.get(f"{RUNS}?prompt_version={asked}").context["cl"].queryset
        assert (answered in rows) is known
        sql = str(rows.query)
        looked_through = sql[sql.index('FROM "runs_runconfiguration"') :]
        assert '"project_id"' in looked_through
        assert answered.project_id in looked_through


def test_the_list_finds_runs_by_what_was_said(
    client: Client, answered: Run, principal: Principal, assistant: Assistant, bob: User
) -> None:
    silent = begin(principal, assistant, "draft")
    feedback.rate(principal=principal_of_person(bob.pk), run_id=answered.pk, rating="down")
    assert listed(client, "feedback=down") == {answered.pk}
    assert listed(client, "feedback=up") == listed(client, "feedback=commented") == set()
    assert listed(client, "feedback=none") == {silent.pk}
    feedback.rate(principal=principal, run_id=answered.pk, rating="up", comment="Quick.")
    assert listed(client, "feedback=up") == listed(client, "feedback=commented") == {answered.pk}


def test_others_see_nothing_of_it(answered: Run, charlie: User, visit: Callable[[User], Client]) -> None:
    outsider = visit(charlie)
    version = answered.configuration.data["prompts"][0]["version"]
    assert listed(outsider, f"prompt_version={version}") == listed(outsider, "environment=production") == set()
    assert outsider.get(page_of(answered)).status_code == 302


def test_a_page_costs_the_same_however_much_was_said(
    client: Client, answered: Run, project: Project, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        person = User.objects.create_user(f"person {number}")
        services.add_member(project=project, user=person, role="analyst")
        feedback.rate(principal=principal_of_person(person.pk), run_id=answered.pk, rating="up")
    client.get(page_of(answered))
    with django_assert_max_num_queries(40):
        client.get(page_of(answered))
