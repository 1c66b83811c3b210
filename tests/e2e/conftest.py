"""A headless Chromium, and pages that report everything which must not happen on them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    StorageState,
    WebSocketRoute,
    expect,
    sync_playwright,
)

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
TIMEOUT = 120_000  # milliseconds to wait for what should appear; two cores shared with everything else
LATER = TIMEOUT  # for what other processes have to do first
#: what the browser says by itself of a network or a server that is away, whichever way its connections end
BROKEN = (
    "WebSocket connection to",
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_CONNECTION_CLOSED",
    "ERR_EMPTY_RESPONSE",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_INTERNET_DISCONNECTED",
    "ERR_NETWORK_CHANGED",
)


def program() -> str | None:
    """Where Chromium is."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Started for a module and ended with it: an open Playwright keeps an event loop, which Django would refuse."""
    path = program()
    if path is None:
        skip_ring("Chromium is not installed")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def profile_of(browser: Browser, **options: Any) -> BrowserContext:
    """A fresh profile, whose pages are waited for as everything is here."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT)
    return context


def painted(page: Page) -> Page:
    """The page, once it takes keys: Chromium takes none before it has painted it."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


#: Watches for a button being called otherwise: ``window.seen`` tells in the end whether it was.
WATCH = """(button, [name, patience]) => {
  window.seen = new Promise((done) => {
    const look = () => { if (button.ariaLabel === name) done(true); };
    new MutationObserver(look).observe(button, { attributes: true });
    setTimeout(done, patience, false);
  });
}"""


def click_and_see(button: Locator, name: str) -> None:
    """Click a button that has another name then, for a moment that a busy machine may miss."""
    button.evaluate(WATCH, [name, TIMEOUT])
    button.click()
    assert button.page.evaluate("window.seen"), f"the button is not called {name}"


def expect_copied(page: Page, text: str) -> None:
    """The clipboard has this text."""
    found = ""
    for _ in range(TIMEOUT // 50):
        found = page.evaluate("navigator.clipboard.readText()").strip()
        if found == text:
            return
        page.wait_for_timeout(50)
    assert found == text


def press_for_files(files: Locator, key: str) -> None:
    """A key asks for files, at a field for them. The window itself is the browser's, and a busy one loses it."""
    asks = "(files) => files.addEventListener('click', (event) => { event.preventDefault(); files.title = 'asked' })"
    files.evaluate(asks)
    files.page.keyboard.press(key)
    expect(files).to_have_attribute("title", "asked")


def choose_assistant(page: Page, name: str) -> None:
    """In the chat, by the list behind its button."""
    page.get_by_role("button", name="Assistant:").click()
    picker = page.get_by_role("dialog", name="Choose an assistant")
    named = page.get_by_text(name, exact=True).and_(page.locator("strong"))  # another's description may read the same
    picker.get_by_role("option").filter(has=named).click()
    expect(picker).to_be_hidden()


def unbroken(problems: list[str]) -> list[str]:
    """Those that tell of more than a connection that was lost."""
    return [problem for problem in problems if not any(word in problem for word in BROKEN)]


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

    def drop_sockets(self) -> None:
        """Close the WebSockets, as a network that goes away does in the end."""
        for socket in self.sockets:
            socket.close(code=1001)
        self.sockets.clear()

    def say(self, text: str) -> None:
        self.page.get_by_label("Your message").fill(text)
        self.expect_sendable()
        painted(self.page).keyboard.press("Enter")

    def open(self, path: str) -> Page:
        """The page at this path, ready for keys."""
        self.page.goto(f"{self.stack.url}{path}")
        return painted(self.page)

    def expect_connected(self) -> None:
        """The page is told what happens on its thread."""
        expect(self.page.locator("#connection")).to_contain_text("Connected")

    def expect_sendable(self) -> None:
        """The page has loaded the assistants; before that it sends nothing."""
        expect(self.page.get_by_role("button", name="Send")).to_be_enabled()


@pytest.fixture(scope="module")
def session(chromium: Browser, live_server_process: Stack) -> StorageState:
    """The cookies of somebody who logged in through the page."""
    context = profile_of(chromium)
    watched = Watched(context.new_page(), live_server_process)
    watched.log_in()
    state = context.storage_state()
    context.close()
    assert watched.problems == []
    return state


@pytest.fixture(scope="module")
def chat_profile(live_server_process: Stack, session: StorageState) -> StorageState:
    """Of somebody who logged in, and whom the guide answered last: else the chat would begin with the first by name of
    all assistants that other tests have made."""
    listed = live_server_process.client.get("/v1/assistants?order=asc&limit=100")["data"]
    guide = next(assistant["id"] for assistant in listed if assistant["name"] == "Sovereign guide")
    kept = [{"name": "assistant", "value": guide}]
    return {"cookies": session["cookies"], "origins": [{"origin": live_server_process.url, "localStorage": kept}]}


@pytest.fixture
def watched(
    chromium: Browser, live_server_process: Stack, chat_profile: StorageState, tmp_path: Path
) -> Iterator[Watched]:
    """The chat in a fresh browser profile that is logged in; the test fails on any error, dialog or foreign request."""
    context = profile_of(
        chromium, viewport={"width": 1280, "height": 820}, storage_state=chat_profile, service_workers="block"
    )
    made = Watched(context.new_page(), live_server_process)
    made.open("/chat/")
    yield made
    if folder := os.environ.get("E2E_SCREENSHOTS"):
        made.page.screenshot(path=str(Path(folder) / f"{tmp_path.name}.png"))
    context.close()
    assert made.problems == []
