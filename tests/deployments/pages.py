"""The pages of deployments, browsers of people, and what is in service."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.deployments.checks import Verdict
from assistants.models import Assistant, Deployment
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from tests.deployments.support import Trial, deployed

InService = Callable[..., Deployment]


def page(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_deployments", args=[quote(assistant.pk)])


def act(assistant: Assistant, name: str, environment: str = "development") -> str:
    return reverse("admin:assistants_assistant_deployment_act", args=[quote(assistant.pk), environment, name])


def decide(deployment: Deployment, name: str) -> str:
    names = [quote(deployment.assistant_id), deployment.pk, name]
    return reverse("admin:assistants_assistant_deployment_decision", args=names)


def shown(client: Client, address: str, **query: str) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def said(answer: Any) -> str:
    assert answer.status_code == 302, re.findall(r'role="alert">([^<]*)', answer.content.decode())
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def problem(answer: Any) -> str:
    """What a form says of what was refused."""
    assert answer.status_code == 200
    return " ".join(re.findall(r'role="alert">([^<]*)', answer.content.decode()))


def section(html: str, environment: str) -> str:
    return html.partition(f'<section class="sv-panel" id="{environment}"')[2].partition("</section>")[0]


def status_of(deployment: Deployment) -> str:
    return str(Deployment.objects.values_list("status", flat=True).get(pk=deployment.pk))


@pytest.fixture
def visit(db: None) -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
        client.force_login(user)
        return client

    return make


@pytest.fixture
def client(alice: User, owner: Principal, visit: Callable[[User], Client]) -> Client:
    """The owner's browser."""
    return visit(alice)


@pytest.fixture
def bobs(bob: User, visit: Callable[[User], Client]) -> Client:
    """An analyst's."""
    return visit(bob)


@pytest.fixture
def adas(admin: Principal, visit: Callable[[User], Client]) -> Client:
    """An admin's."""
    return visit(User.objects.get(username="ada"))


@pytest.fixture
def in_service(owner: Principal, assistant: Assistant, trial: Trial) -> Callable[..., Deployment]:
    """``in_service("production", "Instructions")``: a new version that is in service there."""

    def make(environment: str, instructions: str, **wish: Any) -> Deployment:
        before, trial.verdict = trial.verdict, Verdict.PASSED
        made = deployed(owner, assistant, instructions, environment, **wish)
        trial.verdict = before
        return made

    return make
