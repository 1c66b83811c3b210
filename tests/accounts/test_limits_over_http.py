"""What a client of ``/v1`` sees of limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from inference.models import RegisteredModel
from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, Consumption, IdempotencyRecord, Project, User
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Subject
from sovereign.core.database import now
from tests.accounts.test_idempotency import MESSAGE, post
from tests.accounts.test_quotas import age
from threads.models import Thread

pytestmark = pytest.mark.django_db

THREAD = {"messages": [MESSAGE]}
LIMIT, REMAINING, RESET = (f"x-ratelimit-{word}-requests" for word in ("limit", "remaining", "reset"))


def limit(project: Project, **limits: int) -> None:
    services.set_project_limits(project=project, limits=Limits(**limits))


def use_up(project: Project, tokens: int) -> None:
    [answer] = quotas.reserve([Demand((Subject("project", project.pk),), requests=0, tokens=tokens)])
    assert isinstance(answer, quotas.Reservation)


def test_the_one_too_many_is_told_what_and_when(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=2)
    first, second, third = (post(api) for _ in range(3))
    assert [(answer.status_code, answer[LIMIT], answer[REMAINING]) for answer in (first, second, third)] == [
        (200, "2", "1"),
        (200, "2", "0"),
        (429, "2", "0"),
    ]
    error = third.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("requests", None, "rate_limit_exceeded")
    assert error["message"].startswith(
        "Rate limit reached for this project on requests per min (RPM): Limit 2, Used 2, Requested 1. Please try again "
    )
    assert 1 <= int(third["retry-after"]) <= 60
    assert 1 <= int(third["retry-after-ms"]) <= 60_000
    assert third[RESET].endswith("s")
    assert "x-should-retry" not in third
    assert "x-ratelimit-limit-tokens" not in third
    assert Thread.objects.count() == 2


def test_it_goes_on_when_the_time_has_come(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=1)
    assert [post(api).status_code for _ in range(2)] == [200, 429]
    age(61)
    assert post(api).status_code == 200


def test_what_only_reads_is_not_counted(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=1)
    for _ in range(3):
        answer = api.get("/v1/assistants")
        assert answer.status_code == 200
        assert LIMIT not in answer
    assert api.options("/v1/assistants").status_code == 200
    assert post(api).status_code == 200
    assert api.delete("/v1/assistants/asst_x").status_code == 429
    assert api.get("/v1/assistants").status_code == 200


def test_what_is_refused_for_another_reason_counts_too(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=2)
    wrong = post(api, body={"metadata": 1})
    assert (wrong.status_code, wrong[REMAINING]) == (400, "1")
    assert api.delete("/v1/assistants/asst_x").status_code == 404
    assert post(api).status_code == 429


def test_who_is_not_known_or_may_not_is_not_counted(project: Project, api: APIClient, client_of: Any) -> None:
    limit(project, requests_per_minute=1)
    reader = services.create_api_key(project=project, scopes=["threads:read"])[1]
    for client, status in ((client_of("sk-sov-wrong"), 401), (client_of(reader), 403)):
        answer = post(client)
        assert answer.status_code == status
        assert LIMIT not in answer
    assert post(api).status_code == 200


def test_a_person_is_counted_for_the_project_alone(
    project: Project, alice: User, api: APIClient, browser_of: Callable[[User], Client]
) -> None:
    services.set_key_limits(key=ApiKey.objects.get(), limits=Limits(requests_per_minute=1))
    limit(project, requests_per_minute=3)
    client = APIClient()
    client.force_login(alice)
    assert [post(client)[REMAINING], post(api)[REMAINING]] == ["2", "0"]
    assert [post(api).status_code, post(client).status_code, post(client).status_code] == [429, 200, 429]


def test_another_project_is_neither_limited_nor_told(
    project: Project, api: APIClient, outsider: APIClient, charlies_project: Project
) -> None:
    limit(charlies_project, requests_per_minute=1)
    assert [post(outsider).status_code for _ in range(2)] == [200, 429]
    for _ in range(3):
        answer = post(api)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]


def test_a_change_of_a_limit_counts_from_the_next_request_on(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=1)
    assert [post(api).status_code for _ in range(2)] == [200, 429]
    limit(project, requests_per_minute=5)
    assert post(api)[REMAINING] == "3"
    limit(project)
    answer = post(api)
    assert (answer.status_code, answer.get(LIMIT)) == (200, None)


def test_where_nothing_is_limited_a_request_has_one_query_more(
    api: APIClient, project: Project, monkeypatch: Any
) -> None:

    post(api)
    with CaptureQueriesContext(connection) as usual:
        post(api)
    monkeypatch.setattr(quotas, "limits_of", lambda subjects: {})
    with CaptureQueriesContext(connection) as without:
        post(api)
    assert len(usual) == len(without) + 1


# tokens


def test_where_no_token_is_left_nothing_begins_that_needs_one(project: Project, api: APIClient) -> None:
    limit(project, tokens_per_minute=100)
    thread = post(api).json()["id"]
    use_up(project, 100)
    answer = post(api, "threads/runs", body={"assistant_id": "asst_x"})
    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "tokens"
    assert "on tokens per min (TPM): Limit 100, Used 100, Requested 1." in answer.json()["error"]["message"]
    assert (answer["x-ratelimit-limit-tokens"], answer["x-ratelimit-remaining-tokens"]) == ("100", "0")
    assert int(answer["retry-after"]) >= 1
    assert post(api, f"threads/{thread}/runs", body={"assistant_id": "asst_x"}).status_code == 429
    assert post(api).status_code == 200, "a thread costs none"
    age(61)
    assert post(api, "threads/runs", body={"assistant_id": "asst_x"}).status_code == 404


def test_a_stream_says_it_too(project: Project, api: APIClient) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=now())
    limit(project, requests_per_minute=10, tokens_per_minute=1000)
    assistant = post(api, "assistants", body={"model": "tiny"}).json()["id"]
    answer = post(api, "threads/runs", body={"assistant_id": assistant, "stream": True, "thread": THREAD})
    assert (answer.status_code, answer.streaming) == (200, True)
    assert (answer[REMAINING], answer["x-ratelimit-remaining-tokens"]) == ("8", "1000")
    answer.close()


# the same request again


@pytest.mark.parametrize("again", [{"key": "k"}, {"retry": 1}])
def test_what_is_answered_again_is_counted_once(project: Project, api: APIClient, again: dict[str, Any]) -> None:
    limit(project, requests_per_minute=3)
    first = post(api, **(again if "key" in again else {"retry": 0}))
    for _ in range(4):
        answer = post(api, **again)
        assert (answer.status_code, answer.get("idempotent-replayed")) == (200, "true")
        assert answer.content == first.content
    assert post(api)[REMAINING] == "1"
    stored = IdempotencyRecord.objects.order_by("pk").first()
    assert stored is not None
    assert not [name for name in stored.headers if "ratelimit" in name], "a replay has the numbers of its own time"


def test_the_retry_of_what_was_refused_gets_nobody_elses_answer(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=1)
    others = post(api, retry=0)
    assert [post(api, retry=count).status_code for count in (0, 1)] == [429, 429]
    age(61)
    mine = post(api, retry=2)
    assert (mine.status_code, "idempotent-replayed" in mine) == (200, False)
    assert mine.json()["id"] != others.json()["id"]
    age(61)
    assert post(api, retry=3).content == mine.content
    assert Thread.objects.count() == 2


def test_a_key_of_a_refused_request_may_be_used_again(project: Project, api: APIClient) -> None:
    limit(project, requests_per_minute=1)
    post(api)
    assert post(api, key="k").status_code == 429
    age(61)
    assert post(api, key="k").status_code == 200
    assert Consumption.objects.count() == 1
