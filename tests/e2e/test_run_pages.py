"""A run is looked into, asked again, and both answers are read beside each other, in a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import LATER, Watched, choose_assistant
from tests.e2e.test_chat import expect_rest
from tests.support.client import unique
from tests.support.processes import Upstream

pytestmark = pytest.mark.e2e

FIRST = "The station is ten minutes away. Take the second street on the left, then go straight on."
SECOND = "The station is twenty minutes away. Take the first street on the left, then go straight on."


def open_newest_run(watched: Watched) -> Page:
    """Of the conversation that the page shows: other tests' may still go on."""
    page = watched.open(f"/admin/runs/run/?q={watched.page.url.rsplit('/', 1)[1]}")
    page.locator("#result_list tbody a").first.click()
    return page


def answered(watched: Watched, upstream: Upstream) -> tuple[Page, str]:
    """The page of a run that called a tool and answered, and how the engine is taught to answer otherwise."""
    key, tools = unique(), [{"type": "calculator"}]
    made = {"name": f"Guide {key}", "model": "fake", "instructions": "Be brief.", "server_tools": tools}
    watched.stack.client.post("/api/v1/assistants", made)
    upstream.teach({f"@{key}": FIRST})
    watched.page.reload()
    choose_assistant(watched.page, f"Guide {key}")
    watched.say(f"How do I get to the station? [tool=calculator with=expression:6*7 text=@{key} delay=0.1]")
    expect(watched.page.locator(".message.assistant .body")).to_contain_text("straight on", timeout=LATER)
    expect_rest(watched)
    return open_newest_run(watched), f"@{key}"


def test_a_run_is_looked_into_and_asked_again(watched: Watched, upstream: Upstream) -> None:
    page, answer = answered(watched, upstream)
    where = page.get_by_role("region", name="Where its time went", exact=True)
    expect(where.get_by_role("row", name="Model call 1: prompt, until the first token")).to_be_visible()
    expect(where.get_by_role("row", name="Tool calculator")).to_be_visible()
    drawn = where.locator("rect.sv-span").evaluate_all("bars => bars.map((bar) => bar.getBoundingClientRect().width)")
    assert len(drawn) >= 5
    assert all(width > 0 for width in drawn)
    calls = page.get_by_role("region", name="Model calls", exact=True)
    expect(calls.get_by_role("row", name="Call 2")).to_contain_text("ms")
    expect(page.get_by_role("region", name="Steps")).to_contain_text("ten minutes")
    keep(page, "run")

    calls.get_by_role("link", name="What the model was sent").click()
    expect(page.get_by_role("heading", name="Word for word")).to_be_visible()
    page.get_by_role("link", name="Call 2: the answer").click()
    expect(page.get_by_role("region", name="Messages")).to_contain_text("calls calculator")
    keep(page, "prompt")
    page.get_by_role("link", name="The run run_").click()

    upstream.teach({answer: SECOND})
    page.get_by_role("region", name="Replays").get_by_role("link", name="Replay").click()
    keep(page, "replay")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("article", name="Its replay")).to_contain_text("straight on")
    different = page.get_by_role("region", name="What is different")
    expect(different.locator("mark")).to_have_text(["ten", "second", "twenty", "first"])
    expect(page.get_by_role("table")).to_contain_text("Tokens of the answer")
    keep(page, "beside")
    page.get_by_role("article", name="Its replay").get_by_role("link", name="its page").click()
    page.get_by_role("link", name="Both beside each other").click()
    expect(page.get_by_role("article", name="The run")).to_contain_text("ten minutes")
    watched.open("/chat/")
    expect(page.get_by_role("link", name="How do I get to the station?")).to_have_count(1)  # no list has the replay
    expect(page.get_by_role("link", name="Replay of")).to_have_count(0)


def keep(page: Page, name: str) -> None:
    """For who looks: light, dark, and on a phone."""
    folder = os.environ.get("E2E_SCREENSHOTS")
    if not folder:
        return
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
        page.evaluate("isDark => document.documentElement.classList.toggle('dark', isDark)", scheme == "dark")
        page.set_viewport_size({"width": width, "height": 820})
        page.screenshot(path=str(Path(folder) / f"run-pages-{name}-{scheme}-{width}.png"), full_page=True)
    page.set_viewport_size({"width": 1280, "height": 820})
