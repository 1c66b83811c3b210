"""The recipes that people read are the programs that are tested."""

from __future__ import annotations

from tests.clients.document import DOCUMENT, filled, shown
from tests.clients.players import RECIPES


def test_the_document_shows_the_recipes_as_they_are() -> None:
    text = DOCUMENT.read_text()
    assert filled(text) == text, "run python -m tests.clients.document"


def test_the_document_shows_every_recipe() -> None:
    assert sorted(shown(DOCUMENT.read_text())) == sorted(path.name for path in RECIPES.glob("*.*"))
