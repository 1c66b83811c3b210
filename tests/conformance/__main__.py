"""``python -m tests.conformance``: what ``manage.py conformance`` runs, with the same options."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.judging import ROOT, Verdict, expectations, holes, judge_all
from tests.conformance.page import render
from tests.conformance.world import World, fresh_installation

PAGE = ROOT / "docs" / "conformance.md"
KEY = "SOVEREIGN_API_KEY"  # in the environment; a key in the arguments would be seen by everybody on the machine
FRESH = "a fresh installation with the suite's scripted engine behind it"


def main() -> int:
    """0 where everything is as expected (and, with ``--check``, the page too), else 1."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended
    with _world(options) as world:
        results = list(judge_all(world))
    page = render(results, _judged(options))
    failed = [result for result in results if result.verdict is Verdict.FAILED]
    missing = holes(expectations())
    for one in failed:
        print(f"not as expected: {one.expectation.operation} {one.expectation.subject}: {one.expectation.label}")
        print(f"    {one.why}")
    for name in missing:
        print(f"no expectation: {name}")
    changed = _differs(page, options.output) if options.check else _write(page, options.output)
    print(f"{len(results)} expectations, {len(failed)} not as expected, {len(missing)} parameters without any.")
    return 1 if failed or missing or changed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py conformance", description=__doc__)
    parser.add_argument("--url", default="", help="judge this server instead of a fresh installation")
    parser.add_argument("--model", default="", help="the model to use there")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.url and not options.model:
        parser.error("--url needs --model: the one to make assistants with")
    if options.url and not os.environ.get(KEY):
        parser.error(f"--url needs an API key: {KEY} in the environment")
    if options.url and not (options.output or options.check):
        parser.error("--url needs --output: docs/conformance.md is about this checkout")
    options.output = options.output or PAGE
    return options


@contextlib.contextmanager
def _world(options: argparse.Namespace) -> Iterator[World]:
    if options.url:
        with contextlib.closing(World(options.url, os.environ[KEY], model=options.model)) as world:
            yield world
    else:
        with fresh_installation() as world:
            yield world


def _judged(options: argparse.Namespace) -> str:
    return f"{options.url} with the model {options.model}" if options.url else FRESH


def _write(page: str, path: Path) -> bool:
    path.write_text(page, encoding="utf-8")
    print(f"Written: {path}")
    return False


def _differs(page: str, path: Path) -> bool:
    """Whether the committed page is another; the difference is shown."""
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = difflib.unified_diff(there.splitlines(), page.splitlines(), str(path), "judged now", lineterm="", n=0)
    difference = "\n".join(lines)
    if difference:
        print(difference)
    return bool(difference)


if __name__ == "__main__":
    sys.exit(main())
