"""Files over HTTP: what is taken, what is refused in which words, and that nothing is left of what was refused."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from assistants.knowledge import checks, storage
from assistants.knowledge.api.file_serializers import GIVEN_PURPOSES
from assistants.knowledge.models import File, Purpose
from assistants.knowledge.services import files
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.scopes import FILES_READ
from sovereign.core.errors import ApiError
from tests.knowledge.uploading import FORM, Field, field, file, folder, form, send, stored, upload

__all__ = ["folder"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]
committed = pytest.mark.django_db(transaction=True)  # for what happens after a commit

FOR = field("purpose", "assistants")
UNKNOWN = {
    "message": "No such File object: file-nobodys",
    "type": "invalid_request_error",
    "param": "id",
    "code": None,
}


def error_of(answer: Any, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    error: dict[str, Any] = answer.json()["error"]
    return error


def content_of(api: APIClient, file_id: str) -> bytes:
    answer: Any = api.get(f"/v1/files/{file_id}/content")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


# ------------------------------------------------------------------------------------------------- what is taken


@committed
def test_a_file_is_made_read_listed_downloaded_and_deleted(api: APIClient, folder: Path) -> None:
    made = upload(api).json()
    assert made == {
        "object": "file",
        "id": made["id"],
        "purpose": "assistants",
        "filename": "a.txt",
        "bytes": 5,
        "created_at": made["created_at"],
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }
    assert made["id"].startswith("file-")
    assert api.get(f"/v1/files/{made['id']}").json() == made
    assert api.get("/v1/files").json()["data"] == [made]
    assert content_of(api, made["id"]) == b"hello"
    assert stored(folder) == [b"hello"]
    gone = api.delete(f"/v1/files/{made['id']}").json()
    assert gone == {"object": "file", "deleted": True, "id": made["id"]}
    assert error_of(api.get(f"/v1/files/{made['id']}"), 404)["message"] == f"No such File object: {made['id']}"
    assert stored(folder) == []


@pytest.mark.parametrize("fields", [[FOR, file(b"x")], [file(b"x"), FOR]])
def test_fields_come_in_any_order(api: APIClient, fields: list[Field]) -> None:
    assert send(api, "files", *fields).json()["bytes"] == 1


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
def test_every_purpose_of_the_contract_is_taken(api: APIClient, purpose: str) -> None:
    answer = send(api, "files", field("purpose", purpose), file(b"{}", "a.jsonl")).json()
    assert answer["purpose"] == purpose
    expires = 30 * 86_400 if purpose == "batch" else None
    assert (answer["expires_at"] and answer["expires_at"] - answer["created_at"]) == expires


def test_a_file_may_expire(api: APIClient) -> None:
    expiry = [field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "3600")]
    answer = send(api, "files", FOR, *expiry, file(b"x")).json()
    assert answer["expires_at"] - answer["created_at"] == 3_600


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\documents\\\\report.pdf", "report.pdf"),
        ("ü 😀.txt", "ü 😀.txt"),
        ("a; b.txt", "a; b.txt"),
        ("<script>.html", "<script>.html"),
        ("a" * 255, "a" * 255),
        ("", "upload"),
    ],
)
def test_a_name_is_only_shown_and_has_no_folders(api: APIClient, folder: Path, sent: str, shown: str) -> None:
    assert upload(api, filename=sent).json()["filename"] == shown
    assert not [path for path in folder.rglob("*") if shown == path.name]


def test_a_download_is_an_attachment_that_no_browser_shows(api: APIClient) -> None:
    made = upload(api, b"<script>alert(1)</script>", "ü.html").json()
    answer: Any = api.get(f"/v1/files/{made['id']}/content")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment; filename*=utf-8''%C3%BC.html"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == "25"
    assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"


def test_files_are_listed_by_purpose_and_page_by_page(api: APIClient) -> None:
    ids = [upload(api, b"x", f"{number}.txt").json()["id"] for number in range(3)]
    picture = send(api, "files", field("purpose", "vision"), file(b"x", "a.png")).json()["id"]

    def listed(query: str) -> tuple[list[str], bool]:
        page = api.get(f"/v1/files?{query}").json()
        return [found["id"] for found in page["data"]], page["has_more"]

    assert listed("") == ([picture, *reversed(ids)], False)
    assert listed("purpose=vision") == ([picture], False)
    assert listed("purpose=assistants&limit=2&order=asc") == (ids[:2], True)
    assert listed(f"purpose=assistants&limit=2&order=asc&after={ids[1]}") == (ids[2:], False)
    assert listed("limit=10000")[1] is False
    assert error_of(api.get("/v1/files?limit=10001"))["code"] == "integer_above_max_value"
    assert error_of(api.get("/v1/files?purpose=world_domination"))["param"] == "purpose"


def test_a_person_uploads_with_the_token_of_the_session(browser_of: Callable[[User], Client], bob: User) -> None:
    browser = browser_of(bob)
    browser.get("/chat/")
    body = form(FOR, file(b"mine"))
    refused = browser.generic("POST", "/v1/files", body, FORM)
    assert refused.status_code == 403
    token = browser.cookies["sovereign_csrf"].value
    made = browser.generic("POST", "/v1/files", body, FORM, headers={"X-CSRFToken": token})
    assert made.status_code == 200
    assert File.objects.get().created_by_user == bob.pk


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            [field("purpose", "world_domination"), file(b"x")],
            (
                "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] "
                "- 'purpose'",
                "purpose",
                None,
            ),
        ),
        (
            [file(b"x"), field("purpose", "")],
            (
                "'' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'",
                "purpose",
                None,
            ),
        ),
        (
            [field("purpose", "assistants_output"), file(b"x")],
            (
                "'assistants_output' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', "
                "'evals'] - 'purpose'",
                "purpose",
                None,
            ),
        ),
        ([file(b"x")], ("'purpose' is a required property", None, None)),
        ([FOR], ("'file' is a required property", None, None)),
        ([FOR, file(b"", "")], ("'file' is a required property", None, None)),
        (
            [FOR, field("file", "x")],
            ("Invalid type for 'file': expected a file, but got a string instead.", "file", "invalid_type"),
        ),
        ([FOR, file(b"")], ("File is empty.", "file", "invalid_value")),
        (
            [FOR, file(b"x"), file(b"y")],
            ("Invalid 'file': expected one file, but got more of them.", "file", "invalid_value"),
        ),
        ([FOR, file(b"x"), field("color", "red")], ("Unknown parameter: 'color'.", "color", "unknown_parameter")),
        (
            [FOR, file(b"x", "a\0b.txt")],
            ("Invalid 'filename': the string has a character that is not allowed.", "filename", "invalid_value"),
        ),
        (
            [FOR, file(b"x", "a\x1bb.txt")],
            ("Invalid 'filename': the name has a character that is not allowed.", "filename", "invalid_value"),
        ),
        (
            [FOR, file(b"x", "..")],
            ("Invalid 'filename': the name has a character that is not allowed.", "filename", "invalid_value"),
        ),
        (
            [FOR, file(b"x", "a/")],
            (
                "Invalid 'filename': string too short. Expected a string with minimum length 1, but got a string with "
                "length 0 instead.",
                "filename",
                "string_below_min_length",
            ),
        ),
        (
            [FOR, file(b"x", "a" * 256)],
            (
                "Invalid 'filename': string too long. Expected a string with maximum length 255, but got a string with "
                "length 256 instead.",
                "filename",
                "string_above_max_length",
            ),
        ),
        (
            [FOR, file(b"x"), field("expires_after[anchor]", "created_at")],
            (
                "Missing required parameter: 'expires_after.seconds'.",
                "expires_after.seconds",
                "missing_required_parameter",
            ),
        ),
        (
            [FOR, file(b"x"), field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "60")],
            (
                "Invalid 'expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 60 "
                "instead.",
                "expires_after.seconds",
                "integer_below_min_value",
            ),
        ),
        (
            [FOR, file(b"x"), field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "soon")],
            (
                "Invalid type for 'expires_after.seconds': expected an integer, but got a string instead.",
                "expires_after.seconds",
                "invalid_type",
            ),
        ),
        (
            [FOR, file(b"x"), field("expires_after", "3600")],
            (
                "Invalid type for 'expires_after': expected an object, but got a string instead.",
                "expires_after",
                "invalid_type",
            ),
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    api: APIClient, folder: Path, fields: list[Field], error: tuple[str, str | None, str | None]
) -> None:
    refused = error_of(send(api, "files", *fields))
    assert (refused["message"], refused["param"], refused["code"]) == error
    assert refused["type"] == "invalid_request_error"
    assert not File.objects.exists()
    assert stored(folder) == []


def test_many_fields_and_long_ones_are_refused(api: APIClient, folder: Path) -> None:
    many = [field(f"x{number}", "") for number in range(17)]
    assert "more than 16 fields" in error_of(send(api, "files", file(b"x"), *many))["message"]
    assert error_of(send(api, "files", file(b"x"), field("x", "x" * 70_000)), 413)["code"] == "request_too_large"
    assert stored(folder) == []


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_what_is_no_form_is_refused(api: APIClient, content_type: str) -> None:
    refused = error_of(api.generic("POST", "/v1/files", b'{"purpose": "assistants"}', content_type), 415)
    assert refused["code"] == "unsupported_content_type"
    assert "'multipart/form-data'" in refused["message"]


def test_a_packed_form_is_refused(api: APIClient) -> None:
    packed = api.generic("POST", "/v1/files", form(FOR, file(b"x")), FORM, HTTP_CONTENT_ENCODING="gzip")
    assert error_of(packed, 415)["code"] == "unsupported_content_encoding"


def test_a_form_that_is_cut_leaves_nothing(api: APIClient, folder: Path) -> None:
    cut = form(FOR, file(b"x" * 1_000))[:-20]
    assert error_of(api.generic("POST", "/v1/files", cut, FORM))["code"] == "invalid_multipart"
    assert stored(folder) == []


@committed
def test_a_file_above_the_limit_is_a_413(api: APIClient, folder: Path, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, maximum_file_bytes=1024**2)
    assert upload(api, b"x" * 1024**2).status_code == 200
    refused = error_of(upload(api, b"x" * (1024**2 + 1)), 413)
    assert refused["message"] == "The body is larger than 1 MB."
    assert refused["param"] == "file"
    assert len(stored(folder)) == 1


def test_a_field_above_the_limit_is_a_413_that_names_it(api: APIClient, folder: Path) -> None:
    refused = error_of(send(api, "files", field("purpose", "x" * 70_000), file(b"hello")), 413)
    assert (refused["message"], refused["param"]) == ("The body is larger than 64 KB.", "purpose")
    assert stored(folder) == []


def test_fields_do_not_pass_for_a_file(api: APIClient, folder: Path) -> None:
    forged = {"filename": "a.txt", "bytes": "5", "sha256": "0" * 64}
    fields = [field(f"file[{name}]", value) for name, value in forged.items()]
    refused = error_of(send(api, "files", FOR, *fields))
    assert (refused["param"], refused["code"]) == ("file", "invalid_type")
    assert stored(folder) == []


def test_a_full_disk_is_a_507_that_heals_by_itself(
    api: APIClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_for_the_owner", lambda path, flags: os.open("/dev/full", os.O_WRONLY))
        answer = upload(api)
    assert error_of(answer, 507)["code"] == "insufficient_storage"
    assert answer["x-should-retry"] == "false"
    assert not File.objects.exists()
    assert stored(folder) == []
    assert upload(api).status_code == 200


def test_a_row_that_cannot_be_made_leaves_no_content(
    api: APIClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ApiError("Not now.")

    monkeypatch.setattr("sovereign.accounts.audit.record", refuse)
    assert error_of(upload(api))["message"] == "Not now."
    assert stored(folder) == []


# ------------------------------------------------------------------------------------------------- whose it is


def test_files_of_others_are_unknown(api: APIClient, outsider: APIClient) -> None:
    made = upload(api).json()["id"]
    for method, path in (("get", made), ("delete", made), ("get", f"{made}/content")):
        foreign = getattr(outsider, method)(f"/v1/files/{path}")
        unknown = getattr(outsider, method)(f"/v1/files/{path.replace(made, 'file-nobodys')}")
        assert error_of(unknown, 404) == UNKNOWN
        assert error_of(foreign, 404) == UNKNOWN | {"message": f"No such File object: {made}"}
    assert outsider.get("/v1/files").json()["data"] == []
    assert api.get(f"/v1/files/{made}").status_code == 200


@committed
def test_who_may_only_read_uploads_and_deletes_nothing(
    project: Project, api: APIClient, client_of: Callable[[str], APIClient], folder: Path
) -> None:
    reader = client_of(services.create_api_key(project=project, name="reader", scopes=[FILES_READ])[1])
    made = upload(api).json()["id"]
    assert error_of(upload(reader), 403)["code"] == "insufficient_permissions"
    assert reader.delete(f"/v1/files/{made}").status_code == 403
    assert content_of(reader, made) == b"hello"
    assert stored(folder) == [b"hello"]


def test_downloads_of_a_purpose_may_be_forbidden(api: APIClient, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, no_downloads_of=frozenset({"assistants"}))
    made = upload(api).json()["id"]
    refused = error_of(api.get(f"/v1/files/{made}/content"))
    assert refused["message"] == "Not allowed to download files of purpose: assistants"
    picture = send(api, "files", field("purpose", "vision"), file(b"x", "a.png")).json()["id"]
    assert content_of(api, picture) == b"x"


def test_bytes_that_somebody_took_away_are_a_404_and_a_line_in_the_log(
    api: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    made = upload(api).json()["id"]
    storage.delete(File.objects.get().storage_key)
    refused = error_of(api.get(f"/v1/files/{made}/content"), 404)
    assert refused["message"] == f"The content of the file '{made}' is not there any more."
    assert "content_missing" in caplog.text


def test_who_uploads_and_deletes_is_written_down(api: APIClient) -> None:
    made = upload(api).json()["id"]
    api.delete(f"/v1/files/{made}")
    events = AuditEvent.objects.filter(object_id=made).order_by("pk")
    assert [(event.action, event.details["purpose"]) for event in events] == [
        ("file.created", "assistants"),
        ("file.deleted", "assistants"),
    ]


@committed
def test_the_rooms_above_forget_a_file_when_it_is_deleted_and_nothing_is_locked(
    api: APIClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = []

    def fail(file: File) -> None:
        raise ApiError("Not now.")

    def forget(file: File) -> None:
        forgotten.append((file.id, connection.in_atomic_block, File.objects.exists()))

    monkeypatch.setattr(files, "forgetters", [fail, forget])
    made = upload(api).json()["id"]
    assert api.delete(f"/v1/files/{made}").status_code == 200
    assert forgotten == [(made, False, False)]
    assert stored(folder) == []


# ------------------------------------------------------------------------------------------------- once


@committed
def test_the_same_upload_five_times_is_one_file(api: APIClient, folder: Path) -> None:
    key = uuid.uuid4().hex
    answers = [upload(api, key=key) for _ in range(5)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert [answer.get("idempotent-replayed") for answer in answers] == [None, *["true"] * 4]
    assert File.objects.count() == 1
    assert stored(folder) == [b"hello"]


@committed
@pytest.mark.parametrize(("content", "filename"), [(b"other", "a.txt"), (b"hello", "b.txt")])
def test_a_key_is_for_one_content_and_one_name(api: APIClient, folder: Path, content: bytes, filename: str) -> None:
    upload(api, key="mine")
    assert error_of(upload(api, content, filename, key="mine"))["code"] == "idempotency_key_reused"
    assert stored(folder) == [b"hello"]


@committed
def test_an_sdks_retry_is_answered_as_the_first_was(api: APIClient, folder: Path) -> None:
    made = upload(api)
    assert upload(api, retry="1").content == made.content
    assert upload(api, b"other", retry="1").json()["id"] != made.json()["id"]
    assert stored(folder) == [b"hello", b"other"]


def test_equal_uploads_make_two_files(api: APIClient) -> None:
    assert upload(api).json()["id"] != upload(api).json()["id"]


def test_the_purposes_that_are_taken_are_those_of_the_model() -> None:
    outputs = {Purpose.ASSISTANTS_OUTPUT, Purpose.BATCH_OUTPUT, Purpose.FINE_TUNE_RESULTS}
    assert set(GIVEN_PURPOSES) == set(Purpose.values) - outputs


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"no_downloads_of": frozenset({"assistants", "user_data"})}, []),
        ({"no_downloads_of": frozenset({"assistant"})}, ["sovereign.E011"]),
        ({"files_url": "ftp://host/folder"}, ["sovereign.E010"]),
    ],
)
def test_what_the_environment_says_of_files_is_checked(settings: Any, changes: Any, found: list[str]) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, **changes)
    assert [error.id for error in (*checks.check_files_url(), *checks.check_no_downloads_of())] == found
