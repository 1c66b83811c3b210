"""schemathesis over our document: what it may send and what it may not, to objects that exist and to others.

Whatever comes, the server has no error of its own, and every answer is one that the document describes. What the
document allows is not refused as malformed; what it forbids is refused.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from assistants.models import Assistant
from inference.api.rendering import Choice, Style, heading, render_chat
from inference.chat import Finished, Usage
from inference.models import StoredCompletion
from runs.models import RunStep
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_key
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.ids import new_id
from tests.contract.conftest import AWAITING
from tests.contract.facts import Document
from tests.contract.hand import Hand
from tests.contract.test_answers import FUNCTION
from tests.contract.validation import Contract
from tests.runs.life_routes import life_of
from threads.models import Message

load_all_checks()
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]

NAMES = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
#: Codes of refusals that say that a body is not as the document describes it.
MALFORMED = {
    "invalid_type",
    "unknown_parameter",
    "missing_required_parameter",
    "string_above_max_length",
    "string_below_min_length",
    "array_above_max_length",
    "array_below_min_length",
    "integer_below_min_value",
    "integer_above_max_value",
    "decimal_below_min_value",
    "decimal_above_max_value",
    "object_above_max_properties",
}
#: What only one value of a ``type``, or the lack of another field, needs; the document has it in words.
ANY = "at least one"  # of several, as the document says in words
CONDITIONAL = (".last_messages", ".function", ".json_schema.schema", "file_ids", "model", "status", "input", ANY)
#: A download holds its file open until a server has sent it: it is asked for what is not there only.
DOWNLOAD = "/v1/files/{file_id}/content"
OPERATIONS = 164
TOGETHER = 12  # operations that are asked about the same objects: to make those takes longer than to ask
OFTEN = st.sampled_from([True, True, True, True, False])
SETTINGS = settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # what fails is shown as it was found: shrinking it costs minutes
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def document(document: Document) -> Document:
    """With whole addresses: our own are beside ``/v1``, and tools that read the document know one root alone."""
    paths: dict[str, Any] = {}
    for path, operations in document["paths"].items():
        roots = {each.get("servers", document["servers"])[0]["url"] for each in operations.values()}
        (root,) = roots
        methods = {method: {**each, "servers": []} for method, each in operations.items()}
        paths[f"{root.rstrip('/')}{path}"] = methods
    return {**document, "servers": [{"url": "/"}], "paths": paths}


@pytest.fixture
def api_key(project: Project) -> str:
    """A key that may do everything, so that it is not that by which a request is refused."""
    return services.create_api_key(project=project, name="test", scopes=sorted(ALL_SCOPES))[1]


@pytest.fixture(scope="module")
def schema(document: Document) -> Any:
    """Our document, with the server behind it."""
    configuration = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
    schema = schemathesis.openapi.from_dict(document, config=configuration)
    with override_settings(MIDDLEWARE=[AWAITING, *django_settings.MIDDLEWARE]):
        schema.app = get_wsgi_application()
    return schema


@contextmanager
def one_connection() -> Iterator[None]:
    """A request ends without giving back the test's connection, as under Django's own client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def real(api: Any, api_key: str) -> dict[str, str]:
    """The ids of objects that exist; the run waits for an output."""

    def post(path: str, body: Any) -> Any:
        return api.post(f"/v1/{path}", body, format="json").json()

    assistant = post("assistants", {"model": "tiny", "tools": [FUNCTION]})
    message = {"role": "user", "content": "Hello?"}
    run = post("threads/runs", {"assistant_id": assistant["id"], "thread": {"messages": [message]}})
    hand = Hand()
    hand.claim()
    hand.begin_calls()
    hand.call("weather", "{}")
    hand.hand_over()
    completion = StoredCompletion.objects.create(
        project=Project.objects.get(),
        model="tiny",
        messages=[message],
        answer=render_chat(heading("chatcmpl-", "tiny"), [Choice(finished=Finished("stop", Usage(1, 0)))], Style()),
    )
    upload = {"purpose": "assistants", "filename": "a.txt", "bytes": 3, "mime_type": "text/plain"}
    store = post("vector_stores", {"name": "a", "file_ids": [file := a_file(api)]})["id"]
    (call,) = RunStep.objects.get().tool_calls
    life = life_of(principal_of_key(api_key), Assistant.objects.get(pk=assistant["id"]))
    return {
        **life,
        "environment": "testing",
        "assistant_id": assistant["id"],
        "thread_id": run["thread_id"],
        "run_id": run["id"],
        "step_id": RunStep.objects.get().id,
        "message_id": Message.objects.get().id,
        "free": post("threads", {"messages": [message]})["id"],
        "call_id": call["id"],
        "other": new_id("run_"),
        "completion_id": completion.id,
        "model": "tiny",
        "file_id": file,
        "vector_store_id": store,
        "batch_id": post(f"vector_stores/{store}/file_batches", {"file_ids": [a_file(api)]})["id"],
        "upload_id": post("uploads", upload)["id"],
    }


