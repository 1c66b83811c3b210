"""System checks of what running code needs here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register

from runs.sandbox import probing
from runs.sandbox.environment import described


@register()
def check_interpreter(**_: Any) -> Iterable[CheckMessage]:
    """Only what somebody asked for and does not get is an error: everything else goes on without."""
    configuration = settings.SOVEREIGN
    folder = configuration.interpreter_dir
    if folder is None:
        return
    if configuration.interpreter and described(folder) is None:
        yield Error(
            f"SOVEREIGN_INTERPRETER is '{configuration.interpreter}', where there is no environment made by uv.",
            id="sovereign.E012",
        )
    elif (reason := probing.missing()) in (probing.NO_BUBBLEWRAP, probing.NO_CALLS, probing.NOT_LINUX):
        yield Info(reason, hint="SOVEREIGN_INTERPRETER=none says that this is meant.", id="sovereign.I001")
