"""A headless Chromium, and pages that report everything which must not happen on them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, WebSocketRoute, expect, sync_playwright

from tests.support.fixtures import skip_ring
from tests.support.processes import Stack

#: as root, without a GPU, and without asking anything of the network
ARGUMENTS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 15_000  # milliseconds to wait for what should appear


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Started for a module and ended with it: an open Playwright keeps an event loop, which Django would refuse."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        skip_ring("Chromium is not installed")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, page: Page, stack: Stack) -> None:
        self.page, self.stack = page, stack
        self.problems: list[str] = []
        self.sockets: list[WebSocketRoute] = []
        origins = (stack.url, stack.websocket_url, "data:", "blob:")
        page.on("console", lambda m: self.problems.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", lambda r: None if r.url.startswith(origins) else self.problems.append(f"foreign: {r.url}"))
        page.on("requestfailed", lambda r: self.problems.append(f"csp: {r.url}") if r.failure == "csp" else None)
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.route_web_socket("**/ws/**", self._relay)

    def _relay(self, socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        self.sockets.append(socket)

    def log_in(self, following: str = "/chat/") -> None:
        self.page.goto(f"{self.stack.url}/login?next={following}")
        self.page.get_by_label("User name").fill(self.stack.user)
        self.page.get_by_label("Password").fill(self.stack.password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(f"**{following}")

    def cut_connection(self) -> None:
        """Close the WebSocket, and wait until the page has opened another."""
        before = len(self.sockets)
        self.sockets[-1].close(code=1001)
        for _ in range(TIMEOUT // 50):
            if len(self.sockets) > before:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("the page opened no new WebSocket")

    def say(self, text: str) -> None:
        self.page.get_by_label("Your message").fill(text)
        self.expect_sendable()
        self.page.keyboard.press("Enter")

    def open(self, path: str) -> Page:
        """The page at this path, ready for keys: Chromium takes none before it has painted a page."""
        self.page.goto(f"{self.stack.url}{path}")
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self.page

    def expect_sendable(self) -> None:
        """The page has loaded the assistants; before that it sends nothing."""
        expect(self.page.get_by_role("button", name="Send")).to_be_enabled()


@pytest.fixture(scope="module")
def session(chromium: Browser, live_server_process: Stack) -> StorageState:
    """The cookies of somebody who logged in through the page."""
    context = chromium.new_context()
    watched = Watched(context.new_page(), live_server_process)
    watched.log_in()
    state = context.storage_state()
    context.close()
    assert watched.problems == []
    return state


@pytest.fixture
def watched(chromium: Browser, live_server_process: Stack, session: StorageState, tmp_path: Path) -> Iterator[Watched]:
    """The chat in a fresh browser profile that is logged in; the test fails on any error, dialog or foreign request."""
    context = chromium.new_context(viewport={"width": 1280, "height": 820}, storage_state=session)
    context.set_default_timeout(TIMEOUT)
    made = Watched(context.new_page(), live_server_process)
    made.page.goto(f"{live_server_process.url}/chat/")
    yield made
    if folder := os.environ.get("E2E_SCREENSHOTS"):
        made.page.screenshot(path=str(Path(folder) / f"{tmp_path.name}.png"))
    context.close()
    assert made.problems == []
