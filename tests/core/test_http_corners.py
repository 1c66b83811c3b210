"""The corners of HTTP at ``/v1``: methods, addresses, headers of both sides, and who is refused where."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from sovereign.accounts.models import Project
from tests.runs.test_tenancy import routes

pytestmark = pytest.mark.django_db

REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")
OUTSIDE = (
    "/v1",
    "/v1/",
    "/v1/assistants/",
    "/v1/assistants/asst_x/",
    "/v1/threads/x/",
    "/v1/nothing",
    "/v1//assistants",
)


def told(answer: Any, status: int) -> str:
    """The message of an error, in the envelope and under an id of its own."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    assert REQUEST_ID.fullmatch(answer["x-request-id"])
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return str(error["message"])


# ------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_there_is_nothing_beside_the_routes(api: APIClient, client: Client, method: str) -> None:
    """Nor is anybody asked for a key before being told so: the address is wrong for all."""
    for path in OUTSIDE:
        for who in (api, client):
            assert told(who.generic(method, path), 404) == f"Invalid URL ({method} {path})"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/assistants"),
        ("PATCH", "/v1/assistants/asst_x"),
        ("DELETE", "/v1/assistants"),
        ("GET", "/v1/threads"),
        ("PUT", "/v1/threads/thread_x"),
        ("DELETE", "/v1/threads/thread_x/messages"),
        ("PATCH", "/v1/threads/thread_x/messages/msg_x"),
        ("GET", "/v1/threads/runs/"),
        ("DELETE", "/v1/threads/thread_x/runs/run_x"),
        ("GET", "/v1/threads/thread_x/runs/run_x/cancel"),
        ("POST", "/v1/threads/thread_x/runs/run_x/steps"),
        ("TRACE", "/v1/assistants"),
        ("NONSENSE", "/v1/assistants"),
    ],
)
def test_a_wrong_method_is_told_with_its_address(api: APIClient, method: str, path: str) -> None:
    answer = api.generic(method, path)
    if path.endswith("/"):
        assert told(answer, 404) == f"Invalid URL ({method} {path})"
    else:
        assert told(answer, 405) == f"Invalid method for URL ({method} {path})"
        assert method not in answer["Allow"]


def test_head_is_get_without_a_body(api: APIClient) -> None:
    got, head = api.get("/v1/assistants"), api.head("/v1/assistants")
    assert (head.status_code, head["Content-Type"], head.content) == (200, "application/json", b"")
    assert head["Content-Length"] == str(len(got.content))
    assert api.head("/v1/assistants/asst_x").status_code == 404


def test_options_needs_a_key_and_lists_the_methods(api: APIClient, client: Client) -> None:
    answer = api.options("/v1/assistants")
    assert (answer.status_code, answer["Allow"]) == (200, "GET, POST, HEAD, OPTIONS")
    assert told(client.options("/v1/assistants"), 401).startswith("You didn't provide an API key.")


def test_an_id_may_be_percent_encoded(api: APIClient) -> None:
    thread = api.post("/v1/threads", {}, format="json").json()["id"]
    for written in (thread, thread.replace("_", "%5F"), thread.replace("_", "%5f").replace("t", "%74", 1)):
        assert api.get(f"/v1/threads/{written}").json()["id"] == thread


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        ("thread%20x", "thread x"),
        ("thread_%0A%0D", "thread_\n\r"),
        ("%27%22%3Cscript%3E", "'\"<script>"),
        ("%F0%9F%92%A9", "\N{PILE OF POO}"),
        ("..%2e", "..."),
        ("thread_x%3Fstream=true", "thread_x?stream=true"),
        ("x" * 5_000, "x" * 200),
    ],
)
def test_a_strange_id_is_an_unknown_one(api: APIClient, written: str, identifier: str) -> None:
    for answer in (api.get(f"/v1/threads/{written}"), api.delete(f"/v1/threads/{written}")):
        assert told(answer, 404) == f"No thread found with id '{identifier}'."


def test_a_slash_in_an_id_is_another_address(api: APIClient) -> None:
    assert told(api.get("/v1/threads/a%2Fb"), 404) == "Invalid URL (GET /v1/threads/a/b)"


def test_another_house_is_not_answered_for(client: Client) -> None:
    for path in ("/v1/assistants", "/v1/nothing"):
        assert "does not answer under that name" in told(client.get(path, headers={"Host": "evil.example"}), 400)
    page = client.get("/chat/", headers={"Host": "evil.example", "Accept": "text/html"})
    assert (page.status_code, b"<h1>" in page.content) == (400, True)


# ------------------------------------------------------------------------------------------------ headers


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Client-Request-Id", "X-Correlation-ID"])
@pytest.mark.parametrize("value", ["mine", "req_" + "0" * 32, "x" * 5_000, "\u00e9"])
def test_the_request_id_is_ours_whatever_the_client_calls_its_own(api: APIClient, name: str, value: str) -> None:
    answer = api.get("/v1/assistants", headers={name: value})
    assert answer.status_code == 200
    assert REQUEST_ID.fullmatch(answer["x-request-id"])
    assert answer["x-request-id"] != value
    assert value not in str(answer.headers)


