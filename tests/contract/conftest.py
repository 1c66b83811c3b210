"""Our own OpenAPI document, as the server sends it."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from tests.contract.facts import Document


@pytest.fixture(scope="session")
def document() -> Document:
    answer = Client().get("/openapi.json")
    assert answer.status_code == 200
    parsed: Document = json.loads(answer.content)
    return parsed
