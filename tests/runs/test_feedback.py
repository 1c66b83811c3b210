"""Thumbs: who may say what of which run, and that it is said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from rest_framework.test import APIClient

from runs.models import Feedback, Run
from runs.services import feedback
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_READ
from sovereign.core.errors import ApiError
from tests.runs.support import Model
from threads import services as threads

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(begin: Callable[..., Run], model: Model) -> Run:
    """A run that is over."""
    made = begin()
    Run.objects.filter(pk=made.pk).update(status="completed")
    return made


def address(run: Run) -> str:
    return f"/api/v1/runs/{run.id}/feedback"


def ratings(run: Run) -> list[str]:
    return sorted(Feedback.objects.filter(run=run).values_list("rating", flat=True))


# ------------------------------------------------------------------------------------------------ the API


def test_a_run_is_rated_once_by_each(api: APIClient, run: Run, principal: Principal) -> None:
    made = api.post(address(run), {"rating": "up"}, format="json").json()
    assert (made["object"], made["rating"], made["run_id"]) == ("run.feedback", "up", run.id)
    assert (made["comment"], made["user_id"], made["key_id"]) == ("", None, principal.key_id)
    changed = api.post(address(run), {"rating": "down", "comment": "Wrong."}, format="json").json()
    assert (changed["id"], changed["created_at"]) == (made["id"], made["created_at"])
    assert (changed["rating"], changed["comment"]) == ("down", "Wrong.")
    listed = api.get(address(run)).json()
    assert (listed["object"], listed["data"], listed["has_more"]) == ("list", [changed], False)


def test_rating_again_without_a_comment_keeps_the_one_that_was_given(api: APIClient, run: Run) -> None:
    api.post(address(run), {"rating": "down", "comment": "Wrong."}, format="json")
    again = api.post(address(run), {"rating": "up"}, format="json").json()
    assert (again["rating"], again["comment"]) == ("up", "Wrong.")
    assert api.post(address(run), {"rating": "up", "comment": ""}, format="json").json()["comment"] == ""


def test_a_rating_is_taken_back(api: APIClient, run: Run) -> None:
    api.post(address(run), {"rating": "up"}, format="json")
    gone = {"id": run.id, "object": "run.feedback.deleted", "deleted": True}
    for _ in range(2):
        assert api.delete(address(run)).json() == gone
    assert ratings(run) == []
    actions = AuditEvent.objects.filter(object_id=run.id).values_list("action", flat=True)
    assert [*actions].count("run.rating_withdrawn") == 1, "of the second nothing is recorded: nothing was done"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "rating", "missing_required_parameter"),
        ({"rating": "sideways"}, "rating", "invalid_value"),
        ({"rating": 1}, "rating", "invalid_type"),
        ({"rating": "up", "comment": "x" * 2_001}, "comment", "string_above_max_length"),
        ({"rating": "up", "stars": 5}, "stars", "unknown_parameter"),
    ],
)
def test_what_is_no_rating_is_refused(api: APIClient, run: Run, body: dict[str, Any], param: str, code: str) -> None:
    answer = api.post(address(run), body, format="json")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert ratings(run) == []


def test_a_run_that_is_not_over_is_not_rated(api: APIClient, begin: Callable[..., Run], model: Model) -> None:
    run = begin()
    answer = api.post(address(run), {"rating": "up"}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "run_not_over")
    assert AuditEvent.objects.filter(action="run.rate_refused", object_id=run.id).exists()


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_another_tenants_run_is_not_there(outsider: APIClient, run: Run, method: str) -> None:
    answers = [
        getattr(outsider, method)(f"/api/v1/runs/{run_id}/feedback", {"rating": "up"}, format="json")
        for run_id in (run.id, "run_none")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].json()["error"]["message"] == f"No run found with id '{run.id}'."
    assert ratings(run) == []


def test_reading_alone_rates_nothing(client_of: Callable[[str], APIClient], project: Project, run: Run) -> None:
    reader = client_of(accounts.create_api_key(project=project, scopes=[RUNS_READ])[1])
    assert reader.get(address(run)).status_code == 200
    assert reader.post(address(run), {"rating": "up"}, format="json").status_code == 403
    assert reader.delete(address(run)).status_code == 403


def test_a_retry_is_the_same_rating(api: APIClient, run: Run) -> None:
    answers = [
        api.post(address(run), {"rating": "up"}, format="json", headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[0].json() == answers[1].json()
    assert AuditEvent.objects.filter(action="run.rated", object_id=run.id).count() == 1


# ------------------------------------------------------------------------------------------------ people


def test_people_and_keys_have_opinions_of_their_own(
    api: APIClient, run: Run, alice: User, bob: User, principal: Principal
) -> None:
    api.post(address(run), {"rating": "up"}, format="json")
    for person in (alice, bob):
        feedback.rate(principal=credentials.principal_of_person(person.pk), run_id=run.id, rating="down")
    assert ratings(run) == ["down", "down", "up"]
    feedback.withdraw(principal=credentials.principal_of_person(bob.pk), run_id=run.id)
    assert ratings(run) == ["down", "up"]


def test_a_chat_that_one_may_not_see_is_not_rated(run: Run, alice: User, project: Project) -> None:
    viewer = User.objects.create_user("vera")
    accounts.add_member(project=project, user=viewer)
    mine = threads.create_thread(principal=credentials.principal_of_person(alice.pk))
    Run.objects.filter(pk=run.pk).update(thread=mine)
    with pytest.raises(ApiError) as refused:
        feedback.rate(principal=credentials.principal_of_person(viewer.pk), run_id=run.id, rating="up")
    assert refused.value.status == 404


def test_a_session_rates_with_its_csrf_token_alone(browser_of: Callable[[User], Client], run: Run, bob: User) -> None:
    browser = browser_of(bob)
    refused = browser.post(address(run), {"rating": "up"}, content_type="application/json")
    assert (refused.status_code, ratings(run)) == (403, [])


def test_the_database_keeps_one_opinion_of_each(run: Run, alice: User, principal: Principal) -> None:
    for whose in ({"user_id": alice.pk}, {"key_id": principal.key_id}):
        Feedback.objects.create(project_id=run.project_id, run=run, rating="up", **whose)
        with pytest.raises(IntegrityError), transaction.atomic():
            Feedback.objects.create(project_id=run.project_id, run=run, rating="down", **whose)
    with pytest.raises(IntegrityError), transaction.atomic():
        Feedback.objects.create(project_id=run.project_id, run=run, rating="up")


def test_it_goes_with_the_run(api: APIClient, run: Run, principal: Principal) -> None:
    api.post(address(run), {"rating": "up"}, format="json")
    threads.delete_thread(principal=principal, thread_id=run.thread_id)
    assert not Feedback.objects.exists()
