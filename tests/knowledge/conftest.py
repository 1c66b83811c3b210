from __future__ import annotations

import pytest

from assistants.knowledge import embedding
from assistants.knowledge.ingestion import reembedding, work
from assistants.knowledge.ingestion import worker as working_module
from assistants.knowledge.parsing import process
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from tests.knowledge.ingesting import Embedder, read


@pytest.fixture
def principal(api_key: str) -> Principal:
    """Alice's key."""
    return credentials.principal_of_key(api_key)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again at once."""
    for module in (work, reembedding):
        monkeypatch.setattr(module, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(working_module, "AFTER_A_MISTAKE", 0.0)
    monkeypatch.setattr(working_module, "POLL", 0.02)
    monkeypatch.setattr(working_module, "REEMBED", 0.05)
    monkeypatch.setattr("tests.runs.support.PATIENCE", 60.0)  # processes are started, on machines that do other things


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Embedder:
    scripted = Embedder()
    monkeypatch.setattr(embedding, "current_space", scripted.current_space)
    monkeypatch.setattr(embedding, "embed", scripted.embed)
    return scripted


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are read in the test's own process: what is tested comes after it."""
    monkeypatch.setattr(process, "read", read)
