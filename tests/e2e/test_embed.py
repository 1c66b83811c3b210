"""An assistant on another site: a host page with a strict policy, served from another port, in Chromium."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, painted, profile_of
from tests.support.client import tokens, unique
from tests.support.processes import ROOT, Stack, Upstream

pytestmark = pytest.mark.e2e

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


class Site(http.server.ThreadingHTTPServer):
    """A page that may load scripts and frames of Sovereign, and nothing else."""

    key = ""
    language = "en"

    def __init__(self, sovereign: str) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                policy = f"default-src 'none'; script-src {sovereign}; frame-src {sovereign}; img-src data:"
                self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                tag = f'<script src="{sovereign}/embed.js" data-key="{site.key}" async></script>'
                icon = '<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">'
                page = f"<title>Intranet</title>{icon}<h1>Intranet</h1><button>Theirs</button>{tag}"
                self.wfile.write(f'<!doctype html><html lang="{site.language}"><head>{page}'.encode())

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def embedded(stack: Stack, *words: str) -> str:
    """What ``tests.support.embedded`` says."""
    command = [sys.executable, "-m", "tests.support.embedded", *words]
    done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def sites(live_server_process: Stack) -> Iterator[tuple[Site, Site]]:
    """One that may show it, and one that may not."""
    stack = live_server_process
    allowed, other = Site(stack.url), Site(stack.url)
    allowed.key = other.key = embedded(stack, allowed.url)
    yield allowed, other
    for site in (allowed, other):
        site.shutdown()
        site.server_close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """A page in a fresh profile; the test fails on an error, a dialog or a report of a policy on the page."""
    problems: list[str] = []
    contexts = []

    def open_page(**options: Any) -> Page:
        context = profile_of(chromium, **{"viewport": {"width": 1000, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        return page

    open_page.problems = problems  # type: ignore[attr-defined]
    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def frame_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Chat']")


def say(chat: FrameLocator, text: str) -> None:
    chat.get_by_label("Your message").fill(text)
    chat.get_by_role("button", name="Send").click()


def test_a_visitor_talks_on_another_site_and_finds_it_again(
    opened: Callable[..., Page], sites: tuple[Site, Site], upstream: Upstream
) -> None:
    page, key = opened(), unique()
    page.goto(sites[0].url)
    button = page.get_by_role("button", name="Open chat")
    expect(button).to_have_attribute("aria-expanded", "false", timeout=LATER)
    button.focus()
    painted(page).keyboard.press("Enter")
    chat = frame_of(page)
    expect(chat.get_by_role("heading", name="Sovereign guide")).to_be_visible()
    expect(chat.get_by_label("Your message")).to_be_focused()

    say(chat, f"{EVIL} [tokens=30 hold=10 key={key}]")
    answer = chat.locator(".message.assistant .body").last
    expect(answer).to_contain_text("t9", timeout=LATER)
    expect(answer).not_to_contain_text("t10")
    expect(chat.locator(".message.user")).to_contain_text(EVIL)
    expect(chat.locator(".message :is(script, img)")).to_have_count(0)
    upstream.release(key)
    expect(chat.get_by_role("button", name="Send")).to_be_visible(timeout=LATER)
    assert (answer.text_content() or "").strip() == tokens(30).strip()

    page.reload()
    page.get_by_role("button", name="Open chat").click(timeout=LATER)
    expect(answer).to_contain_text("t29", timeout=LATER)
    expect(chat.locator(".message")).to_have_count(2)
    say(chat, "[tokens=3]")
    expect(chat.locator(".message.assistant")).to_have_count(2, timeout=LATER)
    expect(chat.get_by_role("button", name="Send")).to_be_visible(timeout=LATER)

    chat.get_by_role("button", name="New conversation").click()
    expect(chat.locator(".message")).to_have_count(0)
    expect(chat.get_by_role("button", name="Close")).to_be_visible()  # the page in the frame knows the one around it
    chat.get_by_label("Your message").focus()
    page.keyboard.press("Escape")
    expect(page.locator("iframe")).to_be_hidden()
    expect(page.get_by_role("button", name="Open chat")).to_be_focused()
    assert page.context.cookies(sites[0].url) == [], "nothing of ours is in the site's jar"
    assert page.evaluate("Object.keys(window).filter((name) => /sovereign/i.test(name))") == []


def test_a_site_that_may_not_show_it_shows_nothing(opened: Callable[..., Page], sites: tuple[Site, Site]) -> None:
    page = opened()
    problems: list[str] = opened.problems  # type: ignore[attr-defined]
    with page.expect_event("console", lambda m: "frame-ancestors" in m.text, timeout=LATER):
        page.goto(sites[1].url)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("button", name="Theirs")).to_be_visible()
    expect(page.get_by_role("button", name="Open chat")).to_have_count(0)
    expect(page.locator("iframe")).to_be_hidden()
    problems[:] = [text for text in problems if "frame-ancestors" not in text and "chrome-error" not in text]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_the_frame_is_for_everybody(
    chromium: Browser, live_server_process: Stack, sites: tuple[Site, Site], scheme: str
) -> None:
    context = profile_of(chromium, viewport={"width": 320, "height": 560}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{live_server_process.url}/embed/{sites[0].key}")
    page.get_by_label("Your message").fill("[tokens=8]")
    painted(page).keyboard.press("Enter")
    expect(page.locator(".message.assistant .body")).to_contain_text("t7", timeout=LATER)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=LATER)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert findings(page) == []
    expect(page).to_have_title(re.compile("Sovereign guide"))
    context.close()


def test_what_is_open_ends_when_the_key_is_revoked(
    chromium: Browser, live_server_process: Stack, sites: tuple[Site, Site], upstream: Upstream
) -> None:
    stack, key = live_server_process, unique()
    public_key = embedded(stack, sites[0].url)
    context = profile_of(chromium)
    page = context.new_page()
    page.goto(f"{stack.url}/embed/{public_key}")
    page.get_by_label("Your message").fill(f"[tokens=30 hold=5 key={key}]")
    painted(page).keyboard.press("Enter")
    expect(page.locator(".message.assistant .body")).to_contain_text("t4", timeout=LATER)
    embedded(stack, public_key)
    expect(page.locator("#problem")).to_contain_text(re.compile("not offered any more|visit is over"), timeout=LATER)
    upstream.release(key)
    page.wait_for_timeout(1_000)
    expect(page.locator(".message.assistant .body")).not_to_contain_text("t20")
    context.close()


def test_a_visitors_broken_answer_is_continued_and_retried(
    opened: Callable[..., Page], sites: tuple[Site, Site]
) -> None:
    page, key = opened(), unique()
    page.goto(sites[0].url)
    page.get_by_role("button", name="Open chat").click(timeout=LATER)
    chat = frame_of(page)
    say(chat, f"Tell me. [tokens=30 drop=10 key={key}]")
    expect(chat.locator(".ending.bad")).to_have_text(re.compile("^Something went wrong"), timeout=LATER)
    chat.get_by_role("button", name="Continue").click()  # this engine is asked to go on in words: ten tokens more
    expect(chat.locator(".message.continued")).to_have_count(1, timeout=LATER)
    expect(chat.get_by_role("button", name="Send")).to_be_visible(timeout=LATER)
    expect(chat.locator(".ending")).to_have_count(0)
    expect(chat.get_by_label("Your message")).to_be_focused()

    say(chat, f"Again. [tokens=30 drop=7 key={unique()}]")
    expect(chat.locator(".ending.bad")).to_be_visible(timeout=LATER)
    page.reload()
    page.get_by_role("button", name="Open chat").click(timeout=LATER)
    expect(chat.locator(".message.continued")).to_have_count(1, timeout=LATER)
    chat.get_by_role("button", name="Retry").click()
    expect(chat.get_by_role("button", name="An earlier try")).to_be_visible(timeout=LATER)
    expect(chat.locator(".ending.bad")).to_be_visible(timeout=LATER)  # of the same script the same comes
    expect(chat.locator(".message.assistant:visible")).to_have_count(2)  # what was continued is one answer


def test_on_a_phone_it_has_all_of_the_window_and_the_focus(
    opened: Callable[..., Page], sites: tuple[Site, Site]
) -> None:
    page = opened(viewport={"width": 320, "height": 560}, has_touch=True, is_mobile=True)
    page.goto(sites[0].url)
    button = page.get_by_role("button", name="Open chat")
    button.click(timeout=LATER)
    chat, dialog = frame_of(page), page.get_by_role("dialog", name="Chat")
    expect(chat.get_by_label("Your message")).to_be_focused()
    assert dialog.bounding_box() == {"x": 0, "y": 0, "width": 320, "height": 560}
    for _ in range(12):  # round and round, and never behind it
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.localName") != "button"
    chat.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    expect(dialog).to_be_visible()
    page.set_viewport_size({"width": 900, "height": 700})
    expect(page.get_by_role("button", name="Close chat")).to_be_visible()
    expect(dialog).to_be_visible()
    page.get_by_role("button", name="Close chat").click()
    expect(dialog).to_be_hidden()


def test_by_keyboard_one_comes_in_and_out(opened: Callable[..., Page], sites: tuple[Site, Site]) -> None:
    page = opened()
    page.goto(sites[0].url)
    expect(page.get_by_role("button", name="Open chat")).to_be_visible(timeout=LATER)
    page.get_by_role("button", name="Theirs").focus()
    painted(page).keyboard.press("Tab")
    page.keyboard.press("Enter")
    chat, closing = frame_of(page), page.get_by_role("button", name="Close chat")
    expect(chat.get_by_label("Your message")).to_be_focused()
    expect(closing).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Tab")
    expect(closing).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(chat.get_by_label("Your message")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Open chat")).to_be_focused()
    page.keyboard.press("Enter")
    expect(closing).to_be_visible()
    page.get_by_role("button", name="Theirs").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Open chat").click()
    assert findings(page) == []


def test_it_speaks_the_sites_language(opened: Callable[..., Page], sites: tuple[Site, Site]) -> None:
    site, page = sites[0], opened()
    site.language = "de-AT"
    try:
        page.goto(site.url)
    finally:
        site.language = "en"
    page.get_by_role("button", name="Chat öffnen").click(timeout=LATER)
    chat = frame_of(page)
    expect(chat.get_by_label("Ihre Nachricht")).to_be_focused()
    chat.get_by_label("Ihre Nachricht").fill(f"[tokens=5 error=500 key={unique()}]")
    page.keyboard.press("Enter")
    expect(chat.get_by_role("button", name="Noch einmal versuchen")).to_be_visible(timeout=LATER)
    expect(chat.locator("main")).not_to_contain_text("Something went wrong")


def test_where_the_browser_keeps_nothing_for_frames_one_can_talk(
    opened: Callable[..., Page], sites: tuple[Site, Site]
) -> None:
    page = opened()
    denied = "{ get() { throw new DOMException('denied', 'SecurityError'); }, configurable: true }"
    page.add_init_script(
        f"for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, {denied});"
    )
    page.goto(sites[0].url)
    page.get_by_role("button", name="Open chat").click(timeout=LATER)
    chat = frame_of(page)
    for number in (1, 2):
        say(chat, "[tokens=4]")
        expect(chat.locator(".message.assistant")).to_have_count(number, timeout=LATER)
        expect(chat.get_by_role("button", name="Send")).to_be_visible(timeout=LATER)


def test_a_sandboxed_page_of_the_site_is_not_the_site(
    opened: Callable[..., Page], sites: tuple[Site, Site], live_server_process: Stack
) -> None:
    """It has the origin ``null``: frames of frames count, too."""
    page = opened()
    problems: list[str] = opened.problems  # type: ignore[attr-defined]
    page.goto(sites[0].url)
    expect(page.get_by_role("button", name="Open chat")).to_be_visible(timeout=LATER)
    inner = f"<iframe src='{live_server_process.url}/embed/{sites[0].key}'></iframe>"
    with page.expect_event("console", lambda m: "frame-ancestors" in m.text, timeout=LATER):
        page.evaluate(
            """(inner) => {
              const frame = document.createElement("iframe");
              frame.sandbox = "allow-scripts";
              frame.srcdoc = inner;
              document.body.append(frame);
            }""",
            inner,
        )
    problems[:] = [text for text in problems if "frame-ancestors" not in text and "chrome-error" not in text]
