"""Whole conversations in the browser: the list, what is done with one, branches, two assistants side by side."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bench.opening import make_thread
from tests.e2e.accessibility import findings
from tests.e2e.conftest import LATER, Watched, painted
from tests.e2e.test_chat import answer, expect_rest, expect_whole, text_of

pytestmark = pytest.mark.e2e


def unique() -> str:
    return f"talk {secrets.token_hex(4)}"


def entry(page: Page, title: str) -> Locator:
    """Of the list."""
    return page.get_by_role("navigation", name="Your conversations").get_by_role("listitem").filter(has_text=title)


def accessible(watched: Watched) -> None:
    """What axe puts into the page to look at it, the policy refuses."""
    before = [*watched.problems]
    assert findings(watched.page) == []
    watched.problems[:] = before


def choose(page: Page, title: str, choice: str) -> None:
    """From the menu of a conversation, with the keyboard alone."""
    entry(painted(page), title).get_by_role("button").focus()
    page.keyboard.press("Enter")
    item = page.get_by_role("menuitem", name=choice, exact=True)
    for _ in range(4):
        if item.evaluate("item => item === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_have_count(0)


def test_a_conversation_is_renamed_pinned_archived_and_found_again(watched: Watched) -> None:
    page, title, other = watched.page, unique(), unique()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)

    choose(page, title, "Rename")
    field = page.get_by_role("textbox", name="Name of the conversation")
    expect(field).to_be_focused()
    field.fill("never kept")
    page.keyboard.press("Escape")
    expect(entry(page, title)).to_be_visible()
    choose(page, title, "Rename")
    page.get_by_role("textbox", name="Name of the conversation").fill(other)
    page.keyboard.press("Enter")
    expect(entry(page, other).get_by_role("button")).to_be_focused()
    expect(page).to_have_title(f"{other} · Sovereign")

    choose(page, other, "Pin")
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    choose(page, other, "Archive")
    expect(entry(page, other)).to_have_count(0)
    expect(page.locator("#spoken")).to_contain_text("Archived.")
    page.get_by_role("button", name="Archived").click()
    expect(entry(page, other)).to_be_visible()
    page.get_by_role("button", name="Back to all").click()
    expect(entry(page, other)).to_have_count(0)
    page.get_by_role("searchbox", name="Search conversations").fill(other.upper())
    expect(entry(page, other)).to_be_visible()
    choose(page, other, "Take out of the archive")
    page.get_by_role("searchbox", name="Search conversations").fill("")
    expect(entry(page, other)).to_be_visible()


def test_a_deleted_conversation_can_be_had_back(watched: Watched) -> None:
    page, title = watched.page, unique()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)
    address = page.url
    choose(page, title, "Delete")
    page.get_by_role("button", name="Undo").focus()  # while somebody is at it, it stays
    page.wait_for_url("**/chat/")
    expect(page.get_by_role("status").filter(has_text="was deleted")).to_be_visible()
    expect(entry(page, title)).to_have_count(0)
    assert page.context.request.get(address).status == 404
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(address)
    expect_whole(watched, 3)
    expect(entry(page, title)).to_be_visible()


def test_another_tab_follows_when_somebody_comes_back_to_it(watched: Watched) -> None:
    page, title = watched.page, unique()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)
    other = Watched(page.context.new_page(), watched.stack)
    other.page.goto(f"{watched.stack.url}/chat/")
    choose(other.page, title, "Delete")
    expect(other.page.get_by_role("button", name="Undo")).to_be_visible()
    page.bring_to_front()
    page.evaluate("setTimeout(() => dispatchEvent(new Event('focus')), 1100)")
    expect(entry(page, title)).to_have_count(0)
    assert other.problems == []
    page.goto("about:blank")  # it asks for nothing more
    watched.problems.clear()  # the thread that this tab still showed is gone


def edit(page: Page, said: str, otherwise: str) -> None:
    page.locator(".message.user").filter(has_text=said).get_by_role("button", name="Edit, on a branch").click()
    box = page.get_by_role("textbox", name="Your message, otherwise")
    expect(box).to_be_focused()
    box.fill(otherwise)
    page.keyboard.press("Enter")


def versions(page: Page) -> list[str]:
    return [" ".join(text_of(shown).split()) for shown in page.locator(".versions").all()]


def test_a_question_is_put_otherwise_on_a_branch(watched: Watched) -> None:
    page, title, key = watched.page, unique(), unique()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)
    watched.say("And then? [tokens=4]")
    expect(page.locator(".message.assistant")).to_have_count(2)
    expect_whole(watched, 4)
    first = page.url

    edit(page, "And then?", f"Otherwise {key} [tokens=5]")
    expect(page).not_to_have_url(first)
    expect(answer(watched)).to_contain_text("t4", timeout=LATER)
    expect_whole(watched, 5)
    assert [text_of(said).split(" [")[0] for said in page.locator(".message.user .body").all()] == [
        title, f"Otherwise {key}",
    ]  # fmt: skip
    expect(page.locator(".versions")).to_have_text(re.compile("2 of 2"))
    expect(page.locator(".branch-origin")).to_contain_text(title)

    page.get_by_role("link", name="Previous version").click()
    page.wait_for_url(re.compile(re.escape(first)))
    expect(page.locator(".versions")).to_have_text(re.compile("1 of 2"))
    expect(page.get_by_role("link", name="Next version")).to_be_focused()
    expect(page.locator(".message.user").last).to_contain_text("And then?")
    painted(page).keyboard.press("Enter")
    expect(page.locator(".message.user").last).to_contain_text(key)
    accessible(watched)


def test_an_answer_is_made_again_by_the_same_and_by_another(watched: Watched) -> None:
    page, title, name = watched.page, unique(), unique()
    watched.stack.client.assistant(name=name)
    page.reload()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)
    first = page.url
    again = page.locator(".message.assistant").get_by_role("button", name="Answer again")
    again.click()
    page.get_by_role("menuitem", name="Answer again, on a branch").click()
    expect(page).not_to_have_url(first)
    expect(page.locator(".versions")).to_have_text(re.compile("2 of 2"), timeout=LATER)
    expect_whole(watched, 3)
    expect(page.locator(".message.user")).to_have_count(1)

    again.click()
    page.get_by_role("menuitem", name="Have something else answer").click()
    dialog = page.get_by_role("dialog", name="Have something else answer")
    dialog.locator("[name=assistant]").select_option(label=name)
    expect(dialog.locator("[name=answering]")).to_be_visible()
    expect(dialog.locator("[name=model]")).to_be_visible()
    accessible(watched)
    dialog.get_by_role("button", name="Answer", exact=True).click()
    expect(answer(watched)).to_contain_text("t2", timeout=LATER)
    expect(page.locator(".message.assistant .by")).to_contain_text(name)
    expect(page.locator(".versions")).to_have_text(re.compile("3 of 3"))


def test_what_is_edited_is_left_as_it_was_by_escape(watched: Watched) -> None:
    page, title = watched.page, unique()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)
    first = page.url
    page.get_by_role("button", name="Edit, on a branch").click()
    page.get_by_role("textbox", name="Your message, otherwise").fill("never sent")
    page.keyboard.press("Escape")
    expect(page.locator(".message.user .body")).to_contain_text(title)
    expect(page.get_by_role("button", name="Edit, on a branch")).to_be_focused()
    assert page.url == first
    expect_rest(watched)


def test_two_assistants_are_compared_and_one_is_gone_on_with(watched: Watched) -> None:
    page, title, name = watched.page, unique(), unique()
    watched.stack.client.assistant(name=name)
    page.get_by_role("link", name="Compare assistants").click()
    page.wait_for_url("**/chat/compare")
    left, right = page.locator("[data-side=left]"), page.locator("[data-side=right]")
    left.get_by_role("combobox").select_option(label="Sovereign guide")
    right.get_by_role("combobox").select_option(label=name)
    watched.say(f"{title} [tokens=3]")
    for side in (left, right):
        expect(side.locator(".message.assistant")).to_contain_text("t2", timeout=LATER)
    expect(page).to_have_url(re.compile(r"/chat/compare\?thread=thread_"))
    expect(entry(page, title)).to_have_count(1)
    expect(right.locator(".message.assistant .by")).to_contain_text(name)
    accessible(watched)

    page.reload()
    expect(left.locator(".message.assistant")).to_contain_text("t2")
    page.get_by_role("radio", name="Left").check()
    watched.say("Only you. [tokens=4]")
    expect(left.locator(".message.assistant")).to_have_count(2)
    expect(left.locator(".message.assistant").last).to_contain_text("t3", timeout=LATER)
    expect(right.locator(".message.assistant")).to_have_count(1)

    right.get_by_role("button", name="Continue with this one").click()
    page.wait_for_url(re.compile(r"/chat/thread_"))
    expect(page.locator(".message.assistant .by")).to_contain_text(name)
    expect(entry(page, title)).to_have_count(1)
    expect(entry(page, title).get_by_role("link")).to_have_attribute("aria-current", "page")


def test_older_conversations_come_as_one_goes_down(watched: Watched) -> None:
    page, title = watched.page, unique()
    watched.say(f"{title} [tokens=3]")
    expect_whole(watched, 3)
    for _ in range(51):
        make_thread(page, 1)
    page.goto(f"{watched.stack.url}/chat/")
    expect(entry(page, "Question 1?").first).to_be_visible()
    expect(entry(page, title)).to_have_count(0)
    page.get_by_role("navigation", name="Your conversations").evaluate(
        "list => { list.scrollTop = list.scrollHeight; }"
    )
    expect(entry(page, title)).to_have_count(1)
    choose(page, title, "Pin")
    expect(entry(page, title)).to_have_count(1)  # above, and not where it was any more
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    choose(page, title, "Delete")
    expect(entry(page, title)).to_have_count(0)  # nothing stays pinned over the others' conversations
