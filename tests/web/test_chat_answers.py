"""What all views have in common that the chat's page asks for JSON."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpResponseBase
from django.test import RequestFactory
from rest_framework import serializers

from sovereign.accounts.credentials import SESSION_PROJECT, principal_of_person
from sovereign.accounts.models import Project, User
from sovereign.core.api.validation import StrictSerializer, StrictString
from sovereign.core.errors import ApiError
from sovereign.web.chat import answers
from sovereign.web.chat.answers import Asked, json_page
from threads.services import create_thread

pytestmark = pytest.mark.django_db


class Named(StrictSerializer):
    name = StrictString(max_length=5)


@json_page("GET", "POST")
def view(asked: Asked, thread_id: str = "") -> Any:
    if thread_id:
        return {"id": asked.own_thread(thread_id).id}
    if asked.is_read:
        return {"person": asked.principal.user_id, "project": asked.principal.project_id}
    return {"name": Named.checked(asked.body)["name"]}


def ask(user: User | AnonymousUser, method: str = "GET", *, project: str | None = None, **more: Any) -> Any:
    request = RequestFactory().generic(method, "/chat/some.json", **{"content_type": "application/json", **more})
    request.user, request.session = user, {SESSION_PROJECT: project}  # type: ignore[assignment]
    return request


def body(response: HttpResponseBase) -> Any:
    return json.loads(response.content)  # type: ignore[attr-defined]


def test_a_view_learns_who_asks_about_which_project(alice: User, project: Project) -> None:
    response = view(ask(alice))
    assert body(response) == {"person": alice.pk, "project": project.pk}
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "data", "status", "param"),
    [
        ("POST", b'{"name": "Ada"}', 200, None),
        ("POST", b"", 400, "name"),
        ("POST", b'{"name": "Ada Lovelace"}', 400, "name"),
        ("POST", b'{"name": "\\u0000"}', 400, None),
        ("POST", b'["Ada"]', 400, None),
        ("POST", b"{", 400, None),
        ("PUT", b"{}", 405, None),
    ],
)
def test_a_body_is_checked_and_what_refuses_it_is_told(
    alice: User, project: Project, method: str, data: bytes, status: int, param: str | None
) -> None:
    response = view(ask(alice, method, data=data))
    assert response.status_code == status
    assert status == 200 or body(response)["error"]["param"] == param


def test_a_body_that_is_too_large_or_a_form_is_refused(
    alice: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert view(ask(alice, "POST", data=b"name=Ada", content_type="text/plain")).status_code == 415
    monkeypatch.setattr(answers, "LARGEST_BODY", 10)
    assert view(ask(alice, "POST", data=b'{"name": "Ada"}')).status_code == 413


def test_who_is_logged_out_and_who_is_no_member_are_told_so_in_json(charlie: User) -> None:
    assert view(ask(AnonymousUser())).status_code == 401
    assert view(ask(User.objects.create_user("dora"))).status_code == 403


def test_only_ones_own_threads_of_the_pages_project_are_there(
    alice: User, bob: User, charlie: User, project: Project
) -> None:
    thread = create_thread(principal=principal_of_person(alice.pk, project.pk))
    assert body(view(ask(alice), thread_id=thread.id)) == {"id": thread.id}
    for person in (bob, charlie):
        assert view(ask(person), thread_id=thread.id).status_code == 404


@pytest.mark.parametrize(
    ("raised", "status"),
    [(ApiError("No.", status=409), 409), (Http404(), 404), (serializers.ValidationError({"a": "Bad."}), 400)],
)
def test_what_a_view_raises_is_told_in_the_envelope(
    alice: User, project: Project, raised: Exception, status: int
) -> None:
    @json_page("GET")
    def refusing(asked: Asked) -> None:
        raise raised

    response = refusing(ask(alice))
    assert response.status_code == status
    assert set(body(response)) == {"error"}