def a_file(api: Any) -> str:
    """The id of a small text's file."""
    content = SimpleUploadedFile("a.txt", b"Lunch is at noon.")
    return str(api.post("/v1/files", {"purpose": "assistants", "file": content}, format="multipart").json()["id"])


def aim(case: Any, real: dict[str, str], data: st.DataObject, key: str) -> None:
    """Let a case name things that exist, more often than it would by itself, and come from somebody who may ask."""
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}", "OpenAI-Beta": "assistants=v2"}
    case.path_parameters, case.query = dict(case.path_parameters or {}), dict(case.query or {})
    free = case.method == "POST" and case.operation.path.endswith(("/runs", "/messages"))
    for name in case.path_parameters:
        if data.draw(OFTEN) and case.operation.path != DOWNLOAD:
            case.path_parameters[name] = real[meant(case.operation.path, name, free=free)]
    for name in ("after", "before", "run_id"):
        if name in case.query and data.draw(OFTEN):
            case.query[name] = data.draw(st.sampled_from(sorted(real.values())))
    if isinstance(case.body, dict):
        case.body = copy.deepcopy(case.body)  # generated values are shared
        for name, value in (("assistant_id", real["assistant_id"]), ("model", "tiny")):
            if name in case.body and data.draw(OFTEN):
                case.body[name] = value
        if case.body.get("tool_outputs") and data.draw(OFTEN):
            case.body["tool_outputs"] = [{"tool_call_id": real["call_id"], "output": "x"}]
        if case.body.get("stream") is True:
            case.body["stream"] = False  # streams have tests of their own
        if case.body.get("store") is True:
            case.body["store"] = False  # is done by another thread, which sees nothing of this transaction
    if case.query.get("stream"):
        case.query["stream"] = "false"


def meant(path: str, name: str, *, free: bool) -> str:
    """Which of the ids a part of an address takes."""
    if name == "version" and "/prompts/" in path:
        return "prompt_version"
    return "free" if free and name == "thread_id" else name


def send(case: Any) -> Any:
    """Call the server, check the answer, and leave nothing behind."""
    with one_connection(), transaction.atomic():
        response = case.call()
        transaction.set_rollback(True)
    case.validate_response(response, checks=[CHECKS.get_one(name) for name in NAMES])
    if response.status_code >= 400:
        error = response.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error)
    return response


@pytest.fixture(scope="module")
def operations(schema: Any) -> list[Any]:
    return [result.ok() for result in schema.get_all_operations()]


@pytest.fixture(scope="module")
def contract(document: Document) -> Contract:
    return Contract(document)


@pytest.mark.parametrize("first", range(0, OPERATIONS, TOGETHER))
def test_no_request_breaks_the_server(
    operations: list[Any], contract: Contract, api_key: str, real: dict[str, str], first: int, subtests: pytest.Subtests
) -> None:
    for operation in operations[first : first + TOGETHER]:
        with subtests.test(operation.label):
            ask_often(operation, contract, api_key, real)


def ask_often(operation: Any, contract: Contract, api_key: str, real: dict[str, str]) -> None:
    """What the document allows, and what it forbids."""
    modes = list(GenerationMode) if operation.body or operation.query else [GenerationMode.POSITIVE]
    examples = 12 if connection.vendor == "sqlite" else 4  # what a schema forbids is the same on both
    for mode in modes:  # a request that is nothing but a path cannot be wrong

        @settings(SETTINGS, max_examples=examples)  # of each mode
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def ask(case: Any, data: st.DataObject) -> None:
            aim(case, real, data, api_key)
            judge(contract, operation, case, send(case))

        ask()


