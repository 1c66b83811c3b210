"""How files become searchable, and every way in which they do not."""

from __future__ import annotations

import io

import pytest

from assistants.knowledge import embedding, storage
from assistants.knowledge.services import pending
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.knowledge.ingesting import (
    STATIC,
    Embedder,
    indexed,
    over,
    store_with,
    working,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


# ------------------------------------------------------------------------------------------------ the usual way


async def test_a_file_becomes_searchable(embedder: Embedder, principal: Principal) -> None:
    [member] = await in_database(store_with, principal, "First.\n\nSecond.")
    async with working():
        done = await over(member)
    assert (done.status, done.progress, done.error_code, done.note) == ("completed", 100, "", "")
    assert (done.lease_owner, done.lease_expires_at, done.crash_count) == (None, None, 0)
    assert done.space == "tests/embedder/3"
    assert done.usage_bytes >= len("First.\n\nSecond.") + 3 * 4
    assert await in_database(indexed, member) == (["First.\n\nSecond."], 1)
    assert await in_database(pending.files_in_progress, [member.store_id]) == 0


async def test_it_is_cut_as_its_store_wants_it(embedder: Embedder, principal: Principal) -> None:
    text = " ".join(f"Sentence number {number} says something." for number in range(200))
    whole, cut = await in_database(store_with, principal, text, text + " ", chunking=STATIC)
    async with working():
        await over(whole)
        await over(cut)
    texts, _ = await in_database(indexed, cut)
    assert " ".join(texts) == text
    assert sum(map(len, embedder.calls)) == 2 * len(texts)


async def test_without_an_embedder_keywords_serve_and_the_file_says_so(
    embedder: Embedder, principal: Principal
) -> None:
    embedder.space = None
    [member] = await in_database(store_with, principal, "Only words.")
    async with working():
        done = await over(member)
    assert (done.status, done.space, done.note) == ("completed", "", embedding.why_not())
    assert await in_database(indexed, member) == (["Only words."], 0)
    assert embedder.calls == []


async def test_a_content_that_is_no_file_of_the_system_is_copied(
    embedder: Embedder, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    [member] = await in_database(store_with, principal, "From a bucket.")
    monkeypatch.setattr(storage, "open_stream", lambda key: io.BytesIO(b"From a bucket."))
    async with working():
        await over(member)
    assert (await in_database(indexed, member))[0] == ["From a bucket."]


# ------------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("name", "data", "code", "message"),
    [
        ("letter.doc", b"old", "unsupported_file", "Files '.doc' cannot be searched: their format is not supported."),
        ("README", b"x", "unsupported_file", "Files without an extension cannot be searched"),
        ("notes.txt", b"caf\xe9 ol\xe9", "invalid_file", "The file is not text in UTF-8, UTF-16 or ASCII."),
        ("notes.txt", b" \n\n ", "invalid_file", "The file has no text."),
        ("report.pdf", b"%PDF-1.7 but no more", "invalid_file", "The file is damaged"),
    ],
)
async def test_what_cannot_be_read_fails_with_a_reason(
    embedder: Embedder, principal: Principal, name: str, data: bytes, code: str, message: str
) -> None:
    [member] = await in_database(store_with, principal, data, name=name)
    async with working():
        done = await over(member)
    assert (done.status, done.error_code, done.usage_bytes, done.lease_owner) == ("failed", code, 0, None)
    assert message in done.error_message
    assert await in_database(indexed, member) == ([], 0)
