"""DRF's side: CSRF, views that forgot their scopes, the OpenAI-Beta header, the log's context."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from django.test import Client
from rest_framework.test import APIClient

from sovereign.accounts.models import Project, User

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]

E3 = {
    "error": {
        "message": "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by "
        "setting the header 'OpenAI-Beta: assistants=v2'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_beta",
    }
}


def test_a_session_needs_the_csrf_token_to_write(bob: User, browser_of: Callable[[User], Client]) -> None:
    browser = browser_of(bob)
    refused = browser.post("/v1/echo", {}, content_type="application/json")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["error"]["message"]

    token = "a" * 32
    browser.cookies["sovereign_csrf"] = token
    headers = {"HTTP_X_CSRFTOKEN": token}
    assert browser.post("/v1/echo", {}, content_type="application/json", **headers).status_code == 200


def test_a_key_needs_no_csrf_token_even_beside_a_session(
    api_key: str, alice: User, browser_of: Callable[[User], Client]
) -> None:
    answer = browser_of(alice).post(
        "/v1/echo", {}, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {api_key}"
    )
    assert answer.status_code == 200
    assert answer.json()["user"] is None  # the key's rights, not the person's


@pytest.mark.parametrize("method", ["get", "post", "options"])
def test_a_view_without_scopes_is_refused(method: str, api: APIClient) -> None:
    assert getattr(api, method)("/v1/without_scopes").status_code == 403


def test_a_method_without_a_scope_is_refused(api: APIClient) -> None:
    assert api.get("/v1/read_only").status_code == 200
    assert api.head("/v1/read_only").status_code == 200  # answered by GET, under its scope
    assert api.post("/v1/read_only", {}).status_code == 403


def test_a_method_without_a_handler_is_405(api: APIClient) -> None:
    answer = api.put("/v1/echo", {})
    assert answer.status_code == 405
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("given", [None, "", "assistants=v1", "assistants", "assistants=v22", "a=v1,b=v1"])
def test_a_key_without_the_beta_header_gets_error_e3(given: str | None, api_key: str, client: Client) -> None:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {api_key}"} | ({} if given is None else {"HTTP_OPENAI_BETA": given})
    answer = client.get("/v1/beta", **headers)  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert answer.json() == E3


@pytest.mark.parametrize("given", ["assistants=v2", "realtime=v1, assistants=v2", "Assistants=V2"])
def test_the_beta_header_may_be_a_list(given: str, api_key: str, client: Client) -> None:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {api_key}", "HTTP_OPENAI_BETA": given}
    assert client.get("/v1/beta", **headers).status_code == 200  # type: ignore[arg-type]


def test_a_person_needs_no_beta_header(bob: User, browser_of: Callable[[User], Client]) -> None:
    assert browser_of(bob).get("/v1/beta").status_code == 200


def test_a_setting_makes_the_beta_header_optional(settings: Any, api_key: str, client: Client) -> None:
    settings.SOVEREIGN = dataclasses.replace(settings.SOVEREIGN, require_beta_header=False)
    assert client.get("/v1/beta", HTTP_AUTHORIZATION=f"Bearer {api_key}").status_code == 200


def test_a_wrong_key_is_told_before_a_missing_beta_header(client: Client, db: None) -> None:
    assert client.get("/v1/beta", HTTP_AUTHORIZATION="Bearer nonsense").status_code == 401
    assert client.get("/v1/beta").status_code == 401


def test_the_log_knows_the_project_and_the_key(
    project: Project, api_key: str, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.accounts import urls

    seen: dict[str, Any] = {}

    def get(self: Any, request: Any) -> Any:
        seen.update(structlog.contextvars.get_contextvars())
        return urls.Response({})

    monkeypatch.setattr(urls.Echo, "get", get)
    api.get("/v1/echo")
    assert seen["project"] == project.pk
    assert str(seen["key"]).startswith("key_")
    assert api_key not in str(seen)


def test_the_browsable_api_shows_no_form_for_what_is_refused(bob: User, browser_of: Callable[[User], Client]) -> None:
    page = browser_of(bob).get("/v1/read_only", HTTP_ACCEPT="text/html")
    assert page.status_code == 200
    assert b"<form" not in page.content.split(b"POST")[-1]


def test_the_browsable_api_shows_a_refusal_as_a_page(bob: User, browser_of: Callable[[User], Client]) -> None:
    page = browser_of(bob).get("/v1/scope/keys:manage", HTTP_ACCEPT="text/html")
    assert page.status_code == 403
    assert b"Missing scopes" in page.content


def test_the_schema_names_the_bearer_scheme(db: None) -> None:
    from drf_spectacular.generators import SchemaGenerator

    schema = SchemaGenerator(urlconf="tests.accounts.urls").get_schema(request=None, public=True)
    assert schema["components"]["securitySchemes"]["ApiKeyAuth"]["scheme"] == "bearer"
