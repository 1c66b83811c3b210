"""A thread of 2,000 messages in a browser: until its newest one is seen, and until one has scrolled to its first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.bench.closed_loop import percentile
from tests.support.processes import Stack, Upstream

MESSAGES = 2_000
AT_ONCE = 1_000  # messages that one request makes
ROUNDS = 7
PATIENCE = 120_000  # milliseconds
ALLOWED = 1.0  # seconds until the newest is seen

# answers as they are: some words, a list, code
ANSWER = (
    "Number {n}. {words}\n\n* one\n* two with `code`\n\n```python\nprint({n})\n```\n\n| a | b |\n|---|---|\n| 1 | {n} |"
)
WORDS = "Some words of an answer that is as long as most are. " * 5

_MAKE = """async ({ batches }) => {
  const name = JSON.parse(document.getElementById("page").textContent).csrf_cookie;
  const token = document.cookie.match(new RegExp(`${name}=([^;]+)`))[1];
  const post = async (path, body) => {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
    return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  const thread = await post("/v1/threads", { messages: batches[0] });
  for (const message of batches.slice(1).flat()) await post(`/v1/threads/${thread.id}/messages`, message);
  return thread.id;
}"""


def make_thread(page: Page, count: int = MESSAGES) -> str:
    """A thread of whoever is logged in on the page, of questions and answers."""
    messages = [_message(number) for number in range(1, count + 1)]
    thread_id: str = page.evaluate(_MAKE, {"batches": [messages[:AT_ONCE], messages[AT_ONCE:]]})
    return thread_id


def _message(number: int) -> dict[str, Any]:
    if number % 2:
        return {"role": "user", "content": f"Question {number}?"}
    return {"role": "assistant", "content": ANSWER.format(n=number, words=WORDS)}


def opened(page: Page, address: str, newest: str) -> float:
    """Seconds until the newest message is there, as the page's own clock has it."""
    page.goto(address, wait_until="commit")
    page.locator(".message", has_text=newest).wait_for(timeout=PATIENCE)
    seconds: float = page.evaluate("new Promise(done => requestAnimationFrame(() => done(performance.now() / 1000)))")
    return seconds


def scroll_to_first(page: Page, count: int = MESSAGES) -> float:
    """Seconds until everything was loaded, by going up again and again."""
    began = time.monotonic()
    first = page.locator(".message", has_text="Question 1?")
    while not first.count():
        page.evaluate("document.getElementById('scroll').scrollTop = 0")
        page.wait_for_timeout(20)
        assert time.monotonic() - began < PATIENCE / 1000
    expect(page.locator(".message")).to_have_count(count)
    return time.monotonic() - began


def measure(folder: Path) -> Iterator[str]:
    """The lines of the report."""
    from tests.e2e.conftest import ARGUMENTS, Watched, program

    if (path := program()) is None:
        yield "not measured, Chromium is not installed"
        return
    upstream = Upstream(folder)
    stack = Stack(folder / "stack", engine_url=upstream.url)
    try:
        stack.prepare()
        stack.up()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            page = browser.new_context(viewport={"width": 1280, "height": 820}).new_page()
            Watched(page, stack).log_in()
            address = f"{stack.url}/chat/{make_thread(page)}"
            times = [opened(page, address, f"Number {MESSAGES}.") for _ in range(ROUNDS)]
            median, worst = percentile(times, 0.5), max(times)
            yield f"opened: median {median:.2f} s, worst of {ROUNDS} {worst:.2f} s (allowed: {ALLOWED:.0f} s)"
            yield f"all of it loaded by scrolling up: {scroll_to_first(page):.1f} s"
            browser.close()
    finally:
        stack.destroy()
        upstream.process.destroy()
