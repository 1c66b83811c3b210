"""On Postgres, where the extension can be had: the table that pgvector searches."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Without the extension there is no table: the packed vectors serve, and ``enable_pgvector`` makes it later."""
    from assistants.knowledge.retrieval import pgvector

    pgvector.enable(apps.get_model("knowledge", "MemberVectors"))


def drop(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    from assistants.knowledge.retrieval import pgvector

    pgvector.disable()


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0002_chunks")]

    operations = [migrations.RunPython(create, drop)]
