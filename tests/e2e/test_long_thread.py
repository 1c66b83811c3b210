"""A conversation of thousands of messages opens at its end, and the rest comes while one goes up."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.bench.opening import make_thread, opened, scroll_to_first
from tests.e2e.conftest import Watched, painted

pytestmark = pytest.mark.e2e

MESSAGES = 400
#: The page presses the button by itself where it comes into view, which the focus does: here only the key presses it.
UNSEEN = "window.IntersectionObserver = class { observe() {} unobserve() {} disconnect() {} }"


def test_a_long_conversation_opens_at_its_end_and_is_read_upwards(watched: Watched) -> None:
    page = watched.page
    address = f"{watched.stack.url}/chat/{make_thread(page, MESSAGES)}"
    opened(page, address, f"Number {MESSAGES}.")
    expect(page.locator(".message").last).to_be_in_viewport()
    assert page.locator(".message").count() <= 100

    page.evaluate("document.getElementById('scroll').scrollTop = 0")
    expect(page.locator(".message.past")).not_to_have_count(0)
    read = page.locator(".message", has_text=f"Question {MESSAGES - 49}?")
    expect(read).to_be_in_viewport()  # what was first stays under the eye while earlier ones come
    scroll_to_first(page, MESSAGES)
    expect(page.get_by_role("button", name="Show earlier messages")).to_be_hidden()
    told = page.locator(".message.user .body").all_text_contents()  # what is not drawn has no other text
    assert told == [f"Question {number}?" for number in range(1, MESSAGES, 2)]


def test_without_a_mouse_the_button_loads_what_was_before(watched: Watched) -> None:
    page = watched.page
    thread_id = make_thread(page, 120)
    page.add_init_script(UNSEEN)
    opened(page, f"{watched.stack.url}/chat/{thread_id}", "Number 120.")
    button = page.get_by_role("button", name="Show earlier messages")
    for seen in (100, 120):
        button.focus()
        painted(page).keyboard.press("Enter")
        expect(page.locator(".message")).to_have_count(seen)
    messages = page.context.request.get(f"{watched.stack.url}/v1/threads/{thread_id}/messages?order=asc&limit=1").json()
    earliest = messages["data"][0]["id"]
    page.goto("about:blank")
    page.goto(f"{watched.stack.url}/chat/{thread_id}#{earliest}")
    expect(page.locator(f".message[data-id={earliest}]")).to_be_in_viewport()
