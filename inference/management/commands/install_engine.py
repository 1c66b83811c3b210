"""``manage.py install_engine``: make the engine's own environment."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference.engines import installer
from inference.engines.installation import EngineCannotRun


class Command(BaseCommand):
    help = "Install vLLM into an environment of its own; instant where it is there already."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--variant",
            choices=["auto", "cpu", "gpu"],
            default="auto",
            help="auto takes gpu where an NVIDIA GPU answers, else cpu",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SOVEREIGN.engine_python:
            self.stdout.write("SOVEREIGN_ENGINE_PYTHON is set: nothing to install.")
            return
        variant = None if options["variant"] == "auto" else options["variant"]
        try:
            done = installer.install(variant=variant, say=self.stdout.write)
        except EngineCannotRun as error:
            raise CommandError(str(error)) from None
        self.stdout.write("The engine is installed." if done else "The engine is already installed.")
