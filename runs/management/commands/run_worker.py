"""``manage.py run_worker``: execute runs against engines elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from runs.worker.process import run_worker_process
from runs.worker.worker import DRAIN


class Command(BaseCommand):
    help = "Executes runs against the engines that are registered or named by SOVEREIGN_ENGINE_URL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--concurrency",
            type=int,
            default=settings.SOVEREIGN.worker_concurrency,
            help="How many runs at once (default: SOVEREIGN_WORKER_CONCURRENCY).",
        )
        parser.add_argument(
            "--drain",
            type=float,
            default=DRAIN,
            metavar="SECONDS",
            help="How long answers may go on after SIGTERM before other workers take them (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(run_worker_process(concurrency=options["concurrency"], drain=options["drain"]))
