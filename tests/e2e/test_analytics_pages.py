"""Runs that just ended, counted and graded, as an analyst sees them in a real browser; dark, and on a narrow screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.e2e.conftest import Watched, profile_of
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.e2e

RUNS = 12
COUNTED = 240  # looks, a second apart, until they are in the roll-ups, behind all that other tests did


def look(page: Page, name: str) -> None:
    """Keep a picture, for people to see, where they asked for it."""
    if folder := os.environ.get("E2E_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_how_an_assistant_does_is_seen_and_what_is_expected_changed(watched: Watched, upstream: Upstream) -> None:
    page, stack = watched.page, watched.stack
    assistant = stack.client.assistant(upstream.model, name="Measured")
    for _ in range(RUNS):
        thread = stack.client.thread("Hello. [tokens=4]")
        list(stack.client.follow(thread, stack.client.run(thread, assistant)))
    page.goto(f"{stack.url}/admin/assistants/assistant/{quote(assistant)}/change/")
    page.get_by_role("navigation", name="Assistant", exact=True).get_by_role("link", name="Analytics").click()
    grade, whole = page.get_by_role("region", name="Grade", exact=True), f"0 of {RUNS} runs failed."
    for _ in range(COUNTED):
        if whole in grade.inner_text():
            break
        page.wait_for_timeout(1_000)
        page.reload()
    expect(grade).to_contain_text(whole)
    expect(page.get_by_role("img", name="Runs a day, those that failed in red")).to_be_visible()
    expect(page.get_by_role("region", name="Table of metrics")).to_contain_text("People")
    look(page, "analytics-assistant")

    page.get_by_role("link", name="What is expected").first.click()
    page.get_by_label("Tools", exact=True).fill("0")
    look(page, "analytics-expected")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Grades are made by this from now on.")).to_be_visible()
    expect(page.get_by_label("Tools", exact=True)).to_have_value("0.0")

    page.goto(f"{stack.url}/admin/analytics/grade/")
    table = page.get_by_role("region", name="Table of assistants")
    expect(table.get_by_role("row", name="Measured")).to_contain_text(f"{RUNS}")
    table.get_by_role("link", name="Cost", exact=True).click()
    expect(table.get_by_role("columnheader", name="Cost", exact=True)).to_have_attribute("aria-sort", "descending")
    look(page, "analytics-overview")
    page.go_back()  # by runs: other tests' assistants are more than are shown, and all of them cost as little
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look(page, "analytics-overview-narrow")
    table.get_by_role("link", name="Measured").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look(page, "analytics-assistant-narrow")


def test_the_pages_are_read_without_javascript_and_in_the_dark(
    chromium: Browser, live_server_process: Stack, session: StorageState
) -> None:
    context = profile_of(chromium, color_scheme="dark", java_script_enabled=False, storage_state=session)
    page = context.new_page()
    page.goto(f"{live_server_process.url}/admin/analytics/grade/")
    page.get_by_role("region", name="Table of assistants").get_by_role("link").last.click()
    page.get_by_label("Time", exact=True).select_option("7 days")
    page.get_by_role("button", name="Show").click()
    assert "days=7" in page.url
    expect(page.get_by_role("region", name="Grade", exact=True)).to_be_visible()
    context.close()
