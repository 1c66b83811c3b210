"""Nothing that a model or a member wrote can run or load anything in our pages."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from assistants.models import Assistant
from sovereign.accounts.models import Project, User
from threads.models import Thread

pytestmark = pytest.mark.django_db

STRICT = ["/", "/login", "/chat/"]
LOOSER = ["/admin/", "/docs", "/redoc", "/v1/assistants"]


def directives(policy: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition(" ") for part in policy.split("; "))}


@pytest.fixture
def browser(alice: User, assistant: Assistant, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.mark.parametrize("path", STRICT)
def test_our_own_pages_run_no_inline_code(path: str, client: Client, browser: Client) -> None:
    answer = (client if path == "/login" else browser).get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    policy = directives(answer["Content-Security-Policy"])
    assert "unsafe" not in str(policy)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    content = answer.content.decode()
    assert not re.search(r"<script(?![^>]*(src=|type=\"application/json\"))", content)
    assert not re.search(r"<style|\son[a-z]+=|\sstyle=|javascript:", content)


@pytest.mark.parametrize("path", LOOSER)
def test_other_pages_are_local_only_and_run_no_inline_script(path: str, browser: Client) -> None:
    answer = browser.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    policy = directives(answer["Content-Security-Policy"])
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "http" not in str(policy)
    assert "*" not in str(policy)
    assert not re.search(r'(src|href)="(https?:)?//', answer.content.decode())


def test_the_admin_alone_may_compile_expressions(browser: Client) -> None:
    policies = {path: browser.get(path)["Content-Security-Policy"] for path in [*STRICT[::2], *LOOSER]}
    assert [path for path, policy in policies.items() if "unsafe-eval" in policy] == ["/admin/"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_inline_scripts_of_the_documentation_carry_the_nonce(path: str, client: Client) -> None:
    answer = client.get(path)
    nonces = set(re.findall(r'nonce="([^"]+)"', answer.content.decode()))
    assert len(nonces) == 1
    assert f"'nonce-{nonces.pop()}'" in answer["Content-Security-Policy"]


def test_a_nonce_is_used_once(client: Client) -> None:
    assert client.get("/")["Content-Security-Policy"] != client.get("/")["Content-Security-Policy"]


def test_json_needs_no_policy(client: Client) -> None:
    assert "Content-Security-Policy" not in client.get("/health")


def test_the_chat_shows_no_thread_of_others(client: Client, project: Project, thread: Thread) -> None:
    assert client.get(f"/chat/{thread.id}")["Location"].startswith("/login")
