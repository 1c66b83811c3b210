"""Full text of assistants. Whoever changes the table on SQLite makes Django build it anew, and has to make the triggers
again (``tests/assistants/test_search.py`` says so)."""

from django.db import migrations

COLUMNS = "name, tags, type, description, instructions"
CHANGED = " OR ".join(f"new.{column} IS NOT old.{column}" for column in COLUMNS.split(", "))
LONGEST = 100_000  # characters of instructions: a tsvector has at most a megabyte


def _weighed(text, weight):
    """Signs are blanks, as they are on SQLite: else Postgres takes ``a.b`` for the name of a host."""
    return f"setweight(to_tsvector('simple', regexp_replace({text}, '\\W+', ' ', 'g')), '{weight}')"


VECTOR = " || ".join(
    (
        _weighed("coalesce(name, '')", "A"),
        _weighed("coalesce(tags::text, '') || ' ' || replace(type, '_', ' ')", "B"),
        _weighed("coalesce(description, '')", "C"),
        _weighed(f"left(coalesce(instructions, ''), {LONGEST})", "D"),
    )
)
POSTGRES = (
    f"ALTER TABLE assistants_assistant ADD COLUMN search_vector tsvector GENERATED ALWAYS AS ({VECTOR}) STORED",
    "CREATE INDEX assistant_search ON assistants_assistant USING gin (search_vector)",
)
UNDONE_POSTGRES = (
    "DROP INDEX assistant_search",
    "ALTER TABLE assistants_assistant DROP COLUMN search_vector",
)
# Rows of FTS5 are found by number alone, and the numbers of a table without one of its own change with VACUUM.
SQLITE = (
    "CREATE TABLE assistants_search_place (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
    f"""
    CREATE VIRTUAL TABLE assistants_search USING fts5(
        id UNINDEXED, {COLUMNS}, tokenize = 'unicode61 remove_diacritics 0', prefix = '2 3'
    )
    """,
    "INSERT INTO assistants_search_place (id) SELECT id FROM assistants_assistant",
    f"""
    INSERT INTO assistants_search (rowid, id, {COLUMNS})
    SELECT place, id, {COLUMNS} FROM assistants_assistant JOIN assistants_search_place USING (id)
    """,
    f"""
    CREATE TRIGGER assistants_search_insert AFTER INSERT ON assistants_assistant BEGIN
        INSERT INTO assistants_search_place (id) VALUES (new.id);
        INSERT INTO assistants_search (rowid, id, {COLUMNS})
        SELECT place, new.id, new.name, new.tags, new.type, new.description, new.instructions
        FROM assistants_search_place WHERE id = new.id;
    END
    """,
    """
    CREATE TRIGGER assistants_search_delete AFTER DELETE ON assistants_assistant BEGIN
        DELETE FROM assistants_search WHERE rowid = (SELECT place FROM assistants_search_place WHERE id = old.id);
        DELETE FROM assistants_search_place WHERE id = old.id;
    END
    """,
    f"""
    CREATE TRIGGER assistants_search_update AFTER UPDATE OF {COLUMNS} ON assistants_assistant WHEN {CHANGED} BEGIN
        UPDATE assistants_search SET name = new.name, tags = new.tags, type = new.type, description = new.description,
            instructions = new.instructions
        WHERE rowid = (SELECT place FROM assistants_search_place WHERE id = new.id);
    END
    """,
)
UNDONE_SQLITE = (
    "DROP TRIGGER IF EXISTS assistants_search_update",
    "DROP TRIGGER IF EXISTS assistants_search_delete",
    "DROP TRIGGER IF EXISTS assistants_search_insert",
    "DROP TABLE assistants_search",
    "DROP TABLE assistants_search_place",
)


def make(apps, schema_editor):
    _execute(schema_editor, POSTGRES if schema_editor.connection.vendor == "postgresql" else SQLITE)


def drop(apps, schema_editor):
    _execute(schema_editor, UNDONE_POSTGRES if schema_editor.connection.vendor == "postgresql" else UNDONE_SQLITE)


def _execute(schema_editor, statements):
    for statement in statements:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0011_external_uses"),
    ]

    operations = [
        migrations.RunPython(make, drop),
    ]
