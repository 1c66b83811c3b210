"""``manage.py install_interpreter``: make the Python of code that assistants run."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from runs.sandbox import bubblewrap, probing
from runs.sandbox.installation import InterpreterNotInstalled, install


class Command(BaseCommand):
    help = "Install the Python of code that assistants run, in an environment of its own; instant where it is there."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SOVEREIGN.interpreter:
            self.stdout.write("SOVEREIGN_INTERPRETER is set: nothing to install.")
            return
        try:
            done = install(say=self.stdout.write)
        except InterpreterNotInstalled as error:
            raise CommandError(str(error)) from None
        self.stdout.write("The Python for code is installed." if done else "The Python for code is already installed.")
        if bubblewrap.program() is None:
            self.stdout.write(probing.NO_BUBBLEWRAP)
