"""Everybody of a project opens every admin page of an assistant's life: nothing breaks, and reading is for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from assistants.admin.deployment_acts import DECISION_ACTS, PLACE_ACTS
from assistants.kinds import Environment
from assistants.models import Assistant, Deployment, LifeStatus, PromptLink
from assistants.prompts.services import create_prompt
from assistants.services import links, versions
from runs.evaluations import services as evaluations
from runs.models import Run
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role

pytestmark = pytest.mark.django_db

OF = ("assistants_assistant_", "assistants_deployment_", "prompts_prompt_", "evaluations_", "runs_run_")
READ = {
    "assistants_assistant_changelist", "assistants_assistant_change", "assistants_assistant_history",
    "assistants_assistant_prompts", "assistants_assistant_versions", "assistants_assistant_version",
    "assistants_assistant_deployments", "assistants_deployment_changelist", "prompts_prompt_changelist",
    "prompts_prompt_change", "prompts_prompt_history", "evaluations_evaluationset_changelist",
    "evaluations_evaluationset_change", "evaluations_evaluationrun_changelist", "evaluations_evaluationrun_change",
}  # fmt: skip
ANSWERED = {200, 302, 403, 404, 405}


@pytest.fixture
def rows(principal: Principal, assistant: Assistant, run: Run) -> dict[str, Any]:
    """By what their pages are called: an assistant in service with a prompt, and an evaluation of it that runs."""
    prompt = create_prompt(principal=principal, name="Tone", template="Be kind.")
    links.link_prompt(principal=principal, assistant_id=assistant.id, prompt_id=prompt.id)
    version = versions.publish(principal=principal, assistant_id=assistant.id)
    deployment = Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=version, environment="production", status="active"
    )
    judged = evaluations.create_set(principal=principal, name="Capitals", assistant_id=assistant.id)
    case = evaluations.create_case(
        principal=principal, set_id=judged.id, input="Of France?", checks=[{"type": "exact", "value": "Paris"}]
    )
    begun = evaluations.start_run(principal=principal, set_id=judged.id, version=version.id)
    return {
        "assistants_assistant": assistant, "assistants_deployment": deployment, "prompts_prompt": prompt,
        "evaluations_evaluationset": judged, "evaluations_evaluationcase": case, "evaluations_evaluationrun": begun,
        "runs_run": run,
    }  # fmt: skip


def names() -> Iterator[tuple[str, list[str]]]:
    """Every page's name with the names of its address's parts."""
    for room in admin.site.urls[0]:
        for pattern in getattr(room, "url_patterns", ()):
            if pattern.name and pattern.name.startswith(OF):
                yield pattern.name, list(pattern.pattern.converters)


def addresses(name: str, parts: list[str], rows: dict[str, Any]) -> list[str]:
    row = rows["_".join(name.split("_")[:2])]
    known: dict[str, Any] = {
        "object_id": quote(row.pk), "version": "1", "number": 1, "deployment_id": rows["assistants_deployment"].pk,
        "link_id": PromptLink.objects.get().pk, "other_id": rows["runs_run"].pk,
    }  # fmt: skip
    if name.endswith("_act"):
        every = [{"environment": place, "name": act} for place in Environment.values for act in PLACE_ACTS]
    elif name.endswith("_decision"):
        every = [{"name": act} for act in DECISION_ACTS]
    else:
        every = [{}]
    return [reverse(f"admin:{name}", kwargs={part: {**known, **one}[part] for part in parts}) for one in every]


def person(project: Project, role: str) -> User:
    user = User.objects.create_user(f"a-{role}")
    services.add_member(project=project, user=user, role=role)
    User.objects.filter(pk=user.pk).update(is_staff=True)  # viewers are not, by their role alone
    user.refresh_from_db()
    return user


@pytest.mark.parametrize("status", [LifeStatus.ACTIVE, LifeStatus.ARCHIVED])
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.ADMIN, Role.OWNER])
def test_every_page_opens_or_is_refused(
    role: str, status: str, project: Project, rows: dict[str, Any], visit: Callable[[User], Client]
) -> None:
    Assistant.objects.update(status=status)
    client = visit(person(project, role))
    seen = set()
    for name, parts in names():
        for address in addresses(name, parts, rows):
            answer = client.get(address)
            assert answer.status_code in ANSWERED, f"{address}: {answer.status_code}"
            assert answer.status_code == 200 or name not in READ, f"{address}: {answer.status_code}"
        seen.add(name)
    assert seen >= READ