def test_answers_say_whose_project_answered_and_refusals_do_not(
    api: APIClient, client: Client, outsider: APIClient, project: Project, charlies_project: Project
) -> None:
    answer: Any
    for answer in (api.get("/v1/assistants"), api.get("/v1/assistants/asst_x"), api.post("/v1/threads")):
        assert answer["openai-organization"] == "sovereign"
        assert answer["openai-project"] == project.pk
        assert answer["openai-version"] == "2020-10-01"
        assert int(answer["openai-processing-ms"]) >= 0
    assert outsider.get("/v1/assistants")["openai-project"] == charlies_project.pk
    for answer in (client.get("/v1/assistants"), client.get("/v1/nothing"), client.get("/health/live")):
        assert "openai-project" not in answer
        assert "openai-organization" not in answer


@pytest.mark.parametrize("value", ["org-x", "", "\u00e9", "x" * 5_000])
def test_what_an_sdk_is_configured_with_is_ignored(api: APIClient, project: Project, value: str) -> None:
    """A key belongs to one project: naming another one changes nothing."""
    answer = api.get("/v1/assistants", headers={"OpenAI-Organization": value, "OpenAI-Project": value})
    assert (answer.status_code, answer["openai-project"]) == (200, project.pk)


# ------------------------------------------------------------------------------------------------ the beta header

NO_BETA = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header "
    "'OpenAI-Beta: assistants=v2'."
)


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        ("assistants=v2", True),
        ("realtime=v1, assistants=v2", True),
        ("assistants=v2,assistants=v1", True),
        ("ASSISTANTS=V2", True),
        (" assistants=v2 ", True),
        ("assistants=v1", False),
        ("assistants = v2", False),
        ("assistants=v22", False),
        ("assistants", False),
        ("", False),
        (None, False),
    ],
)
def test_keys_have_to_ask_for_the_beta(api_key: str, value: str | None, is_taken: bool) -> None:
    headers = {"Authorization": f"Bearer {api_key}", **({} if value is None else {"OpenAI-Beta": value})}
    answer = APIClient().get("/v1/assistants", headers=headers)
    if is_taken:
        assert answer.status_code == 200
    else:
        assert told(answer, 400) == NO_BETA
        assert answer.json()["error"]["code"] == "invalid_beta"


def test_every_route_of_the_contract_asks_for_it_and_no_other(api_key: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_key}")
    walk = {(method, re.sub("<[^>]+>", "x", route)) for method, route, _ in routes(get_resolver().url_patterns)}
    assert len(walk) > 20
    for method, route in walk:
        answer = client.generic(method, f"/v1/{route}")
        asked = answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_beta"
        assert asked is route.startswith(("assistants", "threads")), (method, route)
    assert client.post("/v1/ws_tickets").status_code == 200


def test_the_key_is_asked_for_before_the_beta(client: Client) -> None:
    answer = client.get("/v1/assistants")
    assert told(answer, 401).startswith("You didn't provide an API key. You need to provide your API key in an")
    assert answer.json()["error"]["code"] is None
    wrong = client.get("/v1/assistants", headers={"Authorization": "Bearer not-a-real-key-sanitized"})
    assert told(wrong, 401).startswith("Incorrect API key provided: not-a-re****ized. You can find your API key at ")
    assert wrong.json()["error"]["code"] == "invalid_api_key"
    assert wrong["WWW-Authenticate"] == "Bearer"


def test_an_installation_may_do_without_the_header(settings: Any, api_key: str) -> None:
    from dataclasses import replace

    settings.SOVEREIGN = replace(settings.SOVEREIGN, require_beta_header=False)
    assert APIClient().get("/v1/assistants", headers={"Authorization": f"Bearer {api_key}"}).status_code == 200


@pytest.mark.parametrize("how", ["Bearer {}", "bearer {}", "BEARER   {} ", "Basic {basic}"])
def test_a_key_may_be_written_in_several_ways(api_key: str, how: str) -> None:
    from base64 import b64encode

    header = how.format(api_key, basic=b64encode(f":{api_key}".encode()).decode())
    headers = {"Authorization": header, "OpenAI-Beta": "assistants=v2"}
    assert APIClient().get("/v1/assistants", headers=headers).status_code == 200


def test_a_refused_key_is_never_shown_whole(api: APIClient, client_of: Callable[[str], APIClient]) -> None:
    for key in ("short", "sk-sov-00000000-" + "s3cret" * 7, "é" * 40, "x" * 5_000, "{param}" * 9):
        answer = client_of(key).get("/v1/assistants")
        assert key not in told(answer, 401)
        assert "s3crets3cret" not in answer.content.decode()
        assert len(answer.content) < 400
