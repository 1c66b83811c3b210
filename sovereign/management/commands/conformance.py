"""``manage.py conformance``: judge a server by this checkout's suite of expectations, and write the page about it."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

ROOT = Path(__file__).resolve().parents[3]
SUITE = "tests.conformance"
KEY = "SOVEREIGN_API_KEY"


class Command(BaseCommand):
    """The suite is part of the checkout's tests, not of the product: this process becomes the suite's."""

    help = (
        "Judge every operation, parameter and stream of the Assistants API and write docs/conformance.md. Without "
        "--url a fresh installation with a scripted engine is started for it, in a temporary folder."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default="", help=f"a server that runs already; {KEY} holds a key of it")
        parser.add_argument("--model", default="", help="the model to make assistants with there")
        parser.add_argument("--output", type=Path, help="where the page goes; docs/conformance.md without --url")
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
        os.chdir(ROOT)
        os.execv(sys.executable, command)  # noqa: S606  our own module; one process, so that signals reach it
