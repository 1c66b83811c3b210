"""What is said where no view could."""

import json

import pytest
from django.test import Client, RequestFactory

from sovereign.web import errors

HANDLERS = [(errors.not_found, 404), (errors.forbidden, 403)]


@pytest.mark.parametrize(("handler", "status"), HANDLERS)
@pytest.mark.parametrize(
    ("path", "accept"), [("/v1/nothing", "text/html"), ("/nothing", "application/json"), ("/nothing", "")]
)
def test_programs_get_the_envelope(handler, status: int, path: str, accept: str, rf: RequestFactory) -> None:  # type: ignore[no-untyped-def]
    answer = handler(rf.get(path, headers={"Accept": accept}), Exception())
    assert answer.status_code == status
    error = json.loads(answer.content)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_a_script_whose_cookies_are_gone_is_told_so_in_json(db: None) -> None:
    page = Client(enforce_csrf_checks=True)
    answer = page.post("/chat/thread_x/ask", {}, "application/json", headers={"Accept": "application/json"})
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")
    assert "CSRF" in answer.json()["error"]["message"]
    assert b"<h1>" in page.post("/chat/project", {}, headers={"Accept": "text/html"}).content


def test_the_envelope_names_the_address(rf: RequestFactory) -> None:
    answer = errors.not_found(rf.delete("/v1/nothing"))
    assert json.loads(answer.content)["error"]["message"] == "Invalid URL (DELETE /v1/nothing)"


@pytest.mark.parametrize(("handler", "status"), HANDLERS)
def test_people_get_a_page(handler, status: int, rf: RequestFactory) -> None:  # type: ignore[no-untyped-def]
    answer = handler(rf.get("/nothing", headers={"Accept": "text/html"}), Exception("a secret"))
    assert answer.status_code == status
    assert b"<h1>" in answer.content
    assert b"secret" not in answer.content


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_failure_tells_the_request_and_nothing_of_the_exception(accept: str, rf: RequestFactory) -> None:
    request = rf.get("/nothing", headers={"Accept": accept})
    request.request_id = "req_123"  # type: ignore[attr-defined]
    answer = errors.failed(request)
    assert answer.status_code == 500
    assert b"req_123" in answer.content
