"""``manage.py rotate_api_key``: another secret for a key, shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sovereign.accounts import services
from sovereign.accounts.models import ApiKey
from sovereign.accounts.services.rotation import DEFAULT_OVERLAP, LONGEST_OVERLAP
from sovereign.core.errors import ApiError

HOUR = timedelta(hours=1)


class Command(BaseCommand):
    help = "Give an API key a new secret and print it once, on a line 'API key: sk-sov-…'."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="the key's id (key_…), or the visible part of its secret")
        parser.add_argument(
            "--overlap-hours",
            type=int,
            default=DEFAULT_OVERLAP // HOUR,
            help=f"how long the old secret stays good, 0 to {LONGEST_OVERLAP // HOUR} (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted, hours = options["key"], options["overlap_hours"]
        if not 0 <= hours <= LONGEST_OVERLAP // HOUR:
            raise CommandError(f"--overlap-hours must be between 0 and {LONGEST_OVERLAP // HOUR}.")
        key = ApiKey.objects.filter(pk=wanted).first() or ApiKey.objects.filter(lookup=wanted).first()
        if key is None:
            raise CommandError(f"There is no key '{wanted}'.")
        try:
            _, secret = services.rotate_api_key(key=key, overlap=HOUR * hours)
        except ApiError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"API key: {secret}")
