"""On SQLite, the postings lie in the order of their key: those of a word in all files are side by side.

Else each of them is on another page of the table, and a question reads hundreds. The operations of Django that make the
table anew would lose it: whoever alters ``Posting`` repeats this.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

INDEX = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'knowledge_posting' AND sql IS NOT NULL"
CREATE = """
CREATE TABLE "new_posting" (
    "term" bigint NOT NULL, "member_id" bigint NOT NULL, "data" BLOB NOT NULL, PRIMARY KEY ("term", "member_id")
) {how}
"""
FILL = """
INSERT INTO new_posting (term, member_id, data)
SELECT term, member_id, data FROM knowledge_posting ORDER BY term, member_id
"""


def cluster(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    _make_anew(editor, "WITHOUT ROWID")


def scatter(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    _make_anew(editor, "")


def _make_anew(editor: BaseDatabaseSchemaEditor, how: str) -> None:
    if editor.connection.vendor != "sqlite":
        return
    with editor.connection.cursor() as cursor:
        cursor.execute(INDEX)
        indexes = [sql for (sql,) in cursor.fetchall()]
        for statement in (CREATE.format(how=how), FILL, "DROP TABLE knowledge_posting"):
            cursor.execute(statement)
        cursor.execute("ALTER TABLE new_posting RENAME TO knowledge_posting")
        for statement in indexes:
            cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0006_repeated")]

    operations = [migrations.RunPython(cluster, scatter)]
