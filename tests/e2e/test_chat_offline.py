"""The chat without a network: a page that says so, and the chat again when it is back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.e2e.conftest import profile_of
from tests.support.processes import Stack

pytestmark = pytest.mark.e2e

#: Paths of what the worker keeps.
KEPT = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) found.push(new URL(request.url).pathname);
  }
  return found;
}"""


def test_without_a_network_the_page_says_so_and_comes_back(
    chromium: Browser, live_server_process: Stack, session: StorageState
) -> None:
    context = profile_of(chromium, storage_state=session, service_workers="allow")
    page = context.new_page()
    page.goto(f"{live_server_process.url}/chat/")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    expect(page.get_by_role("button", name="Assistant:")).to_be_visible()
    assert page.evaluate("navigator.serviceWorker.controller !== null")
    context.set_offline(True)
    page.reload()
    expect(page.get_by_role("heading", name="Sovereign cannot be reached")).to_be_visible()
    kept = page.evaluate(KEPT)
    assert "/offline" in kept
    assert all(path == "/offline" or path.startswith("/static/") for path in kept)
    context.set_offline(False)
    expect(page.get_by_role("button", name="Assistant:")).to_be_visible()  # by itself
    context.close()
