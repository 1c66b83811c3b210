"""``manage.py evaluate_starter``: measure the starter model's weights on the questions written by hand."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference.starter.evaluation import asking, server
from inference.starter.interpreter import WEIGHTS, engine_python


class Command(BaseCommand):
    help = "Ask the starter model all evaluation questions greedily, through vLLM, and print one table."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--base-url", default="", help="a running OpenAI-compatible server instead of an own vLLM")
        parser.add_argument("--api-key", default="none", help="key for --base-url")
        parser.add_argument("--model", default="", help="model name at --base-url; the first listed one by default")
        parser.add_argument(
            "--weights", type=Path, default=WEIGHTS, help="folder of the weights, a checkpoint's export too"
        )
        parser.add_argument("--json", type=Path, help="write figures and wrong answers to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["base_url"]:
            self.report(
                asking.evaluate(options["base_url"].rstrip("/"), options["api_key"], options["model"]), options["json"]
            )
            return
        try:
            python = engine_python(settings.SOVEREIGN.engine_python, settings.SOVEREIGN.data_dir)
            log = settings.SOVEREIGN.data_dir / "starter" / "evaluation.log"
            with server.serving(python, options["weights"], log) as base_url:
                results = asking.evaluate(base_url)
        except (FileNotFoundError, server.EngineFailed) as error:
            raise CommandError(str(error)) from None
        self.report(results, options["json"])

    def report(self, results: list[asking.Result], path: Path | None) -> None:
        """Print the table; write everything to ``path``."""
        figures = asking.figures(results)
        self.stdout.write(asking.table(figures))
        if path:
            content = {"figures": figures, "mistakes": asking.mistakes(results)}
            path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
