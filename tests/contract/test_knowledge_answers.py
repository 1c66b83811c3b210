"""Real answers of files, uploads and vector stores are what our document says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.knowledge.models import StoreFile
from tests.contract.facts import Document
from tests.contract.validation import Contract
from tests.knowledge.filled import failed, ingested
from tests.knowledge.uploading import field, file, folder, send

__all__ = ["folder"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered", "folder")]

STORE = "/vector_stores/{vector_store_id}"
MEMBER = f"{STORE}/files/{{file_id}}"
BATCH = f"{STORE}/file_batches/{{batch_id}}"
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}}


class Looker:
    """A client whose every answer is checked."""

    def __init__(self, api: APIClient, contract: Contract) -> None:
        self.api = api
        self.contract = contract

    def ask(self, method: str, template: str, body: Any = None, *, status: int = 200, **ids: str) -> Any:
        sent = json.dumps(body) if body is not None else ""
        answer = self.api.generic(method, f"/v1{template.format(**ids)}", sent, content_type="application/json")
        assert answer.status_code == status, answer.content
        return self.contract.check(method, template, answer)

    def send(self, template: str, *fields: Any, **ids: str) -> Any:
        """A form."""
        answer = send(self.api, template.format(**ids).removeprefix("/"), *fields)
        assert answer.status_code == 200, answer.content
        return self.contract.check("POST", template, answer)

    def download(self, file_id: str) -> bytes:
        operation = self.contract.document["paths"]["/files/{file_id}/content"]["get"]
        answer: Any = self.api.get(f"/v1/files/{file_id}/content")
        assert answer.status_code == 200
        assert answer["Content-Type"] in operation["responses"]["200"]["content"]
        self.contract.seen.add(("GET /files/{file_id}/content", "200"))
        return b"".join(answer.streaming_content)

    def upload(self, content: bytes = b"Tea is hot.") -> str:
        made: str = self.send("/files", field("purpose", "assistants"), file(content))["id"]
        return made


def look_at_files(looker: Looker) -> None:
    file_id = looker.upload()
    looker.upload()
    assert len(looker.ask("GET", "/files")["data"]) == 2
    looker.ask("GET", "/files/{file_id}", file_id=file_id)
    assert looker.download(file_id) == b"Tea is hot."
    looker.ask("DELETE", "/files/{file_id}", file_id=file_id)
    looker.ask("GET", "/files/{file_id}", status=404, file_id=file_id)


def look_at_uploads(looker: Looker) -> None:
    asked = {"purpose": "assistants", "filename": "a.txt", "bytes": 8, "mime_type": "text/plain"}
    whole, dropped = [looker.ask("POST", "/uploads", asked)["id"] for _ in range(2)]
    parts = [
        looker.send("/uploads/{upload_id}/parts", file(content, "part", "data"), upload_id=whole)["id"]
        for content in (b"1234", b"5678")
    ]
    looker.ask("POST", "/uploads/{upload_id}/complete", {"part_ids": parts}, upload_id=whole)
    looker.ask("POST", "/uploads/{upload_id}/cancel", {}, upload_id=dropped)
    looker.ask("POST", "/uploads/{upload_id}/cancel", {}, status=400, upload_id=dropped)


def look_at_stores(looker: Looker) -> Any:
    """What a search finds: nothing where the test is a transaction, for it is made in another thread."""
    days = {"anchor": "last_active_at", "days": 7}
    store = looker.ask("POST", "/vector_stores", {"name": "All", "expires_after": days, "metadata": {"a": "b"}})
    looker.ask("POST", "/vector_stores", {})
    assert len(looker.ask("GET", "/vector_stores")["data"]) == 2
    ids = {"vector_store_id": store["id"]}
    looker.ask("GET", STORE, **ids)
    looker.ask("POST", STORE, {"name": None}, **ids)
    look_at_members(looker, ids)
    look_at_batches(looker, ids)
    found = looker.ask("POST", f"{STORE}/search", {"query": "tea"}, **ids)["data"]
    looker.ask("DELETE", STORE, **ids)
    looker.ask("GET", STORE, status=404, **ids)
    return found


def look_at_members(looker: Looker, ids: dict[str, str]) -> None:
    """The store has one ingested file then."""
    kept, broken = looker.upload(), looker.upload()
    attributes = {"year": 2026, "done": True, "by": "Ada"}
    looker.ask("POST", f"{STORE}/files", {"file_id": kept, "attributes": attributes}, **ids)
    looker.ask("POST", f"{STORE}/files", {"file_id": broken, "chunking_strategy": STATIC}, **ids)
    ingested(StoreFile.objects.get(file_id=kept), "Tea is hot.")
    failed(StoreFile.objects.get(file_id=broken))
    assert len(looker.ask("GET", f"{STORE}/files", **ids)["data"]) == 2
    looker.ask("GET", MEMBER, file_id=broken, **ids)
    looker.ask("POST", MEMBER, {"attributes": {"year": 2027}}, file_id=kept, **ids)
    assert looker.ask("GET", f"{MEMBER}/content", file_id=kept, **ids)["data"]
    looker.ask("DELETE", MEMBER, file_id=broken, **ids)
    looker.ask("GET", MEMBER, status=404, file_id=broken, **ids)


def look_at_batches(looker: Looker, ids: dict[str, str]) -> None:
    batch = looker.ask("POST", f"{STORE}/file_batches", {"file_ids": [looker.upload()]}, **ids)
    looker.ask("GET", BATCH, batch_id=batch["id"], **ids)
    assert len(looker.ask("GET", f"{BATCH}/files", batch_id=batch["id"], **ids)["data"]) == 1
    looker.ask("POST", f"{BATCH}/cancel", {}, batch_id=batch["id"], **ids)


def look_at_knowledge(api: APIClient, contract: Contract) -> None:
    """Every operation of files, uploads and vector stores."""
    looker = Looker(api, contract)
    look_at_files(looker)
    look_at_uploads(looker)
    look_at_stores(looker)


@pytest.fixture
def looker(api: APIClient, document: Document) -> Looker:
    return Looker(api, Contract(document))


def test_files_and_uploads(looker: Looker) -> None:
    look_at_files(looker)
    look_at_uploads(looker)


@pytest.mark.django_db(transaction=True)
def test_stores(looker: Looker) -> None:
    assert look_at_stores(looker)
