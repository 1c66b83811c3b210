"""What a private assistant says and is stays private when it runs: its instructions stand in its runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from assistants.services import versions
from runs.models import Run
from runs.services import control, creation
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES, RUNS_WRITE, THREADS_WRITE
from sovereign.core.errors import ApiError
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "Never say marzipan."
MESSAGES = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def own(alice: User, project: Project) -> Principal:
    """Alice, who owns the project."""
    return credentials.principal_of_person(alice.pk)


@pytest.fixture
def hidden(own: Principal, model: object) -> Assistant:
    """Alice's."""
    return assistants.create_assistant(
        principal=own, model="tiny", name="Secretive", instructions=SECRET, visibility="private"
    )


@pytest.fixture
def runs(own: Principal, hidden: Assistant, project: Project) -> list[Run]:
    """In the chat, by the owner's key, in an evaluation, and in a first conversation."""
    begin = creation.create_thread_and_run
    secret = accounts.create_api_key(project=project, name="mine", scopes=[*DEFAULT_KEY_SCOPES, "assistants:promote"])[
        1
    ]
    key = credentials.principal_of_key(secret)
    version = versions.publish(principal=own, assistant_id=hidden.id)
    product = Principal(project_id=project.pk, scopes=frozenset({RUNS_WRITE, THREADS_WRITE}))
    return [
        *(begin(principal=who, assistant_id=hidden.id, thread={"messages": MESSAGES}).run for who in (own, key)),
        *(
            creation.try_version(principal=who, version=version, messages=MESSAGES, metadata={}).run
            for who in (key, product)
        ),
    ]


@pytest.fixture
def other(api_key: str) -> Principal:
    """Another key of the project."""
    return credentials.principal_of_key(api_key)


def test_a_key_that_does_not_see_the_assistant_reads_none_of_its_runs(
    runs: list[Run], api: APIClient, other: Principal
) -> None:
    assert not Run.objects.visible_to(other).exists()
    for run in runs:
        for path in ("", "/steps"):
            answer = api.get(f"/v1/threads/{run.thread_id}/runs/{run.id}{path}")
            assert answer.status_code == 404
            assert b"marzipan" not in answer.content
        body = {"metadata": {"a": "b"}}
        assert api.post(f"/v1/threads/{run.thread_id}/runs/{run.id}", body, format="json").status_code == 404
        assert api.post(f"/v1/threads/{run.thread_id}/runs/{run.id}/cancel").status_code == 404
    _, by_key, *tried = runs
    listed = api.get(f"/v1/threads/{by_key.thread_id}/runs")
    assert (listed.status_code, listed.json()["data"]) == (200, []), "the thread is the project's"
    for run in tried:
        for path in ("", "/messages", "/runs"):
            assert api.get(f"/v1/threads/{run.thread_id}{path}").status_code == 404


def test_who_may_see_the_assistant_sees_its_runs(runs: list[Run], own: Principal) -> None:
    assert set(Run.objects.visible_to(own)) == set(runs)
    assert Thread.objects.visible_to(own).count() == len(runs)


def test_what_anybody_may_see_everybody_sees(runs: list[Run], hidden: Assistant, other: Principal) -> None:
    Assistant.objects.filter(pk=hidden.pk).update(visibility="project")
    assert set(Run.objects.visible_to(other)) == set(runs[1:]), "but for somebody's chat"
    assert Thread.objects.visible_to(other).count() == len(runs) - 1


def test_who_began_a_run_keeps_it(begin: Callable[..., Run], principal: Principal, assistant: Assistant) -> None:
    run = begin()
    Assistant.objects.filter(pk=assistant.pk).update(visibility="private", created_by_key="key_of_another")
    assert control.get_run(principal=principal, thread_id=run.thread_id, run_id=run.id) == run
    with pytest.raises(ApiError):
        begin()


def test_the_product_leaves_what_it_began(runs: list[Run], project: Project) -> None:
    """A first conversation of a deployment that was called off ends."""
    product = Principal(project_id=project.pk, scopes=frozenset({RUNS_WRITE, THREADS_WRITE}))
    run = control.cancel_run(principal=product, thread_id=runs[-1].thread_id, run_id=runs[-1].id)
    assert run.status == "cancelling"


def test_an_analyst_does_not_see_them_in_the_admin(
    runs: list[Run], alice: User, bob: User, browser_of: Callable[[User], Client]
) -> None:
    User.objects.filter(pk__in=[alice.pk, bob.pk]).update(is_staff=True)
    owner, analyst = browser_of(alice), browser_of(bob)

    def shown(browser: Client, address: str) -> Any:
        page = browser.get(address)
        return page.status_code, "marzipan" in page.content.decode()

    ids = [run.id for run in runs]
    assert all(run_id in owner.get("/admin/runs/run/").content.decode() for run_id in ids)
    assert not any(run_id in analyst.get("/admin/runs/run/").content.decode() for run_id in ids)
    threads = analyst.get("/admin/threads/thread/").content.decode()
    assert [run.thread_id.replace("_", "_5F") in threads for run in runs] == [True, True, False, False]
    for run in runs:
        assert shown(owner, f"/admin/runs/run/{run.id}/change/") == (200, True)
        assert shown(analyst, f"/admin/runs/run/{run.id}/change/") == (302, False)
