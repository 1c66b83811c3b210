"""System checks of what the environment says about files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from assistants.knowledge import storage
from assistants.knowledge.models import Purpose


@register()
def check_files_url(**_: Any) -> Iterable[CheckMessage]:
    try:
        storage.place_of(settings.SOVEREIGN.files_url)
    except ImproperlyConfigured as error:
        yield Error(str(error), id="sovereign.E010")


@register()
def check_no_downloads_of(**_: Any) -> Iterable[CheckMessage]:
    """A purpose that is misspelt would be downloaded after all."""
    for purpose in sorted(settings.SOVEREIGN.no_downloads_of - set(Purpose.values)):
        yield Error(
            f"SOVEREIGN_NO_DOWNLOADS_OF has '{purpose}', which is no purpose.",
            hint=f"Purposes are {', '.join(Purpose.values)}.",
            id="sovereign.E011",
        )
