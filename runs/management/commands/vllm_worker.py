"""``manage.py vllm_worker``: supervise vLLM for a model, and execute runs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inference.engines.installation import EngineCannotRun
from inference.engines.start import Wanted, supervise
from runs.worker.process import run_worker_process
from runs.worker.worker import DRAIN


class Command(BaseCommand):
    help = "Runs vLLM's own server for a model and executes runs. Flags after -- are passed on to vLLM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--model",
            default=settings.SOVEREIGN.model_name,
            help="A folder or a repository's name (default: MODEL_NAME, else the starter model). "
            "Several models are several vllm_workers.",
        )
        parser.add_argument(
            "--memory-share",
            type=float,
            default=1.0,
            metavar="0…1",
            help="Which part of the memory that this machine has for models (default: 1, or as much as is free).",
        )
        parser.add_argument(
            "--sleep-after",
            type=float,
            metavar="SECONDS",
            help="Give the GPU's memory back after so long without a request, and wake when the model is wanted.",
        )
        parser.add_argument(
            "--advertise",
            default="",
            metavar="HOST[:PORT]",
            help="Listen there, for workers on other machines (default: this machine only).",
        )
        parser.add_argument(
            "--concurrency",
            type=int,
            default=settings.SOVEREIGN.worker_concurrency,
            help="How many runs at once (default: SOVEREIGN_WORKER_CONCURRENCY); 0 executes none.",
        )
        parser.add_argument(
            "--drain",
            type=float,
            default=DRAIN,
            metavar="SECONDS",
            help="How long answers may go on after SIGTERM before other workers take them (default: %(default)s).",
        )
        parser.add_argument("vllm", nargs="*", metavar="-- FLAGS", help="vLLM's own flags.")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(
            model=options["model"],
            extra=tuple(options["vllm"]),
            advertise=options["advertise"],
            sleep_after=options["sleep_after"],
            memory_share=options["memory_share"],
        )
        engine = partial(_supervise, wanted)
        try:
            asyncio.run(
                run_worker_process(concurrency=options["concurrency"], drain=options["drain"], companion=engine)
            )
        except EngineCannotRun as error:
            raise CommandError(str(error)) from None


async def _supervise(wanted: Wanted, stop: asyncio.Event, draining: asyncio.Event) -> None:
    await supervise(wanted, stop=stop, draining=draining)
