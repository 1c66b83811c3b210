"""Browsers of people, and the admin's pages of accounts."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from sovereign.accounts import services
from sovereign.accounts.models import Project, User


@pytest.fixture
def browser() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        user.refresh_from_db()
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root")


def member(project: Project, role: str) -> User:
    user = User.objects.create_user(f"member-{role}")
    services.add_member(project=project, user=user, role=role)
    return user


def page(model: str, view: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:accounts_{model}_{view}", args=args)


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))
