"""``manage.py up``: prepare what is missing, then serve. What ``make up`` calls."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sovereign.management.bootstrap import ADMINISTRATOR, Credentials, prepare
from sovereign.management.server import Product, refuse_taken_port


class Command(BaseCommand):
    help = "Migrates, makes the first administrator, project, key and assistant where there are none, and serves."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        configuration = settings.SOVEREIGN
        refuse_taken_port(configuration.host, configuration.port)
        self._print(prepare())
        product = Product(host=configuration.host, port=configuration.port, with_worker=True)
        product.run(lambda: self.stdout.write(f"Sovereign answers at {configuration.base_url}/ (Ctrl-C ends it)"))

    def _print(self, credentials: Credentials) -> None:
        if credentials.password:
            self.stdout.write("Made once and shown once:")
            self.stdout.write(f"Administrator: {ADMINISTRATOR}")
            self.stdout.write(f"Password: {credentials.password}")
        if credentials.api_key:
            self.stdout.write(f"API key: {credentials.api_key}")
            self.stdout.write("Another key: .venv/bin/python manage.py create_api_key")
