"""``manage.py train_embedder``: train the shipped embedder with the engine's interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference.embedder import WEIGHTS
from inference.starter.interpreter import engine_python

ROOT = Path(__file__).resolve().parents[3]


class Command(BaseCommand):
    help = "Train the local embedder on the documentation of installed packages (inference/embedder/corpus)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--packages", type=Path, action="append", default=[], help="a folder of installed packages; may be repeated"
        )
        parser.add_argument("--rounds", type=int, help="how often the text is read")
        parser.add_argument("--thesaurus", type=int, help="how often the thesaurus is read in a round")
        parser.add_argument("--threads", type=int, default=1)
        parser.add_argument("--publish", action="store_true", help="copy the result over the weights in the repository")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.SOVEREIGN.data_dir / "embedder"
        try:
            python = engine_python(settings.SOVEREIGN.engine_python, settings.SOVEREIGN.data_dir)
        except FileNotFoundError as error:
            raise CommandError(str(error)) from None
        if not options["packages"] and not (folder / "passages.jsonl").exists():
            raise CommandError("Name a folder of installed packages: --packages FOLDER (see corpus/packages.txt).")
        command = [python, "-m", "inference.embedder.training", "--folder", str(folder)]
        for path in options["packages"]:
            command += ["--packages", str(path.resolve())]
        for name in ("rounds", "thesaurus", "threads"):
            if options[name] is not None:
                command += [f"--{name}", str(options[name])]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options["threads"])}
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:  # noqa: S603  our own module
            raise CommandError("The training ended early.")
        if options["publish"]:
            publish(folder / "export", WEIGHTS)
        self.stdout.write(f"The model is in {WEIGHTS if options['publish'] else folder / 'export'}.")


def publish(made: Path, target: Path) -> None:
    """Put the files in place by renaming: a running process has the old ones mapped into its memory."""
    for path in made.iterdir():
        part = target / f"{path.name}.part"
        shutil.copy2(path, part)
        part.replace(target / path.name)
