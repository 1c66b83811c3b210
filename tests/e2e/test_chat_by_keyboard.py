"""A whole conversation without a mouse, and the keys that the page lists."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import LATER, Watched, expect_copied, painted, press_for_files
from tests.e2e.test_chat import answer, expect_rest
from tests.support.client import unique

pytestmark = pytest.mark.e2e

MOST = 60  # presses of Tab


def reach(page: Page, target: Locator) -> None:
    """Go on with Tab until the element has the focus; the ring around it is seen."""
    for _ in range(MOST):
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate("element => element.matches(':focus-visible')")
            return
        page.keyboard.press("Tab")
    raise AssertionError("Tab does not lead there")


def test_a_conversation_is_had_with_the_keyboard_alone(watched: Watched) -> None:
    page = watched.page
    word = unique()
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type(f"{word} one [tokens=30 hold=4 key={word}]")
    watched.expect_sendable()
    page.keyboard.press("Enter")
    expect(page.locator(".message.assistant .body").first).to_contain_text("t3", timeout=LATER)
    page.keyboard.press("Escape")
    expect(page.locator(".ending")).to_contain_text("Stopped.", timeout=LATER)
    expect_rest(watched)  # the run has ended, too, and what is said next does not wait for that
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type(f"{word} two [tokens=3]")
    watched.expect_sendable()
    page.keyboard.press("Enter")
    expect(answer(watched)).to_contain_text("t2", timeout=LATER)
    expect_rest(watched)
    rating = page.get_by_role("button", name="Good answer").last
    expect(rating).to_be_visible()
    page.locator("#scroll").focus()
    reach(page, rating)
    page.keyboard.press("Enter")
    expect(rating).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Alt+n")
    page.wait_for_url("**/chat/")
    expect(painted(page).get_by_label("Your message")).to_be_focused()
    page.keyboard.press("Alt+s")
    expect(page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
    page.keyboard.type(word)
    found = page.get_by_role("navigation", name="Your conversations").get_by_role("link", name=word)
    expect(found).to_have_count(1)
    reach(page, found)
    page.keyboard.press("Enter")
    expect(page.locator(".message.user").last).to_contain_text(f"{word} two")


def test_every_key_of_the_sheet_works(watched: Watched) -> None:
    page = watched.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    watched.say("[tokens=3]")
    expect(answer(watched)).to_contain_text("t2", timeout=LATER)
    expect_rest(watched)
    first = page.url
    page.keyboard.press("Alt+n")
    page.wait_for_url("**/chat/")
    watched.say("[tokens=4]")
    expect(answer(watched)).to_contain_text("t3", timeout=LATER)
    page.wait_for_url("**/chat/thread_*")
    expect_rest(watched)

    page.locator("#scroll").focus()
    page.keyboard.press("c")
    expect(page.locator("#spoken")).to_contain_text("The last answer is copied.")
    expect_copied(page, "t0 t1 t2 t3")
    side = page.get_by_role("complementary", name="Conversations")
    page.keyboard.press("b")
    expect(side).to_be_hidden()
    page.keyboard.press("b")
    expect(side).to_be_visible()
    page.keyboard.press("a")
    picker = page.get_by_role("dialog", name="Choose an assistant")
    expect(picker).to_be_visible()
    page.keyboard.press("Escape")
    expect(picker).to_be_hidden()
    page.keyboard.press("i")
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type("b?")  # a text, where one writes
    expect(page.get_by_label("Your message")).to_have_value("b?")
    press_for_files(page.locator("#files"), "Alt+u")
    page.locator("#scroll").focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet).to_be_visible()
    sheet.get_by_label("Keys without Alt").check()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    page.locator("#scroll").focus()
    page.keyboard.press("b")
    expect(side).to_be_visible()
    here = page.get_by_role("navigation", name="Your conversations").locator("[aria-current=page]")
    expect(here).to_have_count(1)
    page.keyboard.press("Alt+j")
    page.wait_for_url(first)
    expect(here).to_have_count(1)
    painted(page).keyboard.press("Alt+k")
    page.wait_for_url(lambda url: url != first)
