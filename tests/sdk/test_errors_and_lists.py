"""What the official SDK makes of refusals and of lists: its own classes, and pages that it turns by itself."""

from __future__ import annotations

import re
from typing import Any

import openai
import pytest

from tests.support.processes import Stack

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

BETA: Any = {"headers": {"OpenAI-Beta": "assistants=v2"}}
REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")


def refusal(error: openai.APIStatusError) -> tuple[int, str | None, str | None, str | None]:
    """Status, type, param and code; what every error has is looked at here."""
    assert error.request_id is not None
    assert REQUEST_ID.fullmatch(error.request_id)
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}, "the SDK takes the envelope off"
    assert error.body["message"] in error.message
    return error.status_code, error.type, error.param, error.code


CASES: list[tuple[Any, type[openai.APIStatusError], int, str | None, str | None]] = [
    (lambda sdk: sdk.beta.assistants.create(model="no-such-model"),
     openai.NotFoundError, 404, "model", "model_not_found"),
    (lambda sdk: sdk.beta.assistants.create(model="text-embedding-3-small"),
     openai.BadRequestError, 400, "model", "unsupported_model"),
    (lambda sdk: sdk.beta.assistants.create(model="fake", name="n" * 257),
     openai.BadRequestError, 400, "name", "string_above_max_length"),
    (lambda sdk: sdk.beta.assistants.create(model="fake", temperature=3),
     openai.BadRequestError, 400, "temperature", "decimal_above_max_value"),
    (lambda sdk: sdk.beta.assistants.create(model="fake", metadata={"k": 1}),
     openai.BadRequestError, 400, "metadata.k", "invalid_type"),
    (lambda sdk: sdk.beta.assistants.create(model="fake", extra_body={"embedding_model": "x"}),
     openai.BadRequestError, 400, "embedding_model", "unknown_parameter"),
    (lambda sdk: sdk.beta.assistants.retrieve("asst_x"), openai.NotFoundError, 404, None, None),
    (lambda sdk: sdk.beta.assistants.update("asst_x", name="n"), openai.NotFoundError, 404, None, None),
    (lambda sdk: sdk.beta.assistants.delete("asst_x"), openai.NotFoundError, 404, None, None),
    (lambda sdk: sdk.beta.assistants.list(limit=101),
     openai.BadRequestError, 400, "limit", "integer_above_max_value"),
    (lambda sdk: sdk.beta.assistants.list(order="up"), openai.BadRequestError, 400, "order", "invalid_value"),
    (lambda sdk: sdk.beta.assistants.list(extra_headers={"OpenAI-Beta": "assistants=v1"}),
     openai.BadRequestError, 400, None, "invalid_beta"),
    (lambda sdk: sdk.beta.threads.create(messages=[{"role": "system", "content": "x"}]),
     openai.BadRequestError, 400, "messages[0].role", "invalid_value"),
    (lambda sdk: sdk.beta.threads.messages.create("thread_x", role="user", content="x"),
     openai.NotFoundError, 404, None, None),
    (lambda sdk: sdk.get("/nothing", cast_to=object), openai.NotFoundError, 404, None, None),
    (lambda sdk: sdk.put("/assistants", cast_to=object, options=BETA), openai.APIStatusError, 405, None, None),
    (lambda sdk: sdk.with_options(api_key="not-a-real-key").beta.assistants.list(),
     openai.AuthenticationError, 401, None, "invalid_api_key"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "kind", "status", "param", "code"), CASES)
def test_a_refusal_is_raised_as_the_sdks_own_class(
    sdk: openai.OpenAI,
    ask: Any,
    kind: type[openai.APIStatusError],
    status: int,
    param: str | None,
    code: str | None,
) -> None:
    with pytest.raises(kind) as refused:
        ask(sdk)
    assert refusal(refused.value) == (status, "invalid_request_error", param, code)


def test_every_object_knows_its_request(sdk: openai.OpenAI) -> None:
    thread = sdk.beta.threads.create()
    again = sdk.beta.threads.retrieve(thread.id)
    ids = [str(made._request_id) for made in (thread, again)]
    assert all(REQUEST_ID.fullmatch(request_id) for request_id in ids)
    assert ids[0] != ids[1]
    raw = sdk.beta.threads.with_raw_response.retrieve(thread.id)
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-organization"] == "sovereign"
    assert raw.headers["openai-project"].startswith("proj_")
    assert int(raw.headers["openai-processing-ms"]) >= 0


def test_the_sdk_turns_the_pages_of_messages_by_itself(sdk: openai.OpenAI) -> None:
    said = [str(number) for number in range(7)]
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": text} for text in said])
    for limit in (1, 2, 3, 7, 100):
        for order, expected in (("asc", said), ("desc", said[::-1])):
            pages = sdk.beta.threads.messages.list(thread.id, limit=limit, order=order)  # type: ignore[arg-type]
            assert [message.content[0].text.value for message in pages] == expected  # type: ignore[union-attr]
    page = sdk.beta.threads.messages.list(thread.id, limit=2)
    assert (len(page.data), page.has_more, page.has_next_page()) == (2, True, True)
    assert len(page.get_next_page().data) == 2
    assert sdk.beta.threads.messages.list(thread.id, run_id="run_x").data == []


def test_listing_and_deleting_in_one_loop(sdk: openai.OpenAI) -> None:
    """What clean-up scripts do: the cursor of a page is gone when the next one is asked for."""
    made = {sdk.beta.assistants.create(model="fake", name=f"to be deleted {n}").id for n in range(5)}
    deleted = set()
    for assistant in sdk.beta.assistants.list(limit=2):
        if assistant.id in made:
            assert sdk.beta.assistants.delete(assistant.id).deleted
            deleted.add(assistant.id)
    assert deleted == made


def test_a_partial_update_leaves_the_rest(sdk: openai.OpenAI) -> None:
    made = sdk.beta.assistants.create(
        model="fake", name="n", instructions="i", temperature=0.5, metadata={"a": "1"}, tools=[{"type": "file_search"}]
    )
    changed = sdk.beta.assistants.update(made.id, metadata={"b": "2"})
    assert changed == made.model_copy(update={"metadata": {"b": "2"}})
    reset = sdk.beta.assistants.update(made.id, name=None, temperature=None)
    assert reset == changed.model_copy(update={"name": None, "temperature": 1.0})


def test_a_client_that_names_an_organization_is_served(server: Stack) -> None:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=server.api_key, organization="org-x", project="proj_x", max_retries=0
    ) as sdk:
        assert sdk.beta.threads.create().object == "thread"
