"""How ``/v1`` takes and gives HTTP: bodies of every kind, and exceptions of every kind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError
from django.test import Client
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from sovereign.core.api.transport import MAXIMUM_DEPTH

pytestmark = pytest.mark.django_db


def sent(api: APIClient, body: bytes, content_type: str = "application/json") -> Any:
    return api.generic("POST", "/v1/threads", body, content_type)


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b'{"metadata": null}'])
@pytest.mark.parametrize("content_type", ["application/json", "", "text/plain", "application/x-www-form-urlencoded"])
def test_an_empty_body_is_an_empty_object(api: APIClient, body: bytes, content_type: str) -> None:
    assert sent(api, body, content_type).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"metadata": {"a": NaN}}',
        b'{"metadata": {"a": 1e400}}',
        b'{"metadata": {"a": "\\ud800"}}',
        b'{"metadata": {"a": "\xff"}}',
        b"\xef\xbb\xbf{}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_is_not_json_is_a_400(api: APIClient, body: bytes) -> None:
    answer = sent(api, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", None)
    assert error["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"true", b"null", b"123456789012345678901234567890"])
def test_a_body_that_is_no_object_is_a_400(api: APIClient, body: bytes) -> None:
    answer = sent(api, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_type")


def test_depth_is_bounded(api: APIClient) -> None:
    def nested(depth: int) -> bytes:
        return b'{"x":' * depth + b"1" + b"}" * depth

    assert sent(api, nested(MAXIMUM_DEPTH + 5)).json()["error"]["code"] == "invalid_json"
    assert sent(api, nested(MAXIMUM_DEPTH)).json()["error"]["code"] == "unknown_parameter"
    wide = b'{"x":[' + b",".join([b"{}"] * 1_000) + b"]}"
    assert sent(api, wide).json()["error"]["code"] == "unknown_parameter"


def test_the_body_is_bounded(api: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    assert sent(api, b" " * 998 + b"{}").status_code == 200
    answer = sent(api, b" " * 999 + b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_huge_numbers_are_refused_or_kept_but_never_a_5xx(api: APIClient, assistant: Assistant) -> None:
    path = f"/v1/assistants/{assistant.id}"
    kept = (b"1e18", b"18446744073709551615", b"-9223372036854775808", b"1e-400", b"1e-300")
    for number in (*kept, b"1e308", b"-1e308", b"18446744073709551616", b"9" * 300):
        body = b'{"tools":[{"type":"function","function":{"name":"f","parameters":{"n":' + number + b"}}}]}"
        status = api.generic("POST", path, body, "application/json").status_code
        assert status == (200 if number in kept else 400), number
        assert api.get(path).status_code == 200
        for name in (b"temperature", b"top_p"):
            assert api.generic("POST", path, b'{"%s":%s}' % (name, number), "application/json").status_code < 500


@pytest.fixture
def assistant(api: APIClient, api_key: str) -> Assistant:
    from django.utils import timezone

    from inference.models import RegisteredModel
    from sovereign.accounts.credentials import principal_of_key

    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    return assistants.create_assistant(principal=principal_of_key(api_key), model="tiny")


@pytest.mark.parametrize(
    ("exception", "status"),
    [
        (RuntimeError("the password is hunter2"), 500),
        (DataError("the password is hunter2"), 500),
        (OperationalError("the password is hunter2"), 503),
        (InterfaceError("the password is hunter2"), 503),
    ],
)
def test_an_exception_is_told_without_its_text(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, exception: Exception, status: int
) -> None:
    def fail(**_: Any) -> None:
        raise exception

    monkeypatch.setattr(assistants, "get_assistant", fail)
    answer = api.get("/v1/assistants/asst_x")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, "server_error")
    assert "hunter2" not in answer.content.decode()
    request_id = answer["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", request_id)
    if status == 500:
        assert request_id in error["message"]
    else:
        assert int(answer["Retry-After"]) >= 1


def test_every_answer_has_the_recorded_headers(api: APIClient) -> None:
    for path in ("/v1/assistants", "/v1/assistants/asst_x", "/v1/nothing"):
        answer = api.get(path)
        assert re.fullmatch(r"req_[0-9a-f]{32}", answer["x-request-id"])
        assert answer["openai-version"] == "2020-10-01"
        assert answer["openai-processing-ms"].isdigit()
        assert answer["Content-Type"] == "application/json"
    assert api.get("/v1/assistants")["x-request-id"] != api.get("/v1/assistants")["x-request-id"]


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "text/event-stream", "text/html", "application/xml", "nonsense"]
)
def test_programs_get_json_whatever_they_accept(api: APIClient, accept: str) -> None:
    answer = api.get("/v1/assistants", HTTP_ACCEPT=accept)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_a_wrong_method_is_told_in_the_envelope(api: APIClient) -> None:
    answer = api.put("/v1/assistants", {}, format="json")
    assert (answer.status_code, set(answer.json()["error"])) == (405, {"message", "type", "param", "code"})


@pytest.mark.parametrize(
    "path",
    [
        "/v1/assistants/asst_%00",
        "/v1/threads/%00",
        "/v1/threads/x/messages/%00",
        "/v1/threads/x/runs/%00/steps/%00",
        "/v1/%00",
        "/admin/%00",
        "/chat/%00",
    ],
)
def test_a_nul_in_the_address_is_a_404(api: APIClient, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer["x-request-id"]


@pytest.mark.parametrize("query", ["after=%00", "before=asst_%00x", "limit=%00", "x=%00", "%00=1", "order=%00"])
def test_a_nul_in_the_query_is_a_400(api: APIClient, query: str) -> None:
    answer = api.get(f"/v1/assistants?{query}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/assistants?after=%ED%A0%80",
        "/v1/assistants?after=%FF%FE",
        "/v1/assistants/%ED%A0%80",
        "/v1/assistants/%FF",
        "/v1/assistants/" + "x" * 5_000,
        "/v1/assistants?after=" + "x" * 5_000,
        "/v1/assistants?" + "&".join(f"a{n}=1" for n in range(1_500)),
        "/v1/threads/%F0%9F%92%A9/messages?run_id=%F0%9F%92%A9",
    ],
)
def test_a_strange_address_is_never_a_5xx(api: APIClient, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_route_is_told_in_the_envelope(client: Client) -> None:
    answer = client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Invalid URL (GET /v1/nothing)")


@pytest.mark.parametrize(
    "header",
    [
        "Authorization",
        "Content-Type",
        "OpenAI-Beta",
        "X-API-Key",
        "Last-Event-ID",
        "Idempotency-Key",
        "X-Stainless-Lang",
        "X-Stainless-Retry-Count",
        "X-Stainless-Helper-Method",
    ],
)
def test_a_page_of_an_allowed_origin_may_send_what_the_sdk_sends(settings: Any, client: Client, header: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": header.lower(),
    }
    answer = client.options("/v1/threads", headers=asked)
    assert header.lower() in answer["Access-Control-Allow-Headers"].split(", ")
    assert answer["Access-Control-Allow-Origin"] == "https://app.example"


@pytest.mark.parametrize("path", ["/", "/v1/threads", "/admin/"])
@pytest.mark.parametrize("name", ["sovereign_session", "sovereign_csrf", "other"])
def test_a_nul_in_a_cookie_is_refused_before_it_is_looked_for(client: Client, path: str, name: str) -> None:
    answer = client.get(path, headers={"Cookie": f'{name}="abc\\000"'})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")
