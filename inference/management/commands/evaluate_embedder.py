"""``manage.py evaluate_embedder``: how well an embedder finds passages, against keywords and a hashing trick."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inference.embedder import EmbedderError, LocalEmbedder, local_embedder, why_none
from inference.embedder.evaluation import report


class Command(BaseCommand):
    help = "Rank the evaluation's passages for its questions in several ways, and print one table."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--weights", type=Path, help="folder of the model; the configured embedder by default")
        parser.add_argument("--json", type=Path, help="write the figures to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            embedder = LocalEmbedder(options["weights"]) if options["weights"] else local_embedder()
            if embedder is None:
                raise CommandError(why_none())
            measured = report.measure(embedder)
        except EmbedderError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(report.table(measured))
        if options["json"]:
            options["json"].write_text(json.dumps(measured, indent=2) + "\n")
