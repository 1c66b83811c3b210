"""``manage.py train_starter``: train the starter model with the engine's interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference.embedder.corpus import sources
from inference.starter.interpreter import WEIGHTS, engine_python

ROOT = Path(__file__).resolve().parents[3]
PROSE = "prose.jsonl"
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "MALLOC_TRIM_THRESHOLD_": "8000000000"}


class Command(BaseCommand):
    help = "Train the starter model, or go on where the last training stopped (Ctrl-C keeps the place)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tokens", type=int, default=36_000_000, help="tokens in all, padding included")
        parser.add_argument(
            "--minutes", type=float, default=0, help="finish in this time, with fewer tokens if need be"
        )
        parser.add_argument("--threads", type=int, default=1, help="two one-thread processes beat one of two threads")
        parser.add_argument("--fresh", action="store_true", help="forget earlier checkpoints")
        parser.add_argument(
            "--start", type=Path, help="without a checkpoint, go on from the weights of this folder (see the card)"
        )
        parser.add_argument("--publish", action="store_true", help="copy the result over the weights in the repository")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.SOVEREIGN.data_dir / "starter"
        try:
            python = engine_python(settings.SOVEREIGN.engine_python, settings.SOVEREIGN.data_dir)
        except FileNotFoundError as error:
            raise CommandError(str(error)) from None
        if options["fresh"]:
            shutil.rmtree(folder, ignore_errors=True)
        self.gather_prose(python, folder)
        if self.train(python, folder, options) != 0:
            raise CommandError("The training ended early; run the command again to go on.")
        if options["publish"]:
            for path in (folder / "export").iterdir():
                shutil.copy2(path, WEIGHTS / path.name)
        self.stdout.write(f"The model is in {WEIGHTS if options['publish'] else folder / 'export'}.")

    def gather_prose(self, python: str, folder: Path) -> None:
        """Keep sentences to quote in the training's folder: the documentation of installed packages."""
        path = folder / PROSE
        if not path.exists():
            self.stdout.write("Gathering sentences from the installed packages' documentation.")
            folder.mkdir(parents=True, exist_ok=True)
            engine = sorted(Path(python).parent.parent.glob("lib/python*/site-packages"))
            sources.write(path, [*engine, Path(sysconfig.get_paths()["purelib"])])

    def train(self, python: str, folder: Path, options: dict[str, Any]) -> int:
        """Run the torch part; it stops at a batch on Ctrl-C. Returns its exit status."""
        command = [python, "-m", "inference.starter.training", "--folder", str(folder)]
        command += ["--prose", str(folder / PROSE)]
        command += ["--tokens", str(options["tokens"]), "--threads", str(options["threads"])]
        if options["minutes"]:
            command += ["--minutes", str(options["minutes"])]
        if options["start"]:
            command += ["--start", str(options["start"].resolve())]
        # Batches of every length come and go: in pages of 4 KiB half of the time went to the kernel.
        environment = {**os.environ, "OMP_NUM_THREADS": str(options["threads"]), **HUGE_PAGES}
        process = subprocess.Popen(command, cwd=ROOT, env=environment)  # noqa: S603  our own module
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal has sent it the signal too: wait until it has kept its place.
                continue
