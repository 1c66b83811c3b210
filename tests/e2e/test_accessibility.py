"""The main pages, with everything on them, as axe judges them: in light, in the dark, and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, painted, profile_of
from tests.e2e.test_chat_box import PIXEL, bring
from tests.e2e.test_chat_said import RICH
from tests.support.client import unique
from tests.support.museum import Museum, furnish
from tests.support.processes import Stack, Upstream

pytestmark = pytest.mark.e2e

WAYS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "has_touch": True},
}


@pytest.fixture(scope="module")
def museum(live_server_process: Stack, upstream: Upstream) -> Museum:
    return furnish(live_server_process, upstream.model)


@pytest.fixture(scope="module", params=WAYS)
def page(request: pytest.FixtureRequest, chromium: Browser, chat_profile: StorageState) -> Iterator[Page]:
    context = profile_of(chromium, storage_state=chat_profile, reduced_motion="reduce", **WAYS[request.param])
    yield context.new_page()
    context.close()


#: of the chat alone: as narrow as a page may get, and as little as 200 % of zoom leave of a usual window
TIGHT: dict[str, dict[str, Any]] = {
    "narrow": {"color_scheme": "dark", "viewport": {"width": 320, "height": 640}},
    "zoomed": {"color_scheme": "light", "viewport": {"width": 640, "height": 410}},
    "forced": {"color_scheme": "dark", "forced_colors": "active", "viewport": {"width": 1280, "height": 820}},
}


@pytest.fixture(scope="module", params=[*WAYS, *TIGHT])
def chat(request: pytest.FixtureRequest, chromium: Browser, chat_profile: StorageState) -> Iterator[Page]:
    way = {**WAYS, **TIGHT}[request.param]
    context = profile_of(chromium, storage_state=chat_profile, reduced_motion="reduce", service_workers="block", **way)
    yield context.new_page()
    context.close()


def of(museum: Museum, path: str) -> str:
    """A path with the ids of what it shows."""
    ids = {"assistant": museum.assistant, "store": museum.store, "prompt": museum.prompt}
    ids |= {"evaluation": museum.evaluation, "run": museum.runs[0], "thread": museum.threads[0]}
    return path.format(**{name: quote(identifier) for name, identifier in ids.items()})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/chat/",
        "/admin/",
        "/admin/assistants/assistant/",
        "/admin/assistants/assistant/{assistant}/change/",
        "/admin/assistants/assistant/{assistant}/try/",
        "/admin/assistants/assistant/{assistant}/versions/",
        "/admin/assistants/assistant/{assistant}/deployments/",
        "/admin/conversations/conversation/of/{assistant}/",
        "/admin/assistants/assistant/{assistant}/code/",
        "/admin/analytics/grade/",
        "/admin/analytics/grade/of/{assistant}/",
        "/admin/runs/run/",
        "/admin/runs/run/{run}/change/",
        "/admin/runs/run/{run}/replay/",
        "/admin/threads/thread/{thread}/change/",
        "/admin/knowledge/vectorstore/{store}/change/",
        "/admin/prompts/prompt/{prompt}/change/",
        "/admin/evaluations/evaluationset/{evaluation}/change/",
        "/admin/work/",
        "/admin/search/",
        "/admin/inference/provider/",
        "/admin/accounts/auditevent/",
    ],
)
def test_nothing_grave_is_found_on(path: str, page: Page, museum: Museum, live_server_process: Stack) -> None:
    page.goto(f"{live_server_process.url}{of(museum, path)}")
    page.wait_for_load_state("networkidle")
    assert findings(page) == []
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is wider than the screen"


def ask(page: Page) -> None:
    page.get_by_label("Your message").fill("Say something. [tokens=40]")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".message.assistant .body").last).to_contain_text("t39", timeout=LATER)
    expect(page.get_by_role("button", name="Good answer")).to_be_visible()


def bring_files(page: Page) -> None:
    bring(page, "drop", f"a name that is {'much ' * 12}too long.md", "text/markdown", b"Text")
    bring(page, "paste", "image.png", "image/png", PIXEL)
    expect(page.locator("#tray")).to_contain_text("image.png")


def open_list(page: Page) -> None:
    if (opener := page.get_by_role("button", name="Conversations", exact=True)).is_visible():
        opener.click()
    expect(page.get_by_role("complementary", name="Conversations")).to_be_visible()


#: the chat's states, by their names
STATES: dict[str, Callable[[Page], None]] = {
    "a new conversation": lambda page: None,
    "the assistants": lambda page: page.get_by_role("button", name="Assistant:").click(),
    "the keys": lambda page: page.keyboard.press("Alt+Shift+Slash"),
    "files": bring_files,
    "the list": open_list,
    "an answer": ask,
}


def test_nothing_grave_is_found_in_any_state_of_the_chat(
    chat: Page, museum: Museum, live_server_process: Stack
) -> None:
    width = chat.viewport_size["width"] if chat.viewport_size else 0
    for name, enter in STATES.items():
        chat.goto(f"{live_server_process.url}/chat/")
        painted(chat).evaluate("sessionStorage.clear()")
        enter(chat)
        assert findings(chat) == [], name
        assert chat.evaluate("document.documentElement.scrollWidth") <= width, f"{name}: nothing is wider than the page"


def test_nothing_grave_is_found_in_what_is_said_shared_and_printed(
    chat: Page, upstream: Upstream, live_server_process: Stack
) -> None:
    width = chat.viewport_size["width"] if chat.viewport_size else 0

    def look(name: str) -> None:
        assert findings(chat) == [], name
        assert chat.evaluate("document.documentElement.scrollWidth") <= width, f"{name}: nothing is wider than the page"

    upstream.teach({(key := unique()): RICH})
    chat.goto(f"{live_server_process.url}/chat/")
    chat.get_by_label("Your message").fill(f"When? [text={key}]")
    chat.get_by_role("button", name="Send").click()
    expect(chat.locator(".message.assistant .said:not(.plain)")).to_be_visible(timeout=LATER)
    look("an answer with everything in it")
    thread = chat.url
    chat.get_by_role("button", name="Share or export").click()
    chat.get_by_role("button", name="Make a link").click()
    address = chat.get_by_role("dialog").get_by_role("textbox").input_value()
    look("sharing")
    for place in (address, f"{thread}/print"):
        chat.goto(place)
        look(place)