def judge(contract: Contract, operation: Any, case: Any, response: Any) -> None:
    """What the document allows is not refused as malformed, and what it forbids is refused."""
    described = contract.document["paths"][operation.path][operation.method].get("requestBody")
    if described is None or response.status_code not in (200, 400) or not isinstance(case.body, dict | list | str):
        return
    if "application/json" not in described["content"]:
        return  # forms of files have tests of their own
    errors = contract.errors(json.loads(json.dumps(case.body)), described["content"]["application/json"]["schema"])
    if errors:
        assert response.status_code == 400, f"taken, although {errors[0].json_path} is wrong: {errors[0].message}"
    elif response.status_code == 400:
        error = response.json()["error"]
        if error["code"] == "missing_required_parameter" and (error["param"] or ANY).endswith(CONDITIONAL):
            return
        if error["code"] == "unknown_parameter" and error["param"] == "content":
            return  # of the file of cases that the text is
        if error["code"] == "invalid_type" and error["param"].startswith("filters"):
            return  # a list or one value, as the comparison wants it
        if error["param"] and error["param"].endswith("chunk_overlap_tokens"):
            return  # at most half of a chunk, as the document says in words
        assert error["code"] not in MALFORMED, f"refused, although the document allows it: {error}"


#: JSON that no database, encoder or recursion likes, as it is sent.
HOSTILE = [
    r'"\u0000"',
    r'"a\u0000b"',
    r'"\ud800"',
    r'"\udfff\ud800"',
    r'"\u2028\r\n"',
    '"{param}"',
    '"%s%(a)s{0}"',
    "1" + "0" * 400,
    "-10000000000000000000",
    "9223372036854775808",
    "1e308",
    "1e999",
    "-0.0",
    "NaN",
    "Infinity",
    "true",
    "null",
    '""',
    "[]",
    "{}",
    r'{"\ud800": 1}',
    r'{"\u0000": 1}',
    '{"": ""}',
    "[" * 99 + "]" * 99,
    "[" * 2000 + "]" * 2000,
    '{"a":' * 100 + "1" + "}" * 100,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    "[",
    "\x00",
]
TEXTS = [
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u2028\r\n",
    "{param}",
    "%s%(a)s{0}",
    "..",
    "-",
    "x" * 5000,
    "1" * 5000,
]
HERE = "<here>"


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value with every key of it."""
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from places(inner)


@pytest.mark.parametrize("first", range(0, OPERATIONS, TOGETHER))
def test_no_value_breaks_the_server(
    operations: list[Any],
    contract: Contract,
    api: APIClient,
    real: dict[str, str],
    first: int,
    subtests: pytest.Subtests,
) -> None:
    api.raise_request_exception = False
    for operation in operations[first : first + TOGETHER]:
        with subtests.test(operation.label):
            ask_hostile_things(operation, contract, api, real)


def ask_hostile_things(operation: Any, contract: Contract, api: APIClient, real: dict[str, str]) -> None:
    """Right bodies with one value that is hostile, somewhere; and hostile texts in addresses and queries."""

    @SETTINGS
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE), data=st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        aim(case, real, data, "")
        body = case.body if isinstance(case.body, dict) else None
        if body is not None:
            body = {**body, "metadata": body.get("metadata", {})}
            spots = list(places(body))
            where, key = spots[data.draw(st.integers(0, len(spots) - 1))]
            where[key] = HERE
        texts = st.sampled_from(TEXTS)
        query = {name: data.draw(st.sampled_from([*TEXTS, value])) for name, value in case.query.items()}
        named = dict(case.path_parameters)
        if named and data.draw(st.booleans()):
            named[data.draw(st.sampled_from(sorted(named)))] = data.draw(texts)
        address = operation.path.format(**named)
        url = f"{quote(address, errors='surrogatepass')}?{urlencode(query, errors='surrogatepass', doseq=True)}"
        sent = "" if body is None else json.dumps(body).replace(json.dumps(HERE), data.draw(st.sampled_from(HOSTILE)))
        with transaction.atomic():
            answer = api.generic(operation.method, url, sent, content_type="application/json")
            transaction.set_rollback(True)
        if not getattr(answer, "streaming", False):
            contract.check(operation.method, operation.path, answer)
        assert answer.status_code < 500

    ask()


def test_all_operations_are_asked(operations: list[Any]) -> None:
    assert len(operations) == OPERATIONS
