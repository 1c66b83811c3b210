"""Postings on SQLite lie in the order of their key, and what is in the table survives its making."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from assistants.knowledge.models import Posting
from sovereign.accounts.models import Project
from tests.knowledge.searching import add_file, make_store

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="elsewhere the table is the database's own"),
]


def told() -> tuple[bool, list[str], list[Any]]:
    """Whether the table is in the order of its key, its indexes, and what it has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'knowledge_posting' AND sql IS NOT NULL")
        made = dict(cursor.fetchall())
    is_clustered = "WITHOUT ROWID" in made.pop("knowledge_posting")
    return is_clustered, sorted(made), list(Posting.objects.order_by("pk").values_list("term", "member", "data"))


def test_postings_lie_in_the_order_of_their_key(project: Project) -> None:
    add_file(make_store(project), "a.md", ["blue pumps", "a blue valve"])
    is_clustered, indexes, rows = told()
    assert is_clustered
    assert len(indexes) == 1
    assert len(rows) == 4
    try:
        call_command("migrate", "knowledge", "0006", verbosity=0)
        assert told() == (False, indexes, rows)
    finally:
        call_command("migrate", verbosity=0)
    assert told() == (True, indexes, rows)
