"""``manage.py conformance``: judge a server by this checkout's suite of expectations, and write the page about it."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

ROOT = Path(__file__).resolve().parents[3]
SUITE = "tests.conformance"
KEY = "SOVEREIGN_API_KEY"


class Command(BaseCommand):
    """The suite is part of the checkout's tests, not of the product: it runs in a process of its own."""

    help = (
        "Judge every operation, parameter and stream of the Assistants API and write docs/conformance.md. Without "
        "--url a fresh installation with a scripted engine is started for it, in a temporary folder."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default="", help="a server that runs already, whatever its engine")
        parser.add_argument("--key", default="", help=f"an API key of that server (default: {KEY})")
        parser.add_argument("--model", default="", help="the model to make assistants with there")
        parser.add_argument("--output", type=Path, help="where the page goes (default: docs/conformance.md)")
        parser.add_argument("--check", action="store_true", help="compare with the page that is there instead")

    def handle(self, *args: Any, **options: Any) -> None:
        if not ROOT.joinpath(*SUITE.split("."), "__main__.py").is_file():
            raise CommandError(f"This installation has no suite to run: {SUITE} is part of a checkout of the source.")
        command = [sys.executable, "-m", SUITE]
        for name in ("url", "model", "output"):
            if options[name]:
                command += [f"--{name}", str(options[name].resolve() if name == "output" else options[name])]
        if options["check"]:
            command.append("--check")
        environment = {**os.environ, **({KEY: options["key"]} if options["key"] else {})}
        status = subprocess.call(command, cwd=ROOT, env=environment)  # noqa: S603  our own module
        if status:
            sys.exit(status)
