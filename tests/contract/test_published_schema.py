"""Everything that the published schema describes is in our document, except what ``differences.yaml`` has reasons for.

An entry there that is no longer needed fails too. For a request "in our document" means that we take what is described
and ask for no more; for an answer, that we send what is described and nothing that a client made for it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from jsonschema import Draft202012Validator

from sovereign.core.api.schema import RATE_LIMITS
from sovereign.web.glossary import WORDS
from tests.contract.facts import Document, Facts, answer_of, body_of, facts_of, look_up, operations_of, reached

HERE = Path(__file__).parent
STREAM = "AssistantStreamEvent"
MODEL_CALLS = {"POST /chat/completions", "POST /completions", "POST /embeddings", "POST /moderations"}
SEARCH = "POST /vector_stores/{vector_store_id}/search"
PREVIEW = "POST /api/v1/prompts/{prompt_id}/preview"
COMPARISON = "POST /api/v1/assistants/compare"
KEPT = {"POST /ws_tickets": "30 seconds", "POST /api/v1/alerts/rules": "120 seconds"}  # what answers with a secret
STREAMED = [
    "POST /threads/runs",
    "POST /threads/{thread_id}/runs",
    "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
]


@pytest.fixture(scope="module")
def published() -> Document:
    document: Document = yaml.safe_load((HERE / "published" / "openapi-assistants.yaml").read_text())
    return document


def request_differences(theirs: Facts | None, ours: Facts | None) -> Iterator[str]:
    if theirs is None:
        return
    if ours is None:
        yield "the body"
        return
    yield from sorted(theirs.properties - ours.properties)
    yield from sorted(f"{path} = {value}" for path, value in theirs.enums - ours.enums)
    known = {(path, kind) for path, kind in theirs.types if path in ours.properties or not path}
    yield from sorted(f"{path}: {kind}" for path, kind in known - _with_integers(ours.types))
    yield from sorted(f"{path} is required" for path in (ours.required & theirs.properties) - theirs.required)


def answer_differences(theirs: Facts | None, ours: Facts | None) -> Iterator[str]:
    if theirs is None:
        return
    if ours is None:
        yield "the answer"
        return
    yield from sorted(theirs.properties - ours.properties)
    yield from sorted(f"{path} = {value}" for path, value in theirs.enums - ours.enums)
    yield from sorted(f"{path} may be missing" for path in (theirs.required & ours.properties) - ours.required)
    shared = {(path, kind) for path, kind in ours.types if path in theirs.properties}
    typed = {path for path, _ in theirs.types}
    yield from sorted(f"{path}: {kind}" for path, kind in shared - _with_integers(theirs.types) if path in typed)


def _with_integers(types: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """An integer is a number."""
    return types | {(path, "integer") for path, kind in types if kind == "number"}


def parameter_differences(theirs: list[Any], ours: list[Any]) -> Iterator[str]:
    known = {(parameter["in"], parameter["name"]): parameter for parameter in ours}
    for parameter in theirs:
        name = f"{parameter['in']} {parameter['name']}"
        mine = known.get((parameter["in"], parameter["name"]))
        if mine is None:
            yield name
            continue
        expected, found = facts_of({}, parameter["schema"]), facts_of({}, mine["schema"])
        yield from sorted(f"{name} = {value}" for _, value in expected.enums - found.enums)
        yield from sorted(f"{name}: {kind}" for _, kind in expected.types - found.types)
        if parameter["schema"].get("default") != mine["schema"].get("default"):
            yield f"{name} has another default"
        if mine.get("required") and not parameter.get("required"):
            yield f"{name} is required"


def differences(published: Document, ours: Document) -> Iterator[str]:
    known = dict(operations_of(ours))
    stream = facts_of(published, published["components"]["schemas"][STREAM])
    for name, operation in operations_of(published):
        mine = known.get(name)
        if mine is None:
            yield name
            continue
        for difference in parameter_differences(operation.get("parameters", []), mine.get("parameters", [])):
            yield f"{name} {difference}"
        for difference in request_differences(body_of(published, operation), body_of(ours, mine)):
            yield f"{name} takes {difference}"
        for difference in answer_differences(answer_of(published, operation), answer_of(ours, mine)):
            yield f"{name} gives {difference}"
        if name in STREAMED:
            for difference in answer_differences(stream, answer_of(ours, mine, "text/event-stream")):
                yield f"{name} streams {difference}"
        for status in sorted(set(operation["responses"]) - set(mine["responses"])):
            yield f"{name} answers {status}"
    for scheme in sorted(set(published["components"]["securitySchemes"]) - set(ours["components"]["securitySchemes"])):
        yield f"security {scheme}"


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def test_the_published_schema_is_in_ours(published: Document, document: Document) -> None:
    entries = yaml.safe_load((HERE / "differences.yaml").read_text())
    found = list(differences(published, document))
    for entry in entries:
        assert entry["why"].strip()
    patterns = [pattern for entry in entries for pattern in entry["what"]]
    missing = [text for text in found if not any(matches(pattern, text) for pattern in patterns)]
    assert missing == []
    needless = [pattern for pattern in patterns if not any(matches(pattern, text) for text in found)]
    assert needless == []


def test_all_of_the_published_schema_is_compared(published: Document) -> None:
    """No schema of the file is beyond the operations and their streams: all 23 are ours to answer."""
    names = reached(published, published["paths"]) | {STREAM}
    names |= reached(published, published["components"]["schemas"][STREAM])
    assert names == set(published["components"]["schemas"])
    assert len(list(operations_of(published))) == 23


def test_a_hole_in_our_document_is_found(published: Document, document: Document) -> None:
    """The comparison itself: whatever is taken away is missed."""
    before = set(differences(published, document))
    run = document["components"]["schemas"]["RunObject"]
    hurt = {**document, "components": {**document["components"], "schemas": {**document["components"]["schemas"]}}}
    status = {**run["properties"]["status"], "enum": ["queued"]}
    properties = {**run["properties"], "status": status}
    del properties["usage"]
    hurt["components"]["schemas"]["RunObject"] = {**run, "properties": properties}
    hurt["paths"] = {path: item for path, item in document["paths"].items() if path != "/threads/{thread_id}/messages"}
    found = set(differences(published, hurt)) - before
    assert "GET /threads/{thread_id}/messages" in found
    assert "GET /threads/{thread_id}/runs/{run_id} gives .usage" in found
    assert "GET /threads/{thread_id}/runs gives .data[].status = failed" in found
    assert "POST /threads/runs streams <thread.run.failed>.data.usage" in found


def test_the_document_is_valid_and_made_without_a_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml"))
    assert capsys.readouterr().err == ""


def test_every_schema_is_a_json_schema(document: Document) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_has_words_of_its_own(document: Document) -> None:
    summaries = [operation["summary"] for _, operation in operations_of(document)]
    assert all(summaries)
    assert len(set(summaries)) == len(summaries)
    for _, operation in operations_of(document):
        assert operation["tags"]
        assert all(parameter.get("description") for parameter in operation.get("parameters", []))


def test_the_words_for_properties_are_all_needed(document: Document) -> None:
    schemas = document["components"]["schemas"]
    used = {(name, key) for name, schema in schemas.items() for key in schema.get("properties", {})}
    keys = {f"{name}.{key}" if f"{name}.{key}" in WORDS else key for name, key in used}
    assert sorted(set(WORDS) - keys) == []


def test_every_property_is_explained(document: Document) -> None:
    silent = []
    for name, schema in document["components"]["schemas"].items():
        for key, inner in schema.get("properties", {}).items():
            target = look_up(document, inner)
            plain = set(target) <= {"type", "enum"} and len(target.get("enum", ())) == 1  # a tag says what it is
            if not (inner.get("description") or target.get("description") or plain):
                silent.append(f"{name}.{key}")
    assert silent == []


def test_every_refusal_is_in_the_envelope(document: Document) -> None:
    for name, operation in operations_of(document):
        assert {"400", "401", "403", "500", "503"} <= set(operation["responses"]), name
        for status, answer in operation["responses"].items():
            if status != "200":
                schema = look_up(document, answer)["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorResponse"}


def test_what_tells_clients_whether_to_try_again(document: Document) -> None:
    for name, operation in operations_of(document):
        failed, busy = (look_up(document, operation["responses"][status])["headers"] for status in ("500", "503"))
        always = {"x-request-id", "x-should-retry", *RATE_LIMITS}
        assert (set(failed), set(busy)) == (always, {*always, "Retry-After"}), name


def test_what_is_limited_says_so(document: Document) -> None:
    for name, operation in operations_of(document):
        limited = not name.startswith("GET")
        assert ("429" in operation["responses"]) == limited, name
        assert (set(RATE_LIMITS) <= set(operation["responses"]["200"]["headers"])) == limited, name
        if limited:
            refused = look_up(document, operation["responses"]["429"])["headers"]
            assert {"Retry-After", "retry-after-ms", *RATE_LIMITS} <= set(refused), name


def test_an_idempotency_key_is_described_by_how_long_it_is_kept(document: Document) -> None:
    """An answer that holds a secret goes with it, or with the retries. What changes nothing is done each time."""
    for name, operation in operations_of(document):
        parameters = operation.get("parameters", [])
        words = [one["description"] for one in parameters if one["name"] == "Idempotency-Key"]
        span = KEPT.get(name, "24 hours")
        is_recorded = name.startswith("POST") and name not in {*MODEL_CALLS, SEARCH, PREVIEW, COMPARISON}
        assert [f" again within {span}: " in one for one in words] == ([True] if is_recorded else []), name
        assert ("idempotent-replayed" in operation["responses"]["200"]["headers"]) == is_recorded, name
