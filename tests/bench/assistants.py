"""Among 10,000 assistants: finding, making and reading one, and what a run's configuration takes to be resolved."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.closed_loop import Load, Next, Request, Server, load, percentile
from tests.support.processes import ROOT, Stack

NUMBER = 10_000
SECONDS = 3.0  # of each load
CONCURRENCIES = (1, 8)
RESOLUTIONS = 500
VOCABULARY = 5_000
WORDS_OF_INSTRUCTIONS = 200
GOALS = {"search": 0.1, "create": 0.1, "read": 0.05, "list": 0.05, "resolve": 0.003}  # seconds, p95
NEW = {"model": "fake", "name": "bench", "instructions": "You are helpful.", "tags": ["bench"]}


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param services: Postgres, as a ``Stack`` takes it; else SQLite.
    """
    stack = Stack(folder / "stack", engine_url="http://127.0.0.1:9/v1", **services)
    try:
        stack.prepare()
        command = [sys.executable, "-m", "tests.bench.assistants"]
        done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        filled = json.loads(done.stdout.splitlines()[-1])
        for name, times in filled["resolved"].items():
            yield _line(f"resolve, {name}", "resolve", times)
        server = Server(stack.url, stack.api_key, stack.serve().pid)
        for concurrency in CONCURRENCIES:
            for name, following in _operations(filled["assistants"]).items():
                asyncio.run(load(server, following, concurrency=concurrency, seconds=0.2))
                found: Load = asyncio.run(load(server, following, concurrency=concurrency, seconds=SECONDS))
                yield _line(f"c={concurrency} {name}", name.split()[0], list(found.times))
    finally:
        stack.destroy()


def _operations(assistants: list[str]) -> dict[str, Next]:
    words = random.Random(3)
    root = "/api/v1/assistants"
    return {
        "search one word": lambda *_: Request("GET", f"{root}/search?q={word(words)}"),
        "search two words": lambda *_: Request("GET", f"{root}/search?q={word(words)}+{word(words)}"),
        "search a type and a word": lambda *_: Request("GET", f"{root}/search?q={word(words)}&type=creative"),
        "create": lambda *_: Request("POST", root, NEW),
        "read": lambda number, count: Request("GET", f"{root}/{assistants[(number * 7 + count) % len(assistants)]}"),
        "list": lambda *_: Request("GET", f"{root}?limit=20"),
    }


def word(words: random.Random) -> str:
    """Some come often, and most seldom."""
    return f"w{int(VOCABULARY ** words.random())}x"


def _line(title: str, goal: str, times: list[float]) -> str:
    allowed = GOALS[goal]
    found = percentile(times, 0.95)
    return (
        f"{title:<34} p50 {percentile(times, 0.5) * 1000:6.2f} ms, p95 {found * 1000:6.2f} ms"
        f"  ({found / allowed:.2f} of the {allowed * 1000:.0f} ms allowed)"
    )


def fill() -> dict[str, Any]:
    """In the process with the database: the assistants, of which one is deployed with prompts; and resolutions."""
    from assistants.kinds import AssistantType
    from assistants.models import Assistant
    from sovereign.accounts.models import Project

    words, project = random.Random(1), Project.objects.get()
    rows = [
        Assistant(
            project=project,
            model="fake",
            name=" ".join(word(words) for _ in range(3)),
            description=" ".join(word(words) for _ in range(12)),
            instructions=" ".join(word(words) for _ in range(WORDS_OF_INSTRUCTIONS)),
            type=words.choice(AssistantType.values),
            tags=[word(words), word(words)],
        )
        for _ in range(NUMBER)
    ]
    Assistant.objects.bulk_create(rows, batch_size=500)
    return {"assistants": [row.pk for row in rows[:1000]], "resolved": _resolved(rows[0])}


def _resolved(assistant: Any) -> dict[str, list[float]]:
    """Seconds of each resolution, by what was resolved."""
    from assistants.models import Deployment
    from assistants.prompts import services as prompts
    from assistants.resolution import resolve
    from assistants.services import links, versions
    from sovereign.accounts.principals import Principal
    from sovereign.accounts.scopes import ALL_SCOPES

    who = Principal(project_id=assistant.project_id, scopes=ALL_SCOPES)
    alone = _timed(lambda: resolve(assistant=assistant, environment=None, thread_id="thread_1", variables=None))
    for number in range(4):
        made = prompts.create_prompt(
            principal=who,
            name=f"Prompt {number}",
            template="You speak {{ language }}. {{# name }}The customer is {{ name }}.{{/ name }}",
            variables=[{"name": "name", "type": "string"}],
        )
        links.link_prompt(
            principal=who,
            assistant_id=assistant.id,
            prompt_id=made.id,
            kind="primary" if number < 2 else "secondary",
            conditions={"language": ["en", "de-*"]} if number % 2 else {},
        )
    assistant.refresh_from_db()
    variables = {"language": "en", "name": "Miller"}
    draft = _timed(lambda: resolve(assistant=assistant, environment=None, thread_id="thread_1", variables=variables))
    version = versions.publish(principal=who, assistant_id=assistant.id)
    for status, percent in (("active", None), ("canary", 10)):
        Deployment.objects.create(
            project_id=assistant.project_id,
            assistant=assistant,
            version=version,
            environment="production",
            status=status,
            percent=percent,
        )
    assistant.refresh_from_db()
    deployed = _timed(
        lambda: resolve(assistant=assistant, environment="production", thread_id="thread_1", variables=variables)
    )
    return {"the draft": alone, "the draft with 4 prompts": draft, "production and a canary": deployed}


def _timed(work: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(RESOLUTIONS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return times[RESOLUTIONS // 10 :]


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    django.setup()
    print(json.dumps(fill()))
