"""``manage.py enable_pgvector``: let Postgres compare vectors, where pgvector was installed after the migrations."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from assistants.knowledge.retrieval import pgvector


class Command(BaseCommand):
    help = "Fill a table of pgvector with the vectors of all stores; searches use it from then on. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--off", action="store_true", help="drop the table: the packed vectors serve again")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["off"]:
            pgvector.disable()
            self.stdout.write("The packed vectors serve.")
        elif pgvector.enable():
            self.stdout.write("Vectors are compared by pgvector.")
        else:
            raise CommandError(
                "The database has no extension 'vector', or this role may not create it: install pgvector for its "
                "version of Postgres, and have an administrator run CREATE EXTENSION vector."
            )
