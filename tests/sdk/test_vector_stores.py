"""openai-python's helpers that upload, wait and look: a file, many at once, and one that cannot be read."""

from __future__ import annotations

import openai
import pytest

from tests.knowledge import documents

pytestmark = pytest.mark.sdk

POLL = 50  # milliseconds


def test_a_file_is_uploaded_waited_for_and_found(sdk: openai.OpenAI) -> None:
    store = sdk.vector_stores.create(name="Reports")
    report = documents.pdf(["The turbine was serviced in March."], ["Its bearings cost 1,200 euros."])
    done = sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("report.pdf", report), attributes={"year": 2026}, poll_interval_ms=POLL
    )
    assert (done.status, done.last_error, done.attributes) == ("completed", None, {"year": 2026})
    assert done.usage_bytes > 0
    assert sdk.files.wait_for_processing(done.id, poll_interval=POLL / 1000).status == "processed"
    content = sdk.vector_stores.files.content(done.id, vector_store_id=store.id)
    assert "bearings cost" in "".join(part.text or "" for part in content)
    [hit] = sdk.vector_stores.search(store.id, query="What did the bearings cost?").data
    assert (hit.filename, hit.file_id) == ("report.pdf", done.id)
    counted = sdk.vector_stores.retrieve(store.id)
    assert (counted.status, counted.file_counts.completed, counted.usage_bytes) == ("completed", 1, done.usage_bytes)


def test_many_files_are_uploaded_and_the_broken_one_is_named(sdk: openai.OpenAI) -> None:
    store = sdk.vector_stores.create(name="Documents")
    files = [
        ("manual.docx", documents.docx()),
        ("show.pptx", documents.pptx()),
        ("prices.xlsx", documents.xlsx()),
        ("notes.md", b"# Notes\n\nCall the plumber."),
        ("broken.pdf", b"%PDF-1.7 and no more"),
    ]
    batch = sdk.vector_stores.file_batches.upload_and_poll(store.id, files=files, poll_interval_ms=POLL)
    counts = batch.file_counts
    assert (batch.status, counts.completed, counts.failed, counts.in_progress, counts.total) == (
        "completed",
        4,
        1,
        0,
        5,
    )
    [failed] = sdk.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    assert failed.last_error is not None
    assert (failed.last_error.code, failed.last_error.message) == (
        "invalid_file",
        "The file is damaged, or is not what its extension says.",
    )
    assert sdk.files.retrieve(failed.id).filename == "broken.pdf"
    found = sdk.vector_stores.search(store.id, query="How long is the warranty?").data
    assert found[0].filename == "manual.docx"


def test_a_file_of_a_kind_nobody_reads_is_refused(sdk: openai.OpenAI) -> None:
    store = sdk.vector_stores.create(name="Documents")
    done = sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("letter.doc", b"\xd0\xcf\x11\xe0"), poll_interval_ms=POLL
    )
    assert done.status == "failed"
    assert done.last_error is not None
    assert done.last_error.code == "unsupported_file"
