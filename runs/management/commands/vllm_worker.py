"""``manage.py vllm_worker``: supervise vLLM for a model, and execute runs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.engines.installation import EngineCannotRun
from inference.engines.supervisor import supervise
from runs.worker.process import run_worker_process


class Command(BaseCommand):
    help = "Runs vLLM's own server for a model and executes runs. Flags after -- are passed on to vLLM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--model",
            default=settings.SOVEREIGN.model_name,
            help="A folder or a repository's name (default: MODEL_NAME, else the starter model).",
        )
        parser.add_argument(
            "--concurrency",
            type=int,
            default=settings.SOVEREIGN.worker_concurrency,
            help="How many runs at once (default: SOVEREIGN_WORKER_CONCURRENCY).",
        )
        parser.add_argument("vllm", nargs="*", metavar="-- FLAGS", help="vLLM's own flags.")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = partial(_supervise, options["model"], options["vllm"])
        try:
            asyncio.run(run_worker_process(concurrency=options["concurrency"], companion=engine))
        except EngineCannotRun as error:
            raise CommandError(str(error)) from None


async def _supervise(model: str, extra: list[str], stop: asyncio.Event) -> None:
    await supervise(model, stop=stop, extra=extra)
