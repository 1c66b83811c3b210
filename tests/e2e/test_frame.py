"""The admin's frame by keys: the search over everything, the sheet of keys, and times in the reader's zone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.e2e.conftest import Watched, painted, profile_of
from tests.support.client import unique
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.e2e


def test_everything_is_found_from_everywhere_by_keys(watched: Watched, upstream: Upstream) -> None:
    watched.stack.client.assistant(upstream.model, name="Lighthouse keeper")
    page = watched.open("/admin/runs/run/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox", name="Search pages and rows")
    expect(field).to_be_focused()
    page.keyboard.insert_text("lighthouse")  # at once: what is typed slowly is looked for in parts
    dialog = page.get_by_role("dialog", name="Search")
    expect(dialog.get_by_role("link", name="Lighthouse keeper assistant")).to_be_visible()
    expect(dialog.get_by_role("status")).to_contain_text("found")
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("link").first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(field).to_be_focused()
    field.fill("zzzzzz")
    expect(dialog.get_by_role("link", name="Conversations with “zzzzzz”")).to_be_visible()
    field.fill("overview")
    page.keyboard.press("Enter")  # what is found for the words that stand there now, however quick one is
    page.wait_for_url("**/admin/")


def test_keys_lead_through_the_admin_unless_they_are_off(watched: Watched) -> None:
    page = watched.open("/admin/")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet).to_be_visible()
    expect(sheet.get_by_role("link", name="Assistants")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    page.evaluate("Date.now = () => 1")  # however slow the machine is: who waits has not said where to
    page.keyboard.type("ga")
    page.wait_for_url("**/admin/assistants/assistant/")
    painted(page).keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.keyboard.type("gan?")  # words are words where one writes them
    expect(page.locator("#searchbar")).to_have_value("gan?")
    expect(sheet).to_be_hidden()
    page = watched.open("/admin/assistants/assistant/")
    page.keyboard.press("n")
    page.wait_for_url("**/admin/assistants/assistant/add/")
    page = watched.open("/admin/")
    page.get_by_role("button", name="Keys", exact=True).click()
    sheet.get_by_label("Keys without Ctrl do nothing here").check()
    sheet.get_by_role("button", name="Close").click()
    page.keyboard.type("?ga")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Search")).to_be_visible()
    expect(sheet).to_be_hidden()
    assert page.url.endswith("/admin/")


@pytest.fixture
def far(chromium: Browser, live_server_process: Stack, session: StorageState) -> Iterator[Watched]:
    """A browser in Eucla, whose clocks are three quarters of an hour off the hour."""
    context = profile_of(chromium, timezone_id="Australia/Eucla", storage_state=session)
    made = Watched(context.new_page(), live_server_process)
    yield made
    context.close()
    assert made.problems == []


def test_times_are_those_of_the_browsers_zone(far: Watched) -> None:
    far.open("/admin/")  # tells it
    page = far.open("/admin/")
    expect(page.get_by_text("Times are those of Australia/Eucla.")).to_be_visible()
    name = f"Clock {unique()}"
    far.stack.client.assistant(name=name)
    page = far.open(f"/admin/assistants/assistant/?q={name.replace(' ', '+')}")
    shown = page.get_by_role("row").filter(has_text=name).locator("td.field-changed").inner_text()
    now = page.evaluate("new Date().toTimeString().slice(3, 5)")  # minutes, which are others than the server's
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", shown.strip())
    assert (int(now) - int(shown.strip()[-2:])) % 60 < 15, "the server's minutes are fifteen ahead"
