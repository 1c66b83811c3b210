"""``manage.py serve``: the pages, the API and (unless told otherwise) the worker, in one process."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from inference.engines.status import log_destinations
from sovereign.management.server import Product, refuse_taken_port


class Command(BaseCommand):
    help = "Serves pages and API with an embedded worker. With --no-worker, workers are processes of their own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.SOVEREIGN.host, help="SOVEREIGN_HOST by default.")
        parser.add_argument("--port", type=int, default=settings.SOVEREIGN.port, help="SOVEREIGN_PORT by default.")
        parser.add_argument("--no-worker", action="store_true", help="Serve only; run_worker or vllm_worker execute.")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_taken_port(options["host"], options["port"])
        if options["no_worker"]:
            log_destinations()  # a worker's monitor does
        product = Product(host=options["host"], port=options["port"], with_worker=not options["no_worker"])
        product.run(lambda: self.stdout.write(f"Sovereign answers at {settings.SOVEREIGN.base_url}/ (Ctrl-C ends it)"))
