"""The same ``POST`` again (R10): one object, the same answer; and what is no repetition is none."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, IdempotencyRecord, Project, User
from sovereign.accounts.scopes import Role
from sovereign.accounts.services import idempotency
from sovereign.core import database
from sovereign.core.errors import ApiError
from threads import services as threads
from threads.models import Message, Thread

MESSAGE = {"role": "user", "content": "Hello?"}


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def thread(api: APIClient) -> str:
    """Made before the records that a test counts."""
    made: str = api.post("/v1/threads", {}, format="json").json()["id"]
    IdempotencyRecord.objects.all().delete()
    return made


def post(client: APIClient, path: str = "threads", body: Any = None, **headers: Any) -> Any:
    """``key`` and ``retry`` become the headers of that meaning."""
    names = {"key": "HTTP_IDEMPOTENCY_KEY", "retry": "HTTP_X_STAINLESS_RETRY_COUNT"}
    given = {names.get(name, name): str(value) for name, value in headers.items()}
    return client.post(f"/v1/{path}", {} if body is None else body, format="json", **given)


def grow_old(by: timedelta) -> None:
    """As if the records had been made that long ago."""
    for record in IdempotencyRecord.objects.all():
        record.expires_at -= by
        record.save()


# ------------------------------------------------------------------------------------------------- with a key


@pytest.mark.django_db
def test_the_same_request_five_times_is_one_object_and_one_answer(api: APIClient, thread: str, key: str) -> None:
    answers = [post(api, f"threads/{thread}/messages", MESSAGE, key=key) for _ in range(5)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert [answer.get("idempotent-replayed") for answer in answers] == [None, "true", "true", "true", "true"]
    assert {answer["Content-Type"] for answer in answers} == {"application/json"}
    assert Message.objects.get().id == answers[0].json()["id"]


@pytest.mark.django_db
def test_the_answer_is_what_it_was_although_the_object_has_changed(api: APIClient, key: str) -> None:
    made = post(api, body={"metadata": {"a": "b"}}, key=key)
    post(api, f"threads/{made.json()['id']}", {"metadata": {"c": "d"}})
    assert post(api, body={"metadata": {"a": "b"}}, key=key).content == made.content
    assert api.delete(f"/v1/threads/{made.json()['id']}").status_code == 200
    assert post(api, body={"metadata": {"a": "b"}}, key=key).content == made.content
    assert not Thread.objects.exists()


@pytest.mark.django_db
def test_a_body_is_the_same_in_whatever_order_and_spacing_it_comes(api: APIClient, key: str) -> None:
    bodies = ['{"metadata":{"a":"1","b":"2"},"messages":[]}', '{ "messages": [], "metadata": {"b":"2", "a":"1"} }']
    first, second = (
        api.generic("POST", "/v1/threads", body, "application/json", HTTP_IDEMPOTENCY_KEY=key) for body in bodies
    )
    assert (second.content, second["idempotent-replayed"]) == (first.content, "true")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("threads/{thread}/messages", {**MESSAGE, "content": "Bye."}, "body"),
        ("threads/{thread}/messages?x=1", MESSAGE, "body"),
        ("threads", {}, "path"),
        ("threads/{thread}", {}, "path"),
    ],
)
def test_a_key_is_for_one_request(api: APIClient, thread: str, key: str, path: str, body: Any, what: str) -> None:
    post(api, f"threads/{thread}/messages", MESSAGE, key=key)
    answer = post(api, path.format(thread=thread), body, key=key)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (
        400,
        "idempotency_key_reused",
        "invalid_request_error",
    )
    assert f"another {what}" in error["message"]
    assert key not in answer.content.decode()
    assert (Message.objects.count(), Thread.objects.count()) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["", "x" * 256, "é", "a\tb", "a\x7fb", "\x00"])
def test_a_key_that_no_program_would_make_is_refused(api: APIClient, wrong: str) -> None:
    answer = post(api, key=wrong)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert not Thread.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("right", ["x", "x" * 255, "a b~!", "stainless-python-retry-1"])
def test_every_printable_key_will_do(api: APIClient, right: str) -> None:
    assert post(api, key=right).content == post(api, key=right).content


@pytest.mark.django_db
def test_a_key_is_its_owners(
    api: APIClient, outsider: APIClient, project: Project, client_of: Callable[[str], APIClient], key: str
) -> None:
    """Another tenant's, and another key's of the same project: as if nobody had used it."""
    colleague = client_of(services.create_api_key(project=project, name="other")[1])
    made = {post(client, key=key).json()["id"] for client in (api, outsider, colleague)}
    assert len(made) == Thread.objects.count() == 3
    assert post(outsider, body={"metadata": {"a": "b"}}, key=uuid.uuid4().hex).status_code == 200
    assert post(api, key=key).json()["id"] in made


@pytest.mark.django_db
def test_a_persons_key_is_theirs_in_that_project(
    browser_of: Callable[[User], Client], alice: User, bob: User, project: Project, charlies_project: Project, key: str
) -> None:
    services.add_member(project=charlies_project, user=alice, role=Role.OWNER)

    def make(user: User, where: Project) -> str:
        browser = browser_of(user)
        session = browser.session
        session["project"] = where.pk
        session.save()
        browser.get("/chat/")
        token = browser.cookies["sovereign_csrf"].value
        headers = {"HTTP_X_CSRFTOKEN": token, "HTTP_IDEMPOTENCY_KEY": key}
        answer = browser.post("/v1/threads", "{}", content_type="application/json", **headers)
        assert answer.status_code == 200, answer.content
        made: str = answer.json()["id"]
        return made

    made = [make(alice, project), make(bob, project), make(alice, charlies_project), make(alice, project)]
    assert made[0] == made[3]
    assert len(set(made)) == Thread.objects.count() == 3


@pytest.mark.django_db
def test_a_day_later_the_key_is_new(api: APIClient, key: str) -> None:
    first = post(api, key=key).json()["id"]
    grow_old(timedelta(hours=23, minutes=59))
    assert post(api, key=key).json()["id"] == first
    grow_old(timedelta(minutes=2))
    assert post(api, body={"metadata": {"a": "b"}}, key=key).json()["id"] != first
    assert IdempotencyRecord.objects.count() == 1


@pytest.mark.django_db
def test_keys_are_kept_as_digests(api: APIClient, key: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        post(api, key=key)
        post(api, body={"metadata": {"a": "b"}}, key=key)
    assert key not in str(IdempotencyRecord.objects.values().get())
    assert key not in caplog.text


@pytest.mark.django_db
def test_other_methods_do_not_care(api: APIClient, thread: str) -> None:
    for _ in range(2):
        assert api.get(f"/v1/threads/{thread}", HTTP_IDEMPOTENCY_KEY="").status_code == 200
    assert api.delete(f"/v1/threads/{thread}", HTTP_IDEMPOTENCY_KEY="x").status_code == 200
    assert api.delete(f"/v1/threads/{thread}", HTTP_IDEMPOTENCY_KEY="x").status_code == 404


@pytest.mark.django_db
def test_an_answer_that_is_large_comes_back_whole(api: APIClient, thread: str, key: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 500_000}}
    body = {"role": "user", "content": [picture]}
    first, second = (post(api, f"threads/{thread}/messages", body, key=key) for _ in range(2))
    assert len(first.content) > 2_000_000
    assert (second.content, second["idempotent-replayed"]) == (first.content, "true")


@pytest.mark.django_db
def test_an_answer_that_holds_a_secret_is_kept_for_as_long_as_it_is_good(api: APIClient, key: str) -> None:
    first = post(api, "ws_tickets", key=key).json()
    assert post(api, "ws_tickets", key=key).json() == first
    assert IdempotencyRecord.objects.get().expires_at <= timezone.now() + timedelta(seconds=30)
    grow_old(timedelta(seconds=31))
    assert post(api, "ws_tickets", key=key).json() != first


# ---------------------------------------------------------------------------------------------- without a key


@pytest.mark.django_db
@pytest.mark.parametrize("first", [{}, {"retry": 0}, {"retry": "soon"}])
def test_two_equal_fresh_requests_make_two_objects(api: APIClient, first: dict[str, Any]) -> None:
    one, two = (post(api, **first) for _ in range(2))
    assert one.json()["id"] != two.json()["id"]
    assert "idempotent-replayed" not in two
    assert Thread.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("counts", [[0, 1, 2, 3, 4], [None, 1, 2, 3, 4], [0, 1, 1, 1, 1], [1, 1, 2, 2, 5], [0, 2, 1]])
def test_the_retries_of_an_sdk_are_one_object(api: APIClient, counts: list[int | None]) -> None:
    headers = [{} if count is None else {"retry": count} for count in counts]
    answers = [post(api, **header) for header in headers]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {answer.get("idempotent-replayed") for answer in answers[1:]} == {"true"}
    assert Thread.objects.count() == 1


@pytest.mark.django_db
def test_a_retry_is_one_of_the_same_credentials_path_and_body(
    api: APIClient, outsider: APIClient, project: Project, client_of: Callable[[str], APIClient], thread: str
) -> None:
    colleague = client_of(services.create_api_key(project=project, name="other")[1])
    body = {"metadata": {"a": "b"}}
    made = [post(api, body=body, retry=0).json()["id"]]
    for client in (outsider, colleague):
        made.append(post(client, body=body, retry=1).json()["id"])
    made.append(post(api, body={"metadata": {"a": "c"}}, retry=1).json()["id"])
    assert len(set(made)) == 4
    assert post(api, f"threads/{thread}", body, retry=1).json()["id"] == thread
    assert post(api, body=body, retry=1).json()["id"] == made[0]


@pytest.mark.django_db
def test_after_two_minutes_it_is_a_request_of_its_own(api: APIClient) -> None:
    first = post(api, retry=0).json()["id"]
    grow_old(timedelta(seconds=110))
    assert post(api, retry=1).json()["id"] == first
    grow_old(timedelta(seconds=15))
    assert post(api, retry=2).json()["id"] != first


@pytest.mark.django_db
def test_each_of_two_equal_requests_has_its_own_retries(api: APIClient) -> None:
    made = [post(api, retry=0).json()["id"] for _ in range(2)]
    retried = [post(api, retry=1).json()["id"] for _ in range(2)]
    assert retried == made[::-1]  # the newest first: it is the likeliest to have been lost
    assert {post(api, retry=2).json()["id"] for _ in range(2)} == set(made)
    assert Thread.objects.count() == 2


@pytest.mark.django_db
def test_what_was_retried_before_is_retried_again_rather_than_what_came_between(api: APIClient) -> None:
    lost = post(api, retry=0).json()["id"]
    assert post(api, retry=1).json()["id"] == lost
    assert post(api, retry=0).json()["id"] != lost
    assert post(api, retry=2).json()["id"] == lost


@pytest.mark.django_db
def test_a_request_with_a_key_is_nobodys_retry(api: APIClient, key: str) -> None:
    keyed = post(api, key=key, retry=0).json()["id"]
    assert post(api, retry=1).json()["id"] != keyed
    assert post(api, key=key, retry=1).json()["id"] == keyed
    assert post(api, key=uuid.uuid4().hex, retry=1).json()["id"] != keyed


# ------------------------------------------------------------------------------------------------- refusals


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads are refused after everything about them was written."""
    real = threads.audit.record

    def refuse(*arguments: Any, **details: Any) -> None:
        real(*arguments, **details)
        raise ApiError("Not today.")

    with monkeypatch.context() as patch:
        patch.setattr(threads.audit, "record", refuse)
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"key": "k"}, {"retry": 0}, {"retry": 1}])
def test_a_refused_request_leaves_nothing(api: APIClient, refusing: None, headers: dict[str, Any]) -> None:
    before = AuditEvent.objects.count()
    answer = post(api, body={"messages": [MESSAGE]}, **headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Not today.")
    assert not Thread.objects.exists()
    assert not Message.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    assert AuditEvent.objects.count() == before


@pytest.mark.django_db
@pytest.mark.parametrize("headers", [{"key": "k"}, {"retry": 1}])
def test_a_refused_request_may_be_tried_again(api: APIClient, headers: dict[str, Any]) -> None:
    for body in ({"messages": 5}, {"foo": 1}):
        assert post(api, body=body, **headers).status_code == 400
    assert post(api, "threads/thread_x", {"metadata": {}}, **headers).status_code == 404
    assert post(api, **headers).status_code == 200


@pytest.mark.django_db
def test_who_may_no_longer_do_it_gets_no_old_answer(
    api: APIClient, project: Project, client_of: Callable[[str], APIClient], key: str
) -> None:
    made, secret = services.create_api_key(project=project, name="other")
    client = client_of(secret)
    assert post(client, key=key).status_code == 200
    made.scopes = [scope for scope in made.scopes if scope != "threads:write"]
    made.save()
    assert post(client, key=key).status_code == 403
    services.revoke_api_key(key=made)
    assert post(client, key=key).status_code == 401


@pytest.mark.django_db
def test_no_digest_is_made_of_what_is_refused(api: APIClient, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a body that is refused may be as large as any")

    monkeypatch.setattr(idempotency, "attempt_of", never)
    assert post(api, body={"foo": 1}, key=key).json()["error"]["code"] == "unknown_parameter"
    assert post(api, body={"foo": 1}, key="").json()["error"]["code"] == "invalid_idempotency_key"


# ------------------------------------------------------------------------------------------------ for how long


@pytest.mark.django_db
def test_records_are_forgotten_when_their_time_is_over_a_bounded_number_at_once(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(idempotency, "FORGOTTEN_AT_ONCE", 3)
    for number in range(4):
        post(api, retry=0)
        post(api, key=f"key {number}")
    with django_assert_num_queries(1):
        assert services.forget_answers() == 0
    grow_old(timedelta(minutes=3))
    assert [services.forget_answers() for _ in range(3)] == [3, 1, 0]
    assert IdempotencyRecord.objects.exclude(key_digest=None).count() == IdempotencyRecord.objects.count() == 4
    grow_old(timedelta(days=1))
    assert [services.forget_answers() for _ in range(3)] == [3, 1, 0]
    assert Thread.objects.count() == 8


@pytest.mark.django_db(transaction=True)
def test_the_migration_goes_back_and_forward_on_filled_tables(api: APIClient, key: str) -> None:
    made = post(api, key=key).json()["id"]
    try:
        call_command("migrate", "accounts", "0001_initial", verbosity=0)
        assert "accounts_idempotencyrecord" not in connection.introspection.table_names()
    finally:
        call_command("migrate", verbosity=0)
    assert database.is_migrated()
    assert Thread.objects.get().id == made
    assert post(api, key=key).json()["id"] == post(api, key=key).json()["id"] != made
