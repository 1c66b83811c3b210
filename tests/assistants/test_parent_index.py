"""Who was cloned from whom is found by an index, and making that index left the search as it was."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from assistants import services
from assistants.models import Assistant
from assistants.search import Wanted, search
from inference.models import RegisteredModel
from sovereign.accounts.principals import Principal

INDEX = "assistant_children"


@pytest.fixture(autouse=True)
def model(db: None) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.mark.django_db
def test_clones_are_looked_up_by_an_index(analyst: Principal) -> None:
    eldest = services.make_assistant(principal=analyst, model="tiny")
    if connection.vendor == "postgresql":  # it would read a small table from end to end
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("DROP INDEX assistant_list")  # begins with the project too; it is back after the test
    with CaptureQueriesContext(connection) as asked:
        services.lineage(principal=analyst, assistant_id=eldest.id)
    (by_parents,) = (query["sql"] for query in asked if '"parent_id" IN' in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if connection.vendor == 'postgresql' else 'EXPLAIN QUERY PLAN'} {by_parents}")
        assert INDEX in str(cursor.fetchall())


@pytest.mark.django_db(transaction=True)  # SQLite changes a table in no transaction of somebody else
def test_making_and_dropping_the_index_leaves_the_search(analyst: Principal) -> None:
    (index,) = (found for found in Assistant._meta.indexes if found.name == INDEX)
    with connection.schema_editor() as editor:
        editor.remove_index(Assistant, index)
    with connection.schema_editor() as editor:
        editor.add_index(Assistant, index)
    services.make_assistant(principal=analyst, model="tiny", name="Clerk of tariffs")
    found = search(principal=analyst, query="tariffs", wanted=Wanted(), limit=20)
    assert [match.assistant.name for match in found] == ["Clerk of tariffs"]
